"""Mixtures of two examples, of classes that lie close together."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt

from lifelong.recipe import Number
from lifelong.worlds import Batch

from ._buffer import Buffer

LEAST_DISTANCE = 0.05
"""Closer prototypes count as this far apart, so that nearly coincident ones do not draw all pairs to themselves."""


class Mixed(NamedTuple):
    """Examples x = (1 − share)·x_a + share·x_b with the labels of both."""

    x: Float[Array, "n *shape"]
    y: Int[Array, " n"]
    other: Int[Array, " n"]
    share: Float[Array, " n"]
    weight: Float[Array, " n"]

    def as_batch(self) -> Batch:
        """Return every example twice, once with each label and weighing as much as it has of it.

        A weighted mean of losses over it is that of (1 − share)·loss(y) + share·loss(other).
        """
        weight = jnp.concatenate([(1 - self.share) * self.weight, self.share * self.weight])
        y = jnp.concatenate([self.y, self.other])
        return Batch(jnp.concatenate([self.x, self.x]), y, jnp.zeros_like(y), weight)


def mix(a: Batch, b: Batch, share: Float[Array, " n"]) -> Mixed:
    """Return (1 − share)·a + share·b, example by example (mixup; Zhang et al. 2018)."""
    portion = share.reshape(-1, *[1] * (a.x.ndim - 1))
    return Mixed((1 - portion) * a.x + portion * b.x, a.y, b.y, share, a.weight * b.weight)


def pair_probabilities(
    prototypes: Float[Array, "outputs width"], known: Bool[Array, " outputs"], focus: Number
) -> tuple[Int[np.ndarray, "two pairs"], Float[Array, " pairs"]]:
    """Return all pairs of classes, and how likely each is drawn: softmax(focus / distance of their prototypes).

    Pairs with an unknown class are not drawn; focus = 0 draws all others alike, 1 is adaptive prototypical feedback (Wei et
    al. 2023, as in the authors' code).
    """
    pairs = np.stack(np.triu_indices(len(known), k=1))
    distance = jnp.linalg.norm(prototypes[pairs[0]] - prototypes[pairs[1]], axis=-1)
    closeness = focus / jnp.maximum(distance, LEAST_DISTANCE)
    return pairs, jax.nn.softmax(jnp.where(known[pairs].all(0), closeness, -1e9))


def draw_pairs(
    pairs: Int[np.ndarray, "two pairs"], probability: Float[Array, " pairs"], uniform: Float[Array, " n"]
) -> Int[Array, "two n"]:
    """Return for every uniform number a pair of classes, drawn by inverting the cumulative probabilities."""
    which = (uniform[:, None] >= jnp.cumsum(probability) / probability.sum()).sum(1)
    return jnp.asarray(pairs)[:, jnp.minimum(which, pairs.shape[1] - 1)]


def draw_of_class(buffer: Buffer, y: Int[Array, " n"], words: UInt[Array, " n"]) -> Batch:
    """Return for every class an example that the buffer holds of it, uniformly over the random words.

    Where it holds none of a class, any example held stands in for it.
    """
    taken = jnp.arange(len(buffer)) < buffer.filled
    own = taken & (buffer.examples.y == y[:, None])
    among = jnp.where(own.any(1, keepdims=True), own, taken)
    turn = words % jnp.maximum(among.sum(1), 1).astype(jnp.uint32)
    slot = (among & (jnp.cumsum(among, 1) == turn.astype(jnp.int32)[:, None] + 1)).argmax(1)
    held = jax.tree.map(lambda leaf: leaf[slot], buffer.examples)
    return Batch(held.x, held.y, held.task, among.any(1).astype(jnp.float32), held.allowed)
