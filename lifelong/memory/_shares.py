"""A buffer in which every finished task has a share of its own."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from lifelong.worlds import Batch, Pages

from ._buffer import Buffer, like_held, write


def set_aside(
    buffer: Buffer,
    review: Pages,
    finished: Int[Array, ""],
    tasks: int | None = None,
    companions: Callable[[Batch], PyTree] = lambda page: None,
) -> Buffer:
    """Return the buffer with a share for one more task, the first examples of its review.

    After k tasks each has capacity / k slots, so that older tasks give up the last of theirs; with `tasks` each has
    capacity / tasks from the start, and beyond so many the oldest gives way. A review is in random order, and so is every
    share. A task of fewer examples than its share has them several times. `companions` makes of a page what is stored
    beside its examples; `finished` is the number of tasks that already have a share.
    """
    capacity, slots = len(buffer), jnp.arange(len(buffer))
    before, share = (jnp.maximum(capacity // jnp.maximum(tasks or k, 1), 1) for k in (finished, finished + 1))
    newest = finished if tasks is None else finished % tasks
    owner, place = slots // share, slots % share
    buffer = _moved(buffer, owner * before + place)

    def put(i: Int[Array, ""], carry: tuple[Buffer, Int[Array, ""]]) -> tuple[Buffer, Int[Array, ""]]:
        buffer, met = carry
        page = review.page(i)
        offered = page.weight > 0
        rank = met + jnp.cumsum(offered) - 1
        target = jnp.where(offered & (rank < share), newest * share + rank, capacity)
        return write(buffer, target, like_held(page, buffer), companions(page)), met + offered.sum()

    buffer, met = jax.lax.fori_loop(0, review.count, put, (buffer, jnp.int32(0)))
    repeated = newest * share + place % jnp.clip(met, 1, share)
    buffer = _moved(buffer, jnp.where(owner == newest, repeated, slots))
    filled = share * (finished + 1 if tasks is None else jnp.minimum(finished + 1, tasks))
    return eqx.tree_at(lambda b: (b.filled, b.met), buffer, (filled, buffer.met + met))


def _moved(buffer: Buffer, source: Int[Array, " slots"]) -> Buffer:
    """Return the buffer with slot i holding what slot source[i] held."""
    held, extra = jax.tree.map(lambda leaf: leaf[source], (buffer.examples, buffer.extra))
    return eqx.tree_at(lambda b: (b.examples, b.extra), buffer, (held, extra))
