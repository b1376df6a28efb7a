"""States of PSI-KT's students, row by row: equations 2 and 3 of the module of the network.

What only traits and times decide is made ready for all rows at once (`way`); what is left for each row is little.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ._tokens import averaged

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
MASS = WEIGHTS / WEIGHTS.sum()
"""Points and masses of E f(x), x standard normal."""


class Traits(NamedTuple):
    """What a student is like: forgetting α, long-run level μ, volatility σ, and γ, how far prerequisites carry."""

    forgetting: Float[Any, "*shape"]
    level: Float[Any, "*shape"]
    volatility: Float[Any, "*shape"]
    transfer: Float[Any, "*shape"]


class Gaussian(NamedTuple):
    """Means and variances of independent numbers."""

    mean: Array
    variance: Array


class Way(NamedTuple):
    """How states move in a row: what they keep, the level they go to, how far it is lifted, the noise; [*shape, 1] each."""

    keep: Float[Array, "*shape one"]
    level: Float[Array, "*shape one"]
    lift: Float[Array, "*shape one"]
    noise: Float[Array, "*shape one"]


def way(traits: Traits, tau: Float[Array, "*shape"]) -> Way:
    """Return what equation 2 needs of traits and of the time since the row before: w, μ, γ, and the noise's variance."""
    alpha, level, sigma, gamma = (one[..., None] for one in traits)
    tau = tau[..., None]
    return Way(jnp.exp(-alpha * tau), level, gamma, -jnp.expm1(-2 * alpha * tau) / (2 * alpha) * sigma**2)


def moved(z: Gaussian, way: Way, lifted: Float[Array, "*shape skills"]) -> Gaussian:
    """Return equation 2 for states known up to z, an Ornstein-Uhlenbeck step; `lifted` is Σᵢ aᵢₖ·zᵢ."""
    target = way.level + way.lift / lifted.shape[-1] * lifted
    mean = way.keep * z.mean + (1 - way.keep) * target
    return Gaussian(mean, way.keep**2 * z.variance + way.noise + 1e-6)


@jax.custom_vjp
def predicted(
    graph: Float[Array, "skills skills"], z: Gaussian, ways: Way, rows: tuple
) -> Float[Array, "length pieces"]:
    """Return P(right) of every row, from states before the first.

    `rows` are their skills, outcomes, whether each says something of the states, and whether each only asks (None: none).
    The gradient towards the graph is one product over all rows, not one a row. What a row computes is computed again on
    the way back, but for its products: keeping it takes longer.
    """
    return walk(graph, z, ways, rows, None)[0]


def walk(graph: Array, z: Gaussian, ways: Way, rows: tuple, added: Array | None) -> tuple[Array, Array]:
    """Return P(right) and what states were expected to be before every row; `added` is added to what lifts them."""

    @partial(jax.checkpoint, prevent_cse=False, policy=jax.checkpoint_policies.dots_saveable)
    def step(z: Gaussian, now: tuple) -> tuple[Gaussian, tuple[Array, Array]]:
        way, (skill, outcome, said, asks), added = now
        lifted = z.mean @ graph
        z_next = moved(z, way, lifted if added is None else lifted + added)
        p, z_seen = answered(z_next, skill, outcome)
        after = choose_moments(said, z_seen, z_next)
        return after if asks is None else choose_moments(asks, z, after), (p, z.mean)

    return jax.lax.scan(step, z, (ways, rows, added))[1]


def _forward(graph: Array, z: Gaussian, ways: Way, rows: tuple) -> tuple[Array, tuple]:
    added = jnp.zeros((len(ways.keep), *z.mean.shape), z.mean.dtype)
    p, back, means = jax.vjp(lambda z, ways, added: walk(graph, z, ways, rows, added), z, ways, added, has_aux=True)
    return p, (back, means)


def _backward(kept: tuple, wanted: Array) -> tuple:
    back, means = kept
    to_z, to_ways, to_lifted = back(wanted)
    return jnp.einsum("tpi,tpk->ik", means, to_lifted), to_z, to_ways, None


predicted.defvjp(_forward, _backward)


def answered(
    z: Gaussian, skill: Int[Array, "pieces slots"], outcome: Int[Array, " pieces"]
) -> tuple[Float[Array, " pieces"], Gaussian]:
    """Return E σ(z) at the skills of a row, in mean over them, and the moments of states given its answer.

    The states of one skill given an answer are not Gaussian; they are taken for one of the same mean and variance. Where a
    row has several skills each is moved as if it had been asked alone.
    """
    picks = jax.nn.one_hot(skill, z.mean.shape[-1], dtype=z.mean.dtype)
    mean, variance = ((one[:, None] * picks).sum(axis=-1) for one in z)
    points = mean[..., None] + jnp.sqrt(variance + 1e-6)[..., None] * NODES
    right = jax.nn.sigmoid(points)
    p = (right * MASS).sum(axis=-1)
    weight = jnp.where(outcome[:, None, None] == 1, right, 1 - right) * MASS
    weight = weight / jnp.maximum(weight.sum(axis=-1, keepdims=True), 1e-6)
    after = (weight * points).sum(axis=-1)
    spread = (weight * (points - after[..., None]) ** 2).sum(axis=-1)
    gain, shrink = ((one[..., None] * picks).sum(axis=1) for one in (after - mean, spread - variance))
    seen = Gaussian(z.mean + gain, jnp.maximum(z.variance + shrink, 1e-6))
    return averaged(p[..., None], skill)[..., 0], seen


def choose(which: Bool[Array, "*shape"], one: Array, other: Array) -> Array:
    """Return `one` where `which` holds and `other` elsewhere; arrays may have more axes than `which`."""
    return jnp.where(which.reshape(which.shape + (1,) * (one.ndim - which.ndim)), one, other)


def choose_moments(which: Bool[Array, "*shape"], one: Gaussian, other: Gaussian) -> Gaussian:
    """Return `choose` for means and variances."""
    return jax.tree.map(lambda a, b: choose(which, a, b), one, other)
