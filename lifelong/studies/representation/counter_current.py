"""Counter-current learning: can a network learn from a mirror of itself, layer by layer, instead of from its own errors?

A second network of mirrored shape and with weights of its own takes the target and runs from the output to the input. At
every level a local loss brings the answers to the images close to what the mirror makes of their class; no gradient leaves
a layer through its input, so each loss trains one layer of either network (a test sees that all other derivatives are
exactly zero), without transported weights and without waiting for a backward pass. The last layer has cross-entropy.
Gradients are clipped for either network apart, as in the authors' recipe: plain descent, a rate near 1, ELU, no biases.

The first knock-out takes the local losses away, so that all but the last layer stay as they were born; the second freezes
the mirror as it was born, which leaves random codes for the classes at every level. Backpropagation and feedback
alignment train the same network by cross-entropy. Every arm chooses its rate from the same three on tuning seeds.

The claim has two parts: better than without local losses, and no more than three points worse than backpropagation;
`margin` is the part whose interval lies lower. The mirror sees ten different inputs only, one a class: what it makes of
them is a table of class codes at each level, and what is learned is close to learning prototypes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from lifelong.exams import Accuracy, Alignment, several
from lifelong.feedback import CounterCurrent, CrossEntropy
from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner, clipped_apart, clipped_sgd
from lifelong.life import live
from lifelong.nets import DualNetwork, FeedbackAligned, Stack
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Dataset, Split, dataset

WORSE = 0.03
"""How much worse than backpropagation still counts as no worse."""


class How(NamedTuple):
    """By which rule an arm learns, and from which labels."""

    rule: str = "counter-current"
    strength: float = 1.0
    mirror: float = 1.0
    shuffled: bool = False


def learner_of(how: How, data: Dataset, settings: Settings) -> GradientLearner:
    """Return the learner of an arm."""
    stack = Recipe(Stack, inputs=data.features, outputs=len(data.classes), width=settings.width, depth=settings.depth)
    if how.rule == "counter-current":
        descent = Recipe(clipped_apart, learning_rate=1.0, mirror=how.mirror)
        dual, feedback = Recipe(DualNetwork, model=stack), CounterCurrent(strength=how.strength)
        return GradientLearner(dual, feedback, descent, batch=settings.batch, active="all")
    net = Recipe(FeedbackAligned, model=stack) if how.rule == "feedback alignment" else stack
    descent = Recipe(clipped_sgd, learning_rate=1.0)
    return GradientLearner(net, CrossEntropy(), descent, batch=settings.batch, active="all")


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Learn one task in shuffled passes, by one rule."""
    how: How = arm.build
    data = dataset(settings.world).take(settings.per_class, settings.test_per_class)
    data = data.resize(settings.side).standardized()
    if how.shuffled:
        labels = np.random.default_rng(0).permutation(data.y_train)
        data = Dataset(data.x_train, labels, data.x_test, data.y_test, data.classes, data.name)
    steps = settings.epochs * (len(data.y_train) // settings.batch)
    learner, exam = learner_of(how, data, settings), Accuracy()
    exam = several(exam, Alignment()) if how.rule == "counter-current" else exam
    teacher = OneByOne(1, steps)
    return live(learner, Split(data, 1), teacher, exam, steps=steps, record=10, **options).to_xarray()


def aligned(life: xr.Dataset, exam: int) -> xr.DataArray:
    """Return the alignment of network and mirror at an exam, a mean over hidden layers; 0 where there is no mirror."""
    if "alignment" not in life:
        return 0 * m.final_accuracy(life)
    return life.alignment.isel(exam=exam).mean("level", skipna=False)


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return the parts of the claim for the method, and for what lacks local losses."""
    final = {arm: m.final_accuracy(life) for arm, life in lives.items()}
    values = {"bound": {"margin": 0 * final["ccl"]}}
    for arm in ("ccl", "last-layer"):
        parts = {"gain": final[arm] - final["last-layer"], "no_worse": final[arm] - final["backprop"] + WORSE}
        values[arm] = {"margin": m.weakest(parts)} | {f"margin_{name}": part for name, part in parts.items()}
    values["after"] = {"aligned": aligned(lives["ccl"], -1)}
    values["before"] = {"aligned": aligned(lives["ccl"], 0)}
    return values


RATE = Grid("learner.optimizer.numbers.learning_rate", (0.1, 0.3, 1.0))

study = Study(
    slug="counter-current",
    question="Does a network that learns from its mirror, layer by layer, come close to backpropagation?",
    arms={
        "ccl": Arm("method", "learns from a mirror that learns", How(), RATE),
        "last-layer": Arm("knock-out", "has no local losses", How(strength=0.0), RATE, like="ccl"),
        "frozen-mirror": Arm("knock-out", "has a mirror that does not learn", How(mirror=0.0), RATE, like="ccl"),
        "shuffled-labels": Arm(
            "negative control", "learns labels dealt at random", How(shuffled=True), RATE, like="ccl"
        ),
        "backprop": Arm("baseline", "backpropagation", How("backpropagation"), RATE),
        "feedback-alignment": Arm("baseline", "errors travel random ways back", How("feedback alignment"), RATE),
    },
    derived=("bound", "before", "after"),
    lifetime=lifetime,
    measures={
        "final_accuracy": m.final_accuracy,
        "untaught_accuracy": lambda life: life.accuracy.isel(exam=0).mean("task"),
        "alignment": lambda life: aligned(life, -1),
    },
    across=across,
    tune_on="final_accuracy",
    claim=Claim(
        better="ccl",
        than="bound",
        on="margin",
        knockout="last-layer",
        sentence="Counter-current learning classifies better than the same network without local losses (expected: by 8 to "
        "14 points), and no more than three points worse than backpropagation.",
    ),
    controls=(
        Control(
            "shuffled-labels", "final_accuracy", at_most=0.2, because="labels at random teach nothing about others"
        ),
        Control("ccl", "untaught_accuracy", at_least=0.03, at_most=0.2, because="chance is 1 in 10"),
        Control("backprop", "final_accuracy", at_least=0.7, because="backpropagation must have learned"),
    ),
    secondary=(
        Claim("ccl", "frozen-mirror", "final_accuracy", sentence="A mirror that learns is better than a frozen one."),
        Claim("ccl", "feedback-alignment", "final_accuracy", sentence="It is more accurate than feedback alignment."),
        Claim("after", "before", "aligned", sentence="Hidden layers of network and mirror become more alike."),
    ),
    settings={
        "world": "mnist",
        "seeds": 16,
        "side": 14,
        "per_class": 300,
        "test_per_class": 200,
        "width": 128,
        "depth": 5,
        "batch": 128,
        "epochs": 20,
    },
    budgets={
        "smoke": {
            "seeds": 2,
            "world": "digits",
            "side": 8,
            "per_class": 60,
            "test_per_class": 20,
            "epochs": 1,
            "batch": 32,
        },
        "quick": {"seeds": 8, "per_class": 150, "test_per_class": 100, "epochs": 10},
        "full": {},
    },
    simplified="MNIST at 14×14, 3000 images to learn from and 2000 to be asked about, five hidden layers of 128 units for 256, "
    "20 passes for 100, no checkpoint chosen by validation. Perceptrons and classification only: neither the "
    "convolutional variant, with its self-decorrelation, nor the auto-encoder.",
)
