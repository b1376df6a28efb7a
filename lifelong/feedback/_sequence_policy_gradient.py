"""Policy gradients on sampled answers: REINFORCE, RLOO, GRPO."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.recipe import Number, number

from ._group_advantages import above_batch, group_standardised, leave_one_out
from ._labels import Info
from ._rollouts import Average, Rollouts, Scores, over_tokens

Baseline = Callable[[Float[Array, "prompts samples"]], Float[Array, "prompts samples"]]
"""From the rewards of answers to their advantages."""


def k3(log_probability: Float[Array, "*n"], reference: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return π_ref/π − log(π_ref/π) − 1: never negative, and on average KL(π ‖ π_ref) (Schulman 2020, "Approximating KL
    Divergence", k3; Shao et al. 2024, equation 4).
    """
    gap = reference - log_probability
    return jnp.expm1(gap) - gap


def clipped_gain(
    change: Float[Array, "*n"], advantage: Float[Array, "*n"], low: Number, high: Number
) -> Float[Array, "*n"]:
    """Return min(ρA, clip(ρ, 1−low, 1+high)·A) with ρ = exp(change) (Schulman et al. 2017, equation 7)."""
    ratio = jnp.exp(change)
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - low, 1 + high) * advantage)


class Reinforce(eqx.Module):
    """Make answers likelier that were worth more than expected: L = −mean_i Σ_t A_it log π(y_it) + β·KL − c·entropy.

    Williams 1992; the KL to the reference is estimated by k3. The gradient is that of the expected reward where the answers
    are the model's own of this moment.

    Args:
        divergence: β, 0; others than 0 need a `reference`.
        entropy: c, 0.
        baseline: from rewards to advantages; the mean of the batch is taken off unless stated (`raw`, `above_group`, …).
        average: how tokens are averaged; 'sum' unless stated.
        regular: whether KL to the reference is computed at all.
    """

    divergence: Number = number(0.0)
    entropy: Number = number(0.0)
    baseline: Baseline = eqx.field(static=True, default=above_batch)
    average: Average = eqx.field(static=True, default="sum")
    regular: bool = eqx.field(static=True, default=False)

    def __call__(self, model: PyTree, experience: Rollouts, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss of a model on answers, with what is worth watching: reward, entropy, divergence."""
        scores = experience.scores(model)
        own, weight = experience.own, experience.weights
        average = over_tokens(self.gain(scores, self.advantage(experience), experience), own, weight, self.average)
        entropy = over_tokens(scores.entropy, own, weight, self.average)
        loss = -average - self.entropy * entropy
        info = {"reward": experience.reward.mean(), "entropy": over_tokens(scores.entropy, own, weight, "token")}
        if self.regular:
            apart = k3(scores.log_probability, experience.known("reference"))
            loss = loss + self.divergence * over_tokens(apart, own, weight, self.average)
            info["divergence"] = over_tokens(apart, own, weight, "token")
        return loss, {"loss": loss, **info, **self.watched(scores, experience)}

    def advantage(self, experience: Rollouts) -> Float[Array, "prompts samples length"]:
        """Return the advantage of every token: the experience's own, or that of its answer."""
        if experience.advantage is not None:
            return experience.advantage
        return jnp.broadcast_to(self.baseline(experience.reward)[..., None], experience.tokens.shape)

    def gain(self, scores: Scores, advantage: Array, experience: Rollouts) -> Float[Array, "prompts samples length"]:
        """Return what is to be made large, token by token."""
        return scores.log_probability * advantage

    def watched(self, scores: Scores, experience: Rollouts) -> Info:
        """Return what else is worth recording."""
        return {}


class RLOO(Reinforce):
    """REINFORCE with the mean reward of a prompt's other answers as baseline (Ahmadian et al. 2024, "Back to Basics")."""

    baseline: Baseline = eqx.field(static=True, default=leave_one_out)


class GRPO(Reinforce):
    """Group relative policy optimization (Shao et al. 2024, "DeepSeekMath", equation 3).

    L = −mean_i 1/|y_i| Σ_t [min(ρ_it A_i, clip(ρ_it, 1±ε) A_i) − β·k3_it],  A_i = (r_i − mean)/(std + 10⁻⁶) among the answers
    to one prompt, ρ = π/π_old.

    Args:
        clip: ε, 0.2 (Schulman et al. 2017); infinity clips nothing.
        clip_above: ε on the upper side, where it is another (Yu et al. 2025, "DAPO": 0.28); as `clip` unless positive.
        divergence: β, 0.01 for miniatures (the paper: 0.04).
    """

    divergence: Number = number(0.01)
    baseline: Baseline = eqx.field(static=True, default=group_standardised)
    average: Average = eqx.field(static=True, default="sequence")
    regular: bool = eqx.field(static=True, default=True)
    clip: Number = number(0.2)
    clip_above: Number = number(0.0)

    def gain(self, scores: Scores, advantage: Array, experience: Rollouts) -> Float[Array, "prompts samples length"]:
        """Return the clipped surrogate of every token."""
        high = jnp.where(self.clip_above > 0, self.clip_above, self.clip)
        change = self._change(scores, experience)
        return clipped_gain(change, advantage, self.clip, high)

    def watched(self, scores: Scores, experience: Rollouts) -> Info:
        """Return the share of tokens whose ratio left the clip."""
        out = jnp.abs(jnp.exp(self._change(scores, experience)) - 1) > self.clip
        return {"clipped": over_tokens(out.astype(jnp.float32), experience.own, experience.weights, "token")}

    def _change(self, scores: Scores, experience: Rollouts) -> Float[Array, "prompts samples length"]:
        return jnp.where(experience.own, scores.log_probability - experience.known("log_probability"), 0.0)
