"""A learner that learns what it is asked to learn, and unlearns what it is asked to unlearn."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from lifelong.feedback import Feedback, Info
from lifelong.keys import key_for
from lifelong.memory import GradientUnlearner, Loss, Memory, released
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Lesson, Mixture, Pages, World

from ._gradient import GradientLearner, GradientState, _among
from ._learner import blank_batch


class UnlearningState(GradientState):
    """What a learner carries that can unlearn: besides the rest, the arrays of its model when the last request ended."""

    reference: PyTree


class Asked(NamedTuple):
    """A batch, and whether it is to be unlearned."""

    batch: Batch
    unlearn: Bool[Array, ""]


class UnlearningLearner(GradientLearner):
    """A gradient learner that also follows requests to unlearn, one step of its unlearner at a time.

    A lesson to learn is met as in `GradientLearner`. In one to unlearn, the feedback gives way to the
    unlearner's objective, while the memory goes on protecting what is to stay:

        θ′ = θ − optimizer(shape(∇[w·F(θ; forget) + penalty(θ)])).

    To the memory such a batch is padding: nothing of it is kept, and nothing of its task rehearsed. (Memories that do not
    rehearse but hold weights, outputs or gradients go on holding those of the task too, until the request ends.) When
    it ends, the memory releases the examples it has of the task and consolidates with a review in which there is
    nothing; the model becomes the reference of later requests. An unlearner that needs no data is given a blank batch
    with the task's number.

    Both objectives are computed in every step, since lanes of one program may be asked for different things. The
    unlearner's own `steps`, `batch`, `retention` and `optimizer` are not used here: the teacher decides how many steps,
    and the learner's optimizer takes them (give `reset_optimizer=True` for a fresh one in each request).

    Args:
        model: called with `key=` it returns the model.
        unlearner: what a step of unlearning descends.
        feedback, optimizer, memory, options: as in `GradientLearner`.
    """

    unlearner: GradientUnlearner

    def __init__(
        self,
        model: Callable[..., PyTree],
        unlearner: GradientUnlearner,
        feedback: Feedback | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        memory: Memory | None = None,
        **options: Any,
    ):
        super().__init__(model, feedback, optimizer, memory, **options)
        self.unlearner = unlearner

    def init(self, world: World, *, key: PRNGKeyArray) -> UnlearningState:
        """Return a fresh learner; raise `Mismatch` where the model does not fit the world or the unlearner."""
        state = super().init(world, key=key)
        like = blank_batch(world, self.batch, key=key)
        step = lambda model: self.unlearner.objective(model, model, like, self._loss(state.seen, key), key=key)  # noqa: E731
        eqx.filter_eval_shape(step, state.model)
        return _with_reference(state)

    def meet(self, state: GradientState, world: World, lesson: Any, *, key: PRNGKeyArray) -> Asked:
        """Return a batch of what the teacher asked for, and whether it is to be unlearned."""
        return Asked(world.draw(lesson, self.batch, key=key), _unlearned(lesson))

    def learn(self, state: UnlearningState, experience: Asked, *, key: PRNGKeyArray) -> tuple[UnlearningState, Info]:
        """Take one step to learn or to unlearn a batch; return the new state and what the feedback says of the batch."""
        batch, unlearn = experience
        seen = state.seen.at[batch.y].max((batch.weight > 0) & ~unlearn)
        reference = eqx.combine(state.reference, state.model)
        told = _Told(self.feedback, self.unlearner, reference, _among(batch, seen), unlearn, self._loss(seen, key))
        learned, info = self._step(state, _hidden(batch, unlearn), told, key)
        return UnlearningState(learned.model, learned.optimizer, learned.memory, learned.seen, state.reference), info

    def _recall(self, m: PyTree, batch: Batch, key: PRNGKeyArray) -> Any:
        hidden = ~(batch.weight > 0).any()
        return released(super()._recall(m, batch, key), lambda held: hidden & (held.task == batch.task[0]))

    def consolidate(self, state: UnlearningState, world: World, lesson: Any, *, key: PRNGKeyArray) -> UnlearningState:
        """End a request: release what was unlearned, let the memory consolidate, take the model as reference."""
        unlearned = _unlearned(lesson)
        held = self.memory.release(state.memory, lambda batch: unlearned & (batch.task == lesson.task))
        state = eqx.tree_at(lambda s: s.memory, state, held, is_leaf=lambda node: node is None)
        return _with_reference(super().consolidate(state, world, lesson, key=key))

    def _review(self, world: World, lesson: Any) -> Pages:
        pages = super()._review(world, lesson)
        return _Withheld(pages=pages, withheld=_unlearned(lesson), count=pages.count)

    def examined(self, state: GradientState) -> GradientState:
        """Return model, classes seen, and the memory's state if it answers."""
        return eqx.tree_at(lambda s: s.reference, super().examined(state), None)

    @property
    def consolidates(self) -> bool:
        """It always does: the reference changes."""
        return True


class _Told(eqx.Module):
    """The feedback of a batch that is to be learned or unlearned."""

    feedback: Feedback
    unlearner: GradientUnlearner
    reference: PyTree
    asked: Batch
    unlearn: Bool[Array, ""]
    loss: Loss = eqx.field(static=True)

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        shown = jax.tree.map(lambda a, b: jnp.where(self.unlearn, a, b), self.asked, experience)
        value, info = self.feedback(model, shown, key=key)
        forget = self.asked if self.unlearner.needs_data else _hidden(self.asked, jnp.bool_(True))
        gone = self.unlearner.objective(model, self.reference, forget, self.loss, key=key_for(key, "unlearn"))
        return jnp.where(self.unlearn, gone, value), info


class _Withheld(Pages):
    """Pages in which there is nothing but the number of the task, if they are withheld."""

    pages: Pages
    withheld: Bool[Array, ""]
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return the `i`-th page, blank if withheld."""
        return _hidden(self.pages.page(i), self.withheld)


def _hidden(batch: Batch, hide: Bool[Array, ""]) -> Batch:
    """Return the batch, or blank examples of weight 0 in its stead."""
    x, y, weight = jax.tree.map(
        lambda leaf: jnp.where(hide, 0, leaf).astype(leaf.dtype), (batch.x, batch.y, batch.weight)
    )
    return Batch(x, y, batch.task, weight, batch.allowed)


def _unlearned(lesson: Lesson | Mixture) -> Bool[Array, ""]:
    return jnp.asarray(getattr(lesson, "unlearn", False))


def _with_reference(state: GradientState) -> UnlearningState:
    reference = eqx.filter(state.model, eqx.is_array)
    return UnlearningState(state.model, state.optimizer, state.memory, state.seen, reference)
