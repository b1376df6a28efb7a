"""What a world hands out, and what a teacher asks it for."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped


class Batch(eqx.Module):
    """Examples with their labels, and what a learner may know about them.

    `x` are inputs, `y` labels, `task` the task each example belongs to, `weight` how much it counts (0 marks padding), and
    `allowed` the classes an answer may name; None stands for all of them.
    """

    x: Shaped[Array, "n *shape"]
    y: Int[Array, " n"]
    task: Int[Array, " n"]
    weight: Float[Array, " n"]
    allowed: Bool[Array, "n outputs"] | None = None

    def __len__(self) -> int:
        return self.y.shape[0]


class Lesson(NamedTuple):
    """One batch of one task: the `turn`-th (from 0) that this learner has of it.

    Turns walk through shuffled passes: every example of the task comes once before any comes twice. Where `unlearn` is
    true, the batch is not to be learned but to be unlearned.
    """

    task: Int[Array, ""]
    turn: Int[Array, ""]
    unlearn: Bool[Array, ""] | bool = False


class Mixture(NamedTuple):
    """One batch whose examples are drawn, each on its own and with replacement, from tasks in proportion to `weights`."""

    weights: Float[Array, " tasks"]

    @property
    def task(self) -> Int[Array, ""]:
        """The task that weighs most."""
        return jnp.argmax(self.weights)


class Rows(NamedTuple):
    """One batch of given examples: their places in the list of task 0, and how much each counts (0 marks padding)."""

    place: Int[Array, " n"]
    weight: Float[Array, " n"]


def empty_batch(like: Batch, size: int) -> Batch:
    """Return `size` blank examples, all of weight 0, of the shapes and types of `like`."""

    return jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape[1:]), leaf.dtype), like)
