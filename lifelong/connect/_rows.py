"""Rows of a table as a world of one task, and the compiled programs that let a `GradientLearner` live in it.

Every program has one shape for a learner, whatever the number of rows: rows come in pages that are filled up with weight
0, and how many steps or chunks of a page are real is an argument. Only the end of a task sees all its rows at once; they
are filled up to the next power of two.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, PRNGKeyArray, PyTree

from lifelong.keys import key_for
from lifelong.learners import GradientLearner, GradientState
from lifelong.life._programs import all_finite, compiler_options
from lifelong.worlds import Batch, Lesson, Mixture, Pages, World

PAGE = 1024
"""Rows in a page, or a little more: a whole number of batches."""

CHUNK = 128
"""Rows that are answered at a time."""

_Program = TypeVar("_Program", bound=Callable)


class Rows(World):
    """Rows with labels, in their order, all of one task; those of weight 0 only fill up."""

    x: Float[Array, "rows features"]
    y: Int[Array, " rows"]
    weight: Float[Array, " rows"]
    task: Int[Array, ""]
    outputs: int = eqx.field(static=True)
    tasks: int = eqx.field(static=True, default=1)

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return the `turn`-th `n` rows."""
        return self.at(cast(Lesson, lesson).turn * n + jnp.arange(n))

    def at(self, place: Int[Array, " n"]) -> Batch:
        """Return the rows at some places; past the end they have weight 0."""
        row = jnp.minimum(place, len(self.y) - 1)
        weight = jnp.where(place < len(self.y), self.weight[row], 0.0)
        return Batch(self.x[row], self.y[row], jnp.broadcast_to(self.task, place.shape), weight)

    def review(self, task: Any, n: int) -> Pages:
        """Return all rows, in pages of `n`."""
        return Leaves(rows=self, size=n, count=-(-len(self.y) // n))


class Leaves(Pages):
    """Rows read page by page."""

    rows: Rows
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Int[Array, ""]) -> Batch:
        """Return rows i·size …; rows past the end have weight 0."""
        return self.rows.at(i * self.size + jnp.arange(self.size))


def filled_up(x: Float32[np.ndarray, "n features"], y: np.ndarray, size: int, outputs: int, task: int = 0) -> Rows:
    """Return rows filled up to a size with rows of weight 0."""
    missing = size - len(y)
    weight = np.concatenate([np.ones(len(y), np.float32), np.zeros(missing, np.float32)])
    x, y = np.pad(x, ((0, missing), (0, 0))), np.pad(y.astype(np.int32), (0, missing))
    return Rows(x=jnp.asarray(x), y=jnp.asarray(y), weight=jnp.asarray(weight), task=jnp.int32(task), outputs=outputs)


def page_size(batch: int) -> int:
    """Return how many rows a page of learning holds."""
    return batch * -(-PAGE // batch)


def compiled(function: _Program) -> _Program:
    """Compile for a learner and the shapes of its arguments; learners with equal static fields share programs."""
    return cast(_Program, partial(eqx.filter_jit, compiler_options=compiler_options())(function))  # pyright: ignore


@compiled
def born(learner: GradientLearner, rows: Rows, key: PRNGKeyArray) -> GradientState:
    """Return a newborn learner for rows like these."""
    return learner.init(rows, key=key)


@compiled
def learned(
    learner: GradientLearner, state: GradientState, rows: Rows, first: Int[Array, ""], steps: Int[Array, ""], key: Any
) -> tuple[GradientState, dict[str, Array], Bool[Array, ""]]:
    """Return the state after the first so many batches of a page, what learning reported, and whether all is finite.

    What was reported is summed over rows: divided by their number it is a mean. `first` is the number of steps that
    the learner has already taken in its life, and all randomness comes from it.
    """
    arrays, static = eqx.partition(state, eqx.is_array)

    def step(turn: Int[Array, ""], arrays: PyTree) -> tuple[PyTree, dict[str, Array]]:
        state, lesson = eqx.combine(arrays, static), Lesson(rows.task, turn)
        batch = learner.meet(state, rows, lesson, key=key_for(key, "meet", first + turn))
        state, info = learner.learn(state, batch, key=key_for(key, "learn", first + turn))
        return eqx.filter(state, eqx.is_array), jax.tree.map(lambda value: value * batch.weight.sum(), info)

    def go_on(turn: Int[Array, ""], carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        arrays, info = step(turn, carry[0])
        return arrays, jax.tree.map(jnp.add, carry[1], info)

    shapes = jax.eval_shape(step, jnp.int32(0), arrays)[1]
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    arrays, info = jax.lax.fori_loop(0, steps, go_on, (arrays, nothing))
    state = eqx.combine(arrays, static)
    return state, info, all_finite(state)


@compiled
def _answered(
    learner: GradientLearner, state: GradientState, x: Float[Array, "page features"], chunks: Int[Array, ""]
) -> Float[Array, "page outputs"]:
    """Return the logits of the first so many chunks of a page, 0 for the others."""

    def answer(i: Int[Array, ""], logits: Array) -> Array:
        some = learner.answer(state, jax.lax.dynamic_slice_in_dim(x, i * CHUNK, CHUNK))
        return jax.lax.dynamic_update_slice_in_dim(logits, some, i * CHUNK, axis=0)

    logits = jnp.zeros((len(x), len(state.seen)))
    return jax.lax.fori_loop(0, chunks, answer, logits)


def answers(
    learner: GradientLearner, state: GradientState, x: Float32[np.ndarray, "n features"]
) -> Float[np.ndarray, "n outputs"]:
    """Return the logits of all rows."""
    found = [np.zeros((0, len(state.seen)), np.float32)]
    for start in range(0, len(x), PAGE):
        page = x[start : start + PAGE]
        chunks = jnp.int32(-(-len(page) // CHUNK))
        logits = _answered(learner, state, jnp.asarray(np.pad(page, ((0, PAGE - len(page)), (0, 0)))), chunks)
        found.append(np.asarray(logits)[: len(page)])
    return np.concatenate(found)


@compiled
def ended(
    learner: GradientLearner, state: GradientState, rows: Rows, key: PRNGKeyArray
) -> tuple[GradientState, Bool[Array, ""]]:
    """Return the state after the end of the task that these rows were, and whether all of it is finite."""
    state = learner.consolidate(state, rows, Lesson(rows.task, jnp.int32(0)), key=key)
    return state, all_finite(state)


def pages(x: np.ndarray, y: np.ndarray, order: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows in an order, a page at a time."""
    for start in range(0, len(order), size):
        some = order[start : start + size]
        yield x[some], y[some]
