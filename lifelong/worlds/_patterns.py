"""Diluted binary patterns, met as noisy examples: what associative memories learn from."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number, number

from ._batch import Batch
from ._passes import Passes
from ._world import Pages


class Patterns(Passes):
    """Patterns of −1, 0 and 1, one a task, and for each of them a list of noisy examples.

    P(ξ_i = ±1) = (1−d)/2 and P(ξ_i = 0) = d for every entry of a pattern; an example flips some of its signs,
    η_i = ξ_i χ_i with P(χ_i = ±1) = (1±r)/2, and leaves its blanks blank (Agliari et al. 2023, "Parallel Learning by
    Multitasking Neural Networks"). Labels say which pattern an example is of. The questions are cues, one for each
    pattern: the pattern itself, its blanks filled by chance; an answer is as long as a pattern, so `outputs` is N.

    Args:
        features: N, entries of a pattern.
        patterns: K.
        examples: M, examples of each pattern.
        dilution: d.
        quality: r; 1 shows the pattern itself.
        filling: the share of blanks that are filled, in all examples alike, by signs that mean nothing: a pattern without
            free entries that carries no more than before.

    Raises BadInput for sizes below 1 and numbers outside 0 … 1.
    """

    xi: Float[Array, "tasks features"]
    shown: Float[Array, "tasks features"]
    dilution: Number = number(0.0)
    quality: Number = number(1.0)
    filling: Number = number(0.0)
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    longest: int = eqx.field(static=True)

    def __init__(
        self,
        features: int,
        patterns: int = 3,
        examples: int = 1,
        dilution: Number = 0.0,
        quality: Number = 1.0,
        filling: Number = 0.0,
    ):
        if min(features, patterns, examples) < 1:
            raise BadInput(f"patterns need sizes of at least 1: {features=}, {patterns=}, {examples=}")
        shares = {"dilution": dilution, "quality": quality, "filling": filling}
        for name, value in shares.items():
            if not isinstance(value, Tracer) and not 0 <= value <= 1:
                raise BadInput(f"the {name} of patterns lies between 0 and 1, and it is {value}")
        self.dilution, self.quality, self.filling = (jnp.asarray(v, jnp.float32) for v in shares.values())
        self.tasks, self.outputs, self.longest = patterns, features, examples
        self.seed = jnp.uint32(0)
        self.xi = self.shown = jnp.ones((patterns, features))

    def open(self, *, key: PRNGKeyArray) -> "Patterns":
        """Draw this lifetime's patterns and examples."""
        for_patterns, for_seed = jax.random.split(key)
        blank, sign, filled, other = jax.random.uniform(for_patterns, (4, *self.xi.shape))
        xi = jnp.where(blank < self.dilution, 0.0, _sign(sign))
        shown = jnp.where((xi == 0) & (filled < self.filling), _sign(other), xi)
        new = (xi, shown, jax.random.bits(for_seed, (), jnp.uint32))
        return eqx.tree_at(lambda world: (world.xi, world.shown, world.seed), self, new)

    def size(self, task: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Return how many examples a pattern has."""
        return jnp.full_like(task, self.longest)

    def show(self, task: Int[Array, "*n"], place: Int[Array, " n"], weight: Float[Array, " n"]) -> Batch:
        """Return noisy examples; the noise is computed from task and place, not stored."""
        task = jnp.broadcast_to(task, place.shape)

        def example(task: Array, place: Array) -> Float[Array, " features"]:
            key = jax.random.fold_in(jax.random.key(self.seed), task * self.longest + place)
            kept = jax.random.uniform(key, (self.outputs,)) < (1 + self.quality) / 2
            return jnp.where(kept, self.shown[task], -self.shown[task])

        return Batch(jax.vmap(example)(task, place), task, task, weight)

    def papers(self, n: int) -> Pages:
        """Return one cue for every pattern, in pages of `n`."""
        return Cues(world=self, size=n, count=-(-self.tasks // n))


class Cues(Pages):
    """The patterns, with their blanks filled by chance."""

    world: Patterns
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return cues i·size …; those past the end have weight 0."""
        place = i * self.size + jnp.arange(self.size)
        task = jnp.minimum(place, self.world.tasks - 1)
        key = jax.random.fold_in(jax.random.key(self.world.seed), self.world.tasks * self.world.longest)
        noise = _sign(jax.random.uniform(key, self.world.xi.shape))[task]
        xi = self.world.xi[task]
        return Batch(jnp.where(xi == 0, noise, xi), task, task, (place < self.world.tasks).astype(jnp.float32))


def _sign(chance: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(chance < 0.5, -1.0, 1.0)


def dataset_entropy(quality: float, examples: Any) -> Any:
    """Return ρ = (1−r²) / (M r²): what M examples of quality r leave unknown of a pattern; 0 where nothing is."""
    with np.errstate(divide="ignore"):  # without examples all is unknown
        return (1 - quality**2) / (np.asarray(examples) * quality**2)
