"""Levels worth playing again: prioritized level replay, its robust form with edits (ACCEL), and learnability."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.recipe import Number, number
from lifelong.worlds import Trial

from ._searching import Searching, in_proportion


class Levels(NamedTuple):
    """A buffer of levels, stacked: the first `count` are there. `met` is when each was last told of, `clock` now."""

    levels: PyTree
    scores: Float[Array, " capacity"]
    met: Int[Array, " capacity"]
    count: Int[Array, ""]
    clock: Int[Array, ""]
    parent: Int[Array, ""]
    """The level replayed last, whose edit comes next; −1 for none."""


class _Replaying(Searching):
    """Ask for levels met before, or for new ones, and keep those of high score.

    A level is any task: a point, a number, a maze. One that is told of is looked up in the buffer; if it is not there it
    takes an empty place, or that of the lowest score if its own is higher.
    """

    capacity: int = eqx.field(static=True, default=512, kw_only=True)
    replay: Number = eqx.field(converter=lambda x: jnp.asarray(x, jnp.float32), default=0.8, kw_only=True)
    fill: Number = eqx.field(converter=lambda x: jnp.asarray(x, jnp.float32), default=0.5, kw_only=True)

    def __check_init__(self):
        if self.capacity < 1:
            raise BadInput(f"a buffer of levels holds at least one, not {self.capacity}")

    def init(self, *, key: PRNGKeyArray) -> Levels:
        """Return an empty buffer."""
        like = eqx.filter_eval_shape(self.space.sample, key=key)
        levels = jax.tree.map(lambda leaf: jnp.zeros((self.capacity, *leaf.shape), leaf.dtype), like)
        scores, met = jnp.full(self.capacity, -jnp.inf), jnp.zeros(self.capacity, jnp.int32)
        return Levels(levels, scores, met, jnp.int32(0), jnp.int32(0), jnp.int32(-1))

    def score(self, value: Float[Array, ""]) -> Float[Array, ""]:
        """Return how much a level is worth, from what was told of it."""
        return value

    def weights(self, plan: Levels) -> Float[Array, " capacity"]:
        """Return how likely each level of the buffer is to be replayed."""
        raise NotImplementedError

    def replayed(self, plan: Levels, *, key: PRNGKeyArray) -> tuple[PyTree, Bool[Array, ""], Int[Array, ""]]:
        """Return a level, whether it comes from the buffer, and its place there."""
        for_gate, for_new = jax.random.split(key)
        gate, place = jax.random.uniform(for_gate, (2,))
        again = (gate < self.replay) & (plan.count >= jnp.maximum(self.fill * self.capacity, 1))
        which = in_proportion(self.weights(plan), place)
        new = self.space.sample(key=for_new)
        return jax.tree.map(lambda old, new: jnp.where(again, old[which], new), plan.levels, new), again, which

    def choose(self, plan: Levels, *, key: PRNGKeyArray) -> PyTree:
        """Return a level to play."""
        return self.replayed(plan, key=key)[0]

    def hear(self, plan: Levels, task: PyTree, value: Array, told: Array, *, key: PRNGKeyArray) -> Levels:
        """Return the buffer with the score of a level, where the level is kept."""
        score = self.score(value)
        there = jnp.arange(self.capacity) < plan.count
        same = there & _equal(plan.levels, task)
        full = plan.count >= self.capacity
        free = jnp.where(full, jnp.argmin(plan.scores), plan.count)
        worth = told & (same.any() | ~full | (score > plan.scores[free % self.capacity]))
        slot = jnp.where(worth, jnp.where(same.any(), jnp.argmax(same), free), self.capacity)
        return plan._replace(
            levels=jax.tree.map(lambda all_, one: all_.at[slot].set(one, mode="drop"), plan.levels, task),
            scores=plan.scores.at[slot].set(score, mode="drop"),
            met=plan.met.at[slot].set(plan.clock + 1, mode="drop"),
            count=plan.count + (worth & ~same.any() & ~full),
            clock=plan.clock + told,
        )


class PLR(_Replaying):
    """Replay levels on which regret is high, or which were not met for long: prioritized level replay.

    A level of the buffer is replayed with probability (1 − ρ)·P_S + ρ·P_C, where P_S ∝ rank(score)^(−1/β), ranks from the
    highest score on, and P_C ∝ time since it was last met. The score is what learning reports as `measure`, an estimate of
    regret such as `max_monte_carlo` or `positive_value_loss`. `robust`: the learner is told not to learn from new levels
    (PLR⊥; `Trial.learn` is false). `edit`: each replayed level is followed by an edit of it, from which nothing is learned
    either (ACCEL); `edit(level, key=…)` returns a level of the same shapes.

    Jiang, Grefenstette and Rocktäschel 2021 (arXiv:2010.03934), Jiang et al. 2021 (arXiv:2110.02439), Parker-Holder et al.
    2022 (arXiv:2203.01302); ρ, β, `replay` and `fill` are those of JaxUED's maze experiment, whose buffer holds 4000.

    Args:
        staleness: ρ.
        temperature: β.
        robust, edit: see above.
        capacity: levels in the buffer.
        replay: how often a level is replayed, once the share `fill` of the buffer is full.
    """

    staleness: Number = number(0.3)
    temperature: Number = number(0.3)
    robust: bool = eqx.field(static=True, default=False)
    edit: Callable[..., PyTree] | None = eqx.field(static=True, default=None)
    measure: str = eqx.field(static=True, default="regret", kw_only=True)

    def weights(self, plan: Levels) -> Float[Array, " capacity"]:
        """Return how likely each level is to be replayed."""
        there = jnp.arange(self.capacity) < plan.count
        rank = jnp.argsort(jnp.argsort(-jnp.where(there, plan.scores, -jnp.inf))) + 1
        by_score = jnp.where(there, -jnp.log(rank) / self.temperature, -jnp.inf)
        by_score = jnp.where(there, jnp.exp(by_score - by_score.max()), 0.0)
        stale = jnp.where(there, plan.clock - plan.met, 0).astype(jnp.float32)
        stale = jnp.where(stale.sum() > 0, stale, there)
        parts = by_score / jnp.maximum(by_score.sum(), 1e-9), stale / jnp.maximum(stale.sum(), 1e-9)
        return (1 - self.staleness) * parts[0] + self.staleness * parts[1]

    def ask(self, plan: Levels, *, key: PRNGKeyArray) -> tuple[Trial, Levels]:
        """Return a try at a level: replayed, edited or new."""
        level, again, which = self.replayed(plan, key=key)
        if self.edit is not None:
            parent = jax.tree.map(lambda leaf: leaf[jnp.maximum(plan.parent, 0)], plan.levels)
            edited, due = self.edit(parent, key=jax.random.fold_in(key, 1)), plan.parent >= 0
            level = jax.tree.map(lambda new, old: jnp.where(due, new, old), edited, level)
            again &= ~due
        only_old = self.robust or self.edit is not None
        return Trial(level, again if only_old else True), plan._replace(parent=jnp.where(again, which, -1))


class Learnability(_Replaying):
    """Ask for levels that are sometimes solved: sampling for learnability.

    The score of a level is p·(1 − p), p the share of episodes in which it was solved; levels of the buffer are drawn evenly,
    a share 1 − `replay` of tasks is new. Half and half is that of Rutherford et al. 2024 (arXiv:2408.15099), who fill the
    buffer at intervals from thousands of new levels; here it is kept as tasks are told of. What is told of a single episode
    is 0 or 1, and never learnable: tell the mean of several.

    Args:
        capacity: levels in the buffer.
        replay: how often a level is replayed, once the share `fill` of the buffer is full.
    """

    replay: Number = eqx.field(converter=lambda x: jnp.asarray(x, jnp.float32), default=0.5, kw_only=True)

    def score(self, value: Float[Array, ""]) -> Float[Array, ""]:
        """Return p·(1 − p)."""
        share = jnp.clip(value, 0.0, 1.0)
        return share * (1 - share)

    def weights(self, plan: Levels) -> Float[Array, " capacity"]:
        """Return 1 for every level that is sometimes solved."""
        return jnp.where(jnp.arange(self.capacity) < plan.count, plan.scores > 0, False).astype(jnp.float32)


def max_monte_carlo(
    best: Float[Array, ""], values: Float[Array, " steps"], there: Bool[Array, " steps"]
) -> Float[Array, ""]:
    """Return the mean of (best return ever on the level − V(s_t)) over the steps that are there.

    Jiang et al. 2021 (arXiv:2110.02439, section 4).
    """
    return jnp.where(there, best - values, 0.0).sum() / jnp.maximum(there.sum(), 1)


def positive_value_loss(advantages: Float[Array, " steps"], there: Bool[Array, " steps"]) -> Float[Array, ""]:
    """Return the mean of max(0, generalized advantage) over the steps that are there.

    Jiang et al. 2021 (arXiv:2110.02439, section 4).
    """
    return jnp.where(there, jnp.maximum(advantages, 0.0), 0.0).sum() / jnp.maximum(there.sum(), 1)


def _equal(levels: PyTree, level: PyTree) -> Bool[Array, " capacity"]:
    """Return which of the stacked levels are this one, in every number."""
    same = jax.tree.map(lambda all_, one: (all_ == one).reshape(len(all_), -1).all(1), levels, level)
    return jnp.stack(jax.tree.leaves(same)).all(0)
