"""The meta-learner of `meta.py` with lifelong.

    python benchmarks/own_meta.py '{"tasks": 16, …}' SEEDS

Lives it once, cold, with no compiled program in any cache, then again, at least twice and for at least ten seconds; the
rate is the median's, in steps of the outer optimizer a second, all seeds together. With SEEDS of 0 it lives nothing and
prints the bytes that a step needs for its intermediate results, by order and inner steps, for one seed. Prints one line
of JSON.
"""

import json
import sys
import time
from importlib.metadata import version

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from lifelong.exams import Adaptation
from lifelong.learners import MAML, Regressor
from lifelong.life import Life, live, silent
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Lesson, Sines

WARM_SECONDS, WARM_LIVES, INNER_STEPS = 10.0, 2, (1, 5, 10, 20)


def main(settings: str, seeds: str) -> None:
    life, count = json.loads(settings), int(seeds)
    print(json.dumps(timed(life, count) if count else memory(life)))


def timed(life: dict, count: int) -> dict:
    start = time.perf_counter()
    lived(life, count)
    cold, warm = time.perf_counter() - start, []
    while len(warm) < WARM_LIVES or sum(warm) < WARM_SECONDS:
        start = time.perf_counter()
        last = lived(life, count)
        warm.append(time.perf_counter() - start)
    return {
        "rate": life["steps"] * count / float(np.median(warm)),
        "cold_rate": life["steps"] * count / cold,
        "cold_seconds": cold,
        "warm_seconds": warm,
        "error": last.exams["squared_error"][:, -1, 0, -1].tolist(),
        "versions": {name: version(name) for name in ("lifelong", "jax", "equinox", "optax")},
    }


def learner_of(life: dict, **options) -> MAML:
    net = Recipe(MLP, inputs=1, outputs=1, width=life["width"], depth=2)
    student = Regressor(net, optimizer=Recipe(optax.sgd, learning_rate=life["inner_rate"]))
    outer = Recipe(optax.adam, learning_rate=life["outer_rate"])
    return MAML(student, optimizer=outer, episodes=life["tasks"], **{"inner_steps": life["inner_steps"], **options})


def lived(life: dict, seeds: int) -> Life:
    steps, world = life["steps"], Sines(shots=life["shots"], queries=life["shots"])
    exam = Adaptation(1000 // 16, "squared_error")
    return live(learner_of(life), world, OneByOne(1, steps), exam, steps=steps, seeds=seeds, record=10, progress=silent)


def memory(life: dict) -> dict:
    """Return the bytes of intermediate results of one step's gradient, by order and number of inner steps."""
    world, key = Sines(shots=life["shots"], queries=life["shots"]), jax.random.key(0)

    def bytes_of(steps: int, first_order: bool) -> int:
        learner = learner_of(life, inner_steps=steps, first_order=first_order)
        state = eqx.filter_jit(learner.init)(world, key=key)
        episodes = world.draw(Lesson(jnp.int32(0), jnp.int32(0)), life["tasks"], key=key)
        arrays, static = eqx.partition((state, episodes), eqx.is_array)

        def slope(arrays):
            state, episodes = eqx.combine(arrays, static)
            return eqx.filter(learner.slope(state, episodes, jax.random.split(key, life["tasks"])), eqx.is_array)

        analysis = jax.jit(slope).lower(arrays).compile().memory_analysis()
        return int(analysis.temp_size_in_bytes)

    orders = {"second order": False, "first order": True}
    return {name: {str(k): bytes_of(k, first) for k in INNER_STEPS} for name, first in orders.items()}


if __name__ == "__main__":
    jax.config.update("jax_enable_compilation_cache", False)
    main(*sys.argv[1:])
