"""Fits of generalised linear models by Newton's method, many lanes at once.

The objective of a lane is Σ weight·ln P(outcome) − ½ Σ penalty·w². Each step solves with the Fisher information,

    (XᵀCX + penalty) d = Xᵀs − penalty·w,

by conjugate gradients preconditioned with the diagonal, and goes as far along d as the objective rises.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._design import Design

INNER = 30
"""Conjugate gradients in a step at most."""

FORCING = 0.03
"""They end when the residual is this much smaller than the gradient: the next step corrects an inexact direction."""

HALVINGS = 8
"""How often a step is halved before it is given up."""

Family = Callable[[Array], tuple[Array, Array]]
"""η → (P(right), its derivative by η)."""


class Task(NamedTuple):
    """What is fitted: features, outcomes in {0, 1}, how much each row counts in each lane, an offset, the penalties.

    `value` holds the values of the features' entries, in one lane for all or in every lane.
    """

    design: Design
    value: Float[Array, "entries rows value_lanes"]
    outcome: Float[Array, "rows 1"]
    weight: Float[Array, "rows lanes"]
    offset: Float[Array, "rows lanes"]
    penalty: Float[Array, "columns lanes"]


def logistic(eta: Array) -> tuple[Array, Array]:
    """Return σ(η) and its derivative σ(η)(1 − σ(η))."""
    p = jax.nn.sigmoid(eta)
    return p, p * (1 - p)


def newton(
    task: Task, weights: Float[Array, "columns lanes"], family: Family, *, steps: int, tolerance: float
) -> Float[Array, "columns lanes"]:
    """Return the weights at the maximum, from `weights` on; ends when no lane gains `tolerance` nats in a step."""
    design = task.design

    def predicted(w: Array) -> Array:
        return task.offset + design.times(w, task.value)

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        i, w, now, _ = state
        score, curvature = slopes(task, predicted(w), family)
        gradient = design.transposed(score, task.value) - task.penalty * w
        direction = _solved(task, curvature, gradient)
        w, after = _as_far_as_it_rises(lambda w: _objective(task, w, predicted(w), family), w, direction, now)
        return i + 1, w, after, after - now

    def goes_on(state: tuple[Array, Array, Array, Array]) -> Array:
        return (state[0] < steps) & (jnp.max(state[3]) > tolerance)

    now = _objective(task, weights, predicted(weights), family)
    return jax.lax.while_loop(goes_on, step, (jnp.int32(0), weights, now, jnp.full_like(now, jnp.inf)))[1]


def _objective(task: Task, w: Array, eta: Array, family: Family) -> Float[Array, " lanes"]:
    p, _ = family(eta)
    chance = jnp.clip(jnp.where(task.outcome > 0, p, 1 - p), 1e-7)
    return (task.weight * jnp.log(chance)).sum(axis=0) - 0.5 * (task.penalty * w**2).sum(axis=0)


def slopes(task: Task, eta: Array, family: Family) -> tuple[Array, Array]:
    """Return the score of every row and its Fisher information."""
    p, slope = family(eta)
    variance = jnp.maximum(p * (1 - p), 1e-7)
    return task.weight * (task.outcome - p) * slope / variance, task.weight * slope**2 / variance


def _solved(task: Task, curvature: Array, gradient: Array) -> Array:
    """Solve for the direction by preconditioned conjugate gradients, lane by lane."""
    design = task.design
    diagonal = design.transposed(curvature, jnp.square(task.value)) + task.penalty

    def times(d: Array) -> Array:
        return design.transposed(curvature * design.times(d, task.value), task.value) + task.penalty * d

    def step(state: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, Array]:
        i, d, residual, towards, size = state
        image = times(towards)
        length = size / jnp.maximum((towards * image).sum(axis=0), 1e-30)
        d, residual = d + length * towards, residual - length * image
        scaled = residual / diagonal
        new = (residual * scaled).sum(axis=0)
        return i + 1, d, residual, scaled + new / jnp.maximum(size, 1e-30) * towards, new

    def goes_on(state: tuple[Array, Array, Array, Array, Array]) -> Array:
        return (state[0] < INNER) & jnp.any(state[4] > FORCING**2 * first)

    scaled = gradient / diagonal
    first = (gradient * scaled).sum(axis=0)
    start = (jnp.int32(0), jnp.zeros_like(gradient), gradient, scaled, first)
    return jax.lax.while_loop(goes_on, step, start)[1]


def _as_far_as_it_rises(
    objective: Callable[[Array], Array], w: Array, direction: Array, now: Array
) -> tuple[Array, Array]:
    """Go along the direction, halving the way in every lane in which the objective has not risen."""

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        i, share, after = state
        share = jnp.where(after > now, share, share / 2)
        return i + 1, share, objective(w + share * direction)

    def goes_on(state: tuple[Array, Array, Array]) -> Array:
        return (state[0] < HALVINGS) & jnp.any(~(state[2] > now))

    first = (jnp.int32(0), jnp.ones_like(now), objective(w + direction))
    _, share, after = jax.lax.while_loop(goes_on, halve, first)
    risen = after > now
    return jnp.where(risen, w + share * direction, w), jnp.where(risen, after, now)
