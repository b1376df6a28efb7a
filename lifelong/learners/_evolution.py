"""Evolution strategies: following the gradient of a population's ranks."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.recipe import Number, number


def centred_ranks(values: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return the ranks of values, from −½ for the smallest to ½ for the largest; equal values have one rank, their mean.

    Salimans et al. 2017, "Evolution Strategies as a Scalable Alternative to Reinforcement Learning", section 2.1; theirs breaks
    ties by place, which makes a slope where there is none. Of n values the ranks sum to 0.
    """
    below = (values[:, None] > values[None, :]).sum(1)
    level = (values[:, None] == values[None, :]).sum(1)
    return (below + (level - 1) / 2) / (len(values) - 1) - 0.5


class Search(NamedTuple):
    """Where a search stands: its point, Adam's state, and the spread of its candidates."""

    point: Float[Array, " numbers"]
    adam: PyTree
    sigma: Float[Array, ""]


class EvolutionStrategy(eqx.Module):
    """Climb by antithetic perturbations and their centred ranks, with Adam.

    Candidates are θ ± σε_i, with ε_i ~ N(0, 1). The slope is g = 1/(nσ) Σ_i (rank⁺_i − rank⁻_i) ε_i − l2·θ; after each step σ
    falls by `decay`, to `least`. Salimans et al. 2017; the rule and its L2 are those of POET (Wang et al. 2019, section 3).

    Args:
        pairs: perturbations, each tried in both directions; POET has 256.
        sigma, decay, least: the spread of candidates at first, what it is multiplied with, and where that ends.
        learning_rate: Adam's.
        l2: what pulls towards 0.

    Raises BadInput for fewer than one pair.
    """

    pairs: int = eqx.field(static=True, default=256)
    sigma: Number = number(0.1)
    decay: Number = number(0.999)
    least: Number = number(0.01)
    learning_rate: Number = number(0.01)
    l2: Number = number(0.01)

    def __check_init__(self):
        if self.pairs < 1:
            raise BadInput(f"an evolution strategy tries at least one pair of candidates, not {self.pairs}")

    def start(self, point: Float[Array, " numbers"]) -> Search:
        """Return a search that begins at a point."""
        return Search(point, optax.scale_by_adam().init(point), jnp.asarray(self.sigma))

    def noise(self, search: Search, *, key: PRNGKeyArray) -> Float[Array, "pairs numbers"]:
        """Return the directions of a step."""
        return jax.random.normal(key, (self.pairs, len(search.point)))

    def candidates(self, search: Search, noise: Float[Array, "pairs numbers"]) -> Float[Array, "2 pairs numbers"]:
        """Return what is tried: along each direction, and against it."""
        away = search.sigma * noise
        return jnp.stack([search.point + away, search.point - away])

    def step(self, search: Search, noise: Float[Array, "pairs numbers"], values: Float[Array, "2 pairs"]) -> Search:
        """Return the search after a step, given what the candidates are worth."""
        along, against = centred_ranks(values.reshape(-1)).reshape(2, -1)
        slope = (along - against) @ noise / (self.pairs * search.sigma) - self.l2 * search.point
        climb, adam = optax.scale_by_adam().update(slope, search.adam)
        sigma = jnp.maximum(search.sigma * self.decay, self.least)
        return Search(search.point + self.learning_rate * jnp.asarray(climb), adam, sigma)


def flattened(model: PyTree) -> tuple[Float[Array, " numbers"], Callable[[Array], PyTree]]:
    """Return the numbers of a model as one vector, and what makes a model of the same kind of such a vector."""
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)
    point, unravel = ravel_pytree(arrays)
    return point, lambda point: eqx.combine(unravel(point), rest)
