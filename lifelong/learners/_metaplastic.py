"""Metaplasticity: weights that have grown far from changing their sign are hard to bring back."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from lifelong.recipe import Number


def attenuated(metaplasticity: Number) -> optax.GradientTransformation:
    """Weaken every update that moves a weight towards 0: Δθ ← Δθ · (1 − tanh²(m |θ|)) where Δθ · θ < 0.

    m = 0 changes nothing (Laborieux et al. 2021, "Synaptic metaplasticity in binarized neural networks", equation 3).
    """

    def weaken(update: Float[Array, "..."], weight: Float[Array, "..."]) -> Float[Array, "..."]:
        factor = 1 - jnp.tanh(metaplasticity * weight) ** 2
        return jnp.where(update * weight < 0, factor * update, update)

    def update(updates: PyTree, state: optax.OptState, params: PyTree = None) -> tuple[PyTree, optax.OptState]:
        return jax.tree.map(weaken, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def metaplastic(learning_rate: Number = 0.005, metaplasticity: Number = 1.35) -> optax.GradientTransformation:
    """Return Adam with metaplastic updates, for networks of binary weights with real numbers behind them.

    The defaults are those of Laborieux et al. 2021 for permuted MNIST.
    """
    return optax.chain(optax.adam(learning_rate), attenuated(metaplasticity))
