"""TeachMyAgent's five challenges to teachers, in the hypercube space.

    python benchmarks/challenges.py [--episodes 6000] [--seeds 16]

Romac et al. 2021 (arXiv:2103.09815, section 4) ask how teachers do where most tasks cannot be learned, where most are
trivial, with a student that forgets, where difficulty jumps from task to task, and with students that differ. Here the
student is a `CubeLearner`, so that a whole table takes minutes; what is shown is the share of those cells mastered that can
be and are not from the start, with its 95 % interval over seeds. ADR is told an easy task, as it must be.
results/challenges.json keeps the last run.
"""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from continual import describe_machine
from jaxtyping import Array, Bool, Float, Int
from rich.console import Console
from rich.table import Table

from lifelong.exams import Exam, mean_interval
from lifelong.learners import CubeLearner
from lifelong.life import live, silent
from lifelong.recipe import Number, number
from lifelong.teachers import ADR, ALPGMM, RIAC, CovarGMM, Uniform
from lifelong.worlds import Cubes

RESULTS = Path(__file__).resolve().parent / "results" / "challenges.json"
SIDE, MOST, BLOCK = 8, 40.0, 2
NEVER = 1e9


class Rugged(Cubes):
    """Cubes whose rows and columns stand in another order, so that neighbours in the box are not neighbours in skill."""

    order: Int[Array, "dims cubes"] = eqx.field(default=None, kw_only=True)

    def cell(self, task: Float[Array, " dims"]) -> Int[Array, " dims"]:
        """Return the cell that a task asks for."""
        return jnp.stack([row[place] for row, place in zip(self.order, super().cell(task), strict=True)])


class Mind(NamedTuple):
    """The competence of a pupil, how often it was taught, and the dimensions that are the wrong way round for it."""

    competence: Float[Array, "*cells"]
    taught: Int[Array, ""]
    turned: Bool[Array, " dims"]


class Pupil(CubeLearner):
    """A `CubeLearner` with limits, with prior knowledge, that forgets, or that is not like the others.

    Cells with a place of `reach` or beyond can never be practised; those with a place below `known` in some dimension are
    full from the start; after every `lasts` lessons all is forgotten; `differs` is the chance that a dimension is turned.
    """

    reach: Number = number(float(SIDE))
    known: Number = number(0.0)
    lasts: Number = number(NEVER)
    differs: Number = number(0.0)

    def begun(self, shape: tuple[int, ...]) -> Float[Array, "*cells"]:
        """Return the competence at the start."""
        return jnp.where(jnp.min(jnp.indices(shape), 0) < self.known, self.most, 0.0)

    def init(self, world, *, key):
        """Return a newborn pupil."""
        shape = super().init(world, key=key).shape
        return Mind(self.begun(shape), jnp.int32(0), jax.random.uniform(key, (len(shape),)) < self.differs)

    def meet(self, state, world, lesson, *, key):
        """Return the cell that the task asks this pupil for."""
        cell = super().meet(state, world, lesson, key=key)
        return jnp.where(state.turned, world.cubes - 1 - cell, cell)

    def learn(self, state, experience, *, key):
        """Return the pupil after a visit, if it could be made, and the return."""
        able = (experience < self.reach).all()
        practised, info = super().learn(state.competence, experience, key=key)
        after = jnp.where(able, practised, state.competence)
        taught = state.taught + 1
        after = jnp.where(taught % self.lasts == 0, self.begun(after.shape), after)
        return Mind(after, taught, state.turned), {"return": jnp.where(able, info["return"], 0.0)}


class Mastered(Exam):
    """The share of cells above 3/4 of those that can be learned and were not known."""

    def sit(self, state, learner, world, *, key):
        """Return the share."""
        counts = (learner.begun(state.competence.shape) == 0) & (
            jnp.max(jnp.indices(state.competence.shape), 0) < learner.reach
        )
        return {"mastered": (counts & (state.competence > 0.75 * learner.most)).sum() / counts.sum()}


PLAIN = np.arange(SIDE)
SHUFFLED = np.random.default_rng(0).permutation(SIDE // BLOCK)[:, None] * BLOCK + np.arange(BLOCK)
CHALLENGES = {
    "as it is": {},
    "mostly unfeasible": {"reach": SIDE / 2},
    "mostly trivial": {"known": SIDE / 2},
    "forgetting": {"lasts": 1 / 3},
    "rugged": {"order": SHUFFLED.reshape(-1)},
    "diverse": {"differs": 0.5},
}
TEACHERS = {
    "uniform": lambda space, episodes: Uniform(space),
    "ADR": lambda space, episodes: ADR(space, start=[0.5 / SIDE] * 2),
    "RIAC": lambda space, episodes: RIAC(space, regions=64),
    "ALP-GMM": lambda space, episodes: ALPGMM(space, history=episodes),
    "Covar-GMM": lambda space, episodes: CovarGMM(space),
}


def lived(teacher: str, challenge: str, episodes: int, seeds: int) -> list[float]:
    """Return the share that every seed has mastered at the end, the last lesson before one that forgets does so again."""
    options = dict(CHALLENGES[challenge])
    order = options.pop("order", PLAIN)
    if "lasts" in options:
        options["lasts"] = float(round(options["lasts"] * episodes))
    world = Rugged(SIDE, order=jnp.stack([jnp.asarray(order), jnp.asarray(order)]))
    every = max(episodes // 30, 1)
    own = TEACHERS[teacher](world.space, episodes)
    life = live(
        Pupil(MOST, **options),
        world,
        own,
        Mastered(),
        steps=episodes - 1,
        every=every,
        record=every,
        seeds=seeds,
        progress=silent,
    )
    return life.exams["mastered"][:, -1].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=6000, help="episodes of a life (6000 unless given)")
    parser.add_argument("--seeds", type=int, default=16, help="seeds (16 unless given)")
    given = parser.parse_args()
    start, results = time.perf_counter(), {}
    for teacher in TEACHERS:
        results[teacher] = {
            challenge: lived(teacher, challenge, given.episodes, given.seeds) for challenge in CHALLENGES
        }
    report = {
        "episodes": given.episodes,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "seconds": time.perf_counter() - start,
        "mastered": results,
    }
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    Console(width=140).print(table(results))


def table(results: dict[str, dict[str, list[float]]]) -> Table:
    shown = Table("cells mastered, %", *CHALLENGES)
    for teacher, found in results.items():
        shown.add_row(teacher, *(percent(found[challenge]) for challenge in CHALLENGES))
    return shown


def percent(shares: list[float]) -> str:
    bounds = mean_interval(shares)
    return f"{100 * np.mean(shares):.0f} ({100 * bounds.low:.0f}–{100 * bounds.high:.0f})"


if __name__ == "__main__":
    main()
