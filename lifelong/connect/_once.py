"""Rows that are gone through several times are offered to the memory once."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.learners import GradientState
from lifelong.memory import Loss, Memory, Step
from lifelong.memory._base import Objective
from lifelong.memory._buffer import Gone
from lifelong.worlds import Batch, Pages


class OnceState(NamedTuple):
    """The state of the memory within, and whether examples are offered to it now: 1 or 0."""

    within: PyTree
    offered: Float[Array, ""]


class Once(Memory):
    """Another memory, in everything but that what it may keep of a batch has weight 0 unless the state says otherwise.

    Ten passes through a batch would else put ten copies of its rows into a reservoir, where rows learned in one pass
    have one: an estimator's first `fit` would crowd out all later updates.
    """

    memory: Memory

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> OnceState:
        """Return the state of the memory within, which is offered examples."""
        return OnceState(self.memory.init(model, like, key=key), jnp.float32(1))

    def recall(self, m: OnceState, *, key: PRNGKeyArray) -> Any:
        """Return what the memory within wants rehearsed."""
        return self.memory.recall(m.within, key=key)

    def perturb(
        self,
        m: OnceState,
        model: PyTree,
        batch: Batch,
        recalled: Any,
        loss: Loss,
        objective: Objective | None = None,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, PyTree]:
        """Perturb as the memory within does."""
        return self.memory.perturb(m.within, model, batch, recalled, loss, objective, key=key)

    def weigh(self, m: OnceState, batch: Batch, recalled: Any) -> Float[Array, ""] | float:
        """Weigh as the memory within does."""
        return self.memory.weigh(m.within, batch, recalled)

    def penalty(self, m: OnceState, model: PyTree, batch: Batch, recalled: Any, loss: Loss) -> Float[Array, ""] | float:
        """Return the penalty of the memory within."""
        return self.memory.penalty(m.within, model, batch, recalled, loss)

    def shape(self, m: OnceState, gradient: PyTree, model: PyTree, recalled: Any, loss: Loss) -> PyTree:
        """Shape as the memory within does."""
        return self.memory.shape(m.within, gradient, model, recalled, loss)

    def keep(self, m: OnceState, step: Step, *, key: PRNGKeyArray) -> OnceState:
        """Let the memory within keep what it wants of the step, whose rows count only if they are offered."""
        batch = eqx.tree_at(lambda b: b.weight, step.batch, step.batch.weight * m.offered)
        return m._replace(within=self.memory.keep(m.within, step._replace(batch=batch), key=key))

    def consolidate(
        self, m: OnceState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, OnceState]:
        """Consolidate as the memory within does."""
        model, within = self.memory.consolidate(m.within, model, review, loss, key=key)
        return model, m._replace(within=within)

    def release(self, m: OnceState, gone: Gone) -> OnceState:
        """Let the memory within release what it holds."""
        return m._replace(within=self.memory.release(m.within, gone))

    def answer(self, m: OnceState, model: PyTree, x: Float[Array, "n *shape"]) -> Float[Array, "n outputs"]:
        """Answer as the memory within does."""
        return self.memory.answer(m.within, model, x)

    @property
    def consolidates(self) -> bool:
        """Whether anything happens at the end of a task."""
        return self.memory.consolidates

    @property
    def answers(self) -> bool:
        """Whether the memory within answers in the model's stead."""
        return self.memory.answers


def offering(state: GradientState, offered: bool) -> GradientState:
    """Return a state in which examples are offered to the memory, or not."""
    return eqx.tree_at(lambda s: s.memory.offered, state, jnp.float32(offered))
