"""A gradient learner whose answers are numbers."""

from collections.abc import Callable

import equinox as eqx
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from lifelong.feedback import Feedback, Info, MeanSquaredError
from lifelong.recipe import Recipe
from lifelong.worlds import Points

from ._gradient import GradientLearner, GradientState


class Regressor(GradientLearner):
    """Follow the gradient of a loss on numbers: θ′ = θ − optimizer(∇L(θ; batch)); there are no classes, and no memory.

    Args:
        model: as a `GradientLearner` takes it, from one input to as many numbers as the world has outputs.
        feedback: the loss; the squared error unless stated.
        optimizer: a `Recipe` or a ready Optax transformation.
        batch: examples in a step.
    """

    def __init__(
        self,
        model: Callable[..., PyTree],
        feedback: Feedback | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        *,
        batch: int = 32,
    ):
        super().__init__(model, feedback or MeanSquaredError(), optimizer, batch=batch, active="all")

    def learn(self, state: GradientState, experience: Points, *, key: PRNGKeyArray) -> tuple[GradientState, Info]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one step on a batch; return the new state and what the feedback reports."""
        gradient, info = eqx.filter_grad(self.feedback, has_aux=True)(state.model, experience, key=key)
        updates, optimizer = self._optimizer().update(
            gradient, state.optimizer, eqx.filter(state.model, eqx.is_inexact_array)
        )
        return GradientState(eqx.apply_updates(state.model, updates), optimizer, state.memory, state.seen), info

    def answer(
        self,
        state: GradientState,
        x: Shaped[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return what the model answers."""
        return self.memory.answer(state.memory, state.model, x)
