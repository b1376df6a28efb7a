"""Cyclical curriculum learning: subsets of the data, easy examples first, whose size rises and falls in a cycle.

Every example is scored once by a fully trained ordinary model, s = 1 / loss. Each pass draws a share n of the examples
without replacement, with probabilities ∝ s, and learns from them for one epoch; n runs 0.25, 0.5, 1, 0.5, 0.25, … until as
many examples were visited as in ordinary training, so that passes of easy examples and of all of them alternate.

Arms visit equally many examples and sit equally many exams: the paper's example takes the best of all epochs, of which the
cycle has more. One knock-out keeps the cycle of sizes and draws evenly; another keeps the scores at a constant size. The
scores cost one more training of the same network, which `ordinary-longer` is given as well.
"""

from functools import cache
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import Subsets, constant, cyclical, linear
from lifelong.worlds import Split, dataset

REFERENCE = 1000
"""The seed of the model that scores examples: one of those for tuning, never one of those of the verdict."""

LEAST_LOSS = 1e-4


class Way(NamedTuple):
    """How an arm goes through the data: the sizes of passes, which examples are likelier, and how many of what is noise."""

    sizes: str
    likelier: str = "any"
    clean: bool = False
    longer: int = 1


def shares(sizes: str, visits: float) -> tuple[float, ...]:
    """Return the sizes of all passes."""
    kinds = {
        "all": lambda: constant(visits, 1.0),
        "half": lambda: constant(visits, 0.5),
        "cycle": lambda: cyclical(visits),
        "growing": lambda: linear(visits),
    }
    return kinds[sizes]()


def world_of(settings: Settings, clean: bool, meaningless: bool = False) -> Split:
    """Return the data as one task."""
    data = dataset(settings.world).take(settings.per_class, settings.test_per_class).standardized()
    data = data.shuffled_labels() if meaningless else data.noisy_labels(0.0 if clean else settings.noise)
    return Split(data, 1)


def learner_of(world: Split, settings: Settings) -> GradientLearner:
    """Return a perceptron with two hidden layers that follows Adam."""
    inputs = int(np.prod(world.x.shape[1:]))
    return GradientLearner(
        Recipe(MLP, inputs=inputs, outputs=world.outputs, width=settings.width, depth=2),
        optimizer=Recipe(optax.adam, learning_rate=settings.learning_rate),
        batch=settings.batch,
        active="all",
    )


@cache
def losses(clean: bool, **given) -> np.ndarray:
    """Return the loss of an ordinary model, trained to the end, on every training example, in the world's order."""
    settings = Settings(given)
    world = world_of(settings, clean)
    learner, n = learner_of(world, settings), len(world.y)
    teacher = Subsets(np.ones(n), shares("all", settings.epochs), settings.batch)
    lived = live(learner, world, teacher, steps=teacher.steps, seeds=[REFERENCE], progress=silent)
    state = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, lived.state.learner)
    batch = world.show(jnp.int32(0), jnp.arange(n), jnp.ones(n))
    return np.asarray(optax.softmax_cross_entropy_with_integer_labels(learner.answer(state, batch.x), batch.y))


