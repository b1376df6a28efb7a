"""What every learner can do."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from lifelong.feedback import FORBIDDEN, Info
from lifelong.worlds import Batch, Lesson, World


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
        x: Shaped[Array, "n *shape"],
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

    def examinee(self) -> "Learner":
        """Return the learner without what neither its answers nor its model depend on.

        Lives that differ in the rest alone then share the compiled exam.
        """
        return self

    def examined(self, state: PyTree) -> PyTree:
        """Return the state of the examinee."""
        return state

    @property
    def consolidates(self) -> bool:
        """Whether being told of a task's end changes anything; if not, nothing is compiled for it."""
        return type(self).consolidate is not Learner.consolidate


def blank_batch(world: World, n: int, *, key: PRNGKeyArray) -> Batch:
    """Return a batch of zeros, of the shapes and types that a data world hands out."""
    lesson = Lesson(jnp.int32(0), jnp.int32(0))
    shapes = eqx.filter_eval_shape(lambda world: world.draw(lesson, n, key=key), world)
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)


def answerable(
    logits: Float[Array, "n outputs"], seen: Bool[Array, " outputs"], allowed: Bool[Array, "n outputs"] | None
) -> Float[Array, "n outputs"]:
    """Return logits over the classes seen that an answer may name; where it may name none of them, over all that it may
    name, so that what was never taught is guessed.
    """
    allowed = jnp.ones_like(logits, bool) if allowed is None else allowed
    active = allowed & seen
    return jnp.where(active | (allowed & ~active.any(-1, keepdims=True)), logits, FORBIDDEN)
