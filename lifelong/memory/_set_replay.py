"""Rehearsal of whole tasks, first in, first out."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

from lifelong.worlds import Pages

from ._base import Loss, Step
from ._buffer import Buffer, like_held, write
from ._replay import Replay, ReplayState


class SetReplay(Replay):
    """Keep the examples of the last finished tasks, as many as there is room for, and rehearse a few in every step.

    When a task (a support set) ends, all its examples enter and the oldest leave; while later tasks are learned, `batch`
    examples drawn from the store join the current batch as one. Of the task being learned nothing is rehearsed (Kowadlo
    et al. 2022, "Expanding continual few-shot learning benchmarks", replay of "ground truth").

    Args:
        capacity: examples held; b support sets of n examples are b · n (the authors' code: b from 1 to 10).
        batch: examples rehearsed in a step (the authors' code: 2 to 50).
        labels: the weight of the loss on them.
    """

    def __init__(self, capacity: int = 20, batch: int = 8, labels: float = 1.0):
        super().__init__(capacity, batch, labels, mix="concatenate")

    def keep(self, m: ReplayState, step: Step, *, key: PRNGKeyArray) -> ReplayState:
        """Draw what the next step rehearses; nothing enters before its task has ended."""
        return m._replace(recalled=self._draw(m.buffer, key))

    def consolidate(
        self, m: ReplayState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, ReplayState]:
        """Let the finished task's examples in, and draw from the store as it is now."""

        def enter(i: Any, buffer: Buffer) -> Buffer:
            page = review.page(i)
            offered = page.weight > 0
            slots = (buffer.met + jnp.cumsum(offered) - 1) % self.capacity
            met = buffer.met + offered.sum()
            book = (jnp.minimum(met, self.capacity), met)
            buffer = eqx.tree_at(lambda b: (b.filled, b.met), buffer, book)
            return write(buffer, jnp.where(offered, slots, self.capacity), like_held(page, buffer), None)

        buffer = jax.lax.fori_loop(0, review.count, enter, m.buffer)
        return model, ReplayState(buffer, self._draw(buffer, key), m.finished + 1)

    @property
    def consolidates(self) -> bool:
        """Something always happens at the end of a task."""
        return True