def weights(likelier: str, clean: bool, settings: Settings, n: int) -> np.ndarray:
    """Return how likely each example is to be drawn."""
    if likelier == "any":
        return np.ones(n)
    loss = np.maximum(losses(clean, **settings), LEAST_LOSS)
    return 1 / loss if likelier == "easy" else loss


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Train once through all passes."""
    way: Way = arm.build
    world = world_of(settings, way.clean, meaningless=arm.role == "negative control")
    weight = weights(way.likelier, way.clean, settings, len(world.y))
    teacher = Subsets(weight, shares(way.sizes, settings.epochs * way.longer), settings.batch)
    every = -(-teacher.steps // settings.exams)
    learner = learner_of(world, settings)
    life = live(learner, world, teacher, steps=teacher.steps, every=every, record=every, **options)
    probability = weight / weight.sum()
    effective = 1 / (probability**2).sum() / len(weight)
    return life.to_xarray().assign(effective_share=("seed", np.full(len(life.dims["seed"]), effective)))


study = Study(
    slug="cyclical-curriculum",
    question="Do passes through subsets of easy examples, whose size rises and falls, generalise better from noisy labels?",
    arms={
        "ordinary": Arm("baseline", "all examples in every pass", Way("all")),
        "cyclical": Arm("method", "cyclic sizes, easy examples likelier", Way("cycle", "easy")),
        "sizes-only": Arm("knock-out", "cyclic sizes, any example", Way("cycle"), like="cyclical"),
        "scores-only": Arm("knock-out", "half of the data, easy examples likelier", Way("half", "easy")),
        "growing": Arm("variant", "sizes that only grow, easy examples likelier", Way("growing", "easy")),
        "anti": Arm("variant", "cyclic sizes, hard examples likelier", Way("cycle", "hard"), like="cyclical"),
        "ordinary-longer": Arm("variant", "ordinary training for twice as long", Way("all", longer=2)),
        "ordinary-clean": Arm("variant", "ordinary, right labels", Way("all", clean=True), like="ordinary"),
        "cyclical-clean": Arm("variant", "cyclical, right labels", Way("cycle", "easy", clean=True), like="cyclical"),
        "shuffled-labels": Arm("negative control", "labels that mean nothing", Way("all"), like="ordinary"),
    },
    lifetime=lifetime,
    measures={
        "final_accuracy": m.final_accuracy,
        "best_accuracy": lambda life: life.accuracy.mean("task").max("exam"),
        "effective_share": lambda life: life.effective_share,
    },
    claim=Claim(
        better="cyclical",
        than="ordinary",
        on="final_accuracy",
        by=0.01,
        knockout="sizes-only",
        sentence="With 15 % of the labels wrong, cyclical curriculum learning ends at an accuracy at least one point above "
        "ordinary training with as many visits, and drawing subsets evenly loses the gain.",
    ),
    controls=(
        Control("shuffled-labels", "final_accuracy", at_least=0.05, at_most=0.15, because="chance is 1 in 10"),
        Control(
            "ordinary-clean", "final_accuracy", above="ordinary", because="right labels teach more than wrong ones"
        ),
    ),
    secondary=(
        Claim("cyclical", "scores-only", "final_accuracy", sentence="The cycle matters: a constant half is worse."),
        Claim("cyclical", "growing", "final_accuracy", sentence="A cycle beats sizes that only grow."),
        Claim("cyclical", "anti", "final_accuracy", sentence="Easy examples first beat hard ones first."),
        Claim(
            "cyclical", "ordinary-longer", "final_accuracy", sentence="It beats training for the time scores cost too."
        ),
        Claim("cyclical-clean", "ordinary-clean", "final_accuracy", sentence="It helps with right labels as well."),
        Claim("cyclical", "ordinary", "best_accuracy", sentence="The best of equally many exams is better as well."),
    ),
    settings={
        "world": "fashion-mnist",
        "seeds": 16,
        "per_class": 200,
        "test_per_class": 200,
        "noise": 0.15,
        "epochs": 20,
        "batch": 64,
        "width": 64,
        "learning_rate": 0.001,
        "exams": 10,
    },
    budgets={
        "smoke": {"world": "digits", "seeds": 2, "per_class": 20, "test_per_class": 20, "epochs": 3},
        "quick": {"world": "digits", "seeds": 8, "per_class": 100, "test_per_class": 35},
        "full": {},
    },
    simplified="2,000 images of Fashion-MNIST and a perceptron with two hidden layers of 64, 20 passes, one data set, for "
    "18 data sets and 15 architectures. All seeds share the scores of one reference model. Losses are cut off at 10⁻⁴ from "
    "below before they become scores; the effective share of examples is reported.",
)
