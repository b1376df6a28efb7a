"""Flows: a policy that comes to each end as often as it is worth, not only to the best one."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.recipe import Number, number

from ._labels import Info
from ._rollouts import Rollouts, total


def trajectory_balance(
    forward: Float[Array, "prompts samples"],
    log_reward: Float[Array, "prompts samples"],
    backward: Float[Array, "prompts samples"] | float = 0.0,
    log_partition: Float[Array, " prompts"] | None = None,
    weight: Float[Array, "prompts samples"] | float = 1.0,
) -> Float[Array, " prompts"]:
    """Return the mean over samples of (log Z + Σ log P_F − log R − Σ log P_B)², prompt by prompt.

    Malkin et al. 2022, "Trajectory Balance: Improved Credit Assignment in GFlowNets", equation 14. Without a `log_partition`
    the mean over samples takes its place: what is left is the variance of log P_F − log R − log P_B (Zhang et al. 2023, "Robust
    Scheduling with GFlowNets"). Both are 0 exactly where P_F·Z = R·P_B, whatever distribution the samples came from.
    """
    gap = forward - log_reward - backward
    weight = jnp.broadcast_to(weight, gap.shape)
    count = jnp.maximum(weight.sum(-1), 1e-9)
    centre = (weight * gap).sum(-1) / count if log_partition is None else -log_partition
    return (weight * (gap - centre[:, None]) ** 2).sum(-1) / count


def subtrajectory_balance(
    log_flow: Float[Array, "*n states"],
    forward: Float[Array, "*n steps"],
    backward: Float[Array, "*n steps"] | float = 0.0,
    decay: Number = 0.9,
) -> Float[Array, "*n"]:
    """Return Σ_{i<j} λ^{j−i} (log F(s_i) + Σ_{i≤t<j} log P_F − log F(s_j) − Σ log P_B)² / Σ_{i<j} λ^{j−i}.

    Madan et al. 2023, "Learning GFlowNets from Partial Episodes for Improved Convergence and Stability". The flow of the last
    state is its reward. `decay` λ = 0 leaves single steps: detailed balance (Bengio et al. 2023, "GFlowNet Foundations").
    """
    gap = jnp.pad(jnp.cumsum(forward - backward, -1), [(0, 0)] * (forward.ndim - 1) + [(1, 0)])
    level = log_flow - gap
    number_of_steps = jnp.arange(level.shape[-1]) - jnp.arange(level.shape[-1])[:, None]
    weight = jnp.where(number_of_steps > 0, decay ** jnp.maximum(number_of_steps - 1, 0), 0.0)
    return (weight * (level[..., :, None] - level[..., None, :]) ** 2).sum((-2, -1)) / weight.sum()


class TrajectoryBalance(eqx.Module):
    """Answer each prompt in proportion to R(y)^s: trajectory balance over the answers to one prompt.

    Yu et al. 2024, "Flow of Reasoning". Answers need not be the model's own; where several ways lead to the same
    answer, the experience's `backward` says how likely each of them is, seen from its end.

    Args:
        sharpness: s, to which rewards are raised; 1.
        floor: what worthless answers count as: log 0 is no number.
    """

    sharpness: Number = number(1.0)
    floor: Number = number(1e-3)

    def __call__(self, model: PyTree, experience: Rollouts, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean imbalance over prompts; log Z comes from the model's `log_partition` if it has one."""
        scores, own = experience.scores(model), experience.own
        backward = 0.0 if experience.backward is None else total(experience.backward, own)
        log_reward = self.sharpness * jnp.log(jnp.maximum(experience.reward, self.floor))
        forward, weight = total(scores.log_probability, own), experience.weights
        found = getattr(model, "log_partition", None)
        log_z = None if found is None else jnp.broadcast_to(found, forward.shape[:1])
        loss = trajectory_balance(forward, log_reward, backward, log_z, weight).mean()
        return loss, {"loss": loss, "reward": experience.reward.mean(), "entropy": -forward.mean()}
