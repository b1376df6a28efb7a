"""Learning from answers worth imitating: weighted likelihood, and which answers those are."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.recipe import Number, number

from ._labels import Info
from ._rollouts import Average, Rollouts, over_tokens


class Imitation(eqx.Module):
    """Make answers likelier: L = −Σ_i w_i Σ_t log π(y_it) / Σ_i w_i |y_i|, whatever they were rewarded with.

    With weights from `best_distinct` this is rejection sampling, or STaR (Zelikman et al. 2022, "STaR: Bootstrapping Reasoning
    With Reasoning"); with demonstrations it is supervised fine-tuning.
    """

    average: Average = eqx.field(static=True, default="token")

    def __call__(self, model: PyTree, experience: Rollouts, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss of a model on answers."""
        log_p = experience.scores(model).log_probability
        loss = -over_tokens(log_p, experience.own, self.weights(experience), self.average)
        return loss, {"loss": loss, "reward": experience.reward.mean(), "kept": self.weights(experience).mean()}

    def weights(self, experience: Rollouts) -> Float[Array, "prompts samples"]:
        """Return how much each answer counts."""
        return experience.weights


class RejectionSampling(Imitation):
    """Imitate the answers that were worth at least a threshold: w_i = [r_i ≥ τ] (Yuan et al. 2023, "Scaling Relationship on
    Learning Mathematical Reasoning with Large Language Models").

    Args:
        threshold: τ.
    """

    threshold: Number = number(0.5)

    def weights(self, experience: Rollouts) -> Float[Array, "prompts samples"]:
        """Return how much each answer counts."""
        return experience.weights * (experience.reward >= self.threshold)


class RewardWeighted(Imitation):
    """Imitate each answer by its exponential worth: w_i ∝ exp(A_i/τ), A_i = r_i − mean of its prompt (Peng et al. 2019,
    "Advantage-Weighted Regression").

    Args:
        temperature: τ, 1; towards 0 only the best answers count.
    """

    temperature: Number = number(1.0)

    def weights(self, experience: Rollouts) -> Float[Array, "prompts samples"]:
        """Return how much each answer counts."""
        return (
            experience.weights * jax.nn.softmax(experience.reward / self.temperature, -1) * experience.reward.shape[-1]
        )


def distinct(
    tokens: Int[Array, "prompts samples length"], own: Bool[Array, "prompts samples length"]
) -> Bool[Array, "prompts samples"]:
    """Return which answers say what no earlier answer to the same prompt has said."""
    said = jnp.where(own, tokens, -1)
    same = (said[:, :, None] == said[:, None, :]).all(-1)
    return ~jnp.tril(same, -1).any(-1)


def best_distinct(
    score: Float[Array, "prompts samples"],
    tokens: Int[Array, "prompts samples length"],
    own: Bool[Array, "prompts samples length"],
    threshold: Number,
    most: Number | int | Int[Array, ""],
) -> Float[Array, "prompts samples"]:
    """Return weight 1 for each prompt's `most` best different answers of at least the threshold, 0 for all others.

    Of equal answers the first counts, of equal scores the earlier. Zeng et al. 2024, "B-STaR".
    """
    fit = (score >= threshold) & distinct(tokens, own)
    rank = jnp.argsort(jnp.argsort(-jnp.where(fit, score, -jnp.inf), axis=-1, stable=True), axis=-1)
    return (fit & (rank < most)).astype(jnp.float32)


def balance_score(
    selected: Bool[Array, "prompts samples"],
    right: Bool[Array, "prompts samples"],
    unique: Bool[Array, "prompts samples"],
    wanted: Number | int,
) -> Float[Array, " prompts"]:
    """Return min(n′/n*, 1)·n′/n: n answers were selected, n′ different right ones among them, n* are wanted.

    Zeng et al. 2024, "B-STaR: Monitoring and Balancing Exploration and Exploitation in Self-Taught Reasoners". It is 0 where
    none was selected.
    """
    n, good = selected.sum(-1), (selected & right & unique).sum(-1)
    return jnp.minimum(good / wanted, 1.0) * good / jnp.maximum(n, 1)


def balanced_pairs(rollouts: Rollouts, *, key: PRNGKeyArray) -> Rollouts:
    """Return one right and one wrong answer to every prompt, drawn by chance, the right one first.

    Prompts without both have weight 0. What was known of each token comes along; so should `advantage`, which cannot be
    computed from a pair alone.
    """
    right = (rollouts.reward > 0.5) & (rollouts.weights > 0)
    wrong = (rollouts.reward <= 0.5) & (rollouts.weights > 0)
    chance = jax.random.uniform(key, rollouts.reward.shape)
    chosen = jnp.stack([jnp.argmax(jnp.where(which, chance, -1.0), -1) for which in (right, wrong)], -1)
    both = right.any(-1) & wrong.any(-1)
    picked = jax.tree.map(lambda leaf: jax.vmap(lambda rows, at: rows[at])(leaf, chosen), rollouts)
    weight = jnp.broadcast_to(both[:, None], chosen.shape).astype(jnp.float32)
    return eqx.tree_at(lambda r: r.weight, picked, weight, is_leaf=lambda node: node is None)
