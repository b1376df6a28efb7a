"""An actor that never stops exploring."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.recipe import Number

from ._actor_critic import ActorCritic
from ._policies import Gaussian


class WideActorCritic(ActorCritic):
    """An actor-critic of continuous actions whose spread has a floor: σ = e^s + σ_min, of which only s is learned.

    Args:
        inputs, outputs, width, depth, key: as for `ActorCritic`.
        floor: σ_min.
    """

    log_spread: Float[Array, " outputs"]
    floor: Float[Array, ""]

    def __init__(
        self, inputs: int, outputs: int, width: int = 64, depth: int = 2, floor: Number = 0.1, *, key: PRNGKeyArray
    ):
        super().__init__(inputs, outputs, width, depth, continuous=True, key=key)
        self.floor = jnp.asarray(floor, jnp.float32)

    def __call__(self, x: Float[Array, "*shape"], mind: None) -> tuple[Gaussian, Float[Array, ""], None]:
        """Return what to do about an observation, what it is worth, and the state of mind."""
        least = jnp.log(jax.lax.stop_gradient(self.floor))
        return Gaussian(self.actor(x), jnp.logaddexp(self.log_spread, least)), self.critic(x)[0], None
