"""How much of the data to learn from at a time, and which of it: pacing, and passes through weighed subsets."""

from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import Rows

from ._searching import sometimes
from ._teacher import Teacher


def cyclical(visits: float | int, start: float = 0.25, end: float = 1.0, factor: float = 0.5) -> tuple[float, ...]:
    """Return shares of the data that rise from `start` to `end` by 1/factor, fall again by factor, and so on.

    They end when their sum reaches `visits`, the passes of ordinary training that cost as much. Kesgin and Amasyali 2022
    (arXiv:2202.05531), whose defaults these are: 0.25, 0.5, 1, 0.5, 0.25, 0.5, 1 …
    """
    _check_share(start, end)
    if not 0 < factor < 1:
        raise BadInput(f"shares grow by 1/factor with a factor between 0 and 1, not {factor}")
    shares, rising = [start], True
    while sum(shares) < visits:
        rising = shares[-1] <= start or (rising and shares[-1] < end)
        shares.append(min(shares[-1] / factor, end) if rising else max(shares[-1] * factor, start))
    return tuple(shares)


def constant(visits: float | int, share: float = 0.5) -> tuple[float, ...]:
    """Return one share as often as it fits into so many passes."""
    _check_share(share, share)
    return (share,) * ceil(visits / share - 1e-9)


def linear(visits: float | int, start: float = 0.25, end: float = 1.0, growth: float = 0.5) -> tuple[float, ...]:
    """Return shares that grow evenly from `start` to `end` over the share `growth` of the visits, and stay there."""
    _check_share(start, end)
    shares = [start]
    while sum(shares) < visits:
        shares.append(min(end, start + (end - start) * sum(shares) / (growth * visits)))
    return tuple(shares)


def exponential(visits: float | int, start: float = 0.25, end: float = 1.0, growth: float = 0.5) -> tuple[float, ...]:
    """Return shares that grow by equal factors from `start` to `end` over the share `growth` of the visits."""
    _check_share(start, end)
    shares = [start]
    while sum(shares) < visits:
        shares.append(min(end, start * (end / start) ** (sum(shares) / (growth * visits))))
    return tuple(shares)


def stepwise(visits: float | int, shares: Sequence[float] = (0.25, 0.5, 1.0)) -> tuple[float, ...]:
    """Return each share in turn, all for as many visits."""
    _check_share(min(shares), max(shares))
    return tuple(share for one in shares for share in constant(visits / len(shares), one))


def _check_share(start: float, end: float) -> None:
    if not 0 < start <= end <= 1:
        raise BadInput(f"shares of the data lie between 0 and 1, and rise; not from {start} to {end}")


class Passage(NamedTuple):
    """The lesson, and the order of the present subset: its examples first."""

    clock: Int[Array, ""]
    order: Int[Array, " examples"]


class Subsets(Teacher):
    """Go through a new subset of one task's examples in every pass, drawn without replacement in proportion to weights.

    In a pass of share n, ⌊n·N⌋ of the N examples are drawn with probabilities ∝ weights, one after the other (as the largest
    of ln w_i + Gumbel noise), and learned from in batches; the last batch of a pass is filled up with examples that do not
    count. After the last pass comes more of it.

    Args:
        weights: one for each training example, in the order of the world's list.
        shares: the size of each pass, such as `cyclical(30)`.
        batch: examples in a lesson.

    Raises `BadInput` for weights that are not positive numbers, and shares too small for an example.
    """

    weights: Float[Array, " examples"]
    sizes: tuple[int, ...] = eqx.field(static=True)
    batch: int = eqx.field(static=True)

    def __init__(self, weights: Any, shares: Sequence[float], batch: int):
        weights = np.asarray(weights, np.float32)
        if weights.ndim != 1 or not len(weights) or not (np.isfinite(weights) & (weights > 0)).all():
            raise BadInput("every example needs a weight, a finite number above 0")
        if batch < 1 or not len(shares):
            raise BadInput(f"passes need shares and batches, and these are {len(shares)} of {batch}")
        self.weights, self.batch = jnp.asarray(weights), batch
        self.sizes = tuple(int(share * len(weights) + 1e-6) for share in shares)
        if min(self.sizes) < 1 or max(self.sizes) > len(weights):
            raise BadInput(f"a pass goes through 1 to {len(weights)} examples, and one through {min(self.sizes)}")

    @property
    def steps(self) -> int:
        """How many lessons all passes take."""
        return self.ends[-1]

    @property
    def ends(self) -> tuple[int, ...]:
        """The lessons after which a pass is over. No task ends there, and the learner is not told."""
        return tuple(accumulate(ceil(size / self.batch) for size in self.sizes))

    def init(self, *, key: PRNGKeyArray) -> Passage:
        """Return the order of the first subset."""
        return Passage(jnp.int32(0), jnp.arange(len(self.weights)))

    def ask(self, plan: Passage, *, key: PRNGKeyArray) -> tuple[Rows, Passage]:
        """Return the next batch of the present subset."""
        ends = jnp.asarray(self.ends)
        which = jnp.minimum((plan.clock >= ends).sum(), len(ends) - 1)
        turn = plan.clock - jnp.where(which > 0, ends[which - 1], 0)
        turn = turn % (ends[which] - jnp.where(which > 0, ends[which - 1], 0))

        def draw(_: Array) -> Array:
            return jnp.argsort(-(jnp.log(self.weights) + jax.random.gumbel(key, self.weights.shape)))

        order = sometimes(turn == 0, draw, plan.order)
        place = turn * self.batch + jnp.arange(self.batch)
        counts = (place < jnp.asarray(self.sizes)[which]).astype(jnp.float32)
        rows = order[jnp.minimum(place, len(order) - 1)]
        return Rows(rows, counts), Passage(plan.clock + 1, order)
