"""OMNI: choose tasks that can be learned and that are interesting, among many that are neither.

Success on every task enters a fast and a slow mean; where they differ, there is learning progress, and tasks with progress
are asked for. That leaves repeats: an agent that can collect wood once can learn to collect it twice, three times, … . A
model of interestingness says of each pair of tasks whether the second is interesting to who does the first well; tasks are
gone through from the best done on, and what one of them makes boring counts a thousandth.

The paper asks language models. Here the model is a stand-in, and no more than a rule about words: a task is boring to who
does one of the same name but for the count. It knows nothing of the world. `oracle` is told which tasks are repeats. The
knock-out keeps the rule's number of boring tasks in every row and draws which; the noisy rule is wrong about 3 pairs in 10.

Success is that of training episodes as they end, one task a body, rather than of evaluations of all tasks, which the paper
does not count among its frames; a tenth of all tasks are drawn from the whole list, for all arms that follow progress.
"""

import re
from collections.abc import Callable
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from lifelong.exams import Returns
from lifelong.feedback import ClippedSurrogate
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.learners import PPO, clipped_adam
from lifelong.life import live, silent
from lifelong.nets import ActorCritic
from lifelong.recipe import Recipe
from lifelong.teachers import OMNI, Group, OneByOne, Scripted, Searching, Uniform
from lifelong.worlds import TaskList, TechTree

REFERENCE = 1000
"""The seed of the newborn agents whose success is taken for chance, and of what tables draw: none of the verdict's."""

FEATS = 15
"""The interesting tasks: each feat once. They come first in the world's list."""


class FeatsAlone(Returns):
    """The returns of the interesting tasks; actions are drawn, as in training."""

    def sit(self, state, learner, world, *, key):
        """Return what `Returns` does, of the first levels."""
        first = jax.tree.map(lambda leaf: leaf[:FEATS], world.levels)
        return super().sit(state, learner, eqx.tree_at(lambda world: world.levels, world, first), key=key)


class Oracle(OMNI):
    """OMNI that is told which tasks repeat others."""

    repeats: jax.Array = eqx.field(default=None, kw_only=True)

    def __init__(self, space, repeats, **options):
        super().__init__(space, **options)
        self.repeats = jnp.asarray(repeats)

    def worth(self, success):
        """Return the tasks that are no repeats."""
        return ~self.repeats


def without_count(name: str) -> str:
    """Return a task's words but for 'n times'."""
    return re.sub(r" \d+ times$", "", name)


def by_words(question: str) -> str:
    """Answer which of the listed tasks are boring: those of the same words as the one done well, but for the count."""
    listed = dict(re.findall(r"^(\d+)\. (.*)$", question, re.MULTILINE))
    done = without_count(re.findall(r"already does '(.*)' well", question)[0])
    return ", ".join(number for number, name in listed.items() if without_count(name) == done) or "none"


def table_of(names: tuple[str, ...], permuted: bool = False, wrong: float = 0.0) -> np.ndarray:
    """Return what is interesting to whom, by words; in each row permuted, or a share of it wrong."""
    table, random = Scripted(by_words).interesting(names), np.random.default_rng(REFERENCE)
    if permuted:
        table = random.permuted(table, axis=1)
    return table ^ (random.random(table.shape) < wrong)


def world_of(settings: Settings) -> TechTree:
    """Return the world: an episode is as long as a lesson at most."""
    return TechTree((settings.repeats, settings.repeats), settings.dummies, limit=settings.steps)


def agent_of(world: TechTree, settings: Settings) -> PPO:
    """Return an agent that starts every lesson with new episodes."""
    return PPO(
        Recipe(ActorCritic, inputs=world.observations.shape[0], outputs=world.outputs, width=settings.width),
        ClippedSurrogate(entropy_weight=0.01),
        Recipe(clipped_adam, learning_rate=settings.learning_rate),
        bodies=settings.bodies,
        steps=settings.steps,
        epochs=2,
        parts=4,
        restart=True,
    )


@cache
def chances(**given) -> np.ndarray:
    """Return the success of newborn agents on every task: eight of them, one episode after the other."""
    settings = Settings(given)
    world, exam = world_of(settings), Returns(settings.bodies, greedy=False)
    seeds = range(REFERENCE, REFERENCE + 8)
    life = live(agent_of(world, settings), world, OneByOne(1, 1), exam, steps=1, seeds=seeds, progress=silent)
    return life.exams["return"][:, 0].mean(0)


