"""Bregman divergences: the two distances of the unified continual-learning objective.

Wang et al. 2024 ("A Unified and General Framework for Continual Learning", section 3) write the methods of the field as

    L(θ) = CE(h_θ(x), y) + α · D_Φ(h_θ(x), z) + β · D_Ψ(θ, θ_old),      D_Φ(a, b) = Φ(a) − Φ(b) − ⟨∇Φ(b), a − b⟩,

    method   Φ, compared with z                                     Ψ
    ER       negative entropy, one-hot labels of remembered x        –
    DER      ½‖·‖², logits stored with remembered x                  –
    LwF      negative entropy, the old model's softmax on new x      –
    L2       –                                                       ½‖θ‖²
    EWC      –                                                       ½ θᵀFθ with the Fisher diagonal F
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Array, Float, PyTree


def bregman(
    generator: Callable[[PyTree], Float[Array, ""]],
) -> Callable[[PyTree, PyTree], Float[Array, ""]]:
    """Return D(a, b) = G(a) − G(b) − ⟨∇G(b), a − b⟩ for a convex generator G of arrays or trees of them."""

    def divergence(a: PyTree, b: PyTree) -> Float[Array, ""]:
        slope = jax.grad(generator)(b)
        inner = jax.tree.map(lambda s, p, q: jnp.sum(s * (p - q)), slope, a, b)
        return generator(a) - generator(b) - jax.tree.reduce(jnp.add, inner)

    return divergence


def half_square(v: PyTree) -> Float[Array, ""]:
    """½‖v‖², whose divergence is half the squared distance."""
    return jax.tree.reduce(jnp.add, jax.tree.map(lambda leaf: 0.5 * jnp.sum(leaf**2), v))


def negative_entropy(p: Float[Array, "..."]) -> Float[Array, ""]:
    """Σ p log p, whose divergence between distributions is the Kullback-Leibler divergence."""
    return jnp.sum(xlogy(p, p))


def quadratic(importance: PyTree) -> Callable[[PyTree], Float[Array, ""]]:
    """½ θᵀFθ for a diagonal F, whose divergence is the penalty of EWC and its relatives."""

    def generator(v: PyTree) -> Float[Array, ""]:
        return jax.tree.reduce(jnp.add, jax.tree.map(lambda f, leaf: 0.5 * jnp.sum(f * leaf**2), importance, v))

    return generator


def kullback_leibler(target: Float[Array, "n k"], logits: Float[Array, "n k"]) -> Float[Array, " n"]:
    """Return KL(target ‖ softmax(logits)) row by row: the negative-entropy divergence, computed stably."""
    return (xlogy(target, target) - target * jax.nn.log_softmax(logits)).sum(-1)


def squared_distance(a: PyTree, b: PyTree, importance: PyTree | None = None) -> Float[Array, ""]:
    """Return Σ F (a − b)², twice the quadratic divergence; F = 1 where no importance is given."""
    if importance is None:
        terms = jax.tree.map(lambda p, q: jnp.sum((p - q) ** 2), a, b)
    else:
        terms = jax.tree.map(lambda f, p, q: jnp.sum(f * (p - q) ** 2), importance, a, b)
    return jax.tree.reduce(jnp.add, terms)
