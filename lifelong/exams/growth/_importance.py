"""What covariates are worth: how much less likely scores are when a covariate is that of other persons."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._climb import COMPILED
from ._curves import Curves
from ._fit import Growths
from ._likelihood import Growth, log_likelihood
from ._shapes import SHAPES

REPEATS = 5
"""Permutations that an importance is the mean of."""


class Importance(NamedTuple):
    """Mean drop of ln L per person when one covariate of the gate, or of the experts, is permuted over persons."""

    gate: Float[Any, "*lanes gates"]
    expert: Float[Any, "*lanes experts"]


def importances(fits: Growths, shape: str, *, seeds: Sequence[int]) -> Importance:
    """Return the importance of every covariate in all lanes, by permutations that each lane draws by its own seed."""
    persons = fits.curves.score.shape[1]
    orders = [[np.random.default_rng((seed, n)).permutation(persons) for n in range(REPEATS)] for seed in seeds]
    return jax.tree.map(np.asarray, _importances(fits.growth, fits.curves, np.array(orders), shape))


@partial(jax.jit, static_argnames="shape", compiler_options=COMPILED)
def _importances(growth: Growth, curves: Curves, orders: Int[Array, "lanes repeats persons"], shape: str) -> Importance:
    def lane(one: tuple[Growth, Curves, Array]) -> Importance:
        growth, curves, orders = one
        before = log_likelihood(growth, curves, SHAPES[shape]).mean()

        def dropped(name: str) -> Float[Array, " covariates"]:
            values = getattr(curves, name)
            columns = jnp.arange(values.shape[1])

            def after(column: Array, order: Array) -> Array:
                permuted = jnp.where(columns == column, values[order], values)
                return log_likelihood(growth, curves._replace(**{name: permuted}), SHAPES[shape]).mean()

            return before - jax.vmap(lambda c: jax.vmap(lambda order: after(c, order))(orders).mean())(columns)

        return Importance(dropped("gate"), dropped("expert"))

    return jax.lax.map(lane, (growth, curves, orders))
