"""Learning to judge: reward models of steps and of whole answers, with one number for every token."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ._labels import Info
from ._rollouts import mean, over_tokens


class Graded(eqx.Module):
    """Answers with a grade for each of their steps: a judge's homework.

    `grade` lies in 0 … 1 and counts where `at` marks the last token of a step (or every token that is to be graded).
    """

    tokens: Int[Array, "n length"]
    at: Bool[Array, "n length"]
    grade: Float[Array, "n length"]
    weight: Float[Array, " n"]


class StepGrades(eqx.Module):
    """Say of every step how likely it is right, with a model whose `read` takes tokens [n, length] to numbers [n, length].

    'likelihood': −[g log σ(w) + (1−g) log(1−σ(w))], the mean over graded steps (Lightman et al. 2023, "Let's Verify Step by
    Step"; Wang et al. 2024, "Math-Shepherd", where g is the share of roll-outs from the step that succeed).
    'square': (w − (2g − 1))², a regression onto −1 … 1 (as the authors of B-STaR train theirs).
    """

    loss: Literal["likelihood", "square"] = eqx.field(static=True, default="likelihood")

    def __call__(self, model: PyTree, experience: Graded, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss over graded steps, and the share of them on the right side."""
        said = model.read(experience.tokens)
        grade = experience.grade
        wide = self.loss == "square"
        each = (said - (2 * grade - 1)) ** 2 if wide else optax.sigmoid_binary_cross_entropy(said, grade)
        right = ((said > 0) == (grade > 0.5)).astype(jnp.float32)
        loss, accuracy = (over_tokens(part, experience.at, experience.weight, "token") for part in (each, right))
        return loss, {"loss": loss, "accuracy": accuracy}


class OutcomeOfTokens(eqx.Module):
    """Find out which tokens matter from the outcome alone: p = σ(mean over tokens of w_t), L = −[r log p + (1−r) log(1−p)].

    The token reward model of OREAL (Lyu et al. 2025); `grade` of any token is the answer's reward.
    """

    def __call__(self, model: PyTree, experience: Graded, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss over answers, and the share of them judged rightly."""
        said = mean(model.read(experience.tokens), experience.at)
        reward = mean(experience.grade, experience.at)
        count = jnp.maximum(experience.weight.sum(), 1e-9)
        loss = (experience.weight * optax.sigmoid_binary_cross_entropy(said, reward)).sum() / count
        right = ((said > 0) == (reward > 0.5)).astype(jnp.float32)
        return loss, {"loss": loss, "accuracy": (experience.weight * right).sum() / count}
