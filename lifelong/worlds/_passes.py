"""Worlds whose tasks are lists of examples, walked through in shuffled passes."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt

from ._batch import Batch, Lesson, Mixture, Rows
from ._shuffle import shuffled
from ._world import Pages, World


class Passes(World):
    """A world in which every task is a list of examples: it says how long the list is and shows what stands in it.

    `seed` is this lifetime's order of examples, and `longest` the length of the longest list.
    """

    seed: UInt[Array, ""]
    longest: eqx.AbstractVar[int]

    def size(self, task: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Return how many training examples a task has."""
        raise NotImplementedError

    def show(self, task: Int[Array, "*n"], place: Int[Array, " n"], weight: Float[Array, " n"]) -> Batch:
        """Return the examples that stand at `place` (below `size(task)`) in the list of one task, or of one task each."""
        raise NotImplementedError

    def draw(self, lesson: Lesson | Mixture | Rows, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return `n` training examples: the next of a shuffled pass through a task, a mixture of tasks, or given ones."""
        if isinstance(lesson, Rows):
            return self.show(jnp.int32(0), lesson.place[:n], lesson.weight[:n])
        if isinstance(lesson, Mixture):
            for_task, for_place = jax.random.split(key)
            task = jax.random.categorical(for_task, jnp.log(lesson.weights), shape=(n,))
            place = jax.random.randint(for_place, (n,), 0, self.size(task))
        else:
            task, size = lesson.task, self.size(lesson.task)
            number = lesson.turn * n + jnp.arange(n)
            place = shuffled(number % size, size, number // size, self.seed + task.astype(jnp.uint32))
        return self.show(task, place, jnp.ones(n))

    def review(self, task: Int[Array, ""], n: int) -> Pages:
        """Return every training example of one task, in random order, in pages of `n`."""
        return Review(world=self, task=task, size=n, count=-(-self.longest // n))


REVIEWING = 2**31 - 1
"""The pass in whose order a task is reviewed: no lesson comes so far."""


class Review(Pages):
    """The training examples of one task, in an order that no pass of its lessons has."""

    world: Passes
    task: Int[Array, ""]
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return the i·size-th to (i+1)·size-th examples; those past the end have weight 0."""
        place, total = i * self.size + jnp.arange(self.size), self.world.size(self.task)
        last, seed = jnp.full_like(place, REVIEWING), self.world.seed + self.task.astype(jnp.uint32)
        place, weight = jnp.minimum(place, total - 1), (place < total).astype(jnp.float32)
        return self.world.show(self.task, shuffled(place, total, last, seed), weight)
