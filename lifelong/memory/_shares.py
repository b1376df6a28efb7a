"""A buffer in which groups of examples, the tasks that have finished or the classes met, have shares of their own."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from lifelong.worlds import Batch, Pages

from ._buffer import Buffer, like_held, write


class Runs(NamedTuple):
    """How a buffer is divided: to which run of equal marks each slot belongs, its place in it, and how many there are.

    Slots that are not taken have no meaning.
    """

    run: Int[Array, " slots"]
    place: Int[Array, " slots"]
    count: Int[Array, ""]


def runs(mark: Int[Array, " slots"], filled: Int[Array, ""]) -> Runs:
    """Return how the slots 0 … filled−1 are divided into runs of the same mark."""
    slots = jnp.arange(len(mark))
    begins = (slots < filled) & ((slots == 0) | (mark != jnp.roll(mark, 1)))
    first = jax.lax.cummax(jnp.where(begins, slots, 0))
    return Runs(jnp.cumsum(begins) - 1, slots - first, begins.sum())


def set_aside(
    buffer: Buffer,
    review: Pages,
    tasks: int | None = None,
    companions: Callable[[Batch], PyTree] = lambda page: None,
) -> Buffer:
    """Return the buffer with a share for one more task, the first examples of its review.

    With k tasks each has capacity / k slots, so that older tasks give up the last of theirs; with `tasks` each has
    capacity / tasks from the start, and beyond so many the oldest gives way. A review is in random order, and so is every
    share. `companions` makes of a page what is stored beside its examples.
    """
    capacity, divided = len(buffer), runs(buffer.examples.task, buffer.filled)
    share = jnp.maximum(jnp.int32(capacity) // (tasks or divided.count + 1), 1)
    stays = (jnp.arange(capacity) < buffer.filled) & (divided.place < share)
    if tasks is not None:
        stays &= divided.run > divided.count - tasks
    order, kept = jnp.argsort(~stays), stays.sum()
    held, extra = jax.tree.map(lambda leaf: leaf[order], (buffer.examples, buffer.extra))
    buffer = eqx.tree_at(lambda b: (b.examples, b.extra), buffer, (held, extra))

    def put(i: Int[Array, ""], carry: tuple[Buffer, Int[Array, ""]]) -> tuple[Buffer, Int[Array, ""]]:
        buffer, met = carry
        page = review.page(i)
        offered = page.weight > 0
        rank = met + jnp.cumsum(offered) - 1
        slots = jnp.where(offered & (rank < share), kept + rank, capacity)
        return write(buffer, slots, like_held(page, buffer), companions(page)), met + offered.sum()

    buffer, met = jax.lax.fori_loop(0, review.count, put, (buffer, jnp.int32(0)))
    filled = jnp.minimum(kept + jnp.minimum(met, share), capacity)
    return eqx.tree_at(lambda b: (b.filled, b.met), buffer, (filled, buffer.met + met))
