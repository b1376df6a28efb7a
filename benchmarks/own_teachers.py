"""The toy space of `teachers.py` with lifelong: python benchmarks/own_teachers.py TEACHER EPISODES SEEDS.

Lives it once cold (nothing compiled yet) and once warm; then asks and tells one task at a time in a plain loop. Prints one
line of JSON.
"""

import json
import sys
import time
from importlib.metadata import version

import jax

from lifelong.exams import Mastery
from lifelong.learners import CubeLearner
from lifelong.life import Life, Teaching, live, silent
from lifelong.teachers import ALPGMM, RIAC, CovarGMM, Searching, Uniform
from lifelong.worlds import Cubes

TEACHERS = {"alp-gmm": ALPGMM, "covar-gmm": CovarGMM, "riac": RIAC, "uniform": Uniform}
CALLS = 1000


def main(teacher: str, episodes: int, seeds: int) -> None:
    world = Cubes()
    own = TEACHERS[teacher](world.space)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        life = lived(world, own, episodes, seeds)
        seconds.append(time.perf_counter() - start)
    report = {
        "cold": seconds[0],
        "warm": seconds[1],
        "mastered": (100 * life.exams["mastered"][:, -1]).tolist(),
        "microseconds_a_call": microseconds_a_call(own),
        "versions": {name: version(name) for name in ("lifelong", "jax", "equinox")},
    }
    print(json.dumps(report))


def lived(world: Cubes, teacher: Searching, episodes: int, seeds: int) -> Life:
    options = {"steps": episodes, "every": 1000, "record": 100, "seeds": seeds, "progress": silent}
    return live(CubeLearner(), world, teacher, Mastery(), **options)


def microseconds_a_call(teacher: Searching) -> dict[str, float]:
    """Return what asking and telling cost in a plain loop, between two fits."""
    teaching, seconds = Teaching(teacher), {"ask": 0.0, "tell": 0.0}
    for i in range(CALLS + 2):
        start = time.perf_counter()
        task = teaching.ask()
        asked = time.perf_counter()
        teaching.tell(task, 0.5)
        if i >= 2:
            seconds["ask"] += asked - start
            seconds["tell"] += time.perf_counter() - asked
    return {name: 1e6 * value / CALLS for name, value in seconds.items()}


if __name__ == "__main__":
    jax.config.update("jax_enable_compilation_cache", False)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
