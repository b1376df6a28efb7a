"""Online prototype learning: keep the prototypes of classes apart, and rehearse mixtures of classes that lie close.

In a single pass a network may pick up whatever tells the classes of the present task apart, a shortcut that fails once other
classes come. OnPro builds on contrastive replay (a cross-entropy on rehearsed examples and a supervised contrastive loss on
two views of current and rehearsed ones, as in OCM) and adds two parts. Online prototype equilibrium contrasts the mean
projections of the classes in a batch, one view's against the other's, on the current and on the rehearsed batch. Adaptive
prototypical feedback rehearses more mixtures of two classes the closer their prototypes lie.

After the first task the current batch never enters the cross-entropy: it does so only through the reservoir. The arms of
OnPro differ in numbers alone and share one compiled program, so they take the same number of views and steps: the base
weighs the prototypes by 0 and mixes nothing, the knock-outs drop the prototypes, or draw the pairs of classes uniformly.
Experience replay, on random views too, learns the current batch besides the rehearsed one. Learning rates are chosen for
every arm among the same values.

In the shortcut world every training image carries a mark that tells its class with 95 % certainty; the exam's do not.
"""

from functools import partial
from typing import Any

import numpy as np
import optax
import xarray as xr

from lifelong.exams import Accuracy, Closeness, Confusion, several
from lifelong.feedback import Augmented, CrossEntropy
from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.memory import Memory, OnPro, Replay
from lifelong.nets import MLP, Projected
from lifelong.recipe import Number, Recipe
from lifelong.teachers import AllAtOnce, OneByOne
from lifelong.worlds import RandomViews, Shortcut, Split, dataset

RATES = Grid("learner.optimizer.numbers.learning_rate", (5e-4, 1e-3, 3e-3, 1e-2))
VIEWS = RandomViews(shift=2.0, flip=0.5, crop=0.8)


def onpro(settings: Settings, **changes: Any) -> Memory:
    """Return OnPro, or an arm of it that differs in numbers."""
    return OnPro(settings.buffer, settings.rehearsed, VIEWS, **changes)


def replay(settings: Settings) -> Memory:
    """Return experience replay."""
    return Replay(settings.buffer, settings.rehearsed)