def progress(interesting: Callable[[tuple[str, ...]], np.ndarray] | None) -> Callable[[TechTree, Settings], Searching]:
    """Return how a teacher is built that follows progress among what is interesting."""
    return lambda world, settings: OMNI(
        TaskList(world.names), interesting, chances(**settings), every=settings.every * settings.bodies
    )


def told(world: TechTree, settings: Settings) -> Searching:
    """Return the teacher that is told which tasks are repeats."""
    repeats = [without_count(name) != name for name in world.names]
    options = {"chance": chances(**settings), "every": settings.every * settings.bodies}
    return Oracle(TaskList(world.names), repeats, **options)


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Train one agent on what its teacher chooses."""
    world = world_of(settings)
    teacher = Group(arm.build(world, settings), settings.bodies)
    every = -(-settings.rounds // settings.exams)
    exam = FeatsAlone(settings.episodes, greedy=False)
    agent, rounds = agent_of(world, settings), settings.rounds
    life = live(agent, world, teacher, exam, steps=rounds, every=every, record=every, **options)
    return life.to_xarray()


def success(life: xr.Dataset) -> xr.DataArray:
    """Return the mean success on the interesting tasks at the end."""
    return life["return"].isel(exam=-1).mean("task")


study = Study(
    slug="omni",
    question="Does a model of what is interesting help a teacher that follows progress, in a world full of dull tasks?",
    arms={
        "omni": Arm("method", "progress, and a rule about words", progress(table_of)),
        "progress": Arm("baseline", "progress alone", progress(None), like="omni"),
        "permuted": Arm(
            "knock-out", "as many boring tasks, drawn", progress(lambda names: table_of(names, True)), like="omni"
        ),
        "noisy": Arm(
            "variant", "a rule wrong on 3 pairs in 10", progress(lambda names: table_of(names, wrong=0.3)), like="omni"
        ),
        "oracle": Arm("variant", "told which tasks are repeats", told),
        "uniform": Arm("baseline", "any task", lambda world, _: Uniform(TaskList(world.names))),
        "feats-only": Arm(
            "positive control", "any of the feats", lambda world, _: Uniform(TaskList(world.names[:FEATS]))
        ),
    },
    lifetime=lifetime,
    measures={
        "success": success,
        "feats": lambda life: (life["return"].isel(exam=-1) > 0.2).sum("task").astype(float),
    },
    claim=Claim(
        better="omni",
        than="progress",
        on="success",
        by=0.05,
        knockout="permuted",
        sentence="On the interesting tasks OMNI succeeds at least five points more often at the end than learning progress "
        "alone does, and drawing which tasks are boring loses the gain.",
    ),
    controls=(
        Control(
            "feats-only", "success", above="uniform", because="practice on what is asked teaches more than on the rest"
        ),
    ),
    secondary=(
        Claim("omni", "uniform", "success", sentence="OMNI beats any task."),
        Claim("progress", "uniform", "success", sentence="Progress alone beats any task."),
        Claim("omni", "progress", "feats", sentence="More feats are done in a fifth of the tries."),
        Claim("oracle", "omni", "success", sentence="To be told which tasks are repeats helps more than the rule."),
        Claim("omni", "noisy", "success", sentence="A better model of interestingness helps more."),
    ),
    settings={
        "seeds": 16,
        "repeats": 4,
        "dummies": 31,
        "bodies": 16,
        "steps": 32,
        "rounds": 150,
        "every": 2,
        "width": 32,
        "learning_rate": 1e-3,
        "episodes": 16,
        "exams": 5,
    },
    budgets={
        "smoke": {"seeds": 2, "bodies": 4, "rounds": 4, "exams": 2, "episodes": 2, "repeats": 2, "width": 8},
        "quick": {"seeds": 8, "rounds": 40, "exams": 2, "episodes": 8},
        "full": {},
    },
    simplified="A tech tree with Crafter's prerequisites on a grid of 9×9 for Crafter, repeats up to four times (60 tasks that "
    "can be learned, of which 15 are interesting) and 31 dummies, episodes of 32 steps, 76,800 frames and perceptrons of 2×32 "
    "for 10⁷ frames. The model of interestingness is a rule about words, not a language model.",
)
