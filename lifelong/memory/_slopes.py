"""Sums over examples of what each one's own gradient is: squares or sizes, where the gradient of a batch would mix them."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from lifelong.nets import MLP
from lifelong.worlds import Batch

Loss = Callable[[PyTree, Batch], Float[Array, ""]]


class Measure(NamedTuple):
    """What is made of a slope, number by number: f with f(ab) = f(a)·f(b), and its inverse for numbers ≥ 0."""

    of: Callable[[Array], Array]
    inverse: Callable[[Array], Array]


SQUARE, SIZE = Measure(jnp.square, jnp.sqrt), Measure(jnp.abs, jnp.abs)


def sum_of_slopes(
    model: PyTree, examples: Batch, counts: Float[Array, " n"], loss: Loss, measure: Measure, start: PyTree
) -> PyTree:
    """Return start + Σ_x c(x)·f(∂ loss(x) / ∂θ), a tree like the model's weights, with f the measure.

    `loss(model, batch)` is that of a batch of one. For an `MLP` a layer's gradient is an outer product δ·aᵀ of what comes
    back and what went in, so that Σ c·f(δ·aᵀ) = Σ f(f⁻¹(c)·δ)·f(a)ᵀ is one matrix product for all examples: this needs a
    loss that depends on the weights through the layers' answers alone. Otherwise, and for any other model, examples are
    gone through one after the other.
    """
    if type(model) is MLP:
        try:
            return _layer_by_layer(model, examples, counts, loss, measure, start)
        except AttributeError:  # the loss looks at the weights of a layer, which a `_Shadow` does not show
            pass

    def add(total: PyTree, one: tuple[Batch, Float[Array, ""]]) -> tuple[PyTree, None]:
        example, count = one
        slope = eqx.filter_grad(loss)(model, alone(example))
        return jax.tree.map(lambda t, s: t + count * measure.of(s), total, slope), None

    return jax.lax.scan(add, start, (examples, counts))[0]


def alone(example: Batch) -> Batch:
    """Return one example as a batch of its own, of weight 1."""
    batch = jax.tree.map(lambda leaf: leaf[None], example)
    return eqx.tree_at(lambda b: b.weight, batch, jnp.ones(1))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _measured(of: Callable[[Array], Array], value: Array) -> Array:
    """Return the value; what comes back through it is measured."""
    return value


_measured.defvjp(lambda of, value: (value, None), lambda of, _, slope: (of(slope),))


class _Shadow(eqx.Module):
    """A linear layer that answers as ever; the gradient of its shadow, which is 0, is made of measured slopes."""

    layer: eqx.nn.Linear
    shadow: eqx.nn.Linear
    measure: Measure = eqx.field(static=True)

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        seen = self.measure.of(jax.lax.stop_gradient(x))
        measured: Array = _measured(self.measure.of, self.shadow(seen))
        return self.layer(x) + measured


def _layer_by_layer(
    model: PyTree, examples: Batch, counts: Float[Array, " n"], loss: Loss, measure: Measure, start: PyTree
) -> PyTree:
    def total(shadows: PyTree) -> Float[Array, ""]:
        watched = jax.tree.map(partial(_watched, measure), model, shadows, is_leaf=_is_layer)
        losses = jax.vmap(lambda example: loss(watched, alone(example)))(examples)
        return (measure.inverse(counts) * losses).sum()

    slopes = jax.grad(total)(jax.tree.map(jnp.zeros_like, start))
    return jax.tree.map(jnp.add, start, slopes)


def _watched(measure: Measure, layer: eqx.nn.Linear, shadow: eqx.nn.Linear) -> _Shadow:
    return _Shadow(layer, shadow, measure)


def _is_layer(node: PyTree) -> bool:
    return isinstance(node, eqx.nn.Linear)
