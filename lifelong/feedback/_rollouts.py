"""Sampled answers, and what a language model says of them: the experience that all token feedback learns from."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from lifelong.errors import Mismatch
from lifelong.nets import Categorical

from ._labels import FORBIDDEN

Average = Literal["token", "sequence", "sum"]
"""How losses of tokens become one number; see `over_tokens`."""


_REMEDY = {
    "log_probability": "keep what the policy said when it sampled",
    "reference": "`with_reference(rollouts, model)` adds it",
    "value": "keep `scores(model).value` of the policy that sampled, a model that gives logits and values",
    "advantage": "`token_advantages(rollouts)` computes it",
}


class Scores(NamedTuple):
    """What a model says of every token, given those before it: log π(y_t), the entropy in nats, the value if it has one.

    The first token has nothing before it: its numbers are 0.
    """

    log_probability: Float[Array, "prompts samples length"]
    entropy: Float[Array, "prompts samples length"]
    value: Float[Array, "prompts samples length"] | None


class Rollouts(eqx.Module):
    """Answers of a language model to some prompts, as many to each; a pair of answers is two samples, the better one first.

    All optional fields are None unless known. Numbers at tokens that are not the model's own count for nothing.

    Args:
        tokens: prompt and answer, one after the other, filled up to one length with blanks (−1).
        own: which tokens the model chose itself: not the prompt's, not a tool's, not padding.
        reward: what each answer was worth.
        log_probability: log π_old of every token, where the policy that sampled matters.
        reference: log π_ref of every token.
        weight: how much each answer counts; 1 unless stated, 0 leaves it out.
        advantage: of every token, where it is known better than from the rewards of a prompt's answers.
        credit: how much of an answer's success or failure is every token's; all of it unless stated.
        value: what the policy that sampled expected before every token.
        backward: log P_B of every token, for flows where several ways lead to the same place.
        allowed: the tokens that could be chosen at every place; all of them unless stated.
    """

    tokens: Int[Array, "prompts samples length"]
    own: Bool[Array, "prompts samples length"]
    reward: Float[Array, "prompts samples"]
    log_probability: Float[Array, "prompts samples length"] | None = None
    reference: Float[Array, "prompts samples length"] | None = None
    weight: Float[Array, "prompts samples"] | None = None
    advantage: Float[Array, "prompts samples length"] | None = None
    credit: Float[Array, "prompts samples length"] | None = None
    value: Float[Array, "prompts samples length"] | None = None
    backward: Float[Array, "prompts samples length"] | None = None
    allowed: Bool[Array, "prompts samples length symbols"] | None = None

    def scores(self, model: PyTree) -> Scores:
        """Return what a model says of the tokens.

        `model.read` takes tokens [*n, length] and returns logits [*n, length, symbols] of the token after each, or the pair of
        logits and values [*n, length].
        """
        said = model.read(self.tokens[..., :-1])
        logits, value = said if isinstance(said, tuple) else (said, None)
        if self.allowed is not None:
            logits = jnp.where(self.allowed[..., 1:, :], logits, FORBIDDEN)
        policy = Categorical(logits)
        log_probability = policy.log_probability(self.tokens[..., 1:])
        return Scores(_after_first(log_probability), _after_first(policy.entropy()), _maybe(_after_first, value))

    def log_ratio(self, model: PyTree) -> Float[Array, "prompts samples"]:
        """Return Σ_t log π(y_t)/π_ref(y_t), of whole answers."""
        return total(self.scores(model).log_probability - self.known("reference"), self.own)

    def known(self, name: str) -> Array:
        """Return an optional field; raise `Mismatch` where it is not known."""
        if (values := getattr(self, name)) is None:
            raise Mismatch(
                f"this feedback needs the {name} of every token, and these rollouts have none; {_REMEDY[name]}"
            )
        return values

    @property
    def weights(self) -> Float[Array, "prompts samples"]:
        """How much each answer counts."""
        return jnp.ones_like(self.reward) if self.weight is None else self.weight


def _after_first(values: Float[Array, "*n rest"]) -> Float[Array, "*n length"]:
    return jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(1, 0)])


def _maybe(function: Any, value: Any) -> Any:
    return None if value is None else function(value)


def with_reference(rollouts: Rollouts, model: PyTree) -> Rollouts:
    """Return the rollouts with a model's log-probabilities as those of the reference."""
    reference = jax.lax.stop_gradient(rollouts.scores(model).log_probability)
    return eqx.tree_at(lambda r: r.reference, rollouts, reference, is_leaf=lambda node: node is None)


def total(values: Float[Array, "*n length"], own: Bool[Array, "*n length"]) -> Float[Array, "*n"]:
    """Return Σ over own tokens, 0 where an answer has none."""
    return jnp.where(own, values, 0.0).sum(-1)


def mean(values: Float[Array, "*n length"], own: Bool[Array, "*n length"]) -> Float[Array, "*n"]:
    """Return the mean over own tokens, 0 where an answer has none."""
    return total(values, own) / jnp.maximum(own.sum(-1), 1)


def over_tokens(
    values: Float[Array, "*n length"], own: Bool[Array, "*n length"], weight: Float[Array, "*n"], average: Average
) -> Float[Array, ""]:
    """Return one number for values of tokens: Σ_i w_i m(v_i) / Σ_i w_i, or with tokens for units.

    'sum': m is the sum over own tokens, as in REINFORCE. 'sequence': m is their mean, so that a token of a long answer
    counts less (Shao et al. 2024, "DeepSeekMath", equation 3). 'token': Σ_i w_i Σ_t v_it / Σ_i w_i |y_i|, so that all tokens
    count the same. It is 0 where all weights are 0.
    """
    each = mean(values, own) if average == "sequence" else total(values, own)
    units = own.sum(-1) if average == "token" else 1.0
    return (weight * each).sum() / jnp.maximum((weight * units).sum(), 1e-9)
