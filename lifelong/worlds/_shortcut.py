"""A shortcut: marks on the training images that tell the label, and are gone in the exam."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt

from lifelong.errors import BadInput, Mismatch

from ._batch import Batch, Lesson, Mixture
from ._shuffle import _mix
from ._stream import Split
from ._world import Pages, World


def _leaf(value: float) -> Array:
    return jnp.asarray(value, jnp.float32)


class Shortcut(World):
    """A split stream of images whose training examples carry a mark in a corner that nearly gives their class away.

    Every class has a mark of its own, side × side pixels of 0 or 1 drawn for each lifetime. An image carries the mark of
    its class with probability `agreement`, otherwise that of another class of the same task, so that within a task the
    mark tells the label and across tasks every task has its own marks. An image carries the same mark whenever it comes.
    The papers of exams have none: what relies on marks fails there.

    Args:
        world: a class-incremental `Split` of images with numbers in 0 … 1.
        strength: how strongly marks are painted: 0 leaves images as they are, 1 covers the corner.
        agreement: how often the mark tells the truth.
        side: pixels of a mark on either side.

    Raises `Mismatch` for other worlds, `BadInput` for numbers out of range.
    """

    world: Split
    marks: Float[Array, "classes side side"]
    seed: UInt[Array, ""]
    strength: Float[Array, ""]
    agreement: Float[Array, ""]
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)

    def __init__(self, world: Split, strength: float = 1.0, agreement: float = 0.95, side: int = 3):
        if not isinstance(world, Split) or world.scenario != "class" or world.x.ndim < 3:
            raise Mismatch(
                "marks can be painted into the images of a class-incremental Split; this is "
                f"{type(world).__name__} with scenario '{getattr(world, 'scenario', None)}'"
            )
        if not 1 <= side <= min(world.x.shape[1:3]):
            raise BadInput(f"a mark of {side} pixels a side does not fit into images of {world.x.shape[1:3]}")
        if not isinstance(strength, Tracer) and not (0 <= strength <= 1 and 0 <= agreement <= 1):
            raise BadInput(f"strength and agreement must lie in 0 … 1: {strength} and {agreement}")
        self.world, self.strength, self.agreement = world, _leaf(strength), _leaf(agreement)
        self.tasks, self.outputs = world.tasks, world.outputs
        self.marks, self.seed = jnp.zeros((world.outputs, side, side)), jnp.uint32(0)

    def open(self, *, key: PRNGKeyArray) -> "Shortcut":
        """Open the stream, and draw this lifetime's marks."""
        for_world, for_marks, for_seed = jax.random.split(key, 3)
        marks = jax.random.bernoulli(for_marks, shape=self.marks.shape).astype(jnp.float32)
        new = (self.world.open(key=for_world), marks, jax.random.bits(for_seed, (), jnp.uint32))
        return eqx.tree_at(lambda w: (w.world, w.marks, w.seed), self, new)

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return `n` marked training examples."""
        return self.mark(self.world.draw(lesson, n, key=key))

    def review(self, task: Any, n: int) -> Pages:
        """Return every marked training example of one task, in pages of `n`."""
        pages = self.world.review(task, n)
        return _Marked(world=self, pages=pages, count=pages.count)

    def papers(self, n: int) -> Pages:
        """Return the test examples, without marks."""
        return self.world.papers(n)

    def task_of_class(self) -> Array:
        """Return the task that each class belongs to."""
        return self.world.task_of_class()

    def mark(self, batch: Batch) -> Batch:
        """Return a batch with marks in the top left corner of its images."""
        carried = self.marks[self.carried(batch)]
        side = carried.shape[-1]
        carried = carried.reshape(*carried.shape, *[1] * (batch.x.ndim - 3))
        corner = batch.x[:, :side, :side]
        x = batch.x.at[:, :side, :side].set(corner + self.strength * (carried - corner))
        return eqx.tree_at(lambda b: b.x, batch, x)

    def carried(self, batch: Batch) -> Array:
        """Return the class whose mark each example carries."""
        words = _mix(_digest(batch.x) + self.seed)
        task = self.task_of_class()
        others: Bool[Array, "n classes"] = (task[batch.y][:, None] == task) & (
            batch.y[:, None] != jnp.arange(len(task))
        )
        turn = (_mix(words) % jnp.maximum(others.sum(1), 1).astype(jnp.uint32)).astype(jnp.int32)
        other = (others & (jnp.cumsum(others, 1) == turn[:, None] + 1)).argmax(1)
        true = words.astype(jnp.float32) / 2.0**32 < self.agreement
        return jnp.where(true | ~others.any(1), batch.y, other)


class _Marked(Pages):
    """Pages with marks on their images."""

    world: Shortcut
    pages: Pages
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return the `i`-th page, marked."""
        return self.world.mark(self.pages.page(i))


def _digest(x: Float[Array, "n *shape"]) -> UInt[Array, " n"]:
    """Return 32 bits that depend on every number of an example."""
    bits = jax.lax.bitcast_convert_type(x.reshape(len(x), -1).astype(jnp.float32), jnp.uint32)
    places = jnp.arange(bits.shape[1], dtype=jnp.uint32)
    return _mix(bits + jnp.uint32(0x9E3779B9) * places).sum(1, dtype=jnp.uint32)
