"""How networks descend that learn layer by layer."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from lifelong.nets import DualNetwork
from lifelong.recipe import Number


def clipped_sgd(learning_rate: Number = 1.0, max_norm: Number = 1.0) -> optax.GradientTransformation:
    """Return plain gradient descent on gradients that are shortened to `max_norm` where they are longer."""
    return optax.chain(optax.clip_by_global_norm(max_norm), optax.sgd(learning_rate))


def clipped_apart(
    learning_rate: Number = 1.0, mirror: Number = 1.0, max_norm: Number = 1.0
) -> optax.GradientTransformation:
    """Return gradient descent for a `DualNetwork` that clips network and mirror each by the norm of its own gradient.

    Clipped together, the one with the larger gradient would slow the other. The mirror's rate is `mirror` times the
    network's; 0 leaves it as it was born. The defaults are those of Kao and Hariharan 2024 for perceptrons.
    """

    def update(gradient: DualNetwork, _: Any = None) -> PyTree:
        rates = ((gradient.forward, learning_rate), (gradient.feedback, learning_rate * mirror))
        moved = [_shortened(part, rate, max_norm) for part, rate in rates]
        return eqx.tree_at(lambda dual: (dual.forward, dual.feedback), gradient, tuple(moved))

    return optax.stateless(update)  # pyright: ignore[reportArgumentType]


def _shortened(part: PyTree, rate: Number, max_norm: Number) -> PyTree:
    norm = optax.tree.norm(part)
    factor = -rate * jnp.minimum(1.0, max_norm / jnp.maximum(norm, 1e-12))
    return jax.tree.map(lambda leaf: factor * leaf, part)
