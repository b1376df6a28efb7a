"""Sparse features of many rows, and the two products that fitting needs, compiled for many lanes at once."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

BLOCK = 16
"""Entries of one column that are added up together; a column has as many blocks as it needs."""


class Features(NamedTuple):
    """Some entries of every row: the columns they are in, from 0 to `columns` − 1, and their values."""

    index: Int[np.ndarray, "rows entries"]
    value: Float[np.ndarray, "rows entries"]
    columns: int

    def times(self, weights: Float[np.ndarray, " columns"]) -> Float[np.ndarray, " rows"]:
        """Return Σⱼ value·weight of every row."""
        return np.einsum("rj,rj->r", self.value, np.asarray(weights, np.float64)[self.index])


def beside(*parts: Features) -> Features:
    """Return the features of all parts, each in columns of its own."""
    starts = np.cumsum([0, *(part.columns for part in parts)])
    index = np.concatenate([part.index + start for part, start in zip(parts, starts, strict=False)], axis=1)
    value = np.concatenate([part.value for part in parts], axis=1)
    return Features(index, value, int(starts[-1]))


def one_of(codes: Int[np.ndarray, " rows"], columns: int, value: Float[np.ndarray, " rows"] | None = None) -> Features:
    """Return one entry a row, in the column of its code, 1 unless a value is given."""
    ones = np.ones(len(codes)) if value is None else value
    return Features(codes[:, None], ones[:, None], columns)


def several_of(
    codes: Int[np.ndarray, "rows width"], columns: int, value: Float[np.ndarray, "rows width"] | None = None
) -> Features:
    """Return one entry for each skill of a row, in its column; padded places count nothing."""
    used = (codes >= 0).astype(np.float64)
    return Features(np.maximum(codes, 0), used if value is None else used * value, columns)


class Design(NamedTuple):
    """Features for compiled fits: entry by entry, and the same again column by column, in blocks.

    Blocks hold places of entries in the flattened `index`, the place after the last where padded; `column` [blocks]
    says whose they are, and `row` which rows they are in. A product of the transpose becomes sums over blocks instead
    of scattered additions. On the CPU, XLA gathers fastest with one index array at a time and no check of bounds.
    """

    index: Int[Array, "entries rows"]
    value: Float[Array, "entries rows 1"]
    place: Int[Array, "block blocks"]
    row: Int[Array, "block blocks"]
    column: Int[Array, " blocks"]
    weights: Float[Array, " columns"]
    """Zeros, as many as there are columns."""

    @classmethod
    def of(cls, features: Features) -> "Design":
        """Arrange features."""
        flat = features.index.T.ravel()
        order = np.argsort(flat, kind="stable")
        order = order[features.value.T.ravel()[order] != 0]
        ends = np.cumsum(np.bincount(flat[order], minlength=features.columns))
        counts = np.diff(ends, prepend=0)
        blocks = -(-counts // BLOCK)
        column = np.repeat(np.arange(features.columns), blocks)
        places = np.repeat(ends - counts, blocks) + BLOCK * _within(blocks) + np.arange(BLOCK)[:, None]
        inside = places < ends[column]
        place = np.where(inside, order[np.where(inside, places, 0)], len(flat))
        row = np.where(inside, place % len(features.index), 0)
        index, value = features.index.T, features.value.T[..., None]
        return cls(
            index=jnp.asarray(index, jnp.int32),
            value=jnp.asarray(value, jnp.float32),
            place=jnp.asarray(place, jnp.int32),
            row=jnp.asarray(row, jnp.int32),
            column=jnp.asarray(column, jnp.int32),
            weights=jnp.zeros(features.columns),
        )

    def times(
        self, weights: Float[Array, "columns lanes"], value: Float[Array, "entries rows value_lanes"]
    ) -> Float[Array, "rows lanes"]:
        """Return the product of entries of these values with weights."""
        return _added(lambda index, value: _at(weights, index) * value, (self.index, value))

    def transposed(
        self, rows: Float[Array, "rows lanes"], value: Float[Array, "entries rows value_lanes"]
    ) -> Float[Array, "columns lanes"]:
        """Return the product of the transpose with one number a row."""
        flat = jnp.concatenate([value.reshape(-1, value.shape[-1]), jnp.zeros((1, value.shape[-1]))])
        sums = _added(lambda place, row: _at(flat, place) * _at(rows, row), (self.place, self.row))
        return jax.ops.segment_sum(sums, self.column, len(self.weights), indices_are_sorted=True)


def _added(term: Callable[..., Array], along: tuple[Array, Array]) -> Array:
    """Return the sum of a term over the first axis of some arrays, one after the other."""
    first = term(*(values[0] for values in along))
    rest = tuple(values[1:] for values in along)
    return jax.lax.scan(lambda total, values: (total + term(*values), None), first, rest)[0]


def _at(table: Float[Array, "rows lanes"], index: Int[Array, " places"]) -> Float[Array, "places lanes"]:
    return table.at[index].get(mode="promise_in_bounds")


def _within(sizes: Int[np.ndarray, " groups"]) -> Int[np.ndarray, " members"]:
    """Return 0, 1, 2 … within each of some groups laid one after the other."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
