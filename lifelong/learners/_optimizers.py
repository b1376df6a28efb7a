"""How agents descend."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from lifelong.recipe import Number


def clipped_adam(
    learning_rate: Number | Callable[..., Any] = 2.5e-4, max_norm: Number = 0.5, eps: float = 1e-5
) -> optax.GradientTransformation:
    """Return Adam on gradients that are shortened to a norm of `max_norm` where they are longer.

    The defaults are CleanRL's for classic control (ppo.py).
    """
    return optax.chain(optax.clip_by_global_norm(max_norm), optax.adam(learning_rate, eps=eps))


def falling(
    count: Int[Array, ""], start: Number = 2.5e-4, end: Number = 0.0, over: int = 1, hold: int = 1
) -> Float[Array, ""]:
    """Return a rate that falls in a straight line from `start` to `end` within `over` updates, `hold` updates at a time.

    As the rate of a recipe, `Recipe(clipped_adam, learning_rate=Recipe(falling, start=3e-4, over=1000))`.
    """
    done = jnp.minimum(count // hold * hold / over, 1.0)
    return start + (end - start) * done
