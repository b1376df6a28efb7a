"""How flat the loss is around what has been learned."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.recipe import Number, number
from lifelong.worlds import World

from ._exam import Exam


class Flatness(Exam):
    """Ask all test questions, and look at their mean cross-entropy L around the model θ.

    gradient_norm = ‖∇L(θ)‖₂; loss_rise = mean over random directions of L(θ + d) − L(θ), where every tensor of d has a
    norm of `size` times that of its tensor of θ. For learners whose state holds a `model`.

    Args:
        size: the relative size of the disturbance; 1 % unless stated.
        directions: how many random directions.
        page: questions at a time.
    """

    size: Number = number(0.01)
    directions: int = eqx.field(static=True, default=8)
    page: int = eqx.field(static=True, default=500)

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'gradient_norm': [], 'loss_rise': []}."""

        weights, restore = ravel_pytree(eqx.filter(state.model, eqx.is_inexact_array))
        rest = eqx.filter(state.model, eqx.is_inexact_array, inverse=True)

        def loss_at(weights: Float[Array, " weights"]) -> Float[Array, ""]:
            model = eqx.combine(restore(weights), rest)
            return _mean_loss(eqx.tree_at(lambda s: s.model, state, model), learner, world, self.page)

        def rise(k: PRNGKeyArray) -> Float[Array, ""]:
            noise = restore(jax.random.normal(k, weights.shape))
            lengths = jax.tree.map(lambda w, n: self.size * _norm(w) / _norm(n) * n, restore(weights), noise)
            return loss_at(weights + ravel_pytree(lengths)[0])

        loss, slope = jax.value_and_grad(loss_at)(weights)
        disturbed = jax.lax.map(rise, jax.random.split(key, self.directions))
        return {"gradient_norm": _norm(slope), "loss_rise": disturbed.mean() - loss}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Both are single numbers."""
        return {"gradient_norm": (), "loss_rise": ()}

    @property
    def whole(self) -> bool:
        """Answers and model are enough."""
        return False


def _mean_loss(state: Any, learner: Any, world: World, page: int) -> Float[Array, ""]:
    papers = world.papers(page)

    def total(i: Array) -> tuple[Array, Array]:
        asked = papers.page(i)
        logits = learner.answer(state, asked.x, asked.allowed)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, asked.y)
        return (losses * asked.weight).sum(), asked.weight.sum()

    losses, weights = jax.lax.map(total, jnp.arange(papers.count))
    return losses.sum() / weights.sum()


def _norm(tensor: Float[Array, "*shape"]) -> Float[Array, ""]:
    return jnp.sqrt((tensor**2).sum())
