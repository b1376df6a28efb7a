"""Learning from labels with weights that are not certain."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.worlds import Batch

from ._labels import Info, cross_entropy_of, weighted_mean


def log_tail(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return ln H(x), H(x) = ½ erfc(x/√2) the probability that a standard normal number exceeds x; no x is too large."""
    return log_ndtr(-x)


def log_mills(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return ln(φ(x)/H(x)), the log of minus the slope of ln H; it approaches ln x for large x."""
    return -0.5 * x**2 - 0.5 * math.log(2 * math.pi) - log_tail(x)


class FieldEnergy(eqx.Module):
    """How unlikely the labels 0 and 1 are under a unit of uncertain weights, summed over the examples:

        E(θ) = −Σ_μ w_μ ln H(−y_μ ⟨h_μ⟩ / √Var h_μ),    y = ±1,

    with the mean and variance of the preactivation that the model's `moments(x)` returns (Li et al. 2022, "Statistical
    mechanics of continual learning"). A sum, not a mean: a prior over weights counts once, not once an example.
    """

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the energy of a batch, and as information its mean and the share of labels likelier than not."""
        mean, variance = jax.vmap(model.moments)(experience.x)
        margin = (2 * experience.y - 1) * mean / jnp.sqrt(variance + 1e-9)
        loss = -experience.weight * log_tail(-margin)
        right = weighted_mean((margin > 0).astype(jnp.float32), experience.weight)
        return loss.sum(), {"loss": weighted_mean(loss, experience.weight), "accuracy": right}


class SampledCrossEntropy(eqx.Module):
    """Cross-entropy of one draw of the logits for every example: for models that take a `key` and answer by chance."""

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of a batch, its value and the accuracy of the draws."""
        keys = jax.random.split(key, len(experience))
        logits = jax.vmap(lambda x, k: model(x, key=k))(experience.x, keys)
        return cross_entropy_of(logits, experience)
