"""What networks read and are asked, in numbers: answers at skills as rows of tables."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.nets import lookup

from ._rows import Rows

ANSWERS = 3
"""What a row can say: wrong, right, or nothing (it was studied, or its outcome is hidden)."""


class Table(eqx.Module):
    """Vectors for names, each a shared one and its own; that of the last code, which stands for new names, is shared alone.

    New names never occur in training, so what is their own stays 0.
    """

    shared: Float[Array, " width"]
    own: Float[Array, "names width"]

    def __init__(self, names: int, width: int, scale: float | None = None, *, key: PRNGKeyArray):
        drawn = jax.random.uniform(key, (names, width), minval=-1.0)
        drawn = drawn * (1 / math.sqrt(width) if scale is None else scale)
        self.shared, self.own = drawn[-1], drawn.at[-1].set(0.0)

    def __call__(self, code: Int[Array, "*shape"]) -> Float[Array, "*shape width"]:
        """Return the vectors of codes, 0 where a code is −1."""
        found = lookup(self.shared + self.own, jnp.maximum(code, 0))
        return jnp.where((code >= 0)[..., None], found, 0.0)


class Answers(eqx.Module):
    """Vectors for answers at skills; a row of several skills has the mean of theirs."""

    wrong: Table
    right: Table
    nothing: Table

    def __init__(self, skills: int, width: int, *, key: PRNGKeyArray):
        self.wrong, self.right, self.nothing = (Table(skills, width, key=one) for one in jax.random.split(key, 3))

    def __call__(
        self,
        skill: Int[Array, "*shape slots"],
        outcome: Int[Array, "*shape"],
        bias: Float[Array, " width"] | float = 0.0,
    ) -> Float[Array, "*shape width"]:
        """Return the vector of every row, plus a bias."""
        tables = (self.wrong, self.right, self.nothing)
        table = jnp.concatenate([one.shared + one.own for one in tables]) + bias
        answer = jnp.where(outcome < 0, 2, outcome)[..., None]
        return mean_row(table, answer * len(self.wrong.own) + jnp.maximum(skill, 0), skill)


def mean_row(
    table: Float[Array, "rows width"], place: Int[Array, "*shape slots"], skill: Int[Array, "*shape slots"]
) -> Float[Array, "*shape width"]:
    """Return the mean of the rows of a table at places, over the skills of every row."""
    if place.shape[-1] == 1:
        return lookup(table, place[..., 0])
    return averaged(lookup(table, place), skill)


def averaged(
    of_skill: Float[Array, "*shape slots width"], skill: Int[Array, "*shape slots"]
) -> Float[Array, "*shape width"]:
    """Return the mean over the skills of every row of what belongs to each."""
    if skill.shape[-1] == 1:
        return of_skill[..., 0, :]
    used = (skill >= 0)[..., None]
    return jnp.where(used, of_skill, 0.0).sum(axis=-2) / jnp.maximum(used.sum(axis=-2), 1)


def turned(rows: Rows) -> Rows:
    """Return rows with time first: [length, pieces, …]."""
    swap = lambda column: None if column is None else jnp.swapaxes(jnp.asarray(column), 0, 1)  # noqa: E731
    return rows._replace(
        skill=swap(rows.skill),
        item=swap(rows.item),
        outcome=swap(rows.outcome),
        time=swap(rows.time),
        asks=swap(rows.asks),
    )


def delayed(states: Float[Array, "length *shape"]) -> Float[Array, "length *shape"]:
    """Return what was known before every row: the states one row later, zeros first."""
    return jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]])
