"""Learning from rewards by following the gradient of a policy."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from lifelong.recipe import Number, number

from ._labels import Info


class Acts(eqx.Module):
    """Stretches of `t` successive steps that an agent took: what it saw, did and expected, and how it turned out.

    `fresh` marks the first observation of an episode, `mind` is the state of mind before a stretch (None for models that
    have none), `log_probability` and `value` are those of the agent that acted.
    """

    observation: Float[Array, "n t *shape"]
    fresh: Bool[Array, "n t"]
    mind: PyTree
    action: Array
    log_probability: Float[Array, "n t"]
    value: Float[Array, "n t"]
    advantage: Float[Array, "n t"]


class ClippedSurrogate(eqx.Module):
    """The loss of proximal policy optimization (Schulman et al. 2017, "Proximal Policy Optimization Algorithms", equation 9).

    With ρ = π(a|s)/π_old(a|s), advantages A standardised over the batch, R = A + V_old and ε the clip:
    L = −mean min(ρA, clip(ρ, 1±ε)A) + c_v·½ mean (V − R)² − c_e·mean entropy,
    where the squared error is the larger one of V's and of V's held within V_old ± ε.

    Args:
        clip: ε, 0.2.
        value_weight: c_v, 0.5.
        entropy_weight: c_e, 0.01; these are CleanRL's for classic control (ppo.py).
        clip_value: whether the value is held too; if not, its error is (V − R)² alone.
    """

    clip: Number = number(0.2)
    value_weight: Number = number(0.5)
    entropy_weight: Number = number(0.01)
    clip_value: bool = eqx.field(static=True, default=True)

    def __call__(self, model: PyTree, experience: Acts, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss of a model, such as an `ActorCritic`, on a batch of stretches, and its parts."""
        policy, value = jax.vmap(model.unroll)(experience.observation, experience.fresh, experience.mind)
        change = policy.log_probability(experience.action) - experience.log_probability
        ratio, gain = jnp.exp(change), standardised(experience.advantage)
        held = jnp.clip(ratio, 1 - self.clip, 1 + self.clip)
        surrogate = jnp.minimum(ratio * gain, held * gain).mean()
        error = self._error(value, experience).mean()
        entropy = policy.entropy().mean()
        loss = -surrogate + self.value_weight * 0.5 * error - self.entropy_weight * entropy
        moved = (ratio - 1 - change).mean()
        clipped = (jnp.abs(ratio - 1) > self.clip).mean()
        return loss, {"loss": loss, "value_loss": 0.5 * error, "entropy": entropy, "moved": moved, "clipped": clipped}

    def _error(self, value: Float[Array, "n t"], acts: Acts) -> Float[Array, "n t"]:
        target = acts.advantage + acts.value
        error = (value - target) ** 2
        if not self.clip_value:
            return error
        held = acts.value + jnp.clip(value - acts.value, -self.clip, self.clip)
        return jnp.maximum(error, (held - target) ** 2)


def standardised(values: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return (v − mean) / (standard deviation + 10⁻⁸), the deviation with n − 1."""
    return (values - values.mean()) / (values.std(ddof=1) + 1e-8)
