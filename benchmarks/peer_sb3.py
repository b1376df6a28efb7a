"""The agent of `agents.py` with Stable-Baselines3; runs in the environment of install_peers.sh.

    .peers/sb3/bin/python benchmarks/peer_sb3.py '{"bodies": 8, …}' SEED THREADS

Nothing is logged. Prints one line of JSON.
"""

import json
import sys
import time

import numpy as np
import torch
from stable_baselines3 import PPO, __version__
from stable_baselines3.common.env_util import make_vec_env

WARM_UP = 2048


def main(settings: str, seed: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    life = json.loads(settings)
    agent = PPO(
        "MlpPolicy",
        make_vec_env(life["world"], n_envs=life["bodies"], seed=int(seed)),
        n_steps=life["steps"],
        batch_size=life["batch"],
        n_epochs=life["epochs"],
        learning_rate=life["rate"],
        policy_kwargs={"net_arch": [life["width"]] * 2},
        seed=int(seed),
        device="cpu",
        verbose=0,
    )
    agent.learn(WARM_UP)
    steps = life["rounds"] * life["bodies"] * life["steps"]
    start = time.perf_counter()
    agent.learn(steps, reset_num_timesteps=False)
    seconds = time.perf_counter() - start
    report = {
        "rate": steps / seconds,
        "return": float(np.mean([episode["r"] for episode in agent.ep_info_buffer])),
        "versions": {"stable-baselines3": __version__, "torch": torch.__version__},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
