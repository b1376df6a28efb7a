"""Laws of training: deep linear networks mode by mode, and power laws."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from lifelong.errors import BadInput

Matrix = Float[Array, "rows columns"] | Float[np.ndarray, "rows columns"]


def mode_strength(time: ArrayLike, s: ArrayLike, start: ArrayLike) -> Float[Array, "..."]:
    """Return a(t) = s / (1 + (s/a₀ − 1) e^(−2st)), the strength of one mode of a two-layer linear network.

    It solves da/dt = 2a(s − a), which holds under gradient flow of ½ E‖y − W₂W₁x‖² for whitened inputs and balanced,
    aligned weights; t is the learning rate times the steps (Saxe et al. 2014, "Exact solutions to the nonlinear dynamics
    of learning in deep linear neural networks").
    """
    s, start = jnp.asarray(s), jnp.asarray(start)
    return s / (1 + (s / start - 1) * jnp.exp(-2 * jnp.asarray(s) * time))


def half_time(s: float, start: float) -> float:
    """Return ln(s/a₀ − 1) / (2s), when a mode is half learned."""
    return float(np.log(s / start - 1) / (2 * s))


def conserved(first: Matrix, second: Matrix) -> Matrix:
    """Return W₁W₁ᵀ − W₂ᵀW₂, which gradient flow leaves as it is in a linear network, and descent up to O(η)."""
    return first @ first.T - second.T @ second


class PowerLaw(NamedTuple):
    """y = scale · n^(−exponent)."""

    scale: float
    exponent: float

    def __call__(self, n: ArrayLike) -> Float[np.ndarray, "..."]:
        """Return what the law says at n."""
        return self.scale * np.asarray(n, float) ** -self.exponent


def fit_power_law(n: ArrayLike, y: ArrayLike) -> PowerLaw:
    """Return the power law through points, by least squares of logarithms; extrapolate it only to sizes left out.

    Raises `BadInput` for fewer than two sizes, and for values that are not positive.
    """
    sizes, values = np.asarray(n, float), np.asarray(y, float)
    positive = (sizes > 0).all() and (values > 0).all()
    if sizes.shape != values.shape or len(np.unique(sizes)) < 2 or not positive:
        raise BadInput(f"a power law needs positive values at two sizes or more, not y={y} at n={n}")
    slope, offset = np.polyfit(np.log(sizes), np.log(values), 1)
    return PowerLaw(float(np.exp(offset)), float(-slope))
