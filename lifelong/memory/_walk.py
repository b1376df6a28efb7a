"""Riemannian walk: importance from how far the answers move, along the whole path."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Pages

from ._anchors import Anchor, zeros_like
from ._base import Loss, Step


class RWalkState(NamedTuple):
    """What Riemannian walk carries, as trees of the held weights' shape but for two counters.

    `fisher` is the running Fisher information; `path` and `start` belong to the interval since the last score; `score`
    sums the scores of this task, and `past` is the mean score of those before.
    """

    importance: PyTree
    anchor: PyTree
    fisher: PyTree
    path: PyTree
    start: PyTree
    score: PyTree
    past: PyTree
    steps: Int[Array, ""]
    finished: Int[Array, ""]


class RWalk(Anchor):
    """Riemannian walk: EWC with a running Fisher, plus a path integral by how far the answers moved.

    Every step:      F ← α g² + (1 − α) F,   Δ ← Δ − g · Δθ
    every n steps:   s ← s + max(Δ, 0) / (½ F (θ − θ_start)² + ε),   Δ ← 0,   θ_start ← θ
    at a task's end: importance ← [F] + [s̄] with s̄ ← (s̄ + s)/2 (after the first task s), θ* ← θ, s ← 0,

    where [·] stretches a tree to the range 0 … 1 and g is the gradient of the batch's loss without this penalty
    (Chaudhry et al. 2018, "Riemannian Walk for Incremental Learning", equations 6 to 8). F squares the mean gradient of a
    batch, as the authors' code does; that code moreover averages the squares of n batches before they enter.

    Args:
        strength: λ; the default is Avalanche's for task-incremental Split-MNIST.
        where: what is held.
        decay: α, the weight of the newest batch in F.
        damping: ε (authors' code).
        every: n, steps between scores (authors' code).
    """

    strength: Number = number(0.2)
    decay: Number = number(0.9)
    damping: Number = number(1e-3)
    every: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        if self.every < 1:
            raise BadInput(f"scores need at least one step between them, not every={self.every}")

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> RWalkState:
        """Return a state in which nothing matters yet."""
        part = self._part(model)
        none, zero = zeros_like(part), jnp.int32(0)
        return RWalkState(none, part, none, none, part, none, none, zero, zero)

    def keep(self, m: RWalkState, step: Step, *, key: PRNGKeyArray) -> RWalkState:
        """Update Fisher information and path; where an interval ends, score it."""
        slope, move = self._moves(m, step)
        after = self._part(step.after)
        fisher = jax.tree.map(lambda f, g: self.decay * g**2 + (1.0 - self.decay) * f, m.fisher, slope)
        path = jax.tree.map(lambda p, g, d: p - g * d, m.path, slope, move)
        due = (m.steps + 1) % self.every == 0

        def scored(score: Array, path: Array, f: Array, now: Array, start: Array) -> Array:
            gain = jnp.maximum(path, 0.0) / (0.5 * f * (now - start) ** 2 + self.damping)
            return score + jnp.where(due, gain, 0.0)

        score = jax.tree.map(scored, m.score, path, fisher, after, m.start)
        path = jax.tree.map(lambda p: jnp.where(due, 0.0, p), path)
        start = jax.tree.map(lambda now, then: jnp.where(due, now, then), after, m.start)
        return m._replace(fisher=fisher, path=path, start=start, score=score, steps=m.steps + 1)

    def consolidate(
        self, m: RWalkState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, RWalkState]:
        """Hold what the finished task's Fisher information and scores say."""
        part = self._part(model)
        none = zeros_like(part)
        past = jax.tree.map(lambda p, s: jnp.where(m.finished > 0, 0.5 * (p + s), s), m.past, m.score)
        importance = jax.tree.map(jnp.add, _stretched(m.fisher), _stretched(past))
        return model, RWalkState(importance, part, m.fisher, none, part, none, past, jnp.int32(0), m.finished + 1)


def _stretched(tree: PyTree) -> PyTree:
    """Return (v − min) / (max − min) over all leaves of a tree together."""
    leaves = jax.tree.leaves(tree)
    low = jnp.stack([leaf.min() for leaf in leaves]).min()
    span = jnp.stack([leaf.max() for leaf in leaves]).max() - low
    return jax.tree.map(lambda leaf: (leaf - low) / jnp.maximum(span, 1e-30), tree)
