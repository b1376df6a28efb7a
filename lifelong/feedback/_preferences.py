"""Learning from preferences: which of two answers is better, or whether one answer is good.

The pair losses take `Rollouts` of two samples a prompt, the better one first; a pair counts as much as the weight of its first.
h_θ = log π(y⁺)/π_ref(y⁺) − log π(y⁻)/π_ref(y⁻), with sums over own tokens: no division by length.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.recipe import Number, number

from ._labels import Info, weighted_mean
from ._rollouts import Rollouts, mean, total


def preference_loss(better: Float[Array, "*n"], worse: Float[Array, "*n"], bias: Number = 1.0) -> Float[Array, "*n"]:
    """Return −log [ e^a / (e^a + e^{λb}) ] = −log σ(a − λb) for scores a of the better and b of the worse.

    λ = 1 is the model of Bradley and Terry; below 1 lifting the better counts for more than pushing the worse (Hejna et al.
    2023, "Contrastive Preference Learning").
    """
    return -jax.nn.log_sigmoid(better - bias * worse)


class _Pairs(eqx.Module):
    """What all losses over pairs share: their mean, and the share of pairs told apart."""

    def each(self, model: PyTree, pairs: Rollouts) -> tuple[Float[Array, " prompts"], Float[Array, " prompts"]]:
        """Return the loss of every pair, and by how much its better answer is preferred."""
        raise NotImplementedError

    def __call__(self, model: PyTree, experience: Rollouts, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss over pairs, the share in which the better one leads, and the mean margin."""
        losses, margin = self.each(model, experience)
        weight = experience.weights[:, 0]
        loss = weighted_mean(losses, weight)
        leads = weighted_mean((margin > 0).astype(jnp.float32), weight)
        return loss, {"loss": loss, "accuracy": leads, "margin": weighted_mean(margin, weight)}


class DPO(_Pairs):
    """Direct preference optimization: L = −(1−ε) log σ(βh) − ε log σ(−βh) (Rafailov et al. 2023, equation 7).

    Args:
        strength: β, 0.1.
        smoothing: ε, the share of pairs that may be the wrong way around; 0.
    """

    strength: Number = number(0.1)
    smoothing: Number = number(0.0)

    def each(self, model: PyTree, pairs: Rollouts) -> tuple[Float[Array, " prompts"], Float[Array, " prompts"]]:
        """Return the loss and the margin βh of every pair."""
        margin = self.strength * _difference(pairs.log_ratio(model))
        right, turned = (
            preference_loss(margin, jnp.zeros_like(margin)),
            preference_loss(-margin, jnp.zeros_like(margin)),
        )
        return (1 - self.smoothing) * right + self.smoothing * turned, margin


class IPO(_Pairs):
    """Identity preference optimization: L = (h − 1/(2τ))² (Azar et al. 2024, "A General Theoretical Paradigm", equation 17).

    Args:
        strength: τ, 0.1.
    """

    strength: Number = number(0.1)

    def each(self, model: PyTree, pairs: Rollouts) -> tuple[Float[Array, " prompts"], Float[Array, " prompts"]]:
        """Return the loss and the margin h of every pair."""
        margin = _difference(pairs.log_ratio(model))
        return (margin - 1 / (2 * self.strength)) ** 2, margin


class ORPO(_Pairs):
    """Odds ratio preference optimization: L = −log p(y⁺) + λ·(−log σ(log odds(y⁺) − log odds(y⁻))), without a reference.

    log p is the mean over own tokens, odds = p/(1 − p) (Hong et al. 2024, "ORPO").

    Args:
        strength: λ, 0.1.
    """

    strength: Number = number(0.1)

    def each(self, model: PyTree, pairs: Rollouts) -> tuple[Float[Array, " prompts"], Float[Array, " prompts"]]:
        """Return the loss of every pair, and the logarithm of its odds ratio."""
        log_p = mean(pairs.scores(model).log_probability, pairs.own)
        margin = _difference(_log_odds(log_p))
        return -log_p[:, 0] + self.strength * preference_loss(margin, jnp.zeros_like(margin)), margin


