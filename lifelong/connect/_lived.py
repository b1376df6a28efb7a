"""What an estimator has become: a learner's state, the classes it knows, and a bounded record; replaced as a whole."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Float32, Int, PRNGKeyArray

from lifelong.errors import BadInput, Mismatch
from lifelong.keys import key_for
from lifelong.learners import GradientLearner, GradientState
from lifelong.memory import Memory
from lifelong.nets import MLP
from lifelong.recipe import Recipe

from ._growth import grown
from ._names import memory_named
from ._once import Once, offering
from ._rows import CHUNK, Rows, answers, born, ended, filled_up, learned, page_size, pages

LEAST = 8
"""Outputs that a learner has at least; with more classes than outputs they double."""

REMEMBERED = 1000
"""Calls of learning that the record holds; older ones are dropped from it."""


@dataclass(frozen=True)
class Plan:
    """What an estimator is made of, fixed when it is born; `parameters` are those it was made with."""

    model: Recipe
    optimizer: Recipe | optax.GradientTransformation
    memory: Memory
    batch: int
    features: int
    task_rows: int
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, parameters: Mapping[str, Any], features: int) -> "Plan":
        """Return the plan of an estimator's parameters; raise where one of them cannot be used."""
        for name in ("batch_size", "epochs", "update_epochs", "task_rows"):
            _check_count(name, parameters[name])
        return cls(
            model=_recipe_of(parameters["model"]),
            optimizer=_optimizer_of(parameters["optimizer"]),
            memory=Once(memory_named(parameters["memory"])),
            batch=int(parameters["batch_size"]),
            features=features,
            task_rows=int(parameters["task_rows"]),
            parameters=dict(parameters),
        )

    def learner(self, outputs: int) -> GradientLearner:
        """Return the learner with so many outputs."""
        sizes = {"inputs": self.features, "outputs": outputs}
        model = Recipe(self.model.make, **{**self.model.numbers, **dict(self.model.settings), **sizes})
        return GradientLearner(model, optimizer=self.optimizer, memory=self.memory, batch=self.batch, page=CHUNK)

    def newborn(self, outputs: int, seed: int) -> tuple[GradientLearner, GradientState]:
        """Return the learner with so many outputs, and its state at birth."""
        learner = self.learner(outputs)
        return learner, born(learner, self.blank(outputs), key_for(jax.random.key(seed), "learner"))

    def blank(self, outputs: int) -> Rows:
        """Return rows of the shapes to come, all of weight 0."""
        return filled_up(np.zeros((0, self.features), np.float32), np.zeros(0, int), self.batch, outputs)


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise BadInput(f"{name} must be a whole number of at least 1, not {value!r}")


def _recipe_of(model: Recipe | Callable[..., Any] | None) -> Recipe:
    """Return a recipe that takes `inputs`, `outputs` and `key`; an MLP of its default size unless stated."""
    recipe = model if isinstance(model, Recipe) else Recipe(model or MLP)
    try:
        given = {**recipe.numbers, **dict(recipe.settings), "inputs": 1, "outputs": 2, "key": None}
        inspect.signature(recipe.make).bind(**given)
    except (TypeError, ValueError) as error:
        raise Mismatch(
            f"a model is made by calling model(inputs=…, outputs=…, key=…), and that cannot be done: {error}; "
            "give a function or class that takes them, or a Recipe of one, such as Recipe(MLP, width=64)"
        ) from error
    return recipe


def _optimizer_of(optimizer: Any) -> Recipe | optax.GradientTransformation:
    """Return an optimizer; Adam with its usual rate of 10⁻³ (Kingma and Ba 2015, algorithm 1) unless stated."""
    if optimizer is None:
        return Recipe(optax.adam, learning_rate=1e-3)
    if isinstance(optimizer, Recipe | optax.GradientTransformation):
        return optimizer
    raise BadInput(
        f"the optimizer is an Optax transformation or a Recipe of one, such as Recipe(optax.sgd, learning_rate=0.05), "
        f"not {optimizer!r}"
    )


class Unfinished(NamedTuple):
    """Rows of the task that goes on, for memories that look back at its end: of many, those of the lowest rank."""

    x: Float32[np.ndarray, "n features"]
    y: Int[np.ndarray, " n"]
    rank: Float[np.ndarray, " n"]


