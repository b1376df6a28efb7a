"""Worlds of sequences: labelled items to learn from, and one item more that is the question."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt

from lifelong.keys import key_for

from ._batch import Batch, Lesson, Mixture
from ._world import Pages, World


class InContext(World):
    """A world whose examples are whole sequences of items and labels, each of a task of its own, drawn anew in every step.

    `Batch.x` [n, length, features + outputs] holds items and, beside each, its label one-hot, but for the last, whose label is
    blank; that one is `Batch.y`. Models that learn in context must not look at the label of an item before they have
    answered it. What a teacher names as a task is one of `parts` of the distribution. A world of this kind implements
    `sequence`, and calls `asked` how many sequences of every part an exam holds.
    """

    seed: eqx.AbstractVar[UInt[Array, ""]]
    parts: eqx.AbstractVar[tuple[str, ...]]
    asked: eqx.AbstractVar[int]

    @property
    def tasks(self) -> int:
        """How many parts the distribution has."""
        return len(self.parts)

    @property
    def allowed(self) -> Bool[Array, " outputs"] | None:
        """The labels there are; None stands for all outputs."""
        return None

    def sequence(
        self, part: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "length features"], Int[Array, " length"]]:
        """Return the items and labels of one sequence."""
        raise NotImplementedError

    def open(self, *, key: PRNGKeyArray) -> "InContext":
        """Draw which sequences this lifetime's exams ask about."""
        return eqx.tree_at(lambda world: world.seed, self, jax.random.bits(key, (), jnp.uint32))

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return `n` sequences of what the teacher asked for."""
        if isinstance(lesson, Mixture):
            part = jax.random.categorical(key_for(key, "part"), jnp.log(lesson.weights), shape=(n,)).astype(jnp.int32)
        else:
            part = jnp.broadcast_to(lesson.task, n)
        return self.batch(part, key=key)

    def batch(self, part: Int[Array, " n"], *, key: PRNGKeyArray) -> Batch:
        """Return one sequence of each part that is named."""
        keys = jax.random.split(key, len(part))
        x, y = jax.vmap(lambda part, key: self.sequence(part, key=key))(part, keys)
        allowed = None if self.allowed is None else jnp.broadcast_to(self.allowed, (len(part), self.outputs))
        return Batch(labelled(x, y, self.outputs), y[:, -1], part, jnp.ones(len(part)), allowed)

    def papers(self, n: int) -> Pages:
        """Return the sequences that exams ask about, in pages of at most `n`, each of one part; always the same ones."""
        size = min(n, self.asked)
        return _Papers(world=self, size=size, count=self.tasks * -(-self.asked // size))


class _Papers(Pages):
    """Sequences that belong to the seed of a world."""

    world: InContext
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return the `i`-th page; sequences beyond those asked about have weight 0."""
        part, sheet = i % self.world.tasks, i // self.world.tasks
        key = jax.random.fold_in(jax.random.key(self.world.seed), i)
        batch = self.world.batch(jnp.broadcast_to(jnp.asarray(part, jnp.int32), self.size), key=key)
        weight = (sheet * self.size + jnp.arange(self.size) < self.world.asked).astype(jnp.float32)
        return eqx.tree_at(lambda batch: batch.weight, batch, weight)


def labelled(
    x: Float[Array, "*n length features"], y: Int[Array, "*n length"], outputs: int
) -> Float[Array, "*n length features_and_outputs"]:
    """Return items with their labels one-hot beside them, that of the last left blank."""
    last = jnp.arange(y.shape[-1]) == y.shape[-1] - 1
    return jnp.concatenate([x, jax.nn.one_hot(jnp.where(last, -1, y), outputs)], axis=-1)


def answers(batch: Batch, outputs: int) -> Float[Array, "n length outputs"]:
    """Return the labels of all items of sequences, one-hot: those shown, and that of the last one."""
    shown, last = batch.x[..., -outputs:], jax.nn.one_hot(batch.y, outputs)
    return shown.at[:, -1].set(last)
