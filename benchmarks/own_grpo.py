"""The rounds of `grpo.py` with lifelong.

    python benchmarks/own_grpo.py FOLDER '{"prompts": 8, …}' SEEDS

The rate is that of the rounds by which a long life is longer than a short one; the fastest of three pairs. Prints one line
of JSON.
"""

import json
import sys
import time

import jax
import numpy as np
import optax

from lifelong.connect import load_language_model
from lifelong.feedback import GRPO
from lifelong.lab._bases import Unexamined
from lifelong.learners import PolicyLearner, Trained
from lifelong.life import Life, live, silent
from lifelong.teachers import Timetable
from lifelong.worlds import OpChain

FEW, TASK = 10, 1


def main(folder: str, settings: str, seeds: str) -> None:
    life, count = json.loads(settings), int(seeds)
    model = load_language_model(f"{folder}/model")
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(life["rate"]))
    learner = PolicyLearner(Trained(model), GRPO(regular=False), adam, prompts=life["prompts"], samples=life["samples"])
    lived(learner, FEW, count)
    seconds, last = [], None
    for _ in range(3):
        times = [time.perf_counter()]
        for rounds in (FEW, FEW + life["rounds"]):
            last = lived(learner, rounds, count)
            times.append(time.perf_counter())
        seconds.append(times[2] - 2 * times[1] + times[0])
    report = {
        "rate": life["rounds"] * count / min(seconds),
        "reward": float(np.mean(last.records["reward"][:, -10:])),
        "seeds": count,
        "jax": jax.__version__,
    }
    print(json.dumps(report))


def lived(learner: PolicyLearner, rounds: int, seeds: int) -> Life:
    world, teacher = OpChain(holes=True), Timetable([TASK])
    return live(learner, world, teacher, Unexamined(), steps=rounds, seeds=seeds, record=1, progress=silent)


if __name__ == "__main__":
    jax.config.update("jax_enable_compilation_cache", False)
    main(*sys.argv[1:])
