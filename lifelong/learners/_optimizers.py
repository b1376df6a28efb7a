"""How agents and transformers descend."""

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


def warmed_adamw(
    learning_rate: Number,
    steps: int,
    *,
    warm_up: int = 50,
    floor: float = 0.1,
    clip: float = 1.0,
    weight_decay: float = 0.01,
) -> optax.GradientTransformation:
    """Return AdamW with β = (0.9, 0.95), a clipped gradient, and a rate that rises, then falls by a cosine.

    The rate is linear in the first `warm_up` steps (a quarter of all, if that is less) and ends at `floor` times its peak after
    `steps`. Defaults are those of Brown et al. 2020 (appendix B), but for a weaker decay.

    Args:
        learning_rate: the rate at its peak; it can be swept, in `Recipe(warmed_adamw, learning_rate=…, steps=…)`.
        steps: how many steps there will be; the rate stays where it is afterwards.
        warm_up, floor: of the rate.
        clip: the longest gradient.
        weight_decay: of AdamW.
    """
    shape = optax.warmup_cosine_decay_schedule(0.0, 1.0, min(warm_up, steps // 4), steps, floor)

    def rate(count: Any) -> Any:
        return learning_rate * shape(count)

    adamw = optax.adamw(rate, b1=0.9, b2=0.95, weight_decay=weight_decay)
    return optax.chain(optax.clip_by_global_norm(clip), adamw)
