"""How flat the loss is around what has been learned."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

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

    size: Float[Array, ""] = eqx.field(converter=lambda s: jnp.asarray(s, jnp.float32), default=0.01)
    directions: int = eqx.field(static=True, default=8)
    page: int = eqx.field(static=True, default=500)

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'gradient_norm': [], 'loss_rise': []}."""

        def loss_of(model: PyTree) -> Float[Array, ""]:
            return _mean_loss(eqx.tree_at(lambda s: s.model, state, model), learner, world, self.page)

        loss, slope = eqx.filter_value_and_grad(loss_of)(state.model)
        keys = jax.random.split(key, self.directions)
        disturbed = jax.lax.map(lambda k: loss_of(_disturbed(state.model, self.size, k)), keys)
        return {"gradient_norm": optax.global_norm(slope), "loss_rise": disturbed.mean() - loss}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Both are single numbers."""
        return {"gradient_norm": (), "loss_rise": ()}


def _mean_loss(state: Any, learner: Any, world: World, page: int) -> Float[Array, ""]:
    papers = world.papers(page)

    def total(i: Array) -> tuple[Array, Array]:
        asked = papers.page(i)
        logits = learner.answer(state, asked.x, asked.allowed)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, asked.y)
        return (losses * asked.weight).sum(), asked.weight.sum()

    losses, weights = jax.lax.map(total, jnp.arange(papers.count))
    return losses.sum() / weights.sum()


def _disturbed(model: PyTree, size: Float[Array, ""], key: PRNGKeyArray) -> PyTree:
    arrays, static = eqx.partition(model, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    keys = jax.random.split(key, len(leaves))
    moved = [leaf + size * jnp.linalg.norm(leaf.ravel()) * _unit(leaf, k) for leaf, k in zip(leaves, keys, strict=True)]
    return eqx.combine(jax.tree.unflatten(structure, moved), static)


def _unit(leaf: Array, key: PRNGKeyArray) -> Array:
    noise = jax.random.normal(key, leaf.shape)
    return noise / jnp.linalg.norm(noise.ravel())
