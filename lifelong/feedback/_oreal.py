"""OREAL: clone what was right, push down what was wrong by as much as theory says, where a token reward model points."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from lifelong.recipe import Number, number

from ._group_advantages import leave_one_out
from ._labels import Info
from ._rollouts import Rollouts, over_tokens
from ._sequence_policy_gradient import Baseline, k3

RIGHT = 0.5
"""A reward above this is one for a right answer."""


def token_credit(
    scores: Float[Array, "*n length"], own: Bool[Array, "*n length"], right: Bool[Array, "*n"]
) -> Float[Array, "*n length"]:
    """Return how much every own token counts, from the logits w_t of a token reward model.

    With w̄_t the mean of w_u over own u ≤ t: ω⁺_t = max(2σ(w̄_t) − 1, 0) in right answers, ω⁻_t = max(1 − 2σ(w̄_t), 0) in
    wrong ones (Lyu et al. 2025, OREAL, and the authors' code: threshold 0.5, rescaled). No gradient flows back.
    """
    running = jnp.cumsum(jnp.where(own, scores, 0.0), -1) / jnp.maximum(jnp.cumsum(own, -1), 1)
    sure = jnp.where(right[..., None], 1.0, -1.0) * (2 * jax.nn.sigmoid(running) - 1)
    return jax.lax.stop_gradient(jnp.where(own, jnp.maximum(sure, 0.0), 0.0))


class OREAL(eqx.Module):
    """Learning from right and wrong (Lyu et al. 2025, "Exploring the Limit of Outcome Reward", and the authors' code).

    L = Σ_{right} A ω⁺_t (−log π) / tokens of right + η Σ_{wrong} ω⁻_t (−A) π/sg(π) / tokens of wrong + β·mean k3

    Right answers are cloned: best-of-n sampling changes nothing among them. The gradients of wrong ones must then be scaled by
    the chance of being right, which r − mean of the others (A) does: −A is the share of others that were right. ω is the
    experience's `credit`, from `token_credit`, or 1.

    Args:
        wrong_weight: η, 0.5 (the authors' configurations).
        divergence: β, 0.01 (as there); needs a `reference`.
        baseline: from rewards to A; `leave_one_out`, as there.
        reshaped: 1 where A of wrong answers is that; with 0 it is −1, and theory is left aside.
        regular: whether KL to the reference is computed.
    """

    wrong_weight: Number = number(0.5)
    divergence: Number = number(0.01)
    reshaped: Number = number(1.0)
    baseline: Baseline = eqx.field(static=True, default=leave_one_out)
    regular: bool = eqx.field(static=True, default=True)

    def __call__(self, model: PyTree, experience: Rollouts, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss of a model on answers, and its parts."""
        log_p, own, weight = experience.scores(model).log_probability, experience.own, experience.weights
        right = (experience.reward > RIGHT).astype(jnp.float32)
        gain, credit = self._gain(experience), 1.0 if experience.credit is None else experience.credit
        here = jnp.exp(jnp.where(own, log_p - jax.lax.stop_gradient(log_p), 0.0))
        cloned = over_tokens(-gain * credit * log_p, own, weight * right, "token")
        pushed = over_tokens(-gain * credit * here, own, weight * (1 - right), "token")
        loss = cloned + self.wrong_weight * pushed
        info = {"reward": experience.reward.mean(), "cloned": cloned, "pushed": pushed}
        if self.regular:
            info["divergence"] = over_tokens(k3(log_p, experience.known("reference")), own, weight, "token")
            loss = loss + self.divergence * info["divergence"]
        return loss, {"loss": loss, **info}

    def _gain(self, experience: Rollouts) -> Float[Array, "prompts samples *length"]:
        if experience.advantage is not None:
            gain = experience.advantage
        else:
            gain = self.baseline(experience.reward)[..., None]
        kept = (experience.reward[..., None] > RIGHT) | (self.reshaped > 0.5)
        return jnp.where(kept, gain, -1.0)
