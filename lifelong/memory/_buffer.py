"""A store of examples of fixed size, and the policies that decide who stays in it."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray, PyTree, UInt

from lifelong.worlds import Batch, empty_batch, shuffled

Policy = Literal["reservoir", "balanced", "greedy"]
"""'reservoir': every example of the stream equally likely to be held (Vitter 1985, algorithm R).
'balanced': class-balanced reservoir: a newcomer of a class that was never the largest replaces a random member of the
largest class, others follow a reservoir within their class (Chrysakis and Moens 2020, algorithm 1).
'greedy': a newcomer is taken while its class holds less than capacity / classes met, or is new; where the store is full
it replaces a random member of the largest class (Prabhu et al. 2020, algorithm 1: GDumb's sampler)."""


class Buffer(eqx.Module):
    """Examples with anything else stored beside each of them (`extra`, a tree of arrays with the same first axis).

    Slots 0 … filled−1 are taken. `met` counts the examples of the stream, in all and by class. Weights are not stored:
    what is in the buffer counts.
    """

    examples: Batch
    extra: PyTree
    filled: Int[Array, ""]
    met: Int[Array, ""]
    met_of: Int[Array, " outputs"]
    ever_largest: Int[Array, " outputs"]

    def __len__(self) -> int:
        return len(self.examples.y)


def empty_buffer(like: Batch, capacity: int, classes: int, extra: Any = None) -> Buffer:
    """Return an empty buffer for examples like these; `extra` shows the shapes of their companions."""
    companions = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape[1:]), leaf.dtype), extra)
    zeros = jnp.zeros(classes, jnp.int32)
    return Buffer(empty_batch(_weightless(like), capacity), companions, jnp.int32(0), jnp.int32(0), zeros, zeros)


def insert(buffer: Buffer, batch: Batch, extra: PyTree, policy: Policy, *, key: PRNGKeyArray) -> Buffer:
    """Offer a batch to the buffer, one example after the other; examples of weight 0 are not offered."""
    if policy == "reservoir":
        slots, book = _reservoir(buffer, batch, key)
    else:
        slots, book = _by_class(buffer, batch, key, greedy=policy == "greedy")
    return write(eqx.tree_at(lambda b: (b.filled, b.met, b.met_of, b.ever_largest), buffer, book), slots, batch, extra)


def write(buffer: Buffer, slots: Int[Array, " n"], batch: Batch, extra: PyTree) -> Buffer:
    """Put examples into slots (≥ capacity: nowhere); of several for one slot the last stays."""
    n = len(slots)
    overwritten = ((slots[:, None] == slots[None, :]) & (jnp.arange(n)[:, None] < jnp.arange(n)[None, :])).any(1)
    slots = jnp.where(overwritten, len(buffer), slots)

    def put(kept: Array, new: Array) -> Array:
        return kept.at[slots].set(new, mode="drop")

    examples = jax.tree.map(put, buffer.examples, _weightless(batch))
    return eqx.tree_at(lambda b: (b.examples, b.extra), buffer, (examples, jax.tree.map(put, buffer.extra, extra)))


def like_held(page: Batch, buffer: Buffer) -> Batch:
    """Return a page without the allowed classes where the buffer does not keep them."""
    return Batch(page.x, page.y, page.task, page.weight, None if buffer.examples.allowed is None else page.allowed)


def put_in(batch: Batch, replayed: Batch) -> Batch:
    """Return the batch with replayed examples, where they have any weight, in their places."""
    taken = replayed.weight > 0

    def put(old: Array, new: Array) -> Array:
        return jnp.where(taken.reshape(-1, *[1] * (new.ndim - 1)), old, new)

    return jax.tree.map(put, replayed, batch)


def sample(buffer: Buffer, n: int, seed: UInt[Array, ""]) -> tuple[Batch, PyTree]:
    """Return n different examples, uniformly over seeds; where fewer are held the rest has weight 0."""
    place = jnp.arange(n)
    filled = jnp.maximum(buffer.filled, 1)
    slot = shuffled(place % filled, filled, jnp.zeros(n, jnp.int32), seed)
    held, extra = jax.tree.map(lambda leaf: leaf[slot], (buffer.examples, buffer.extra))
    return Batch(held.x, held.y, held.task, (place < buffer.filled).astype(jnp.float32), held.allowed), extra


Gone = Callable[[Batch], Bool[Array, " n"]]
"""Marks the examples of a batch that must go, as in `lambda batch: batch.task == 3`."""


def released(tree: PyTree, gone: Gone) -> PyTree:
    """Return a tree in which all buffers and batches are without the examples that must go."""

    def without(node: Any) -> Any:
        if isinstance(node, Buffer):
            return purged(node, gone)
        return _blanked(node, gone) if isinstance(node, Batch) else node

    return jax.tree.map(without, tree, is_leaf=lambda node: isinstance(node, Buffer | Batch))


