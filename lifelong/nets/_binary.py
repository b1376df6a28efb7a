"""Networks of binary weights ±1, learned through real numbers that stand behind them."""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput


def signs(fields: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the likeliest binary weights, 1 where the field is 0 or more and −1 elsewhere."""
    return jnp.where(fields >= 0, 1.0, -1.0)


def straight_signs(weights: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return signs whose gradient is handed straight through to the real weights behind them."""
    return weights + jax.lax.stop_gradient(signs(weights) - weights)


def field_moments(
    fields: Float[Array, "outputs inputs"], x: Float[Array, " inputs"]
) -> tuple[Float[Array, " outputs"], Float[Array, " outputs"]]:
    """Return mean and variance of w·x for independent weights w = ±1 with q(w) ∝ exp(θ w): m·x and Σ (1 − m²) x².

    m = tanh θ is the mean weight. Sums of many such terms are nearly Gaussian.
    """
    mean = jnp.tanh(fields)
    return mean @ x, (1 - mean**2) @ x**2


class BinaryPerceptron(eqx.Module):
    """One unit of binary weights over N inputs of ±1, known by their fields: q(w_i) ∝ exp(θ_i w_i).

    It answers one of two classes by the sign of Σ_i sign(θ_i) x_i; logits are (−h, h) with h = Σ_i sign(θ_i) x_i / √N.

    Args:
        inputs: N.
        key: draws the fields from a standard normal distribution.
    """

    fields: Float[Array, " inputs"]

    def __init__(self, inputs: int, *, key: PRNGKeyArray):
        if inputs < 1:
            raise BadInput(f"a perceptron needs at least one input, not {inputs}")
        self.fields = jax.random.normal(key, (inputs,))

    def moments(self, x: Float[Array, " inputs"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return mean and variance of w·x over the uncertain weights: m·x with m = tanh θ, and Σ (1 − m²), as x² = 1."""
        mean = jnp.tanh(self.fields)
        return mean @ x, (1 - mean**2).sum()

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " 2"]:
        """Return the logits of the two classes under the likeliest weights."""
        h = signs(self.fields) @ x / math.sqrt(len(self.fields))
        return jnp.stack([-h, h])


class BinaryMLP(eqx.Module):
    """A multilayer perceptron with binary weights and rectifiers; every layer divides its sums by √inputs.

    'fields': q(w) ∝ exp(θ w) for every weight. Given a key, each preactivation is drawn from the Gaussian with its mean
    and variance, whose gradient in θ is that of the reparameterised draw (Li et al. 2022, "Statistical mechanics of
    continual learning", Gaussian approximation of hidden layers). 'straight': the forward pass uses signs and the gradient
    goes straight through them. Without a key both answer by their signs.

    Args:
        inputs, outputs, width, depth: sizes, as in `MLP`; there are no bias terms.
        weights: 'fields' or 'straight'.
        spread: standard deviation of the first fields.
        key: draws them.
    """

    fields: list[Float[Array, "outputs inputs"]]
    weights: Literal["fields", "straight"] = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 100,
        depth: int = 1,
        weights: Literal["fields", "straight"] = "fields",
        spread: float | Array = 1.0,
        *,
        key: PRNGKeyArray,
    ):
        if min(inputs, outputs, width) < 1 or depth < 0:
            raise BadInput(f"a binary net needs positive sizes: {inputs=}, {outputs=}, {width=}, {depth=}")
        if weights not in ("fields", "straight"):
            raise BadInput(f"binary weights are learned through 'fields' or 'straight', not '{weights}'")
        sizes = [inputs, *[width] * depth, outputs]
        keys = jax.random.split(key, depth + 1)
        shapes = zip(sizes[1:], sizes, strict=False)
        self.fields = [spread * jax.random.normal(k, shape) for k, shape in zip(keys, shapes, strict=True)]
        self.weights = weights

    def __call__(self, x: Float[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, " outputs"]:
        """Return the logits of one input: one draw of them where weights are uncertain and a key is given."""
        x = x.reshape(-1)
        for i, fields in enumerate(self.fields):
            x = jax.nn.relu(x) if i else x
            x = self._layer(fields, x, None if key is None else jax.random.fold_in(key, i))
        return x

    def _layer(self, fields: Array, x: Array, key: PRNGKeyArray | None) -> Array:
        if self.weights == "straight":
            total = straight_signs(fields) @ x
        elif key is None:
            total = signs(fields) @ x
        else:
            mean, variance = field_moments(fields, x)
            total = mean + jnp.sqrt(variance + 1e-9) * jax.random.normal(key, mean.shape)
        return total / math.sqrt(len(x))
