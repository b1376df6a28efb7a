"""The protocols behind published numbers: who learns, in which world, from which teacher."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from lifelong.learners import GenerativeClassifier, GradientLearner, Learner
from lifelong.memory import (
    EWC,
    GEM,
    L2,
    MAS,
    SI,
    GenerativeReplay,
    ICaRL,
    Loss,
    LwF,
    Memory,
    Nothing,
    OnlineEWC,
    Replay,
    chain,
)
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce, OneByOne, Teacher
from lifelong.worlds import Batch, Dataset, Split

from ._anchors import Anchor

TASKS, CLASSES, BATCH, WIDTH = 5, 10, 128, 400
EPOCHS = 4
"""Passes through a task in the protocol of Hsu et al."""

ITERATIONS = 2000
"""Steps a task in the protocol of van de Ven et al."""

BORROWED = ("lwf", "dgr")
"""Rows of Hsu et al. that come from the code of van de Ven and Tolias, as it was in September 2018."""

IMAGES = {"rehearsal": 1100, "rehearsal-c": 4400, "gem": 1100}
"""Images remembered in the protocol of Hsu et al., of all tasks together."""


@dataclass(frozen=True)
class Protocol:
    """All that a life needs: world, learner, teacher, and how many steps."""

    world: Split
    learner: Learner
    teacher: Teacher
    steps: int


def protocol(anchor: Anchor, digits: Dataset, part: float = 1.0) -> Protocol:
    """Return the protocol of a published number on MNIST, or on another set of digits.

    Where steps are counted in iterations rather than in passes through the data, `part` of them are taken.
    """
    iterations = round(part * ITERATIONS)
    if anchor.source.name == "hsu-2018" and anchor.method not in BORROWED:
        return _hsu(anchor, digits)
    if anchor.method == "generative-classifier":
        return _class_by_class(digits, iterations // (CLASSES // TASKS))
    return _van_de_ven(anchor, digits, iterations)


def _hsu(anchor: Anchor, digits: Dataset) -> Protocol:
    digits = digits.resize(32).standardized()
    world = Split(digits, TASKS, anchor.scenario)  # type: ignore[arg-type]
    sizes = np.bincount(digits.y_train).reshape(TASKS, -1).sum(1).tolist()
    images = IMAGES.get(anchor.method, 0)
    old = _rehearsed(sizes, images)
    lengths = tuple(EPOCHS * ceil((new + again) / BATCH) for new, again in zip(sizes, old, strict=True))
    share = float(np.mean([again / (new + again) for new, again in zip(sizes[1:], old[1:], strict=True)]))
    learner = _learner(world, digits, _hsu_memory(anchor, images, share), _hsu_optimizer(anchor.method))
    if anchor.method == "offline":
        steps = EPOCHS * ceil(sum(sizes) / BATCH)
        return Protocol(world, learner, AllAtOnce(TASKS), steps)
    return Protocol(world, learner, OneByOne(TASKS, lengths), sum(lengths))


def _rehearsed(sizes: list[int], images: int) -> list[int]:
    """Return how many old images an epoch of each task has: those in memory, repeated to be about as many as the new."""
    held = [0, *(images // k * k for k in range(1, TASKS))]
    return [old * max(new // images, 1) if images else 0 for new, old in zip(sizes, held, strict=True)]


def _hsu_optimizer(method: str) -> Recipe:
    if method == "adagrad":
        return Recipe(optax.adagrad, learning_rate=0.01, initial_accumulator_value=0.0, eps=1e-20)
    if method in ("sgd", "gem"):
        return Recipe(optax.sgd, learning_rate=0.01)
    return Recipe(optax.adam, learning_rate=0.001)


def _hsu_memory(anchor: Anchor, images: int, share: float) -> Memory:
    """Return a method's memory; a coefficient λ of the scripts weighs Σ F (θ − θ*)², a strength half of it."""
    strength = 2.0 * (anchor.strength or 0.0)
    if images:
        rehearsal = Replay(images, BATCH, policy="by_task", mix="blend", share=share)
        past = TASKS - 1
        return chain(rehearsal, GEM(images // past, past, margin=0.5)) if anchor.method == "gem" else rehearsal
    anchored: dict[str, Memory] = {
        "l2": L2(strength),
        "ewc": EWC(strength, labels="argmax"),
        "online-ewc": OnlineEWC(strength, labels="argmax"),
        "si": SI(strength, damping=0.1, signed=True),
        "mas": MAS(strength, of="page"),
    }
    return anchored.get(anchor.method, Nothing())


def _van_de_ven(anchor: Anchor, digits: Dataset, steps: int) -> Protocol:
    world = Split(digits, TASKS, anchor.scenario, shuffle=True)  # type: ignore[arg-type]
    only_seen = anchor.scenario == "class" and (anchor.source.name == "hsu-2018" or anchor.method == "icarl")
    memory = _van_de_ven_memory(anchor.method, anchor.scenario)
    learner = _learner(
        world, digits, memory, Recipe(optax.adam, learning_rate=0.001), active="seen" if only_seen else "all"
    )
    return Protocol(world, learner, OneByOne(TASKS, steps), steps * TASKS)


def _van_de_ven_memory(method: str, scenario: str) -> Memory:
    """Return a method's memory: 100 images a class, a generator, or answers of the past."""
    if method == "er":
        return Replay(1000, BATCH, policy="by_task", tasks=TASKS, mix="by_task")
    if method == "icarl":
        return ICaRL(1000, BATCH, temperature=2.0, form="softened", classes=CLASSES, mix="among")
    if method == "dgr":
        return GenerativeReplay(batch=BATCH)
    among: Any = {"task": "heads", "domain": "all", "class": "seen"}[scenario]
    return AveragedLwF(temperature=2.0, classes=among, mix="by_task")


class AveragedLwF(LwF):
    """LwF that averages its distance over classes where others sum it: van de Ven and Tolias's code until May 2019."""

    def penalty(self, m: PyTree, model: PyTree, batch: Batch, recalled: None, loss: Loss) -> Float[Array, ""]:
        """Return the penalty of LwF over the number of classes that the softmax of new answers runs over."""
        tasks = m.finished + 1 if self.classes == "seen" else 1
        return super().penalty(m, model, batch, recalled, loss) / (tasks * (CLASSES // TASKS))


def _class_by_class(digits: Dataset, steps: int) -> Protocol:
    """Return the protocol of the generative classifier, whose batches hold one class each: a task a class."""
    world = Split(digits, CLASSES, "class", shuffle=True)
    return Protocol(world, GenerativeClassifier(batch=BATCH, classes=1), OneByOne(CLASSES, steps), steps * CLASSES)


def _learner(world: Split, digits: Dataset, memory: Memory, optimizer: Recipe, active: Any = "seen") -> GradientLearner:
    model = Recipe(MLP, inputs=digits.features, outputs=world.outputs, width=WIDTH, depth=2)
    return GradientLearner(model, optimizer=optimizer, memory=memory, batch=BATCH, active=active, page=BATCH)
