"""Mixtures of Gaussians, fitted by expectation maximisation in fixed shapes, several sizes side by side."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

EPSILON = 10 * float(jnp.finfo(jnp.float32).eps)
"""What is added to the number of points of a component, so that an empty one has a mean."""

ROUNDING = float(jnp.finfo(jnp.float32).eps)
"""The least share of a variance that counts as left over, so that a root is never taken of a rounding error."""


class Gaussians(NamedTuple):
    """A mixture Σ w_k N(μ_k, Σ_k); components of weight 0 are not there."""

    weights: Float[Array, "*sizes k"]
    means: Float[Array, "*sizes k d"]
    covariances: Float[Array, "*sizes k d d"]


def cholesky(covariance: Float[Array, "*k d d"]) -> Float[Array, "*k d d"]:
    """Return L with L·Lᵀ = Σ, column by column: many small matrices at once, without a call to LAPACK for each."""
    columns: list[Array] = []
    for j in range(covariance.shape[-1]):
        rest = covariance[..., :, j]
        for earlier in columns:
            rest = rest - earlier * earlier[..., j : j + 1]
        root = jnp.sqrt(jnp.maximum(rest[..., j : j + 1], ROUNDING * covariance[..., j, j, None]))
        columns.append(jnp.where(jnp.arange(covariance.shape[-1]) >= j, rest / root, 0.0))
    return jnp.stack(columns, -1)


def log_densities(points: Float[Array, "n d"], mixture: Gaussians) -> Float[Array, "k n"]:
    """Return ln w_k + ln N(x; μ_k, Σ_k), −∞ for components that are not there.

    Points run along the last axis here and below: it is long, and components and dimensions are few.
    """
    root, solved = cholesky(mixture.covariances), []
    dims = points.shape[1]
    for j, away in enumerate(_away(points, mixture.means)):
        rest = away - sum((root[:, j, i, None] * solved[i] for i in range(j)), jnp.float32(0))
        solved.append(rest / root[:, j, j, None])
    distance = sum((one**2 for one in solved), jnp.float32(0))
    scale = jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)).sum(-1) + 0.5 * dims * jnp.log(2 * jnp.pi)
    return (jnp.log(mixture.weights) - scale)[:, None] - 0.5 * distance


def maximised(points: Float[Array, "n d"], shares: Float[Array, "k n"], floor: float = 1e-6) -> Gaussians:
    """Return the mixture that points belong to in these shares; `floor` is added to every variance."""
    total, dims = shares.sum(1), points.shape[1]
    counts = total + EPSILON
    means = (shares @ points) / counts[:, None]
    away = _away(points, means)
    of_pairs = {(i, j): (shares * away[i] * away[j]).sum(1) / counts for i in range(dims) for j in range(i + 1)}
    rows = [jnp.stack([of_pairs[max(i, j), min(i, j)] for j in range(dims)], -1) for i in range(dims)]
    there = total > 0
    return Gaussians(
        jnp.where(there, counts / jnp.where(there, counts, 0).sum(), 0.0),
        means,
        jnp.stack(rows, -2) + floor * jnp.eye(dims),
    )


def _away(points: Float[Array, "n d"], means: Float[Array, "k d"]) -> list[Float[Array, "k n"]]:
    """Return how far points are from means, a dimension each."""
    return [row - mean[:, None] for row, mean in zip(points.T, means.T, strict=True)]


def fitted(
    points: Float[Array, "n d"], mixture: Gaussians, *, tolerance: float = 1e-3, most: int = 100
) -> tuple[Gaussians, Float[Array, ""]]:
    """Return the mixture after expectation maximisation, and its log-likelihood.

    It ends when the mean log-likelihood of a point gains less than `tolerance`, or after `most` steps; defaults and the
    floor of variances are those of scikit-learn's GaussianMixture, and so are the steps.
    """

    def log_likelihoods(mixture: Gaussians) -> tuple[Array, Array]:
        joint = log_densities(points, mixture)
        return joint, jax.nn.logsumexp(joint, axis=0)

    def step(carry: tuple[Gaussians, Array, Array, Array]) -> tuple[Gaussians, Array, Array, Array]:
        mixture, before, _, i = carry
        joint, each = log_likelihoods(mixture)
        return maximised(points, jnp.exp(joint - each)), each.mean(), each.mean() - before, i + 1

    def unfinished(carry: tuple[Gaussians, Array, Array, Array]) -> Array:
        return (jnp.abs(carry[2]) >= tolerance) & (carry[3] < most)

    start = (mixture, jnp.float32(-jnp.inf), jnp.float32(jnp.inf), jnp.int32(0))
    mixture = jax.lax.while_loop(unfinished, step, start)[0]
    return mixture, log_likelihoods(mixture)[1].sum()


def spread_out(points: Float[Array, "n d"], k: int, *, key: PRNGKeyArray) -> Float[Array, "k d"]:
    """Return k of the points, each drawn in proportion to its squared distance from those before (k-means++).

    Arthur and Vassilvitskii 2007. The first m of them are the start of m clusters, for every m ≤ k.
    """
    places = jax.random.uniform(key, (k,))

    def add(i: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
        centres, nearest = carry
        ends = jnp.cumsum(nearest)
        chosen = points[jnp.minimum((ends <= places[i] * ends[-1]).sum(), len(points) - 1)]
        return centres.at[i].set(chosen), jnp.minimum(nearest, ((points - chosen) ** 2).sum(1))

    first = points[(places[0] * len(points)).astype(jnp.int32)]
    start = jnp.zeros((k, points.shape[1])).at[0].set(first), ((points - first) ** 2).sum(1)
    return jax.lax.fori_loop(1, k, add, start)[0]


def clustered(
    points: Float[Array, "n d"], centres: Float[Array, "k d"], there: Bool[Array, " k"], *, most: int = 100
) -> Float[Array, "k n"]:
    """Return which cluster every point belongs to, as 0 and 1, after Lloyd's algorithm from these centres."""

    def shares(centres: Array) -> Array:
        distances = sum((away**2 for away in _away(points, centres)), jnp.float32(0))
        nearest = jnp.argmin(jnp.where(there[:, None], distances, jnp.inf), 0)
        return (nearest == jnp.arange(len(centres))[:, None]).astype(jnp.float32)

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        centres, _, i = carry
        belongs = shares(centres)
        counts = belongs.sum(1)[:, None]
        moved = jnp.where(counts > 0, belongs @ points / jnp.maximum(counts, 1), centres)
        return moved, ((moved - centres) ** 2).sum(), i + 1

    still = 1e-4 * points.var(0).mean()
    start = (centres, jnp.float32(jnp.inf), jnp.int32(0))
    return shares(jax.lax.while_loop(lambda carry: (carry[1] > still) & (carry[2] < most), step, start)[0])


def akaike(likelihood: Float[Array, "*n"], k: Int[Array, "*n"], dims: int) -> Float[Array, "*n"]:
    """Return 2·parameters − 2·ln L of mixtures of k components with full covariances; the least is the best."""
    return 2.0 * (k * (dims + dims * (dims + 1) // 2) + k - 1) - 2.0 * likelihood


def best_mixture(points: Float[Array, "n d"], sizes: tuple[int, ...], *, key: PRNGKeyArray) -> Gaussians:
    """Return the mixture of least Akaike criterion among fits of several sizes, padded to the largest."""
    counts = jnp.asarray(sizes)
    centres = spread_out(points, max(sizes), key=key)

    def fit(k: Int[Array, ""]) -> tuple[Gaussians, Float[Array, ""]]:
        return fitted(points, maximised(points, clustered(points, centres, jnp.arange(max(sizes)) < k)))

    mixtures, likelihoods = jax.vmap(fit)(counts)
    criterion = akaike(likelihoods, counts, points.shape[1])
    best = jnp.argmin(jnp.where(jnp.isfinite(criterion), criterion, jnp.inf))
    return jax.tree.map(lambda leaf: leaf[best], mixtures)
