"""The two-state chain of Bayesian knowledge tracing: filtering, smoothing, and expectation maximisation, compiled.

A skill is known (1) or not (0). With p the probability that it is known before an attempt,

    P(right) = p·(1 − slip) + (1 − p)·guess
    p | answer by Bayes;    p′ = (p | answer)·(1 − forget) + (1 − (p | answer))·learn

An ungraded attempt moves p without evidence. All functions work on many threads, restarts and folds at once.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ._threads import PADDED

TINY = 1e-12

Probability = Any
"""An array of probabilities, JAX's or NumPy's, or one number for all."""


class Chain(NamedTuple):
    """Probabilities of the chain, one of each for every skill (or thread)."""

    prior: Probability
    learn: Probability
    forget: Probability
    guess: Probability
    slip: Probability

    def of(self, skill: Int[Array, " threads"]) -> "Chain":
        """Return the chain of every thread."""
        return Chain(*(jnp.asarray(values)[..., skill] for values in self))


def right(chain: Chain, known: Float[Array, "*threads"]) -> Float[Array, "*threads"]:
    """Return the probability of a right answer."""
    return known * (1 - chain.slip) + (1 - known) * chain.guess


def seen(chain: Chain, known: Float[Array, "*threads"], outcome: Int[Array, " threads"]) -> tuple[Array, Array]:
    """Return the probability that the skill is known after an answer, and that of the answer, 1 where ungraded."""
    if_known = jnp.where(outcome == 1, 1 - chain.slip, jnp.where(outcome == 0, chain.slip, 1.0))
    if_not = jnp.where(outcome == 1, chain.guess, jnp.where(outcome == 0, 1 - chain.guess, 1.0))
    both = known * if_known
    chance = both + (1 - known) * if_not
    return both / jnp.maximum(chance, TINY), chance


def moved(chain: Chain, known: Float[Array, "*threads"]) -> Float[Array, "*threads"]:
    """Return the probability that the skill is known after a chance to learn and to forget."""
    return known * (1 - chain.forget) + (1 - known) * chain.learn


class Filtered(NamedTuple):
    """Before each step: the probability that the skill is known, and that a graded answer would be right; the end."""

    known: Float[Array, "length *threads"]
    right: Float[Array, "length *threads"]
    last: Float[Array, "*threads"]


def filtered(chain: Chain, outcome: Int[Array, "length threads"]) -> Filtered:
    """Follow threads forwards; `last` is what is known after the last step of each."""

    def step(known: Array, outcome: Array) -> tuple[Array, tuple[Array, Array]]:
        after = moved(chain, seen(chain, known, outcome)[0])
        return jnp.where(outcome == PADDED, known, after), (known, right(chain, known))

    last, (known, chance) = jax.lax.scan(step, chain.prior, outcome)
    return Filtered(known, chance, last)


class Counts(NamedTuple):
    """Expected counts: how often each event of the chain happened and could have happened, and ln P(all answers)."""

    happened: Chain
    possible: Chain
    log_likelihood: Float[Array, "*threads"]


def counted(chain: Chain, outcome: Int[Array, "length threads"]) -> Counts:
    """Return the expected counts of every thread given all its outcomes: filter forwards, then smooth backwards.

    γₜ(1) = P(known at t | all); the step from t to t+1 goes from i to j with probability filterₜ(i)·A(i, j)·γₜ₊₁(j) /
    predictionₜ₊₁(j).
    """

    def forwards(known: Array, outcome: Array) -> tuple[Array, tuple[Array, Array]]:
        after, chance = seen(chain, known, outcome)
        return moved(chain, after), (after, jnp.log(jnp.maximum(chance, TINY)))

    def backwards(carry: tuple[Array, Chain, Chain], at: tuple[Array, Array, Array]) -> tuple[Any, None]:
        later, happened, possible = carry
        after, outcome, goes_on = at
        gamma, did, could = _events(chain, after, later, outcome, goes_on)
        here = outcome != PADDED
        happened, possible = (
            jax.tree.map(lambda total, event: total + jnp.where(here, event, 0.0), totals, events)
            for totals, events in ((happened, did), (possible, could))
        )
        return (jnp.where(here, gamma, later), happened, possible), None

    _, (after, logs) = jax.lax.scan(forwards, chain.prior, outcome)
    goes_on = jnp.concatenate([outcome[1:] != PADDED, jnp.zeros_like(outcome[:1], bool)])
    nothing = Chain(*[jnp.zeros_like(chain.prior)] * 5)
    start = (nothing.prior, nothing, nothing)
    (gamma, happened, possible), _ = jax.lax.scan(backwards, start, (after, outcome, goes_on), reverse=True)
    return Counts(happened._replace(prior=gamma), possible._replace(prior=jnp.ones_like(gamma)), logs.sum(axis=0))


def _events(
    chain: Chain, after: Array, later: Array, outcome: Int[Array, " threads"], goes_on: Bool[Array, " threads"]
) -> tuple[Array, Chain, Chain]:
    """Return γ at a step, and what happened and could have happened there, given what was known after its answer."""
    predicted = moved(chain, after)
    known_later = later / jnp.maximum(predicted, TINY)
    unknown_later = (1 - later) / jnp.maximum(1 - predicted, TINY)
    learned, stayed = (1 - after) * chain.learn * known_later, after * (1 - chain.forget) * known_later
    forgot, waited = after * chain.forget * unknown_later, (1 - after) * (1 - chain.learn) * unknown_later
    gamma = jnp.where(goes_on, stayed + forgot, after)
    happened = Chain(0.0, goes_on * learned, goes_on * forgot, (outcome == 1) * (1 - gamma), (outcome == 0) * gamma)
    graded = outcome >= 0
    possible = Chain(
        0.0, goes_on * (learned + waited), goes_on * (forgot + stayed), graded * (1 - gamma), graded * gamma
    )
    return gamma, happened, possible
