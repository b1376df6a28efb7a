"""How learning rates scale with width: the maximal-update parametrisation for any Optax optimizer."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree


class Widths(NamedTuple):
    """What width does to a network of dense layers under Adam: multipliers of the hidden layers' learning rate and of
    the readout, and of the readout's initial standard deviation 1/√fan_in.
    """

    hidden_rate: float
    readout: float
    spread: float

    @classmethod
    def standard(cls) -> "Widths":
        """Leave everything as it is."""
        return cls(1.0, 1.0, 1.0)

    @classmethod
    def maximal_update(cls, multiple: float) -> "Widths":
        """Return muP for a width that is a multiple m of the base: hidden rate / m, readout / m, readout weights as large
        as at the base (Yang et al. 2022, "Tensor Programs V", table 8, for Adam). At m = 1 it is the standard one.
        """
        return cls(1 / multiple, 1 / multiple, multiple**0.5)

    def rates(self, weights: list[Array]) -> list[Float[Array, ""] | float]:
        """Return the multiplier of each layer's learning rate: only matrices from hidden to hidden units have one."""
        return [1.0, *(self.hidden_rate for _ in weights[1:-1]), 1.0]


def scaled_by_leaf(optimizer: optax.GradientTransformation, multipliers: PyTree) -> optax.GradientTransformation:
    """Return an optimizer whose update of every leaf is multiplied by a number of its own."""

    def scale(updates: PyTree, _: PyTree = None) -> PyTree:
        return jax.tree.map(lambda m, u: jnp.asarray(m) * u, multipliers, updates)

    return optax.chain(optimizer, optax.stateless(scale))
