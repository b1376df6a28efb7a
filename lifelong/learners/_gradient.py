"""The learner that most studies use: a model, a feedback, an optimizer, a memory."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import CrossEntropy, Feedback, Info
from lifelong.memory import Loss, Memory, Nothing, Step
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Lesson, Mixture, Pages, World

from ._learner import Learner, answerable, blank_batch


class GradientState(eqx.Module):
    """What a gradient learner carries through its life; `seen` marks the classes it has met."""

    model: PyTree
    optimizer: PyTree
    memory: PyTree
    seen: Bool[Array, " outputs"]


class GradientLearner(Learner):
    """Follow the gradient of a feedback with an Optax optimizer, guided by a memory.

    One step: θ′ = θ − optimizer(shape(∇[w·L(θ; batch) + penalty(θ)])), with the hooks of `Memory` in their places.

    Args:
        model: called with `key=` it returns the model, any Equinox module from one input to logits;
            `Recipe(MLP, inputs=64, outputs=10)` is one.
        feedback: the loss; cross-entropy unless stated.
        optimizer: a `Recipe` (its numbers can be swept) or a ready Optax transformation.
        memory: what is kept of the past; nothing unless stated.
        batch: examples in a step.
        active: 'seen' lets answers name only classes met so far, 'all' any class of the world.
        reset_optimizer: forget the optimizer's state at the end of every task.
        page: examples at a time when a finished task is reviewed.
    """

    model: Callable[..., PyTree]
    feedback: Feedback
    optimizer: Recipe | optax.GradientTransformation
    memory: Memory
    batch: int = eqx.field(static=True)
    active: Literal["seen", "all"] = eqx.field(static=True)
    reset_optimizer: bool = eqx.field(static=True)
    page: int = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., PyTree],
        feedback: Feedback | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        memory: Memory | None = None,
        *,
        batch: int = 32,
        active: Literal["seen", "all"] = "seen",
        reset_optimizer: bool = False,
        page: int = 128,
    ):
        if min(batch, page) < 1:
            raise BadInput(f"a learner needs at least one example at a time: batch={batch}, page={page}")
        if active not in ("seen", "all"):
            raise BadInput(f"the active classes must be 'seen' or 'all', not '{active}'")
        self.model = model
        self.feedback = feedback or CrossEntropy()
        self.optimizer = optimizer or Recipe(optax.sgd, learning_rate=0.05)
        self.memory = memory or Nothing()
        self.batch, self.active, self.page = batch, active, page
        self.reset_optimizer = reset_optimizer

    def init(self, world: World, *, key: PRNGKeyArray) -> GradientState:
        """Return a fresh model, optimizer and memory; raise `Mismatch` where the model does not fit the world."""
        for_model, for_memory = jax.random.split(key)
        model = self.model(key=for_model)
        like = blank_batch(world, self.batch, key=key)
        self._check(model, like, world.outputs)
        seen = jnp.full(world.outputs, self.active == "all")
        memory = self.memory.init(model, like, key=for_memory)
        return GradientState(model, self._optimizer().init(eqx.filter(model, eqx.is_inexact_array)), memory, seen)

    def _check(self, model: PyTree, like: Batch, outputs: int) -> None:
        try:
            logits = eqx.filter_eval_shape(model, like.x[0])
        except (TypeError, ValueError) as error:
            raise Mismatch(f"the model cannot take the world's inputs of shape {like.x.shape[1:]}: {error}") from error
        if not isinstance(logits, jax.ShapeDtypeStruct):
            raise Mismatch(
                f"the model must answer one input with one array of logits, not with a {type(logits).__name__}"
            )
        if logits.shape != (outputs,):
            raise Mismatch(
                f"the model gives outputs of shape {logits.shape}, and the world has {outputs} classes; "
                f"build the model with outputs={outputs}"
            )

    def _optimizer(self) -> optax.GradientTransformation:
        return self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer

    def _loss(self, seen: Bool[Array, " outputs"], key: PRNGKeyArray) -> Loss:
        def loss(model: PyTree, batch: Batch, feedback: Feedback | None = None) -> Float[Array, ""]:
            return (feedback or self.feedback)(model, _among(batch, seen), key=key)[0]

        return loss

    def meet(self, state: GradientState, world: World, lesson: Lesson | Mixture, *, key: PRNGKeyArray) -> Batch:
        """Return a batch of what the teacher asked for."""
        return world.draw(lesson, self.batch, key=key)

    def learn(self, state: GradientState, experience: Batch, *, key: PRNGKeyArray) -> tuple[GradientState, Info]:
        """Take one step on a batch; return the new state and what the feedback reports of the current batch."""
        return self._step(state, experience, self.feedback, key)

    def _step(
        self, state: GradientState, experience: Batch, feedback: Feedback, key: PRNGKeyArray
    ) -> tuple[GradientState, Info]:
        for_recall, for_perturb, for_loss, for_keep = jax.random.split(key, 4)
        memory, m = self.memory, state.memory
        seen = state.seen.at[experience.y].max(experience.weight > 0)
        recalled = self._recall(m, experience, for_recall)
        batch, loss = _among(memory.blend(m, experience, recalled), seen), self._loss(seen, for_loss)
        point, base = memory.perturb(m, state.model, batch, recalled, loss, key=for_perturb)

        @eqx.filter_grad(has_aux=True)
        def gradient_of(model: PyTree) -> tuple[Float[Array, ""], Info]:
            value, info = feedback(model, batch, key=for_loss)
            weight = memory.weigh(m, batch, recalled)
            unused = isinstance(weight, float) and weight == 0.0
            value = jax.lax.stop_gradient(value) if unused else value
            return weight * value + memory.penalty(m, model, batch, recalled, loss), info

        gradient, info = gradient_of(point)
        shaped = memory.shape(m, gradient, point, recalled, loss)
        updates, optimizer = self._optimizer().update(shaped, state.optimizer, eqx.filter(base, eqx.is_inexact_array))
        model = eqx.apply_updates(base, updates)
        m = memory.keep(m, Step(experience, recalled, point, model, gradient), key=for_keep)
        return GradientState(model, optimizer, m, seen), info

    def _recall(self, m: PyTree, batch: Batch, key: PRNGKeyArray) -> Any:
        return self.memory.recall(m, key=key)

    def answer(
        self,
        state: GradientState,
        x: Shaped[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return the logits over the active classes that an answer may name; where it may name none of them, over all
        that it may name, so that what was never taught is guessed.
        """
        return answerable(self.memory.answer(state.memory, state.model, x), state.seen, allowed)

    def examinee(self) -> "GradientLearner":
        """Return the learner without feedback and optimizer, and without memory unless that answers."""
        if type(self).answer is not GradientLearner.answer:
            return self
        memory = self.memory if self.memory.answers else Nothing()
        return GradientLearner(self.model, optimizer=Recipe(optax.identity), memory=memory, batch=self.batch)

    def examined(self, state: GradientState) -> GradientState:
        """Return model, classes seen, and the memory's state if it answers."""
        if type(self).answer is not GradientLearner.answer:
            return state
        kept = (None, state.memory if self.memory.answers else None)
        return eqx.tree_at(lambda s: (s.optimizer, s.memory), state, kept, is_leaf=lambda node: node is None)

    def consolidate(self, state: GradientState, world: World, lesson: Any, *, key: PRNGKeyArray) -> GradientState:
        """Let the memory review the finished task; reset the optimizer where asked for."""
        model, m, optimizer = state.model, state.memory, state.optimizer
        if self.memory.consolidates:
            pages = self._review(world, lesson)
            review = _Familiar(pages=pages, seen=state.seen, count=pages.count)
            model, m = self.memory.consolidate(m, model, review, self._loss(state.seen, key), key=key)
        if self.reset_optimizer:
            optimizer = self._optimizer().init(eqx.filter(model, eqx.is_inexact_array))
        return GradientState(model, optimizer, m, state.seen)

    def _review(self, world: World, lesson: Any) -> Pages:
        return world.review(lesson.task, self.page)

    @property
    def consolidates(self) -> bool:
        """Whether the memory, or the optimizer, does anything at the end of a task."""
        return self.memory.consolidates or self.reset_optimizer


def _among(batch: Batch, seen: Bool[Array, " outputs"]) -> Batch:
    """Return the batch with answers limited to classes already seen."""
    allowed = jnp.broadcast_to(seen, (len(batch), len(seen))) if batch.allowed is None else batch.allowed & seen
    return Batch(batch.x, batch.y, batch.task, batch.weight, allowed)


class _Familiar(Pages):
    """Pages whose answers are limited to classes already seen, as in the batches that a memory meets in a step."""

    pages: Pages
    seen: Bool[Array, " outputs"]
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return the `i`-th page, limited to the classes seen."""
        return _among(self.pages.page(i), self.seen)
