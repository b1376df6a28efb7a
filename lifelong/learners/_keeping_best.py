"""A learner that improves by its own answers, and keeps the best that it has been."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import Info
from lifelong.keys import key_for
from lifelong.worlds import World

from ._learner import Learner
from ._policy_learner import PolicyLearner, PolicyState


class BestState(eqx.Module):
    """What the learner is now, the best model that it has been, and the share of problems which that one solved."""

    now: PolicyState
    best: PyTree
    score: Float[Array, ""]


class KeepingBest(Learner):
    """Live as a `PolicyLearner` does; whenever a task ends, answer the world's held-out problems, and keep the better model.

    A model is better that has a larger share of right answers among `samples` sampled ones to each of `questions` problems; the
    model of the beginning is the first to beat. A teacher that announces ends, such as `OneByOne(1, steps=10)`, says how often
    models are compared.

    Args:
        learner: who lives.
        questions: held-out problems by which models are compared.
        samples: answers to each.

    Raises BadInput for sizes below 1.
    """

    learner: PolicyLearner
    questions: int = eqx.field(static=True, default=32)
    samples: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        if min(self.questions, self.samples) < 1:
            raise BadInput(
                f"to compare models takes a question and an answer at least: {self.questions=}, {self.samples=}"
            )

    def init(self, world: World, *, key: PRNGKeyArray) -> BestState:
        """Return the learner at its beginning, with what its model solves."""
        now = self.learner.init(world, key=key)
        return BestState(now, now.model, self._score(now, world, key=key_for(key, "score")))

    def _score(self, now: PolicyState, world: Any, *, key: PRNGKeyArray) -> Float[Array, ""]:
        asked = jnp.repeat(world.exam_set(0, self.questions), self.samples, axis=0)
        answers = self.learner.answer(now, asked, key=key)
        return world.judge(asked, answers).right.astype(jnp.float32).mean()

    def meet(self, state: BestState, world: World, lesson: Any, *, key: PRNGKeyArray) -> Any:
        """Return what the learner meets: answers to problems, judged."""
        return self.learner.meet(state.now, world, lesson, key=key)

    def learn(self, state: BestState, experience: Any, *, key: PRNGKeyArray) -> tuple[BestState, Info]:
        """Take the steps of a round."""
        now, info = self.learner.learn(state.now, experience, key=key)
        return BestState(now, state.best, state.score), info | {"best": state.score}

    def consolidate(self, state: BestState, world: World, lesson: Any, *, key: PRNGKeyArray) -> BestState:
        """Compare the model of now with the best so far."""
        score = self._score(state.now, world, key=key_for(key, "score"))
        better = score > state.score
        arrays, static = eqx.partition(state.now.model, eqx.is_array)
        kept = eqx.filter(state.best, eqx.is_array)
        best = eqx.combine(_where(better, arrays, kept), static)
        return BestState(state.now, best, jnp.maximum(score, state.score))

    def answer(self, state: BestState, x: Any, allowed: Any = None, *, key: PRNGKeyArray | None = None) -> Array:
        """Return the answers of the model of now."""
        return self.learner.answer(state.now, x, allowed, key=key)


def _where(better: Array, one: PyTree, other: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), one, other)
