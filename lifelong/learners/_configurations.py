"""Which temperature and which threshold a self-taught learner samples and selects with."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput, UnknownName
from lifelong.feedback import Rollouts, balance_score, best_distinct, distinct

CHOICES = ("fixed", "balanced", "drawn", "first")
"""The one given; the best balanced of every round; any one; the one that was best balanced in the first round."""


def _numbers(values: Any) -> Float[Array, " n"]:
    return jnp.asarray(values, jnp.float32).reshape(-1)


def _choice(choice: Any) -> Int[Array, ""]:
    if isinstance(choice, str):
        if choice not in CHOICES:
            raise UnknownName("choice", choice, CHOICES)
        choice = CHOICES.index(choice)
    return jnp.asarray(choice, jnp.int32)


class Configurations(eqx.Module):
    """A grid of temperatures and thresholds, and how one of them is chosen in every round. All numbers can be swept.

    Args:
        temperatures, thresholds: the grid.
        choice: one of `CHOICES`; 'balanced' unless stated (Zeng et al. 2024, "B-STaR").
        fixed: the place in the grid of the choice 'fixed', thresholds counting fastest.

    Raises BadInput for a grid without values, UnknownName for another choice.
    """

    temperatures: Float[Array, " temperatures"] = eqx.field(converter=_numbers)
    thresholds: Float[Array, " thresholds"] = eqx.field(converter=_numbers)
    choice: Int[Array, ""] = eqx.field(converter=_choice, default="balanced")
    fixed: Int[Array, ""] = eqx.field(converter=lambda place: jnp.asarray(place, jnp.int32), default=0)

    def __check_init__(self):
        if not len(self):
            raise BadInput("a grid of configurations needs at least one temperature and one threshold")

    def __len__(self) -> int:
        """Return how many there are."""
        return self.temperatures.size * self.thresholds.size

    def at(self, place: Int[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return the temperature and the threshold of a place in the grid."""
        return self.temperatures[place // self.thresholds.size], self.thresholds[place % self.thresholds.size]

    def balance(
        self,
        score: Float[Array, "prompts samples"],
        right: Bool[Array, "prompts samples"],
        answers: Rollouts,
        wanted: int,
    ) -> Float[Array, " thresholds"]:
        """Return the mean balance score of answers, sampled at one temperature, for every threshold.

        It is that of the different answers that would be selected, as in the authors' code.
        """

        def of(threshold: Array) -> Array:
            chosen = selected(score, answers, threshold, wanted) > 0
            return balance_score(chosen, right, chosen, float(wanted)).mean()

        return jax.vmap(of)(self.thresholds)

    def choose(
        self, balance: Float[Array, " configurations"], before: Int[Array, ""], *, key: PRNGKeyArray
    ) -> Int[Array, ""]:
        """Return the place of the configuration to use now, when that of the round before was `before` (−1: none)."""
        best = jnp.argmax(balance).astype(jnp.int32)
        drawn = jax.random.randint(key, (), 0, len(self))
        return jnp.stack([self.fixed, best, drawn, jnp.where(before < 0, best, before)])[self.choice]


def selected(
    score: Float[Array, "prompts samples"], answers: Rollouts, threshold: Float[Array, ""], wanted: int
) -> Float[Array, "prompts samples"]:
    """Return weight 1 for the best different answers of at least the threshold, `wanted` to a prompt on average, else 0."""
    fit = (score >= threshold) & distinct(answers.tokens, answers.own)
    return best_distinct(score, answers.tokens, answers.own, threshold, selected_cap(fit, wanted))


def selected_cap(fit: Bool[Array, "prompts samples"], wanted: int) -> Int[Array, ""]:
    """Return the fewest answers that each prompt may give, so that on average `wanted` are given, if that many fit at all."""
    caps = jnp.arange(1, fit.shape[1] + 1)
    given = jnp.minimum(fit.sum(1)[:, None], caps).sum(0)
    enough = given >= wanted * fit.shape[0]
    return jnp.where(enough.any(), caps[jnp.argmax(enough)], fit.shape[1])
