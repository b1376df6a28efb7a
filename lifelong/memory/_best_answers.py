"""The best answers to every problem, all different: what a learner of flows rehearses."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number, number

NOTHING = -1e9
"""log R where there is no answer: finite, for lives with infinite numbers count as diverged."""


class Answers(NamedTuple):
    """Answers kept, and log R of each; `NOTHING` where there is none."""

    words: Int[Array, "problems room length"]
    log_reward: Float[Array, "problems room"]


class BestAnswers(eqx.Module):
    """Keep the answers of highest reward to every problem, and no two that are nearly the same.

    Of answers that differ in fewer than `apart` words the better one stays, of equal ones the earlier. Answers are drawn in
    proportion to R^s. Yu et al. 2024, "Flow of Reasoning" (their code: 50 a problem).

    Args:
        problems: how many.
        room: answers kept of each.
        apart: words in which two answers differ at least.
        sharpness: s, 1; 0 draws all alike.

    Raises BadInput for sizes below 1.
    """

    problems: int = eqx.field(static=True)
    room: int = eqx.field(static=True, default=50)
    apart: int = eqx.field(static=True, default=1)
    sharpness: Number = number(1.0)

    def __check_init__(self):
        if min(self.problems, self.room, self.apart) < 1:
            raise BadInput(f"sizes are at least 1: problems={self.problems}, room={self.room}, apart={self.apart}")

    def init(self, length: int) -> Answers:
        """Return a memory of no answers, each to be `length` words long."""
        shape = (self.problems, self.room)
        return Answers(jnp.full((*shape, length), -1, jnp.int32), jnp.full(shape, NOTHING))

    def keep(
        self, kept: Answers, problem: Int[Array, ""], words: Int[Array, "n length"], log_reward: Float[Array, " n"]
    ) -> Answers:
        """Return the memory after new answers to one problem; `NOTHING` for log R leaves an answer out."""
        everything = jnp.concatenate([kept.words[problem], words])
        worth = jnp.concatenate([kept.log_reward[problem], log_reward])
        order = jnp.argsort(-worth, stable=True)
        everything, worth = everything[order], worth[order]
        near = (everything[:, None] != everything[None]).sum(-1) < self.apart

        def judge(i: Array, worth: Array) -> Array:
            better = near[i] & (jnp.arange(len(worth)) < i) & (worth > NOTHING)
            return worth.at[i].set(jnp.where(better.any(), NOTHING, worth[i]))

        worth = jax.lax.fori_loop(1, len(worth), judge, worth)
        best = jnp.argsort(-worth, stable=True)[: self.room]
        return Answers(kept.words.at[problem].set(everything[best]), kept.log_reward.at[problem].set(worth[best]))

    def draw(
        self, kept: Answers, problem: Int[Array, ""], n: int, *, key: PRNGKeyArray
    ) -> tuple[Int[Array, "n length"], Float[Array, " n"]]:
        """Return `n` answers to one problem and log R of each, drawn with replacement; the memory must have one."""
        log_reward = kept.log_reward[problem]
        odds = jnp.where(log_reward > NOTHING, self.sharpness * log_reward, -jnp.inf)
        place = jax.random.categorical(key, odds, shape=(n,))
        return kept.words[problem, place], log_reward[place]
