"""Boolean concepts from five examples of each label: is a network that learned to learn better than one from scratch?

Concepts over eight binary features come from a probabilistic grammar of OR, AND, NOT and literals, three deep. Meta-SGD
learns, over episodes, a start and one learning rate a weight, such that five steps of gradient descent on the support set
answer the questions; second derivatives are kept. MAML has one rate for all weights. From scratch, the same network starts
at random in every episode. The knock-out sees the same episodes, support and questions together, but learns them as one
task and adapts only when asked: there is no inner loop in its training. Arms without a learned rate choose theirs on
tuning seeds, and those without learned steps also choose after how many of 32 to stop, on concepts for training.

Accuracy is that on concepts whose truth table no concept for training has; half of all questions are examples and half
are not, so guessing and any prior give one half. Support and questions never share an input. No layer normalises over a
batch: with the authors' batch statistics of a balanced query set, the questions would give each other away.

In this grammar more depth is hardly more difficult as a function: 44 to 47 % of concepts depend on one feature alone at
any depth. Accuracy by the number of features that matter is measured beside, and that depth costs less than features is
reported without weight.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import optax
import xarray as xr

from lifelong.exams import Adaptation
from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study
from lifelong.learners import MAML, GradientLearner, MetaSGD, MultiTask
from lifelong.life import live
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import BooleanConcepts


class How(NamedTuple):
    """How an arm learns, and over which concepts."""

    learner: Callable[..., MAML]
    features: int = 8
    depth: int = 3
    taught: bool = True


def meta(student: Recipe, settings: Settings, steps: int | None = None) -> MAML:
    """Return Meta-SGD."""
    learner = GradientLearner(student, optimizer=Recipe(optax.sgd, learning_rate=1.0))
    return MetaSGD(learner, inner_steps=steps or settings.inner_steps, episodes=settings.episodes)


def single(student: Recipe, settings: Settings) -> MAML:
    """Return Meta-SGD with one step."""
    return meta(student, settings, steps=1)


def maml(student: Recipe, settings: Settings) -> MAML:
    """Return MAML."""
    learner = GradientLearner(student, optimizer=Recipe(optax.sgd, learning_rate=0.01))
    return MAML(learner, inner_steps=settings.inner_steps, episodes=settings.episodes)


def multi_task(student: Recipe, settings: Settings) -> MAML:
    """Return what learns all episodes as one task, then adapts."""
    learner = GradientLearner(student, optimizer=Recipe(optax.sgd, learning_rate=0.01, momentum=0.9))
    return MultiTask(learner, inner_steps=0, test_steps=settings.patience, episodes=settings.episodes)


def scratch(student: Recipe, settings: Settings) -> MAML:
    """Return what learns nothing over episodes: its start stays as it is born."""
    learner = GradientLearner(student, optimizer=Recipe(optax.sgd, learning_rate=0.01, momentum=0.9))
    never = Recipe(optax.set_to_zero)
    return MAML(learner, inner_steps=0, test_steps=settings.patience, episodes=1, optimizer=never)


@lru_cache(maxsize=4)
def world_of(features: int, depth: int, concepts: int, fresh: int) -> BooleanConcepts:
    """Return the concepts, which are the same for all arms and seeds."""
    return BooleanConcepts(features, depth, concepts, fresh)


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Learn over episodes, then solve fresh ones of every part."""
    how: How = arm.build
    world = world_of(how.features, how.depth, settings.concepts, settings.fresh)
    net = Recipe(MLP, inputs=how.features, outputs=2, width=settings.width, depth=2)
    steps = settings.steps if how.taught else 1
    exam = Adaptation(settings.exam)
    learner = how.learner(net, settings)
    life = live(learner, world, OneByOne(1, steps), exam, steps=steps, at_ends=False, **options)
    return life.to_xarray().assign_coords(task=list(world.parts))


def marks(life: xr.Dataset, part: str) -> xr.DataArray:
    """Return the accuracy on a part at the last look, or where looks are many at the one that is best in training."""
    last = life.accuracy.isel(exam=-1)
    if last.sizes["look"] < MANY:
        return last.sel(task=part).isel(look=-1)
    best = last.sel(task="training", drop=True).mean("seed").argmax("look")
    return last.sel(task=part).isel(look=best)


