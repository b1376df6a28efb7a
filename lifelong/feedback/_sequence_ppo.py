"""Proximal policy optimization on sampled answers, token by token."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from lifelong.errors import Mismatch
from lifelong.recipe import Number

from ._advantages import advantages
from ._labels import Info
from ._policy_gradient import Acts, ClippedSurrogate
from ._rollouts import Rollouts, Scores, over_tokens
from ._sequence_policy_gradient import clipped_gain


def token_advantages(
    rollouts: Rollouts, divergence: Number = 0.0, discount: Number = 1.0, trace: Number = 0.95
) -> Float[Array, "prompts samples length"]:
    """Return generalized advantage estimates of own tokens, 0 elsewhere.

    The answer's reward comes with its last own token, and every own token costs β·log(π_old/π_ref) (Ziegler et al. 2019,
    "Fine-Tuning Language Models from Human Preferences", equation 2). Tokens that are not the model's own take no time. Needs
    `value`; `divergence` other than 0 needs `log_probability` and `reference`.

    Args:
        divergence: β.
        discount: γ, 1: an answer is worth the same whatever its length.
        trace: λ, 0.95 (Ouyang et al. 2022, appendix C).
    """
    own = rollouts.own
    order = jnp.argsort(~own, axis=-1, stable=True)
    mine, value = (jnp.take_along_axis(part, order, -1) for part in (own, jnp.where(own, rollouts.known("value"), 0.0)))
    last = mine & (jnp.cumsum(mine, -1) == own.sum(-1, keepdims=True))
    reward = jnp.where(last, rollouts.reward[..., None], 0.0) - jnp.take_along_axis(
        _cost(rollouts, divergence), order, -1
    )
    after = jnp.concatenate([value[..., 1:], jnp.zeros_like(value[..., :1])], -1)
    reward = jnp.where(mine, reward, 0.0)
    reward, value, after, last = (jnp.moveaxis(part, -1, 0) for part in (reward, value, after, last))
    gain = jnp.moveaxis(advantages(reward, value, after, last, last, discount, trace), 0, -1)
    return jnp.where(own, jnp.take_along_axis(gain, jnp.argsort(order, axis=-1), -1), 0.0)


def _cost(rollouts: Rollouts, divergence: Number) -> Float[Array, "prompts samples length"]:
    if rollouts.reference is None or rollouts.log_probability is None:
        return jnp.zeros(rollouts.tokens.shape)
    return jnp.where(rollouts.own, divergence * (rollouts.log_probability - rollouts.reference), 0.0)


class SequencePPO(ClippedSurrogate):
    """The loss of `ClippedSurrogate`, over the own tokens of answers; the model gives logits and values.

    Advantages, standardised over own tokens, and targets A + V_old come with the rollouts (`token_advantages`), as do
    the values and log-probabilities of the policy that sampled.
    """

    def __call__(self, model: PyTree, experience: Rollouts, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss of a model on answers, and its parts."""
        scores, own = experience.scores(model), experience.own
        change = jnp.where(own, scores.log_probability - experience.known("log_probability"), 0.0)
        gain = clipped_gain(change, _standardised(experience.known("advantage"), own), self.clip, self.clip)

        def average(values: Array) -> Array:
            return over_tokens(values, own, experience.weights, "token")

        error = self._error(_flat(_valued(scores)), _as_acts(experience)).reshape(own.shape)
        error, entropy = average(error), average(scores.entropy)
        loss = -average(gain) + self.value_weight * 0.5 * error - self.entropy_weight * entropy
        info = {"value_loss": 0.5 * error, "entropy": entropy, "moved": average(jnp.expm1(change) - change)}
        return loss, {"loss": loss, "reward": experience.reward.mean(), **info}


def _valued(scores: Scores) -> Float[Array, "prompts samples length"]:
    if scores.value is None:
        raise Mismatch(
            "SequencePPO needs a model that gives the pair of logits and values, and this one gives logits alone"
        )
    return scores.value


def _flat(values: Shaped[Array, "prompts samples length"]) -> Shaped[Array, "answers length"]:
    return values.reshape(-1, values.shape[-1])


def _as_acts(rollouts: Rollouts) -> Acts:
    """Return answers as stretches of acts, a token each: what precedes it is what is seen."""
    tokens = _flat(rollouts.tokens)
    known = (_flat(rollouts.known(name)) for name in ("log_probability", "value", "advantage"))
    return Acts(tokens[..., None].astype(jnp.float32), jnp.zeros_like(tokens, bool), None, tokens, *known)


def _standardised(
    values: Float[Array, "prompts samples length"], own: Bool[Array, "prompts samples length"]
) -> Float[Array, "prompts samples length"]:
    """Return (v − mean) / (standard deviation + 10⁻⁸) over own tokens, the deviation with n − 1 as in `standardised`."""
    count = own.sum()
    gap = jnp.where(own, values - jnp.where(own, values, 0.0).sum() / count, 0.0)
    return gap / (jnp.sqrt((gap**2).sum() / (count - 1)) + 1e-8)
