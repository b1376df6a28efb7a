"""The life of `continual.py` with lifelong.

    python benchmarks/own_life.py DATA.npz '{"batch": 64, …}' SEEDS

Lives it once cold (nothing compiled yet), then warm, again and again in the same process for at least half a minute and
at least twice. Prints one line of JSON.
"""

import json
import sys
import time
from importlib.metadata import version

import jax
import numpy as np
import optax

from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import Replay
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Split

WARM_SECONDS, WARM_LIVES = 30.0, 2


def main(file: str, settings: str, seeds: str) -> None:
    life = json.loads(settings)
    arrays = np.load(file)
    world = Split(tuple(arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")), life["tasks"])
    ready = time.time()
    lived = lived_once(world, life, int(seeds))
    report = {
        "ready": ready,
        "done": time.time(),
        "warm": warm(world, life, int(seeds)),
        "accuracy": lived.final.ravel().tolist(),
        "versions": {name: version(name) for name in ("lifelong", "jax", "equinox", "optax")},
    }
    print(json.dumps(report))


def warm(world: Split, life: dict, seeds: int) -> list[float]:
    seconds = []
    while len(seconds) < WARM_LIVES or sum(seconds) < WARM_SECONDS:
        start = time.perf_counter()
        lived_once(world, life, seeds)
        seconds.append(time.perf_counter() - start)
    return seconds


def lived_once(world: Split, life: dict, seeds: int):
    learner = GradientLearner(
        Recipe(MLP, inputs=life["inputs"], outputs=life["outputs"], width=life["width"]),
        optimizer=Recipe(optax.sgd, learning_rate=life["learning_rate"]),
        batch=life["batch"],
        active="all",
        memory=Replay(life["buffer"], life["batch"], mix="concatenate"),
    )
    teacher = OneByOne(life["tasks"], life["steps"])
    return live(learner, world, teacher, steps=life["tasks"] * life["steps"], seeds=seeds, progress=silent)


if __name__ == "__main__":
    jax.config.update("jax_enable_compilation_cache", False)
    main(*sys.argv[1:])
