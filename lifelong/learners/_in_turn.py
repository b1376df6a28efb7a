"""A learner whose lanes learn one after the other, not side by side."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, PRNGKeyArray, PyTree

from lifelong.feedback import Info
from lifelong.worlds import World

from ._learner import Learner


class InTurn(Learner):
    """Live as another learner does, but where many lanes share a core, let one after the other take its step.

    `live` takes the steps of all lanes of a core side by side, as one large step, which is best where a step is small. The
    numbers that pass through one step of a model of some size fill a core's cache; those of many lanes outgrow it. One lane
    after the other then takes less time and less memory: a step's numbers are kept for one lane, not for all. What is learned
    is the same but for rounding. Meeting, answers and exams stay side by side.

    Args:
        learner: who lives.
    """

    learner: Learner

    def __getattr__(self, name: str) -> Any:
        """Return what only this kind of learner has, such as how it solves an episode, for exams that look at it."""
        if name == "learner":
            raise AttributeError(name)
        return getattr(self.learner, name)

    def init(self, world: World, *, key: PRNGKeyArray) -> PyTree:
        """Return the newborn learner's state."""
        return self.learner.init(world, key=key)

    def meet(self, state: PyTree, world: World, lesson: Any, *, key: PRNGKeyArray) -> Any:
        """Return what the learner meets."""
        return self.learner.meet(state, world, lesson, key=key)

    def learn(self, state: PyTree, experience: Any, *, key: PRNGKeyArray) -> tuple[PyTree, Info]:
        """Take a step when it is this lane's turn."""
        given, static = eqx.partition((self.learner, state, experience, key), eqx.is_array)
        kept: list[PyTree] = []

        @jax.custom_batching.sequential_vmap
        def step(given: PyTree) -> PyTree:
            learner, state, experience, key = eqx.combine(given, static)
            made, rest = eqx.partition(learner.learn(state, experience, key=key), eqx.is_array)
            kept.append(rest)
            return made

        return eqx.combine(step(given), kept[-1])

    def answer(self, state: PyTree, x: Any, allowed: Any = None, *, key: PRNGKeyArray | None = None) -> Array:
        """Return the learner's answers."""
        return self.learner.answer(state, x, allowed, key=key)

    def consolidate(self, state: PyTree, world: World, lesson: Any, *, key: PRNGKeyArray) -> PyTree:
        """Return the state after the end of a task."""
        return self.learner.consolidate(state, world, lesson, key=key)

    def examinee(self) -> Learner:
        """Return the learner's examinee."""
        return self.learner.examinee()

    def examined(self, state: PyTree) -> PyTree:
        """Return the state of the examinee."""
        return self.learner.examined(state)

    @property
    def consolidates(self) -> bool:
        """Whether the end of a task changes the learner."""
        return self.learner.consolidates
