"""The likelihood of curves in classes: experts say how a class grows, a gate says who belongs to it.

Of person i in class k, factors η ~ N(α_k + B_k x_i, Ψ_k) and scores y ~ N(Λ_i(bend_k) η, θ_k I), so that

    y_i | k ~ N(Λ_i (α_k + B_k x_i), Λ_i Ψ_k Λ_iᵀ + θ_k I),    P(k | z_i) = softmax_k(β_k0 + β_k·z_i),

and ln L = Σ_i ln Σ_k P(k | z_i) p(y_i | k), with all factors integrated out.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._curves import Curves
from ._shapes import Shape

LEAST_NOISE = 1e-6
"""Share of the variance of all scores that is noise at least: less cannot be told in single precision."""


class Growth(NamedTuple):
    """Parameters of all classes, each any real number: bends, α, B, Cholesky factors of Ψ, ln θ, and β but of the first."""

    bend: Float[Any, "*lanes classes"]
    mean: Float[Any, "*lanes classes factors"]
    slope: Float[Any, "*lanes classes factors experts"]
    spread: Float[Any, "*lanes classes entries"]
    noise: Float[Any, "*lanes classes"]
    gate: Float[Any, "*lanes others gates_and_one"]


def cholesky(entries: Float[Array, " entries"], factors: int) -> Float[Array, "factors factors"]:
    """Return the lower triangle with these entries, its diagonal their exponentials."""
    lower = jnp.zeros((factors, factors)).at[np.tril_indices(factors)].set(entries)
    return lower.at[np.diag_indices(factors)].set(jnp.exp(jnp.diagonal(lower)))


def variance(noise: Float[Array, "*classes"]) -> Float[Array, "*classes"]:
    """Return θ, the variance of scores around curves."""
    return LEAST_NOISE + jnp.exp(noise)


def joint(growth: Growth, curves: Curves, shape: Shape) -> Float[Array, "persons classes"]:
    """Return ln P(k | z) + ln p(y | k) of every person and class."""
    experts = (growth.bend, growth.mean, growth.slope, growth.spread, growth.noise)
    density = jax.vmap(partial(_density, curves=curves, shape=shape))(*experts).T
    logits = growth.gate[:, 0] + curves.gate @ growth.gate[:, 1:].T
    return density + jax.nn.log_softmax(jnp.pad(logits, ((0, 0), (1, 0))), axis=-1)


def log_likelihood(growth: Growth, curves: Curves, shape: Shape) -> Float[Array, " persons"]:
    """Return ln p(y) of every person."""
    return jax.scipy.special.logsumexp(joint(growth, curves, shape), axis=-1)


def _density(
    bend: Array, mean: Array, slope: Array, spread: Array, noise: Array, curves: Curves, shape: Shape
) -> Float[Array, " persons"]:
    """Return ln p(y | k) of every person; with A = ΛL, Ψ = LLᵀ, all inverses are of θI + AᵀA, as small as the factors.

    |AAᵀ + θI| = θ^{J−F} |θI + AᵀA|, and rᵀ(AAᵀ + θI)⁻¹r = |r − Am|²/θ + |m|² for m = (θI + AᵀA)⁻¹Aᵀr, a sum of what cannot
    cancel (Woodbury's form loses all digits where θ is small).
    """
    score, factors, theta = curves.score.T, len(mean), variance(noise)
    there = jnp.isfinite(score)
    loadings = jnp.where(there, shape.loadings(curves.time.T, shape.bend(bend)), 0.0)
    expected = ((mean[:, None] + slope @ curves.expert.T)[:, None] * loadings).sum(axis=0)
    residual = jnp.where(there, score, expected) - expected
    moved = (cholesky(spread, factors).T[..., None, None] * loadings).sum(axis=1)
    inner = (moved[:, None] * moved).sum(axis=2) + theta * jnp.eye(factors)[..., None]
    log_inner, own = solved(inner, (moved * residual).sum(axis=1))
    waves = there.sum(axis=0)
    log_determinant = (waves - factors) * jnp.log(theta) + log_inner
    square = ((residual - (own[:, None] * moved).sum(axis=0)) ** 2).sum(axis=0) / theta + (own**2).sum(axis=0)
    return -0.5 * (waves * math.log(2 * math.pi) + log_determinant + square)


def solved(
    matrix: Float[Array, "n n *shape"], vector: Float[Array, "n *shape"]
) -> tuple[Float[Array, "*shape"], Float[Array, "n *shape"]]:
    """Return ln|M| and M⁻¹v of small positive definite matrices, one variable eliminated after the other."""
    if not len(matrix):
        return jnp.zeros(vector.shape[1:]), vector
    pivot, column = matrix[0, 0], matrix[1:, 0]
    share = column / pivot
    log_determinant, rest = solved(matrix[1:, 1:] - share[:, None] * column, vector[1:] - share * vector[0])
    first = (vector[0] - (column * rest).sum(axis=0)) / pivot
    return log_determinant + jnp.log(pivot), jnp.concatenate([first[None], rest])
