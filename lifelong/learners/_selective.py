"""Practising what is half known: problems are chosen by how often they were solved at the beginning."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.worlds import World

from ._agent import without
from ._policy_learner import Judged, PolicyLearner, PolicyState


class SelectiveState(PolicyState):
    """What a selective learner carries besides: the problems it practises, and how often each was solved at first."""

    pool: Int[Array, "pool t"]
    rate: Float[Array, " pool"]


def practice_weight(rate: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return how often to practise what is solved with this rate: 6 below 0.2, 4 below 0.6, 2 up to 0.8; 0 above, and at 0.

    Lyu et al. 2025, OREAL (the authors' configurations). What is never solved, or nearly always, teaches nothing.
    """
    bands = [(rate > 0) & (rate < 0.2), (rate >= 0.2) & (rate < 0.6), (rate >= 0.6) & (rate <= 0.8)]
    return jnp.select(bands, [6.0, 4.0, 2.0], 0.0)


class SelectiveLearner(PolicyLearner):
    """A policy learner that practises problems of a pool, by how often it solved each of them at the beginning.

    When it is born it draws the pool, tries every problem several times, and from then on is posed problems of the pool in
    proportion to `practice_weight`, whatever the lesson. Where nothing is worth practising, all are posed alike.

    Args:
        model, feedback, and others: those of `PolicyLearner`.
        tasks: the tasks that the pool is drawn from, in equal parts.
        pool: how many problems it holds.
        tries: answers by which the rates are found (16, as the authors of OREAL sample).

    Raises BadInput for sizes below 1 and for no tasks.
    """

    tasks: tuple[int, ...] = eqx.field(static=True)
    pool: int = eqx.field(static=True)
    tries: int = eqx.field(static=True)

    def __init__(
        self, model: Callable[..., PyTree], *parts: Any, tasks: tuple[int, ...], pool: int, tries: int = 16, **more: Any
    ):
        if min(pool, tries, len(tasks)) < 1:
            raise BadInput(f"a pool needs tasks, problems and tries, at least one of each: {tasks=}, {pool=}, {tries=}")
        super().__init__(model, *parts, **more)
        self.tasks, self.pool, self.tries = tasks, pool, tries

    def init(self, world: World, *, key: PRNGKeyArray) -> SelectiveState:
        """Return the learner at its beginning, its pool tried; raise `Mismatch` as `PolicyLearner` does."""
        born = super().init(world, key=key)
        here: Any = world
        kinds = jnp.asarray(self.tasks, jnp.int32)[jnp.arange(self.pool) % len(self.tasks)]
        posed = here.pose(kinds, self.pool, key=key_for(key, "pool"))
        tried = self.judged(born, here, posed, samples=self.tries, key=key_for(key, "tries"))
        rate = tried.rollouts.reward.mean(-1)
        return SelectiveState(born.model, born.reference, born.optimizer, born.length, born.stop, posed, rate)

    def meet(self, state: SelectiveState, world: World, lesson: Any, *, key: PRNGKeyArray) -> Judged:
        """Return answers to problems of the pool, judged."""
        here: Any = world
        worth = jnp.log(practice_weight(state.rate) + 1e-9)
        chosen = jax.random.categorical(key_for(key, "choose"), worth, shape=(self.prompts,))
        return self.judged(state, here, state.pool[chosen], key=key_for(key, "answer"))

    def examined(self, state: SelectiveState) -> SelectiveState:
        """Return the model alone."""
        return without(state, "reference", "optimizer", "pool", "rate")
