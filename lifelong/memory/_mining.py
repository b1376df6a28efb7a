"""Views mined from a pool of candidates: other examples that lie close."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.feedback import cosines
from lifelong.recipe import Number, number


def nearest(
    queries: Float[Array, "n width"],
    candidates: Float[Array, "m width"],
    k: int,
    may: Bool[Array, "n m"] | None = None,
) -> Int[Array, "n k"]:
    """Return the k candidates whose cosine with each query is largest, the closest first, from among those it may have."""
    likeness = cosines(queries, candidates)
    return jax.lax.top_k(likeness if may is None else jnp.where(may, likeness, -jnp.inf), k)[1]


class ViewMiner(eqx.Module):
    """For each query, pick by chance one of the k candidates of the highest score: nearness · cosine + (1 − nearness) · rank/m.

    `nearness` = 1 mines nearest neighbours (Azabou et al. 2021, "Mine Your Own vieW", section 3.2). 0 mines at random: ranks
    are a random order of the m candidates, which each query enters at a random place. `labels` adds to candidates of the
    query's own label: 2 or more makes it an oracle, a control and no method.

    Args:
        k: candidates to pick from; 3 for recordings of neurons (the authors' code).

    Raises BadInput for k < 1.
    """

    nearness: Number = number(1.0)
    labels: Number = number(0.0)
    k: int = eqx.field(static=True, default=3)

    def __check_init__(self):
        if self.k < 1:
            raise BadInput(f"a miner picks from at least one candidate, not from {self.k}")

    def __call__(
        self,
        queries: Float[Array, "n width"],
        candidates: Float[Array, "m width"],
        may: Bool[Array, "n m"],
        same: Bool[Array, "n m"],
        *,
        key: PRNGKeyArray,
    ) -> Int[Array, " n"]:
        """Return which candidate each query gets, from among those it `may` have; `same` says whose labels are alike."""
        for_order, for_entry, for_pick = jax.random.split(key, 3)
        n, m = may.shape
        order, entry = jax.random.permutation(for_order, m), jax.random.randint(for_entry, (n, 1), 0, m)
        score = self.nearness * cosines(queries, candidates) + (1 - self.nearness) * ((order + entry) % m) / m
        best = jax.lax.top_k(jnp.where(may, score + self.labels * same, -jnp.inf), self.k)[1]
        picked = jax.random.randint(for_pick, (n, 1), 0, self.k)
        return jnp.take_along_axis(best, picked, axis=1)[:, 0]
