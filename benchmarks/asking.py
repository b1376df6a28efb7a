"""What a teacher costs: the share of a compiled life that its asking and telling take.

    python benchmarks/asking.py [--rounds 300] [--seeds 4]

The same agent walks the same tracks for the same number of steps, taught by ALP-GMM, whose fits are dear, by RIAC, and by a
teacher that asks for any task and remembers nothing; the share is what the life is longer than the last. A task is asked for
in every round, of 256 steps of the world only, and ALP-GMM fits its mixtures after 250. Each is lived once to compile, then
three times in turns; shares are of the medians. results/asking.json keeps the last run.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jax
import numpy as np
from continual import describe_machine
from own_agents import network
from rich.console import Console
from rich.table import Table

from lifelong.exams import Returns
from lifelong.feedback import ClippedSurrogate
from lifelong.learners import PPO, clipped_adam
from lifelong.life import live, silent
from lifelong.recipe import Recipe
from lifelong.teachers import ALPGMM, RIAC, Searching, Uniform
from lifelong.worlds import Box, Walker

RESULTS = Path(__file__).resolve().parent / "results" / "asking.json"
TEACHERS: dict[str, Callable[[Box], Searching]] = {"none": Uniform, "RIAC": RIAC, "ALP-GMM": ALPGMM}
TURNS = 3


def lived(teacher: Searching, world: Walker, rounds: int, seeds: int) -> float:
    """Return the seconds that a life took."""
    agent = PPO(
        network(world, 64),
        ClippedSurrogate(entropy_weight=0.0, clip_value=False),
        Recipe(clipped_adam, learning_rate=3e-4),
        bodies=8,
        steps=32,
        epochs=4,
        parts=4,
    )
    start = time.perf_counter()
    live(agent, world, teacher, Returns(episodes=1), steps=rounds, seeds=seeds, progress=silent)
    return time.perf_counter() - start


def measured(rounds: int, seeds: int) -> dict[str, list[float]]:
    """Return the seconds of every warm life, by teacher."""
    world, seconds = Walker(limit=500), {name: [] for name in TEACHERS}
    for turn in range(TURNS + 1):
        for name, teacher in TEACHERS.items():
            took = lived(teacher(world.space), world, rounds, seeds)
            if turn:
                seconds[name].append(took)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300, help="rounds of a life (300 unless given)")
    parser.add_argument("--seeds", type=int, default=4, help="seeds (4 unless given)")
    given = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    seconds = measured(given.rounds, given.seeds)
    result = {
        **vars(given),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "seconds": seconds,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    Console().print(table(seconds))


def table(seconds: dict[str, list[float]]) -> Table:
    without = float(np.median(seconds["none"]))
    shown = Table("teacher", "seconds of a life, median", "its share, %")
    for name, took in seconds.items():
        shown.add_row(name, f"{np.median(took):.2f}", f"{100 * (1 - without / np.median(took)):.1f}")
    return shown


if __name__ == "__main__":
    main()
