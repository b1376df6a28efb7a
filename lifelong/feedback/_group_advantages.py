"""What an answer was worth, more than the other answers to the same prompt; and what a step was, more than the one before."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lifelong.recipe import Number


def raw(reward: Float[Array, "prompts samples"]) -> Float[Array, "prompts samples"]:
    """Return the rewards themselves: no baseline."""
    return reward


def above_batch(reward: Float[Array, "prompts samples"]) -> Float[Array, "prompts samples"]:
    """Return r − mean of all rewards of the batch (Williams 1992, "Simple Statistical Gradient-Following Algorithms")."""
    return reward - reward.mean()


def above_group(reward: Float[Array, "prompts samples"]) -> Float[Array, "prompts samples"]:
    """Return r − mean of the rewards of the same prompt."""
    return reward - reward.mean(-1, keepdims=True)


def leave_one_out(reward: Float[Array, "prompts samples"]) -> Float[Array, "prompts samples"]:
    """Return r_i − 1/(k−1) Σ_{j≠i} r_j, which is k/(k−1)·(r_i − mean) (Kool et al. 2019; Ahmadian et al. 2024, "Back to
    Basics"); 0 where a prompt has one answer.
    """
    samples = reward.shape[-1]
    return samples / max(samples - 1, 1) * above_group(reward)


def group_standardised(
    reward: Float[Array, "prompts samples"], floor: Number = 1e-6
) -> Float[Array, "prompts samples"]:
    """Return (r − mean) / (std + 10⁻⁶) within each prompt (Shao et al. 2024, "DeepSeekMath", section 4.1.2); std with n."""
    gain = above_group(reward)
    return gain / (jnp.sqrt((gain**2).mean(-1, keepdims=True)) + floor)


def step_advantages(prefix_values: Float[Array, "*n steps_and_start"]) -> Float[Array, "*n steps"]:
    """Return A_i = Q(s, a_i) − Q(s, a_{i−1}) from the success rates of roll-outs from the prompt and after every step.

    Setlur et al. 2024, "RL on Incorrect Synthetic Data Scales the Efficiency of LLM Math Reasoning by Eight-Fold":
    steps are deterministic, so V before a step is Q of the step before.
    """
    return jnp.diff(prefix_values, axis=-1)


def first_pit(step_values: Float[Array, "*n steps"]) -> Int[Array, "*n"]:
    """Return the first of the steps after which success is least likely (Setlur et al. 2024)."""
    return jnp.argmin(step_values, axis=-1).astype(jnp.int32)


def to_tokens(of_steps: Float[Array, "*n steps"], step: Int[Array, "*n length"]) -> Float[Array, "*n length"]:
    """Return what every token's step has; 0 where `step` is below 0 or past the last."""
    steps = of_steps.shape[-1]
    picked = jnp.take_along_axis(of_steps, jnp.clip(step, 0, steps - 1), axis=-1)
    return jnp.where((step >= 0) & (step < steps), picked, 0.0)


class BestOfN(NamedTuple):
    """Best-of-n sampling with a reward of 0 or 1: how much likelier it makes right and wrong answers."""

    right: Float[Array, "*n"]
    wrong: Float[Array, "*n"]


def best_of_n(success: Float[Array, "*n"], n: Number) -> BestOfN:
    """Return π_bon/π: [1 − (1−p)ⁿ]/p of a right answer, (1−p)ⁿ⁻¹ of a wrong one, p the share of right answers.

    Lyu et al. 2025, "Exploring the Limit of Outcome Reward for Learning Mathematical Reasoning" (OREAL). Among right answers
    nothing changes, whatever n: cloning them is enough to learn the policy that is right and nearest to π.
    """
    failure = 1 - success
    right = jnp.where(success > 0, (1 - failure**n) / jnp.where(success > 0, success, 1.0), n)
    return BestOfN(right, failure ** (n - 1))


def mixed(reward: Float[Array, "prompts samples"]) -> Bool[Array, " prompts"]:
    """Return which prompts were answered rightly and wrongly: only from those is there anything to learn."""
    right = reward > 0.5
    return right.any(-1) & ~right.all(-1)
