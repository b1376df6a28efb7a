"""Expectation maximisation for chains of many skills, restarts and folds at once."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ._markov import Chain, Counts, counted

LEAST = 1e-4
"""Probabilities of the chain stay this far from 0 and 1."""


class Problem(NamedTuple):
    """Patterns of one padded length, in order of skill, with their weight in every lane."""

    skill: Int[Array, " patterns"]
    outcome: Int[Array, "length patterns"]
    weight: Float[Array, "lanes patterns"]


class Numbers(NamedTuple):
    """What steers a fit: upper bounds of the chain, usual values and how many attempts they count, when to stop."""

    bounds: Chain
    usual: Chain
    pseudo: float
    tolerance: float


@partial(jax.jit, static_argnames=("steps", "together"))
def maximise(
    problems: list[Problem],
    starts: Chain,
    lanes: Int[Array, " starts"],
    numbers: Numbers,
    *,
    steps: int,
    together: int,
) -> tuple[Chain, Float[Array, "starts skills"]]:
    """Return the chains fitted from `starts` [starts, skills], each with the weights of its lane, and how likely they are.

    A fit ends when no skill gains more than the tolerance in a step, or after `steps`; the log-likelihood is that before
    the last step. Starts are run `together` at a time: on a CPU one by one is fastest, for it stays in the cache.
    """

    def fit(given: tuple[Chain, Array]) -> tuple[Chain, Array]:
        start, lane = given
        weights = [problem.weight[lane] for problem in problems]

        def step(state: tuple[Array, Chain, Array, Array]) -> tuple[Array, Chain, Array, Array]:
            i, chain, before, _ = state
            counts = _expected(problems, weights, chain)
            return i + 1, _updated(counts, numbers), counts.log_likelihood, counts.log_likelihood - before

        def goes_on(state: tuple[Array, Chain, Array, Array]) -> Array:
            return (state[0] < steps) & (jnp.max(state[3]) > numbers.tolerance)

        worst, most = jnp.full_like(start.prior, -jnp.inf), jnp.full_like(start.prior, jnp.inf)
        _, chain, logs, _ = jax.lax.while_loop(goes_on, step, (jnp.int32(0), start, worst, most))
        return chain, logs

    return jax.lax.map(fit, (starts, lanes), batch_size=together)


def _expected(problems: list[Problem], weights: list[Float[Array, " _"]], chain: Chain) -> Counts:
    """Return expected counts of every skill: sums over patterns in proportion to their weights."""
    skills, sums = chain.prior.shape[0], jnp.zeros(())
    structure = jax.tree.structure(Counts(chain, chain, chain.prior))
    for problem, weight in zip(problems, weights, strict=True):
        counts = counted(chain.of(problem.skill), problem.outcome.astype(jnp.int32))
        rows = jnp.stack(jax.tree.leaves(counts), axis=1) * weight[:, None]
        sums += jax.ops.segment_sum(rows, problem.skill, skills, indices_are_sorted=True)
    return jax.tree.unflatten(structure, list(sums.T))


def _updated(counts: Counts, numbers: Numbers) -> Chain:
    """Return the most likely chain given expected counts, with pseudo-attempts, within bounds."""
    pseudo = numbers.pseudo

    def ratio(happened: Array, possible: Array, usual: Array, bound: Array) -> Array:
        value = (happened + pseudo * usual) / jnp.maximum(possible + pseudo, 1e-12)
        return jnp.minimum(jnp.clip(value, LEAST, 1 - LEAST), bound)

    return jax.tree.map(ratio, counts.happened, counts.possible, numbers.usual, numbers.bounds)
