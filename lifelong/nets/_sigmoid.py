"""Networks of sigmoids in every layer, as forward-only rules learn them."""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput


class SigmoidNet(eqx.Module):
    """Layers of sigmoids, the last one too: knowledge z_l = W_l d_{l−1} + b_l, decision d_l = 1/(1 + e^(−z_l)), d_0 = x.

    Args:
        sizes: units of the input and of every layer; the last are the outputs.
        spread: standard deviation of the weights, which are normal; biases are 0. 0.01 as in the code of Mahi 2025,
            "The Principle of Entropic Least Action in Forward-Only Neural Learning".
        key: draws the weights.

    Raises `BadInput` without a layer, or for sizes below 1.
    """

    weights: tuple[Float[Array, "units below"], ...]
    biases: tuple[Float[Array, " units"], ...]

    def __init__(self, sizes: tuple[int, ...], spread: Float[Array, ""] | float = 0.01, *, key: PRNGKeyArray):
        if len(sizes) < 2 or min(sizes) < 1:
            raise BadInput(f"a network needs an input and a layer of at least one unit each, and sizes={sizes}")
        keys = jax.random.split(key, len(sizes) - 1)
        self.weights = tuple(
            spread * jax.random.normal(k, (units, below))
            for k, (below, units) in zip(keys, pairwise(sizes), strict=True)
        )
        self.biases = tuple(jnp.zeros(units) for units in sizes[1:])

    def knowledge(self, x: Float[Array, "*shape"]) -> list[Float[Array, " units"]]:
        """Return z_l of every layer for one input."""
        below, made = x.reshape(-1), []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            made.append(weight @ below + bias)
            below = jax.nn.sigmoid(made[-1])
        return made

    def activations(self, x: Float[Array, "*shape"]) -> list[Float[Array, " units"]]:
        """Return the decisions d_l of every layer for one input."""
        return [jax.nn.sigmoid(z) for z in self.knowledge(x)]

    def features(self, x: Float[Array, "*shape"]) -> Float[Array, " units"]:
        """Return the decisions of the last layer below the output."""
        return [x.reshape(-1), *self.activations(x)][-2]

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the decisions of the last layer."""
        return self.activations(x)[-1]
