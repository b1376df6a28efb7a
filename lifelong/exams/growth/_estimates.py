"""Estimates in the units they were measured in, with standard errors."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float
from scipy.stats import norm

from ._climb import COMPILED
from ._curves import Curves, Scale
from ._fit import Growths
from ._likelihood import Growth, cholesky, log_likelihood, variance
from ._shapes import SHAPES, Shape

SURE = 0.95
"""Of how many intervals the truth lies within, where the model is right."""


class Natural(NamedTuple):
    """Parameters that have a meaning: knots or rates, factors in the mean, effects of covariates on them, covariances of
    what covariates leave, variances of scores around curves, and the gate's intercepts and slopes, but of the first class.
    """

    bend: Float[Any, "*lanes classes"]
    mean: Float[Any, "*lanes classes factors"]
    slope: Float[Any, "*lanes classes factors experts"]
    covariance: Float[Any, "*lanes classes factors factors"]
    noise: Float[Any, "*lanes classes"]
    gate: Float[Any, "*lanes others gates_and_one"]


class Estimate(NamedTuple):
    """One parameter of one class: its value, standard error, and an interval of 95 %."""

    name: str
    label: int
    value: float
    error: float
    low: float
    high: float


def natural(growth: Growth, scale: Scale, shape: Shape) -> Natural:
    """Return the parameters in units of scores, times and covariates as they came."""
    bend = jax.vmap(shape.bend)(growth.bend)
    unit = scale.spread / scale.span ** jnp.array(shape.powers, jnp.float32)
    named = unit[:, None] * jax.vmap(shape.natural)(bend)
    lower = named @ jax.vmap(lambda entries: cholesky(entries, len(shape.factors)))(growth.spread)
    slope, gates = named @ growth.slope / scale.expert[1], growth.gate[:, 1:] / scale.gate[1]
    mean = jnp.einsum("kfg,kg->kf", named, growth.mean) - slope @ scale.expert[0]
    return Natural(
        bend=bend * scale.span**-shape.bend_power,
        mean=mean.at[:, 0].add(scale.level),
        slope=slope,
        covariance=lower @ jnp.swapaxes(lower, 1, 2),
        noise=scale.spread**2 * variance(growth.noise),
        gate=jnp.concatenate([growth.gate[:, :1] - gates @ scale.gate[0][:, None], gates], axis=1),
    )


def estimated(fits: Growths, shape: str) -> tuple[Natural, Natural]:
    """Return estimates of all lanes, and standard errors: those of the observed information, carried on by the delta method.

    All errors of a lane are NaN where its information is not positive definite: the likelihood has no single maximum there.
    """
    return jax.tree.map(np.asarray, _estimated(fits.growth, fits.curves, fits.scale, shape))


@partial(jax.jit, static_argnames="shape", compiler_options=COMPILED)
def _estimated(growth: Growth, curves: Curves, scale: Scale, shape: str) -> tuple[Natural, Natural]:
    return jax.lax.map(lambda lane: _one(lane[0], lane[1], lane[2], SHAPES[shape]), (growth, curves, scale))


def _one(growth: Growth, curves: Curves, scale: Scale, shape: Shape) -> tuple[Natural, Natural]:
    """Return estimates of one lane and their errors: of Σ⁻¹ = LLᵀ and slopes J, the lengths of the columns of L⁻¹Jᵀ."""
    raw, shaped = ravel_pytree(growth)

    def lost(raw: Array) -> Array:
        return -log_likelihood(shaped(raw), curves, shape).sum()

    def named(raw: Array) -> Array:
        return ravel_pytree(natural(shaped(raw), scale, shape))[0]

    lower = jnp.linalg.cholesky(jax.hessian(lost)(raw))
    spread = solve_triangular(lower, jax.jacfwd(named)(raw).T, lower=True)
    value, back = ravel_pytree(natural(growth, scale, shape))
    return back(value), back(jnp.sqrt((spread**2).sum(axis=0)))


def listed(value: Natural, error: Natural, shape: Shape) -> list[Estimate]:
    """Return the estimates of one lane by name; classes are counted from 1, those that bend first, first."""
    half, errors = norm.ppf(0.5 + SURE / 2), by_name(error, shape)
    found = []
    for place, one in by_name(value, shape).items():
        reach = float(half * errors[place])
        found.append(Estimate(*place, float(one), float(errors[place]), float(one) - reach, float(one) + reach))
    return found


def by_name(values: Natural, shape: Shape) -> dict[tuple[str, int], Any]:
    """Return parameters by name and class; lanes, if there are any, are the last axis, and covariances are left out."""
    found = {}
    for k, bend in enumerate(values.bend):
        found[shape.bent, k + 1] = bend
        for f, factor in enumerate(shape.factors):
            found[factor, k + 1] = values.mean[k, f]
            found |= {(f"{factor}: covariate {e + 1}", k + 1): one for e, one in enumerate(values.slope[k, f])}
            found[f"{factor}: variance", k + 1] = values.covariance[k, f, f]
        found["noise", k + 1] = values.noise[k]
    for k, gate in enumerate(values.gate):
        names = ("gate: intercept", *(f"gate: covariate {g}" for g in range(1, len(gate))))
        found |= {(name, k + 2): one for name, one in zip(names, gate, strict=True)}
    return found
