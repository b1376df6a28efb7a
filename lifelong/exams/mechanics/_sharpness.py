"""The curvature of a loss, and a network made linear in its weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree


def sharpness(
    loss: Callable[..., Float[Array, ""]],
    weights: PyTree,
    direction: Float[Array, " weights"],
    *data: Array,
    iterations: int = 25,
) -> tuple[Float[Array, ""], Float[Array, " weights"]]:
    """Return the Hessian's eigenvalue of largest size at the weights, and its direction, by power iteration.

    v ← H v / ‖H v‖ with H v = ∂(∇L)·v, from `direction` (that of the last look: few iterations then do); the eigenvalue
    is vᵀ H v. 20 to 25 iterations are enough where it stands apart.
    """
    flat, restore = ravel_pytree(weights)
    slope = jax.grad(lambda w: loss(restore(w), *data))

    def times(v: Float[Array, " weights"]) -> Float[Array, " weights"]:
        return jax.jvp(slope, (flat,), (v,))[1]

    def turn(_: Any, v: Float[Array, " weights"]) -> Float[Array, " weights"]:
        made = times(v)
        return made / jnp.maximum(jnp.linalg.norm(made), 1e-30)

    v = jax.lax.fori_loop(0, iterations, turn, direction / jnp.linalg.norm(direction))
    return v @ times(v), v


def linearised(f: Callable[[PyTree], Array], start: PyTree) -> Callable[[PyTree], Array]:
    """Return f₀(w) = f(w₀) + ∂f(w₀)·(w − w₀): descending it is training with the tangent kernel of w₀."""

    def tangent(weights: PyTree) -> Array:
        value, moved = jax.jvp(f, (start,), (jax.tree.map(jnp.subtract, weights, start),))
        return value + moved

    return tangent