class Update(NamedTuple):
    """One call of learning: rows, classes met for the first time, and how the rows were answered before each step on
    them (in the first pass, so an honest look ahead)."""

    rows: int
    new_classes: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Lived:
    """An estimator's whole past: `labels` by output, in the order in which they came, `rows` learned of each."""

    plan: Plan
    learner: GradientLearner
    state: GradientState
    labels: np.ndarray
    rows: Int[np.ndarray, " classes"]
    unfinished: Unfinished
    seed: int
    steps: int = 0
    tasks: int = 0
    forgotten: int = 0
    updates: tuple[Update, ...] = ()

    @classmethod
    def begin(cls, plan: Plan, labels: np.ndarray, seed: int) -> "Lived":
        """Return a newborn that knows the names of some classes."""
        learner, state = plan.newborn(_room_for(len(labels)), seed)
        none = Unfinished(np.zeros((0, plan.features), np.float32), np.zeros(0, np.int32), np.zeros(0))
        return cls(plan, learner, state, labels, np.zeros(len(labels), int), none, seed)

    @property
    def outputs(self) -> int:
        """How many classes fit before the head grows."""
        return len(self.state.seen)

    @property
    def key(self) -> PRNGKeyArray:
        """The root of all its randomness."""
        return jax.random.key(self.seed)

    def told(self, labels: np.ndarray, like: Float32[np.ndarray, " features"]) -> "Lived":
        """Return it with more classes known by name, with twice the outputs as often as needed."""
        new = _missing(self.labels, labels)
        if not len(new):
            return self
        rows = np.concatenate([self.rows, np.zeros(len(new), int)])
        known = replace(self, labels=np.concatenate([self.labels, new]), rows=rows)
        if len(known.labels) <= self.outputs:
            return known
        learner, newborn = self.plan.newborn(_room_for(len(known.labels)), self.seed)
        return replace(known, learner=learner, state=grown(self.state, newborn, like))

    def codes(self, y: np.ndarray) -> Int[np.ndarray, " n"]:
        """Return the outputs that stand for some known labels."""
        order = np.argsort(self.labels)
        return order[np.searchsorted(self.labels, y, sorter=order)]

    def taught(self, x: Float32[np.ndarray, "n features"], y: np.ndarray, passes: int) -> "Lived":
        """Return it after some passes through rows, each in a new order; raise `BadInput` where it diverges.

        The memory is offered the rows in the last pass, when the model knows them best.
        """
        known = self.told(np.unique(y), x[0])
        codes, state, steps = known.codes(y), known.state, known.steps
        key, random, reported = self.key, np.random.default_rng([self.seed, steps]), []
        for turn in range(passes):
            state = offering(state, turn == passes - 1)
            for page_x, page_y in pages(x, codes, random.permutation(len(y)), page_size(self.plan.batch)):
                rows = filled_up(page_x, page_y, page_size(self.plan.batch), known.outputs, self.tasks)
                count = -(-len(page_y) // self.plan.batch)
                state, info, finite = learned(known.learner, state, rows, jnp.int32(steps), jnp.int32(count), key)
                _check_finite(finite, x)
                steps += count
                reported.append(info)
        counts = np.bincount(codes, minlength=len(known.labels))
        first = reported[: -(-len(y) // page_size(self.plan.batch))]
        update = Update(len(y), int(((known.rows == 0) & (counts > 0)).sum()), *_means(first, len(y)))
        return replace(
            known,
            state=state,
            steps=steps,
            rows=known.rows + counts,
            unfinished=known._with_more(x, codes, random),
            updates=(*known.updates, update)[-REMEMBERED:],
        )

    def _with_more(self, x: np.ndarray, codes: np.ndarray, random: np.random.Generator) -> Unfinished:
        """Return the rows kept for the end of the task: a uniform sample where they are too many, in their order."""
        if not self.learner.consolidates:
            return self.unfinished
        pairs = zip(self.unfinished, (x, codes, random.random(len(codes))), strict=True)
        joined = Unfinished(*(np.concatenate(pair) for pair in pairs))
        stay = np.sort(np.argsort(joined.rank)[: self.plan.task_rows])
        return Unfinished(*(part[stay] for part in joined))

    def task_ended(self) -> "Lived":
        """Return it after the end of its task, with what its memory made of the rows of that task."""
        rows, state = self.unfinished, self.state
        if len(rows.y):
            size = CHUNK * 2 ** int(np.ceil(np.log2(max(1.0, len(rows.y) / CHUNK))))
            filled = filled_up(rows.x, rows.y, size, self.outputs, self.tasks)
            state, finite = ended(self.learner, state, filled, key_for(self.key, "consolidate", self.steps))
            _check_finite(finite, rows.x)
        return replace(self, state=state, tasks=self.tasks + 1, unfinished=Unfinished(*(part[:0] for part in rows)))

    def logits(self, x: Float32[np.ndarray, "n features"]) -> Float[np.ndarray, "n classes"]:
        """Return the logits of all classes known by name."""
        return answers(self.learner, self.state, x)[:, : len(self.labels)]


def _room_for(classes: int) -> int:
    """Return a number of outputs: a power of two, so that few programs are compiled however classes come."""
    return max(LEAST, 1 << (classes - 1).bit_length())


def _missing(known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the labels that are not known yet; raise `BadInput` where they are of another kind."""
    kinds = ["text" if part.dtype.kind in "OSU" else "numbers" for part in (known, labels) if len(part)]
    if len(set(kinds)) > 1:
        raise BadInput(f"the classes known so far are {kinds[0]} and these labels are {kinds[1]}; use one kind")
    return labels[~np.isin(labels, known)]


def _means(reported: list[dict[str, Any]], rows: int) -> tuple[float, float]:
    accuracy, loss = (sum(float(info[name]) for info in reported) / rows for name in ("accuracy", "loss"))
    return accuracy, loss


def _check_finite(finite: Any, x: np.ndarray) -> None:
    if not finite:
        raise BadInput(
            f"learning diverged, and the estimator was left as it was before this call; scale the inputs, whose largest "
            f"is {np.abs(x).max():.3g}, or lower the learning rate"
        )