class CPL(_Pairs):
    """Contrastive preference learning: −log σ(A⁺ − λA⁻) with A = Σ_t γᵗ α log π(y_t), or α log π/π_ref (Hejna et al. 2023).

    Args:
        strength: α, 0.1 (the authors' configuration).
        bias: λ, 0.5 (as there).
        discount: γ, 1: what the authors run.
        relative: whether log π/π_ref is compared, the paper's CPL-KL; with λ = 1 that is DPO.
    """

    strength: Number = number(0.1)
    bias: Number = number(0.5)
    discount: Number = number(1.0)
    relative: bool = eqx.field(static=True, default=False)

    def each(self, model: PyTree, pairs: Rollouts) -> tuple[Float[Array, " prompts"], Float[Array, " prompts"]]:
        """Return the loss of every pair, and A⁺ − A⁻."""
        log_p = pairs.scores(model).log_probability
        log_p = log_p - pairs.known("reference") if self.relative else log_p
        when = jnp.maximum(jnp.cumsum(pairs.own, -1) - 1, 0)
        score = self.strength * total(self.discount**when * log_p, pairs.own)
        return preference_loss(score[:, 0], score[:, 1], self.bias), _difference(score)


class KTO(eqx.Module):
    """Kahneman-Tversky optimization of single answers, good where their reward is above 0.5.

    L = mean of λ_D (1 − σ(β(h − z₀))) for good and λ_U (1 − σ(β(z₀ − h))) for bad answers, h = log π/π_ref of the answer and
    z₀ = max(0, mean of log π/π_ref over answers to *other* prompts), without gradient (Ethayarajh et al. 2024, "KTO: Model
    Alignment as Prospect Theoretic Optimization").

    The experience is a pair of rollouts: answers, and answers to other prompts (`mismatched`).

    Args:
        strength: β, 0.1.
        good, bad: λ_D and λ_U, 1.
    """

    strength: Number = number(0.1)
    good: Number = number(1.0)
    bad: Number = number(1.0)

    def __call__(
        self, model: PyTree, experience: tuple[Rollouts, Rollouts], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss over answers, with z₀ and the share of answers on the right side of it."""
        judged, others = experience
        point = jax.lax.stop_gradient(
            jnp.maximum(weighted_mean(others.log_ratio(model).ravel(), others.weights.ravel()), 0)
        )
        gap = self.strength * (judged.log_ratio(model) - point)
        is_good = judged.reward > 0.5
        side = jnp.where(is_good, 1.0, -1.0)
        losses = jnp.where(is_good, self.good, self.bad) * (1 - jax.nn.sigmoid(side * gap))
        weight = judged.weights.ravel()
        loss = weighted_mean(losses.ravel(), weight)
        right = weighted_mean((side * gap > 0).astype(jnp.float32).ravel(), weight)
        return loss, {"loss": loss, "accuracy": right, "reference_point": point}


def mismatched(rollouts: Rollouts, reference: PyTree) -> Rollouts:
    """Return every prompt with the answers to the prompt before it; answers must begin at the same place.

    The reference model says how likely they are under it.
    """
    answer = jnp.roll(rollouts.own, 1, axis=0)
    tokens = jnp.where(answer, jnp.roll(rollouts.tokens, 1, axis=0), rollouts.tokens)
    scored = Rollouts(tokens, answer, rollouts.reward, weight=jnp.roll(rollouts.weights, 1, axis=0))
    log_p = jax.lax.stop_gradient(scored.scores(reference).log_probability)
    return eqx.tree_at(lambda r: r.reference, scored, log_p, is_leaf=lambda node: node is None)


def _difference(pair: Float[Array, "prompts 2"]) -> Float[Array, " prompts"]:
    return pair[:, 0] - pair[:, 1]


def _log_odds(log_p: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return log p − log(1 − p), finite where p is 1."""
    log_p = jnp.minimum(log_p, -1e-6)
    return log_p - jnp.log(-jnp.expm1(log_p))
