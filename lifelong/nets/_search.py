"""Choosing among what a language model wrote: the best, what most agree on, the best step by step."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput

from ._sampling import Sampler, blanks_first, sample
from ._transformer import BLANK, LanguageModel

Value = Callable[[Int[Array, "n t"]], Float[Array, " n"]]
"""What transcripts, finished or not, are worth: a verifier's verdict, a value function's estimate."""


def best_of(answers: PyTree, score: Float[Array, "prompts samples"]) -> PyTree:
    """Return each prompt's answer of highest score, of equal ones the first.

    `answers` is any tree of arrays [prompts·samples, …], such as `Sampled`, the samples of a prompt one after the other.
    """
    row = jnp.arange(len(score)) * score.shape[1] + score.argmax(1)
    return jax.tree.map(lambda leaf: leaf[row], answers)


def majority(
    answers: Int[Array, "prompts samples"], weight: Float[Array, "prompts samples"] | None = None
) -> tuple[Int[Array, " prompts"], Float[Array, " prompts"]]:
    """Return the answer that most samples agree on, and its share of all votes (Wang et al. 2023, "Self-Consistency").

    Negative answers are none and have no vote; where there is no other, the answer is −1. Of equally many votes those count
    whose answer was given first. With weights it is weighted voting.
    """
    weight = jnp.ones(answers.shape) if weight is None else weight
    weight = jnp.where(answers >= 0, weight, 0.0)
    votes = ((answers[:, :, None] == answers[:, None, :]) * weight[:, None, :]).sum(-1)
    first = jnp.where(answers >= 0, votes, -1.0).argmax(1)[:, None]
    chosen, won = (jnp.take_along_axis(values, first, 1)[:, 0] for values in (answers, votes))
    return jnp.maximum(chosen, BLANK), jnp.where(chosen >= 0, won / jnp.maximum(weight.sum(1), 1e-9), 0.0)


class Beams(eqx.Module):
    """The transcripts that a search has kept, the best of each prompt first; blanks come before the prompt."""

    tokens: Int[Array, "prompts width length"]
    score: Float[Array, "prompts width"]
    finished: Bool[Array, "prompts width"]


@eqx.filter_jit
def beam_search(
    model: LanguageModel,
    prompts: Int[Array, "n t"],
    value: Value,
    *,
    width: int,
    branches: int,
    steps: int,
    step_length: int,
    ends: tuple[int, ...] = (),
    stop: tuple[int, ...] = (),
    key: PRNGKeyArray,
    sampler: Sampler | None = None,
) -> Beams:
    """Search step by step: sample `branches` next steps of every kept transcript, keep the `width` of highest value.

    A step ends with a token of `ends` or `stop`, or after `step_length` tokens; with `stop` the transcript is finished and
    competes as it is. Snell et al. 2024, "Scaling LLM Test-Time Compute Optimally". Memory is that of sampling
    n·width·branches rows of t + steps·step_length tokens.

    Raises BadInput for numbers below 1.
    """
    if min(width, branches, steps, step_length) < 1:
        raise BadInput(
            f"a search has one beam, branch, step and token at least: {width=}, {branches=}, {steps=}, {step_length=}"
        )
    n, room = len(prompts), steps * step_length
    start = jnp.pad(blanks_first(prompts), ((0, 0), (room, 0)), constant_values=BLANK)
    score = jnp.where(jnp.arange(width) == 0, 0.0, -jnp.inf)  # all beams are the prompt: one of them is enough
    beams = Beams(jnp.repeat(start[:, None], width, 1), jnp.tile(score, (n, 1)), jnp.zeros((n, width), bool))

    def step(beams: Beams, key: PRNGKeyArray) -> tuple[Beams, None]:
        tokens, over, score = (jnp.repeat(leaf, branches, 1) for leaf in (beams.tokens, beams.finished, beams.score))
        rows, done = tokens.reshape(n * width * branches, -1), over.ravel()
        said = sample(model, rows, length=step_length, key=key, stop=ends + stop, sampler=sampler, finished=done)
        rows = blanks_first(said.tokens)[:, step_length:]
        again = over & (jnp.arange(width * branches) % branches > 0)
        worth = jnp.where(jnp.isfinite(score) & ~again, value(rows).reshape(score.shape), -jnp.inf)
        best, which = jax.lax.top_k(worth, width)
        done = done | (rows[:, -1:] == jnp.asarray(stop, jnp.int32)).any(-1)
        kept = which + jnp.arange(n)[:, None] * width * branches
        return Beams(rows[kept], best, done[kept]), None

    return jax.lax.scan(step, beams, jax.random.split(key, steps))[0]
