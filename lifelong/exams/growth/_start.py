"""Where fits start: persons clustered by factors of their own, at bends drawn at random."""

import warnings

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.cluster.vq import kmeans2

from lifelong.errors import BadInput

from ._curves import Curves
from ._likelihood import Growth
from ._shapes import Shape

LEAST = 0.05
"""Variances start no smaller than this, in units of all scores' variance."""


def start(curves: Curves, classes: int, shape: Shape, random: np.random.Generator) -> Growth:
    """Return a start: persons clustered by factors of their own, classes with the moments of their clusters.

    Raises:
        BadInput: fewer persons than the moments of so many classes need.
    """
    bend = random.normal(size=classes).astype(np.float32)
    factors = len(shape.factors)
    if len(curves.score) < classes * (factors + 1):
        raise BadInput(
            f"{classes} classes need {classes * (factors + 1)} persons at least, and there are {len(curves.score)}"
        )
    own = _own_factors(curves, shape, bend.mean())
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of a cluster that is empty, which is no harm
        label = kmeans2(own / own.std(axis=0), classes, minit="++", rng=random)[1]
    share = np.log(np.bincount(label, minlength=classes) + 1.0)
    moments = [_moments(_own_factors(curves, shape, b)[label == k]) for k, b in enumerate(bend)]
    return Growth(
        bend=bend,
        mean=np.stack([mean for mean, _ in moments]),
        slope=np.zeros((classes, factors, curves.expert.shape[1]), np.float32),
        spread=np.stack([spread for _, spread in moments]),
        noise=np.full(classes, np.log(LEAST), np.float32),
        gate=np.pad((share[1:] - share[0]).astype(np.float32)[:, None], ((0, 0), (0, curves.gate.shape[1]))),
    )


def _own_factors(curves: Curves, shape: Shape, bend: float | np.floating) -> Float[np.ndarray, "persons factors"]:
    """Return what fits every person's scores best by least squares, with a little weight on 0."""
    there = np.isfinite(curves.score)
    loadings = np.where(there, np.asarray(shape.loadings(jnp.asarray(curves.time), shape.bend(jnp.asarray(bend)))), 0.0)
    inner = np.einsum("fnj,gnj->nfg", loadings, loadings) + LEAST * np.eye(len(loadings))
    moved = np.einsum("fnj,nj->nf", loadings, np.where(there, curves.score, 0.0))
    return np.linalg.solve(inner, moved[..., None])[..., 0].astype(np.float32)


def _moments(own: Float[np.ndarray, "persons factors"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean, and the entries of the Cholesky factor of the covariance; those of nobody are 0 and small."""
    factors = own.shape[1]
    covariance = np.cov(own.T) if len(own) > factors else np.zeros((factors, factors))
    lower = np.linalg.cholesky(covariance + LEAST * np.eye(factors))
    np.fill_diagonal(lower, np.log(np.diagonal(lower)))
    mean = own.mean(axis=0) if len(own) else np.zeros(factors)
    return mean.astype(np.float32), lower[np.tril_indices(factors)].astype(np.float32)