def purged(buffer: Buffer, gone: Gone) -> Buffer:
    """Return the buffer without the examples that must go; of those it has met, as large a share counts as gone."""
    weighed = eqx.tree_at(lambda b: b.weight, buffer.examples, jnp.ones(len(buffer)), is_leaf=lambda leaf: leaf is None)
    taken = jnp.arange(len(buffer)) < buffer.filled
    stays = taken & ~gone(weighed)
    order, filled = jnp.argsort(~stays), stays.sum()

    def closed_up(leaf: Array) -> Array:
        return jnp.where(_column(stays[order], leaf), leaf[order], 0).astype(leaf.dtype)

    examples, extra = jax.tree.map(closed_up, (buffer.examples, buffer.extra))
    held, kept = (jnp.zeros_like(buffer.met_of).at[buffer.examples.y].add(mark, mode="drop") for mark in (taken, stays))
    met_of = _in_proportion(buffer.met_of, kept, held)
    return Buffer(
        examples, extra, filled, _in_proportion(buffer.met, filled, buffer.filled), met_of, buffer.ever_largest
    )


def _in_proportion(met: Int[Array, "*n"], kept: Int[Array, "*n"], held: Int[Array, "*n"]) -> Int[Array, "*n"]:
    """Return met · kept / held, rounded; met where all are kept."""
    return jnp.where(kept == held, met, jnp.round(met * (kept / jnp.maximum(held, 1))).astype(met.dtype))


def _blanked(batch: Batch, gone: Gone) -> Batch:
    """Return a batch (of any number of leading axes) with the examples that must go turned into padding."""
    lead = batch.weight.shape
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[len(lead) :]), batch)
    stays = ~gone(flat).reshape(lead)
    return jax.tree.map(lambda leaf: jnp.where(_column(stays, leaf), leaf, 0).astype(leaf.dtype), batch)


def _column(mark: Bool[Array, "..."], leaf: Array) -> Bool[Array, "..."]:
    return mark.reshape(*mark.shape, *[1] * (leaf.ndim - mark.ndim))


def _weightless(batch: Batch) -> Batch:
    return eqx.tree_at(lambda b: b.weight, batch, None)


def _below(bound: Int[Array, " n"], key: PRNGKeyArray) -> Int[Array, " n"]:
    """Return whole numbers in 0 … bound−1 (uniform up to bound/2³²)."""
    return (jax.random.bits(key, bound.shape, jnp.uint32) % bound.astype(jnp.uint32)).astype(jnp.int32)


def _reservoir(buffer: Buffer, batch: Batch, key: PRNGKeyArray) -> tuple[Int[Array, " n"], tuple]:
    """Return slots by algorithm R: the t-th example (from 0) goes to a uniform place among t+1, if that is a slot; while
    there are free slots, into the first of them.
    """
    capacity, offered = len(buffer), batch.weight > 0
    before = jnp.cumsum(offered) - 1
    free, drawn = buffer.filled + before, _below(jnp.maximum(buffer.met + before, 0) + 1, key)
    slots = jnp.where(offered, jnp.where(free < capacity, free, drawn), capacity)
    filled = jnp.minimum(buffer.filled + offered.sum(), capacity)
    return slots, (filled, buffer.met + offered.sum(), buffer.met_of, buffer.ever_largest)


def _by_class(buffer: Buffer, batch: Batch, key: PRNGKeyArray, greedy: bool) -> tuple[Int[Array, " n"], tuple]:
    """Return slots by a policy that looks at the classes held, one example after the other."""
    capacity, classes = len(buffer), len(buffer.met_of)

    def offer(carry, example):
        labels, filled, met, met_of, largest_ever = carry
        y, offered, k = example
        taken = jnp.arange(capacity) < filled
        held = jnp.zeros(classes, jnp.int32).at[labels].add(taken.astype(jnp.int32))
        largest, full = held == held.max(), filled >= capacity
        largest_ever = jnp.where(full, largest_ever | largest.astype(jnp.int32), largest_ever)
        for_victim, for_chance = jax.random.split(k)
        if greedy:
            own = jnp.bool_(False)
            welcome = (met_of[y] == 0) | (held[y] * (met_of > 0).sum() < capacity)
        else:
            own = full & (largest_ever[y] == 1)
            welcome = ~own | (jax.random.uniform(for_chance) < held[y] / (met_of[y] + 1.0))
        among = jnp.where(own, labels == y, largest[labels]) & taken
        victim = jax.random.categorical(for_victim, jnp.where(among, 0.0, -jnp.inf))
        enters, one = offered & welcome, offered.astype(jnp.int32)
        slot = jnp.where(enters, jnp.where(full, victim, filled), capacity)
        labels = labels.at[slot].set(y, mode="drop")
        filled = jnp.minimum(filled + enters, capacity)
        return (labels, filled, met + one, met_of.at[y].add(one), largest_ever), slot

    start = (buffer.examples.y, buffer.filled, buffer.met, buffer.met_of, buffer.ever_largest)
    examples = (batch.y, batch.weight > 0, jax.random.split(key, len(batch)))
    (_, *book), slots = jax.lax.scan(offer, start, examples)
    return slots, tuple(book)
