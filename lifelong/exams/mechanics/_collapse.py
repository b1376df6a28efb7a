"""The shape of features: neural collapse."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Collapse(NamedTuple):
    """Neural collapse of features (Papyan, Han and Donoho 2020): how far within-class spread has gone and means are a simplex.

    `within` is the trace of the covariance within classes over that between class means; `norms` the standard deviation
    of the centred class means' lengths over their mean; `cosines` the cosine of every pair of centred class means, which
    a simplex has at −1/(C−1).
    """

    within: Float[Array, ""]
    norms: Float[Array, ""]
    cosines: Float[Array, " pairs"]


def neural_collapse(features: Float[Array, "n units"], y: Int[Array, " n"], classes: int) -> Collapse:
    """Return the collapse of features whose classes are y; every class must be there."""
    member = jax.nn.one_hot(y, classes)
    means = member.T @ features / member.sum(0)[:, None]
    centred = means - means.mean(0)
    within = ((features - means[y]) ** 2).sum() / len(y)
    lengths = jnp.linalg.norm(centred, axis=1)
    unit = centred / lengths[:, None]
    pairs = jnp.triu_indices(classes, 1)
    between = (lengths**2).mean()
    return Collapse(within / between, lengths.std() / lengths.mean(), (unit @ unit.T)[pairs])