MANY = 20
"""More looks than this are not steps that were learned for, and when to stop is chosen."""


def accuracy(life: xr.Dataset) -> xr.DataArray:
    """Return the accuracy on unseen concepts."""
    return marks(life, "unseen")


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return what more features, and more depth, cost Meta-SGD."""
    whole = accuracy(lives["meta-sgd"])
    return {name: {"drop": whole - accuracy(lives[arm])} for name, arm in (("features", "wide"), ("depth", "deep"))}


RATES = (0.01, 0.03, 0.1, 0.3)
RATE = "learner.learner.optimizer.numbers.learning_rate"
PARTS = {"one": "1 relevant", "two": "2 relevant", "three": "3 relevant", "more": "more relevant"}

study = Study(
    slug="concept-metasgd",
    question="Does Meta-SGD learn unseen Boolean concepts from ten examples more accurately than training from scratch?",
    arms={
        "meta-sgd": Arm("method", "learns a start and rates for five steps", How(meta)),
        "scratch": Arm("baseline", "starts at random", How(scratch, taught=False), tune=Grid(RATE, RATES)),
        "multi-task": Arm("knock-out", "learns all episodes as one task", How(multi_task), tune=Grid(RATE, RATES)),
        "maml": Arm("baseline", "learns a start for five steps", How(maml), tune=Grid(RATE, RATES[::2])),
        "one-step": Arm("variant", "learns a start and rates for one step", How(single)),
        "wide": Arm("variant", "as meta-sgd, sixteen features", How(meta, features=16)),
        "deep": Arm("variant", "as meta-sgd, a grammar five deep", How(meta, depth=5), like="meta-sgd"),
    },
    derived=("features", "depth"),
    lifetime=lifetime,
    measures={
        "accuracy": accuracy,
        "training_accuracy": lambda life: marks(life, "training"),
        "untaught_accuracy": lambda life: life.accuracy.isel(exam=0, look=0).sel(task="unseen"),
        "looks": lambda life: xr.full_like(life.accuracy.isel(exam=0, look=0, task=0), life.sizes["look"] - 1),
    }
    | {f"accuracy_{name}": lambda life, part=part: marks(life, part) for name, part in PARTS.items()},
    across=across,
    claim=Claim(
        better="meta-sgd",
        than="scratch",
        on="accuracy",
        by=0.06,
        knockout="multi-task",
        sentence="Meta-SGD is at least six points more accurate on unseen concepts than training from scratch; learning the "
        "same episodes as one task, and then adapting, loses the gain.",
    ),
    controls=(
        Control(
            "scratch", "untaught_accuracy", at_least=0.45, at_most=0.55, because="half of all questions are examples"
        ),
        Control("scratch", "accuracy", at_least=0.55, because="a baseline from scratch must learn something"),
    ),
    secondary=(
        Claim("meta-sgd", "one-step", "accuracy", sentence="Five steps are more accurate than one."),
        Claim("meta-sgd", "maml", "accuracy", sentence="Rates learned weight by weight are better than one rate."),
        Claim(
            "features", "depth", "drop", sentence="Twice the features cost more accuracy than two more levels of depth."
        ),
    ),
    settings={
        "seeds": 16,
        "concepts": 10_000,
        "fresh": 500,
        "steps": 2000,
        "episodes": 4,
        "inner_steps": 5,
        "patience": 32,
        "width": 64,
        "exam": 100,
    },
    budgets={
        "smoke": {"seeds": 2, "concepts": 200, "fresh": 60, "steps": 5, "patience": 20, "exam": 10},
        "quick": {"seeds": 8, "steps": 300, "exam": 50},
        "full": {},
    },
    simplified="Two hidden layers of 64 units and no normalisation for five layers or four with batch statistics; two logits "
    "for one; 2000 steps of four episodes, Adam with 0.001 outside; 100 episodes of every part in the exam, from 500 "
    "unseen concepts. Sixteen features at most, five steps for ten.",
)
