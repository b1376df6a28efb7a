"""ALP-GMM: a teacher asks for tasks where its student's return changes most.

The return of a task is compared with that of the nearest earlier task; the difference is absolute learning progress. Every
250 tasks, mixtures of Gaussians are fitted to (task, progress), and tasks are drawn from components in proportion to their
mean progress, one in five from anywhere. The student is the hypercube space of the authors' `toy_env.py`: a square of cells,
in which a cell can be practised once one before it is competent.

The knock-out permutes progress among the tasks of each fit, and leaves everything else: how many mixtures, which tasks, how
they are drawn. (Choosing among components evenly is no knock-out: their places already tell where progress was. It is lived
as a variant.) A teacher by hand, which practises cell after cell in the order they unlock, shows that all can be mastered.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from lifelong.exams import Mastery
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.learners import CubeLearner
from lifelong.life import live
from lifelong.teachers import ALPGMM, RIAC, CovarGMM, InOrder, Searching, Uniform
from lifelong.worlds import Cubes


class Permuted(ALPGMM):
    """ALP-GMM that does not know which task its progress belongs to."""

    def model(self, window, *, key):
        """Return the mixture of tasks and of progress among them in random order."""
        order = jax.random.permutation(jax.random.fold_in(key, 1), len(window))
        return super().model(window.at[:, -1].set(window[order, -1]), key=key)


class Even(ALPGMM):
    """ALP-GMM that draws from all components alike."""

    def progress(self, mixture):
        """Return the same for every component."""
        return jnp.ones_like(mixture.weights)


class Way(NamedTuple):
    """How an arm is taught: the teacher, and dimensions of the task that mean nothing."""

    teacher: Callable[[Cubes, Settings], Searching]
    irrelevant: int = 0


def taught_by(teacher: type[ALPGMM]) -> Callable[[Cubes, Settings], Searching]:
    """Return how a relative of ALP-GMM is built: with room for the whole life."""
    return lambda world, settings: teacher(world.space, history=settings.episodes)


def cell_by_cell(world: Cubes, settings: Settings) -> Searching:
    """Return the teacher that knows the order in which cells unlock."""
    cells = sorted(np.ndindex(*(world.cubes,) * world.dims), key=sum)
    centres = [(np.array(cell) + 0.5) / world.cubes for cell in cells]
    return InOrder(world.space, centres, tries=int(0.75 * settings.most) + 1)


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live a student's episodes with one teacher."""
    world = Cubes(settings.cubes, settings.dims, arm.build.irrelevant)
    every = max(settings.episodes // 20, 1)
    learner, teacher = CubeLearner(settings.most), arm.build.teacher(world, settings)
    life = live(learner, world, teacher, Mastery(), steps=settings.episodes, every=every, record=every, **options)
    return life.to_xarray()


def mastered(life: xr.Dataset) -> xr.DataArray:
    """Return the share of cells mastered at the end."""
    return life.mastered.isel(exam=-1)


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return what progress gains over uniform tasks, with and without irrelevant dimensions."""
    pairs = {"alp-gmm": "uniform", "alp-gmm-irrelevant": "uniform-irrelevant"}
    return {arm: {"gain": mastered(lives[arm]) - mastered(lives[other])} for arm, other in pairs.items()}


study = Study(
    slug="alp-gmm",
    question="Does asking for tasks where the return changes master more of a space than asking for any?",
    arms={
        "alp-gmm": Arm("method", "mixtures of tasks and progress", Way(taught_by(ALPGMM))),
        "uniform": Arm("baseline", "any task", Way(lambda world, _: Uniform(world.space))),
        "permuted": Arm("knock-out", "progress of other tasks", Way(taught_by(Permuted))),
        "even": Arm("variant", "components drawn alike", Way(taught_by(Even))),
        "riac": Arm("baseline", "regions split by progress", Way(lambda world, _: RIAC(world.space, regions=64))),
        "covar-gmm": Arm("baseline", "time and return together", Way(lambda world, _: CovarGMM(world.space))),
        "alp-gmm-irrelevant": Arm("variant", "two dimensions more that mean nothing", Way(taught_by(ALPGMM), 2)),
        "uniform-irrelevant": Arm("variant", "the same, any task", Way(lambda world, _: Uniform(world.space), 2)),
        "by-hand": Arm("positive control", "cell by cell, as they unlock", Way(cell_by_cell)),
    },
    lifetime=lifetime,
    measures={"mastered": mastered, "mastered_on_average": lambda life: life.mastered.mean("exam")},
    across=across,
    claim=Claim(
        better="alp-gmm",
        than="uniform",
        on="mastered",
        by=0.1,
        knockout="permuted",
        sentence="ALP-GMM masters at least a tenth more of all cells than uniform tasks do, and permuting progress among the "
        "tasks of a fit loses the gain.",
    ),
    controls=(
        Control("by-hand", "mastered", at_least=0.99, because="every cell can be mastered in the episodes given"),
        Control("uniform", "mastered", at_least=0.01, at_most=0.5, because="cells unlock, but slowly, by chance"),
    ),
    secondary=(
        Claim("alp-gmm", "uniform", "mastered_on_average", sentence="ALP-GMM is ahead on average over the life."),
        Claim("alp-gmm", "riac", "mastered", sentence="ALP-GMM masters more than RIAC."),
        Claim("alp-gmm", "covar-gmm", "mastered", sentence="ALP-GMM masters more than Covar-GMM."),
        Claim(
            "alp-gmm-irrelevant",
            "alp-gmm",
            "gain",
            sentence="The gain over uniform tasks grows when two irrelevant dimensions are added.",
        ),
        Claim("alp-gmm", "even", "mastered", sentence="Choosing components by progress beats choosing them evenly."),
    ),
    settings={"seeds": 16, "episodes": 6000, "cubes": 8, "dims": 2, "most": 40.0},
    budgets={
        "smoke": {"seeds": 2, "episodes": 600, "cubes": 3, "most": 16.0},
        "quick": {"seeds": 8, "episodes": 3000, "cubes": 6, "most": 30.0},
        "full": {},
    },
    simplified="The authors' toy space with 8×8 cells that are full at 40, and 6,000 episodes, for 10×10, 100 and 20,000; no "
    "reinforcement learning: the student is the toy itself. `Mastery` counts cells above 3/4. RIAC keeps at most 64 regions.",
    curve="mastered",
)
