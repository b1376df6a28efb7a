#!/usr/bin/env bash
# Install the libraries that lifelong is measured against, each in an environment of its own:
# .peers/avalanche, .peers/pybkt, .peers/torch, .peers/teachdeeprl, .peers/sb3, .peers/higher and .peers/trl.
#
#   benchmarks/install_peers.sh [PYTHON]      PYTHON (3.11 unless given) makes the environment
#
# Running it again installs only what is missing. Only torch's CPU build is wanted; where pip's index does not offer it,
# set PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
set -euo pipefail

python=${1:-python3.11}
root=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '==> %s\n' "$*"; }

# enter NAME: make the environment .peers/NAME unless it is there; $home and $pip are its own from here on.
enter() {
    home=$root/.peers/$1
    if [ -x "$home/bin/python" ]; then
        say "environment: $home (already there)"
    else
        say "environment: $home"
        "$python" -m venv "$home"
    fi
    pip=("$home/bin/python" -m pip --disable-pip-version-check install --quiet)
}

enter avalanche

say "torch 2.13.0"
"${pip[@]}" torch==2.13.0

# The CUDA build of torchvision refuses the CPU build of torch, though Avalanche only needs its Python half: no
# dependencies, and a module that names the compiled operators torchvision asks for at import.
say "torchvision 0.28.0, without its dependencies, and the module 'torchvision_without_cuda'"
"${pip[@]}" --no-deps torchvision==0.28.0
site=$("$home/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cat > "$site/torchvision_without_cuda.py" <<'PYTHON'
from torch.library import Library

operators = Library("torchvision", "DEF")
operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
PYTHON

say "avalanche-lib 0.6.0"
"${pip[@]}" avalanche-lib==0.6.0

say "checking that it imports"
"$home/bin/python" - <<'PYTHON'
import torchvision_without_cuda  # noqa: F401

import avalanche
import torch

print(f"    avalanche {avalanche.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
PYTHON

enter pybkt

# pyBKT 1.4.3 was written for these; newer ones break it.
say "pyBKT 1.4.3, with numpy 1, pandas 2 and scikit-learn 1.5"
"${pip[@]}" pyBKT==1.4.3 'numpy<2' 'pandas<3' 'scikit-learn<1.6'

say "checking that it imports"
"$home/bin/python" -c 'import pyBKT.models; from importlib.metadata import version; print("    pyBKT", version("pyBKT"))'

enter torch

say "torch 2.13.0, with numpy"
"${pip[@]}" torch==2.13.0 numpy

say "checking that it imports"
"$home/bin/python" -c 'import torch; print("    torch", torch.__version__)'

enter teachdeeprl

# The authors' ALP-GMM, from their repository. Its toy space needs no gym, only gym's Box, which is Gymnasium's now.
say "teachDeepRL at 747cda2, with Gymnasium in gym's place"
"${pip[@]}" numpy scipy scikit-learn gymnasium treelib matplotlib seaborn imageio
site=$("$home/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$site/gym"
echo 'from gymnasium import spaces' > "$site/gym/__init__.py"
echo 'from gymnasium.spaces import Box' > "$site/gym/spaces.py"
if [ ! -d "$home/source" ]; then
    git clone --quiet https://github.com/flowersteam/teachDeepRL "$home/source"
    git -C "$home/source" checkout --quiet 747cda2b903f57859e64e1c9225afcfa1bf07bbd
fi
echo "$home/source" > "$site/teachdeeprl.pth"

say "checking that it imports"
MPLBACKEND=agg "$home/bin/python" -W ignore -c 'import teachDRL.toy_env.toy_env; print("    teachDRL.toy_env")'

enter sb3

say "torch 2.13.0, stable-baselines3 2.9.2 and Gymnasium's Box2D"
"${pip[@]}" torch==2.13.0 stable-baselines3==2.9.2 "gymnasium[box2d]"

say "checking that it imports"
"$home/bin/python" -c 'import stable_baselines3 as sb3, torch; print("    stable-baselines3", sb3.__version__, "torch", torch.__version__)'

enter higher

say "torch 2.13.0 and higher 0.2.1, with numpy"
"${pip[@]}" torch==2.13.0 numpy higher==0.2.1

say "checking that it imports"
"$home/bin/python" -c 'import higher, torch; from importlib.metadata import version; print("    higher", version("higher"), "torch", torch.__version__)'

enter trl

say "torch 2.13.0, transformers 5.23.0 and trl 1.16.0"
"${pip[@]}" torch==2.13.0 transformers==5.23.0 trl==1.16.0

say "checking that it imports"
"$home/bin/python" -c 'import trl, transformers; print("    trl", trl.__version__, "transformers", transformers.__version__)'
