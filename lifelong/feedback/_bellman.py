"""Learning what actions are worth."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.recipe import Number

from ._labels import Info


class Valued(eqx.Module):
    """Actions taken in what was observed, with what they turned out to be worth."""

    observation: Float[Array, "n *shape"]
    action: Int[Array, " n"]
    goal: Float[Array, " n"]


class SquaredBellmanError(eqx.Module):
    """The mean of (Q(s, a) − goal)²."""

    def __call__(self, model: PyTree, experience: Valued, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss of a net of action values, its value and the mean of Q(s, a)."""
        values = jax.vmap(model)(experience.observation)
        taken = (values * jax.nn.one_hot(experience.action, values.shape[-1])).sum(-1)
        loss = ((taken - experience.goal) ** 2).mean()
        return loss, {"loss": loss, "value": taken.mean()}


def q_targets(
    reward: Float[Array, " n"], after: Float[Array, "n actions"], terminated: Bool[Array, " n"], discount: Number = 0.99
) -> Float[Array, " n"]:
    """Return r + γ max_a Q(s′, a)·[not terminated] (Watkins and Dayan 1992, "Q-learning")."""
    return reward + discount * jnp.where(terminated, 0.0, after.max(-1))
