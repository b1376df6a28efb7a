"""A classifier with a second output: a direction in which examples are compared."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput

from ._mlp import linears


class Projected(eqx.Module):
    """A classifier whose features are also projected onto a sphere, for losses that compare examples.

    z(x) = W φ(x) + b, divided by its length; logits, features and head are those of the classifier.

    Args:
        net: called with `key=` it returns a classifier with `features` and a linear `head`, such as
            `Recipe(MLP, inputs=64, outputs=10)`.
        width: how many numbers z has.
        key: draws all weights.
    """

    net: PyTree
    projection: eqx.nn.Linear

    def __init__(self, net: Callable[..., PyTree], width: int = 32, *, key: PRNGKeyArray):
        if width < 1:
            raise BadInput(f"a projection needs at least one number, not width={width}")
        for_net, for_projection = jax.random.split(key)
        self.net = net(key=for_net)
        (self.projection,) = linears([self.net.head.weight.shape[-1], width], [True], key=for_projection)

    @property
    def head(self) -> Any:
        """The classifier's linear head."""
        return self.net.head

    def activations(self, x: Float[Array, "*shape"]) -> list[Float[Array, "units ..."]]:
        """Return what every hidden layer of the classifier makes of one input."""
        return self.net.activations(x)

    def features(self, x: Float[Array, "*shape"]) -> Float[Array, " features"]:
        """Return the classifier's features of one input."""
        return self.net.features(x)

    def project(self, x: Float[Array, "*shape"]) -> Float[Array, " width"]:
        """Return z, of length 1."""
        z = self.projection(self.features(x))
        return z / jnp.sqrt((z**2).sum() + 1e-12)

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one input."""
        return self.net(x)
