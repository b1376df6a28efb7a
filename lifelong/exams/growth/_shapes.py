"""Shapes of curves: what a person's factors add up to over time, given where or how fast the curve of a class bends."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

EARLIEST, LATEST = 0.1, 0.9
"""Knots lie between these shares of the time that is seen; outside, one of the slopes has next to no scores."""


class Shape(NamedTuple):
    """A curve that is linear in the factors of a person: score = loadings(time, bend) · factors.

    `bend` maps any real number to the bend of a class; `loadings` gives [factors, *shape]; `natural` the matrix that makes
    of the factors those that have names. `powers` and `bend_power` are how they change with the unit of time.
    """

    factors: tuple[str, ...]
    bent: str
    bend: Callable[[Float[Array, ""]], Float[Array, ""]]
    loadings: Callable[[Float[Array, "*shape"], Float[Array, ""]], Float[Array, "factors *shape"]]
    natural: Callable[[Float[Array, ""]], Float[Array, "factors factors"]]
    powers: tuple[int, ...]
    bend_power: int


def _around_knot(time: Array, knot: Array) -> Array:
    since = time - knot
    return jnp.stack([jnp.ones_like(since), since, jnp.abs(since)])


def _lines(knot: Array) -> Array:
    zero, one = jnp.zeros_like(knot), jnp.ones_like(knot)
    return jnp.stack([one, -knot, knot, zero, one, -one, zero, one, one]).reshape(3, 3)


def _approach(time: Array, rate: Array) -> Array:
    return jnp.stack([jnp.ones_like(time), -jnp.expm1(-rate * time)])


SHAPES = {
    "bilinear": Shape(
        ("intercept", "first slope", "second slope"),
        "knot",
        lambda raw: EARLIEST + (LATEST - EARLIEST) * jax.nn.sigmoid(raw),
        _around_knot,
        _lines,
        (0, 1, 1),
        -1,
    ),
    "exponential": Shape(
        ("intercept", "gain"), "rate", lambda raw: 3 * jnp.exp(raw), _approach, lambda rate: jnp.eye(2), (0, 0), 1
    ),
}
"""Two lines that meet at a knot (fitted by their level at the knot and half the sum and difference of their slopes), and an
exponential approach, intercept + gain·(1 − e^{−rate·time})."""
