"""Multilayer perceptrons with batch normalisation: nets of whole batches, not of single examples."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput

from ._mlp import linears

Moments = list[Float[Array, "2 _"]]
"""Mean and variance of every hidden unit before it is normalised, layer by layer."""

EPSILON = 1e-5


def moments_of(h: Float[Array, "*places units"]) -> Float[Array, "2 units"]:
    """Return mean and variance of every unit, over all places it is at: examples, and positions in an image."""
    places = tuple(range(h.ndim - 1))
    return jnp.stack([h.mean(places), h.var(places)])


def normalised(
    h: Float[Array, "*places units"],
    moments: Float[Array, "2 units"],
    scale: Float[Array, " units"],
    shift: Float[Array, " units"],
    epsilon: float,
) -> Float[Array, "*places units"]:
    """Return γ (h − μ) / √(σ² + ε) + β, unit by unit."""
    mean, variance = moments
    return scale * (h - mean) / jnp.sqrt(variance + epsilon) + shift


class NormedMLP(eqx.Module):
    """A perceptron whose hidden layers are normalised over the batch: h_l = relu( γ_l (W_l h_{l−1} − μ) / √(σ² + ε) + β_l ).

    μ and σ² are those of the batch at hand while it learns; for answers that do not depend on who else is asked, give
    `moments` kept of earlier batches. A bias before the normalisation would be without effect, so hidden layers have none;
    the last layer is linear with a bias. Without hidden layers it is that layer alone (Ioffe and Szegedy 2015, "Batch
    Normalization", algorithm 1, ε = 10⁻⁵).

    Args:
        inputs, outputs: numbers in an input (flattened), in an output.
        width: units of every hidden layer.
        epsilon: ε.
        key: draws the weights, uniform in ±1/√fan_in.

    Raises BadInput for sizes below 1.
    """

    layers: list[eqx.nn.Linear]
    scales: list[Float[Array, " width"]]
    shifts: list[Float[Array, " width"]]
    epsilon: float = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: tuple[int, ...] = (64,),
        epsilon: float = EPSILON,
        *,
        key: PRNGKeyArray,
    ):
        if min(inputs, outputs, *width, 1) < 1:
            raise BadInput(f"a perceptron needs positive sizes: inputs={inputs}, outputs={outputs}, width={width}")
        self.layers = linears([inputs, *width, outputs], [False] * len(width) + [True], key=key)
        self.scales, self.shifts = [jnp.ones(w) for w in width], [jnp.zeros(w) for w in width]
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, "n *shape"], moments: Moments | None = None) -> Float[Array, "n outputs"]:
        """Return the outputs of a batch, normalised by its own moments unless others are given."""
        return self._pass(x, moments)[0]

    def moments(self, x: Float[Array, "n *shape"]) -> Moments:
        """Return the moments of a batch, layer by layer."""
        return self._pass(x, None)[1]

    def _pass(self, x: Float[Array, "n *shape"], given: Moments | None) -> tuple[Float[Array, "n outputs"], Moments]:
        h, found = x.reshape(len(x), -1), []
        for i, (scale, shift) in enumerate(zip(self.scales, self.shifts, strict=True)):
            h = h @ self.layers[i].weight.T
            found.append(moments_of(h) if given is None else given[i])
            h = jax.nn.relu(normalised(h, found[-1], scale, shift, self.epsilon))
        return jax.vmap(self.layers[-1])(h), found
