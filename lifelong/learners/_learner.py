"""What every learner can do."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from lifelong.feedback import Info
from lifelong.worlds import World


class Learner(eqx.Module):
    """Something that changes with experience. Configuration is this module; what changes is its state, a pytree."""

    def init(self, world: World, *, key: PRNGKeyArray) -> PyTree:
        """Return the state of a newborn learner in a world."""
        raise NotImplementedError

    def meet(self, state: PyTree, world: World, lesson: Any, *, key: PRNGKeyArray) -> Any:
        """Return an experience: draw a batch, act in an environment, answer problems."""
        raise NotImplementedError

    def learn(self, state: PyTree, experience: Any, *, key: PRNGKeyArray) -> tuple[PyTree, Info]:
        """Return the state after the experience, and named scalars worth recording."""
        raise NotImplementedError

    def answer(
        self,
        state: PyTree,
        x: Float[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return the learner's answers: logits of classes, out of reach where an answer is not allowed, or whatever
        the world's exam reads. A learner that answers by chance takes the `key`, and without one answers as surely as
        it can.
        """
        raise NotImplementedError

    def consolidate(self, state: PyTree, world: World, lesson: Any, *, key: PRNGKeyArray) -> PyTree:
        """Return the state after being told that the task of `lesson` has ended."""
        return state

    @property
    def consolidates(self) -> bool:
        """Whether being told of a task's end changes anything; if not, nothing is compiled for it."""
        return type(self).consolidate is not Learner.consolidate
