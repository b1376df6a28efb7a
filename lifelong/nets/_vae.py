"""Variational autoencoders: networks that can dream up examples and say how likely one is."""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput

from ._mlp import linears

Likelihood = Literal["bernoulli", "gaussian"]
"""What a decoded z says of an example: 'bernoulli' the probability of every number, which must lie in 0 … 1; 'gaussian'
its mean, with variance 1."""


class VAE(eqx.Module):
    """A variational autoencoder of two perceptrons: q(z|x) = N(μ(x), σ²(x)), p(z) = N(0, 1), and p(x|z) from a decoder.

    The encoder has `depth` hidden layers of `width` rectified units, the decoder the same in reverse; neither changes the
    shape of what comes in and out. The defaults are van de Ven's for Split-MNIST: 2 × 400 units, z of 100 (van de Ven et
    al. 2022, "Three types of incremental learning", methods).

    Args:
        shape: the shape of one example.
        latent: how many numbers z has.
        width, depth: hidden units per layer, hidden layers.
        likelihood: what the decoder's outputs mean; 'bernoulli' is for numbers in 0 … 1, and has no lower bound elsewhere.
        key: draws the weights, uniform in ±1/√fan_in.
    """

    encoder: list[eqx.nn.Linear]
    decoder: list[eqx.nn.Linear]
    shape: tuple[int, ...] = eqx.field(static=True)
    likelihood: Likelihood = eqx.field(static=True)

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int = 100,
        width: int = 400,
        depth: int = 2,
        likelihood: Likelihood = "bernoulli",
        *,
        key: PRNGKeyArray,
    ):
        inputs = math.prod(shape)
        if min(inputs, latent, width) < 1 or depth < 0:
            raise BadInput(
                f"an autoencoder needs positive sizes: shape={shape}, latent={latent}, width={width}, depth={depth}"
            )
        if likelihood not in ("bernoulli", "gaussian"):
            raise BadInput(f"the likelihood must be 'bernoulli' or 'gaussian', not '{likelihood}'")
        for_encoder, for_decoder = jax.random.split(key)
        biases, hidden = [True] * (depth + 1), [width] * depth
        self.encoder = linears([inputs, *hidden, 2 * latent], biases, key=for_encoder)
        self.decoder = linears([latent, *hidden, inputs], biases, key=for_decoder)
        self.shape, self.likelihood = tuple(shape), likelihood

    @property
    def latent(self) -> int:
        """How many numbers z has."""
        return self.decoder[0].weight.shape[-1]

    def encode(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, " latent"], Float[Array, " latent"]]:
        """Return the mean of q(z|x) and the logarithm of its variance for one example."""
        mean, log_variance = jnp.split(_through(self.encoder, x.reshape(-1)), 2)
        return mean, log_variance

    def decode(self, z: Float[Array, " latent"]) -> Float[Array, "*shape"]:
        """Return the mean of p(x|z)."""
        output = _through(self.decoder, z).reshape(self.shape)
        return jax.nn.sigmoid(output) if self.likelihood == "bernoulli" else output

    def sample(self, n: int, *, key: PRNGKeyArray) -> Float[Array, "n *shape"]:
        """Return `n` examples: the means of p(x|z) for z drawn from p(z)."""
        return jax.vmap(self.decode)(jax.random.normal(key, (n, self.latent)))

    def log_density(
        self, x: Float[Array, "*shape"], z: Float[Array, " latent"], likelihood: Likelihood | None = None
    ) -> Float[Array, ""]:
        """Return log p(x|z) in nats, without the constants of a Gaussian; its likelihood is the VAE's unless stated."""
        if (likelihood or self.likelihood) == "gaussian":
            return -0.5 * ((x - self.decode(z)) ** 2).sum()
        return -optax.sigmoid_binary_cross_entropy(_through(self.decoder, z), x.reshape(-1)).sum()


def divergence_from_prior(
    mean: Float[Array, "*n latent"], log_variance: Float[Array, "*n latent"]
) -> Float[Array, "*n"]:
    """Return KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ (μ² + σ² − 1 − log σ²), summed over z (Kingma and Welling 2014, appendix B)."""
    return 0.5 * (mean**2 + jnp.exp(log_variance) - 1 - log_variance).sum(-1)


def negative_elbo(vae: VAE, x: Float[Array, "n *shape"], *, key: PRNGKeyArray) -> Float[Array, " n"]:
    """Return KL(q(z|x) ‖ p(z)) − log p(x|z) for every example, in nats, with one z drawn from q(z|x) each.

    Its mean over draws is an upper bound of −log p(x), up to the constants that `log_density` leaves out.
    """
    mean, log_variance = jax.vmap(vae.encode)(x)
    z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    return divergence_from_prior(mean, log_variance) - jax.vmap(vae.log_density)(x, z)


def log_evidence(
    vae: VAE, x: Float[Array, "n *shape"], noise: Float[Array, "samples latent"], likelihood: Likelihood | None = None
) -> Float[Array, " n"]:
    """Return log p(x) for every example, up to constants, by importance sampling.

    log p(x) ≈ log mean_s p(x|z_s) p(z_s) / q(z_s|x) with z_s = μ(x) + σ(x)·ε_s and ε_s the rows of `noise`, standard normal
    (Burda et al. 2016, "Importance Weighted Autoencoders", equation 8). All examples share the noise.
    """
    mean, log_variance = jax.vmap(vae.encode)(x)

    def weigh(total: Array, epsilon: Float[Array, " latent"]) -> tuple[Array, None]:
        z = mean + jnp.exp(0.5 * log_variance) * epsilon
        density = jax.vmap(lambda x, z: vae.log_density(x, z, likelihood))(x, z)
        ratio = 0.5 * (log_variance + epsilon**2 - z**2).sum(-1)
        return jnp.logaddexp(total, density + ratio), None

    total, _ = jax.lax.scan(weigh, jnp.full(len(x), -jnp.inf), noise)
    return total - math.log(len(noise))


def _through(layers: list[eqx.nn.Linear], x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
    for layer in layers[:-1]:
        x = jax.nn.relu(layer(x))
    return layers[-1](x)
