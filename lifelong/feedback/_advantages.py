"""What an action was worth, more than was expected."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lifelong.recipe import Number


def advantages(
    rewards: Float[Array, "t *n"],
    values: Float[Array, "t *n"],
    after: Float[Array, "t *n"],
    terminated: Bool[Array, "t *n"],
    ended: Bool[Array, "t *n"],
    discount: Number = 0.99,
    trace: Number = 0.95,
) -> Float[Array, "t *n"]:
    """Return generalized advantage estimates (Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized
    Advantage Estimation", equations 11 to 16).

    δ_t = r_t + γ·V(s′_t)·[not terminated] − V(s_t),  A_t = δ_t + γλ·[not ended]·A_{t+1},  A past the last step 0.

    `after` is the value of what a step led to, s′_t, of the old episode where the step ended one. So where time was up
    (ended, not terminated) the value of what would have followed counts, and where an episode came to its own end it does
    not.

    Args:
        discount: γ.
        trace: λ; 0 looks one step ahead, 1 to the end.
    """
    surprises = rewards + discount * jnp.where(terminated, 0.0, after) - values

    def back(later: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        surprise, ended = now
        advantage = surprise + discount * trace * jnp.where(ended, 0.0, later)
        return advantage, advantage

    return jax.lax.scan(back, jnp.zeros_like(values[0]), (surprises, ended), reverse=True, unroll=4)[1]
