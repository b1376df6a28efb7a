"""Run teachers in the authors' toy space, with their code: python benchmarks/peer_teachdeeprl.py TEACHER EPISODES SEED.

Their code draws from NumPy's global state, which is seeded here. Prints one line of JSON: the share of cells mastered at
every thousandth episode, in percent, and seconds.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from teachDRL.toy_env.toy_env import ToyEnv, test_alpgmm, test_covar_gmm, test_random, test_riac

TEACHERS = {"alp-gmm": test_alpgmm, "covar-gmm": test_covar_gmm, "riac": test_riac, "uniform": test_random}


def main(teacher: str, episodes: int, seed: int) -> None:
    np.random.seed(seed + 1)
    space = ToyEnv(nb_cubes=10, nb_dims=2)
    start = time.perf_counter()
    mastered = TEACHERS[teacher](space, episodes, gif=False, verbose=False)
    report = {
        "seconds": time.perf_counter() - start,
        "mastered": [float(share) for share in mastered],
        "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
