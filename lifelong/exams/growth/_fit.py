"""Fits of classes of curves by maximum likelihood, many sets of curves by one program."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from lifelong.errors import BadInput, UnknownName

from ._climb import COMPILED, climbed
from ._curves import Curves, Scale, scale_of, scaled
from ._likelihood import Growth, joint, log_likelihood
from ._shapes import SHAPES
from ._start import start


class Growths(NamedTuple):
    """Fits to some sets of curves (lanes): parameters, classes by bend; ln L of all persons; scaled curves and their units."""

    growth: Growth
    log_likelihood: Float[np.ndarray, " lanes"]
    curves: Curves
    scale: Scale

    @property
    def bic(self) -> Float[np.ndarray, " lanes"]:
        """−2 ln L + parameters · ln persons: lower is better, for models of the same scores."""
        lanes, persons = self.curves.score.shape[:2]
        parameters = sum(leaf.size // lanes for leaf in self.growth)
        return parameters * np.log(persons) - 2 * self.log_likelihood


def fit_growths(
    sets: Sequence[Curves], classes: int, shape: str, *, starts: int, steps: int, seeds: Sequence[int]
) -> Growths:
    """Return fits to sets of as many curves each; each draws its starts by its own seed, and the best one counts.

    Raises:
        BadInput: no class or start, sets of different sizes, fewer persons than classes need, scores or covariates that
            are all the same.
        UnknownName: a shape that is not in `SHAPES`.
    """
    if min(classes, starts) < 1:
        raise BadInput(f"curves need one class and one start at least: {classes=}, {starts=}")
    if shape not in SHAPES:
        raise UnknownName("shape of curves", shape, SHAPES)
    if len(sizes := {tuple(part.shape for part in one) for one in sets}) != 1:
        raise BadInput(f"sets of curves must be of one size, not {sorted(sizes)}")
    scales = [scale_of(one) for one in sets]
    own = [scaled(*pair) for pair in zip(sets, scales, strict=True)]
    begun = [
        _stacked([start(one, classes, SHAPES[shape], np.random.default_rng((seed, n))) for n in range(starts)])
        for one, seed in zip(own, seeds, strict=True)
    ]
    curves, scale = _stacked(own), _stacked(scales)
    growth, reached = _best(_stacked(begun), curves, steps, shape)
    scores = np.isfinite(curves.score).sum(axis=(1, 2))
    return Growths(growth, np.asarray(reached, np.float64) - scores * np.log(scale.spread), curves, scale)


def _stacked(trees: list) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


@partial(jax.jit, static_argnames="shape", compiler_options=COMPILED)
def _best(
    starts: Growth, curves: Curves, steps: int | Int[Array, ""], shape: str
) -> tuple[Growth, Float[Array, " lanes"]]:
    """Return for every lane the best of what its starts climb to, and ln L there; one lane after the other, for the cache."""

    def lane(one: tuple[Growth, Curves]) -> tuple[Growth, Array]:
        starts, curves = one
        _, shaped = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], starts))

        def loss(raw: Array) -> Array:
            return -log_likelihood(shaped(raw), curves, SHAPES[shape]).mean()

        points, lost = jax.vmap(lambda begun: climbed(loss, ravel_pytree(begun)[0], steps))(starts)
        best = jnp.nanargmin(lost)
        return _by_bend(shaped(points[best])), -lost[best] * len(curves.score)

    return jax.lax.map(lane, (starts, curves))


def _by_bend(growth: Growth) -> Growth:
    """Return the same classes, those that bend first, first; gates compare with the first."""
    order: Int[Array, " classes"] = jnp.argsort(growth.bend)
    experts = jax.tree.map(lambda leaf: leaf[order], growth._replace(gate=growth.bend))
    gate = jnp.pad(growth.gate, ((1, 0), (0, 0)))[order]
    return experts._replace(gate=gate[1:] - gate[0])


@partial(jax.jit, static_argnames="shape", compiler_options=COMPILED)
def memberships(growth: Growth, curves: Curves, shape: str) -> Float[Array, "lanes persons classes"]:
    """Return P(class | scores, covariates) of every person; curves are in the units of the fit."""
    return jax.vmap(lambda growth, curves: jax.nn.softmax(joint(growth, curves, SHAPES[shape]), axis=-1))(
        growth, curves
    )