def adam(learning_rate: Number) -> optax.GradientTransformation:
    """Return the authors' optimizer: Adam with betas of 0.9 and 0.99, and weights decayed by 10⁻⁴ in the gradient."""
    return optax.chain(optax.add_decayed_weights(1e-4), optax.adam(learning_rate, b2=0.99))


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live a single pass over a class-incremental stream of images, with marks or without."""
    memory, marks = arm.build
    data = dataset(settings.world).take(settings.per_class, settings.test_per_class).resize(14)
    data = data.shuffled_labels(seed=0) if arm.role == "negative control" else data
    world = Shortcut(Split(data, settings.tasks, scenario="class", shuffle=True), strength=marks)
    steps = len(data.y_train) // settings.tasks // settings.batch
    net = Recipe(MLP, inputs=data.features, outputs=world.outputs, width=settings.width, depth=2)
    learner = GradientLearner(
        Recipe(Projected, net=net, width=32),
        feedback=Augmented(CrossEntropy(), VIEWS),
        optimizer=Recipe(adam, learning_rate=1e-3),
        memory=memory(settings),
        batch=settings.batch,
    )
    teacher = AllAtOnce(settings.tasks) if arm.role == "positive control" else OneByOne(settings.tasks, steps)
    exam = several(Accuracy(), Confusion(), Closeness())
    return live(learner, world, teacher, exam, steps=steps * settings.tasks, every=steps, **options).to_xarray()


def prototype_cosine(life: xr.Dataset) -> xr.DataArray:
    """Return the mean cosine between the prototypes of different classes at the end."""
    last, classes = life.closeness.isel(exam=-1), life.sizes["class"]
    return (last.sum(("class", "other")) - classes) / (classes * (classes - 1))


def across(lives) -> dict[str, dict[str, xr.DataArray]]:
    """Return what is gained over replay in either world, and how often close classes are taken for each other.

    The close classes are those of the three pairs with the closest prototypes in the base arm, seed by seed.
    """
    accuracy = {arm: m.final_accuracy(life) for arm, life in lives.items()}
    measures: dict[str, dict[str, xr.DataArray]] = {
        "onpro": {"gain_over_replay": accuracy["onpro"] - accuracy["er"]},
        "onpro-shortcut": {"gain_over_replay": accuracy["onpro-shortcut"] - accuracy["er-shortcut"]},
    }
    close = close_pairs(lives["base"].closeness.isel(exam=-1))
    for arm in ("onpro", "no-apf"):
        confusion = lives[arm].confusion.isel(exam=-1).transpose("seed", "asked", "answered")
        wrong = np.where(close, confusion.values, 0.0).sum((1, 2)) / close.sum((1, 2))
        measures.setdefault(arm, {})["close_confusion"] = xr.DataArray(wrong, dims="seed")
    return measures


def close_pairs(closeness: xr.DataArray, pairs: int = 3) -> np.ndarray:
    """Return which entries [seed, asked, answered] of a confusion matrix belong to the closest pairs of classes."""
    values = closeness.transpose("seed", "class", "other").values
    lower = np.where(np.tri(values.shape[1], k=-1, dtype=bool), values, -np.inf)
    least = np.sort(lower.reshape(len(lower), -1))[:, -pairs]
    close = lower >= least[:, None, None]
    return close | close.transpose(0, 2, 1)


study = Study(
    slug="onpro",
    question="Do online prototypes with adaptive feedback raise the accuracy of the contrastive replay that they build on?",
    arms={
        "er": Arm("baseline", "experience replay on random views", (replay, 0.0), RATES),
        "base": Arm(
            "baseline",
            "contrastive replay: no prototypes, no mixtures",
            (partial(onpro, prototypes=0.0, pairs=0.0, mixing=0.0), 0.0),
            RATES,
            like="onpro",
        ),
        "onpro": Arm("method", "with prototypes and feedback", (onpro, 0.0), RATES),
        "no-ope": Arm("knock-out", "feedback only", (partial(onpro, prototypes=0.0), 0.0), RATES, like="onpro"),
        "no-apf": Arm(
            "knock-out", "as many mixtures, of any pairs", (partial(onpro, focus=0.0), 0.0), RATES, like="onpro"
        ),
        "er-shortcut": Arm("variant", "replay in the shortcut world", (replay, 1.0), RATES, like="er"),
        "onpro-shortcut": Arm("variant", "OnPro in the shortcut world", (onpro, 1.0), RATES, like="onpro"),
        "joint": Arm("positive control", "replay with all classes mixed from the start", (replay, 0.0), RATES),
        "shuffled-labels": Arm(
            "negative control", "OnPro on labels that mean nothing", (onpro, 0.0), RATES, like="onpro"
        ),
    },
    lifetime=lifetime,
    measures={
        "final_accuracy": m.final_accuracy,
        "forgetting": m.forgetting,
        "learning_accuracy": m.learning_accuracy,
        "prototype_cosine": prototype_cosine,
    },
    across=across,
    claim=Claim(
        better="onpro",
        than="base",
        on="final_accuracy",
        by=0.01,
        knockout="no-ope",
        sentence="OnPro ends at a class-incremental accuracy at least one point above the contrastive replay that it builds "
        "on, and without its prototypes the gain is lost.",
    ),
    controls=(
        Control("joint", "final_accuracy", above="er", because="seeing all classes at once is the upper bound"),
        Control(
            "er", "final_accuracy", at_least=0.3, because="replay must do better than answering the last task only"
        ),
        Control("shuffled-labels", "final_accuracy", at_least=0.05, at_most=0.15, because="chance is 1 in 10"),
    ),
    secondary=(
        Claim("onpro", "no-apf", "final_accuracy", sentence="Pairs drawn by distance beat as many drawn uniformly."),
        Claim("onpro", "er", "final_accuracy", sentence="OnPro beats plain experience replay."),
        Claim("er", "er-shortcut", "final_accuracy", sentence="Marks that the exam lacks mislead replay."),
        Claim("onpro-shortcut", "er-shortcut", "final_accuracy", sentence="OnPro beats replay in the shortcut world."),
        Claim(
            "onpro-shortcut",
            "onpro",
            "gain_over_replay",
            sentence="The gain over replay is larger in the shortcut world than without marks.",
        ),
        Claim(
            "onpro",
            "no-ope",
            "prototype_cosine",
            higher_is_better=False,
            sentence="Online prototype equilibrium moves the prototypes of different classes apart.",
        ),
        Claim(
            "onpro",
            "no-apf",
            "close_confusion",
            higher_is_better=False,
            sentence="Adaptive feedback makes the closest classes be taken for each other less often.",
        ),
    ),
    settings={
        "world": "fashion-mnist",
        "seeds": 16,
        "per_class": 300,
        "test_per_class": 200,
        "tasks": 5,
        "batch": 10,
        "rehearsed": 32,
        "buffer": 100,
        "width": 128,
    },
    budgets={
        "smoke": {"seeds": 2, "per_class": 20, "test_per_class": 20},
        "quick": {"seeds": 8, "per_class": 150},
        "full": {},
    },
    simplified="Fashion-MNIST of 14×14 pixels, 300 examples a class, and a perceptron of two layers of 128 units stand for "
    "CIFAR and a ResNet-18; a buffer of 100, rehearsals of 32. Two views of an image instead of 32: no rotations, no halves "
    "turned; views are shifted, mirrored and cropped. The instance loss is the plain supervised contrast of projections, "
    "without the products of projections and features that OCM adds. Learning rates are chosen among four on four tuning "
    "seeds; pairs of classes are drawn one by one instead of in rounded quotas.",
)
