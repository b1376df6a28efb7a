"""A box of tasks that grows where the learner does well at its border: automatic domain randomization."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number
from lifelong.worlds import task_space

from ._searching import Searching, boxed


class Borders(NamedTuple):
    """The box within the box: row 0 its lower, row 1 its upper borders, and what was told of tasks at each."""

    at: Float[Array, "2 dims"]
    total: Float[Array, "2 dims"]
    count: Int[Array, "2 dims"]


class ADR(Searching):
    """Ask for tasks from a box that starts small and widens: automatic domain randomization.

    Half of the tasks lie at a border of the inner box (one number at its end, the others within), the rest within it. When
    `tries` returns of one border are in, their mean decides: at least `good`, and the border moves outward by `step` of the
    whole width; at most `bad`, and it moves inward. Akkaya et al. 2019 (arXiv:1910.07113, algorithm 1; there 240 tries, and
    half of the tasks at a border); the other defaults are ours, for returns from 0 to 1.

    Args:
        start: the task the box starts from; the middle unless given.
        good, bad: mean returns at which a border moves.
        step: how far, as a share of the width.
        tries: returns that decide.
    """

    start: Float[Array, " dims"]
    good: Number
    bad: Number
    step: Number
    tries: int = eqx.field(static=True)

    def __init__(
        self,
        space: Any,
        start: Any = None,
        good: Number = 0.8,
        bad: Number = 0.2,
        step: Number = 0.05,
        tries: int = 20,
        *,
        measure: str = "return",
    ):
        self.space, self.measure, self.tries = task_space(space), measure, tries
        self.good, self.bad, self.step = (jnp.asarray(value, jnp.float32) for value in (good, bad, step))
        if tries < 1:
            raise BadInput(f"a border needs at least one try before it moves, not {tries}")
        box = boxed(self)
        self.start = box.at(jnp.full(box.dims, 0.5)) if start is None else box.checked(np.asarray(start))

    def init(self, *, key: PRNGKeyArray) -> Borders:
        """Return a box of no width around the start."""
        at = jnp.stack([self.start, self.start])
        return Borders(at, jnp.zeros_like(at), jnp.zeros(at.shape, jnp.int32))

    def choose(self, plan: Borders, *, key: PRNGKeyArray) -> Float[Array, " dims"]:
        """Return a task at a border or within."""
        dims = plan.at.shape[1]
        places = jax.random.uniform(key, (dims + 2,))
        within = plan.at[0] + places[:dims] * (plan.at[1] - plan.at[0])
        border = (places[-1] * 2 * dims).astype(jnp.int32)
        chosen = (jnp.arange(dims) == border // 2) & (places[-2] < 0.5)
        return jnp.where(chosen, plan.at[border % 2], within)

    def hear(self, plan: Borders, task: Array, value: Array, told: Array, *, key: PRNGKeyArray) -> Borders:
        """Return the borders after hearing of a task; one that lies at none of them changes nothing."""
        space, touched = boxed(self), told & (task == plan.at)
        total, count = plan.total + touched * value, plan.count + touched
        ripe = count >= self.tries
        mean = total / jnp.maximum(count, 1)
        step = self.step * (space.high - space.low) * jnp.asarray([[-1.0], [1.0]])
        moved = plan.at + jnp.where(mean >= self.good, step, 0.0) - jnp.where(mean <= self.bad, step, 0.0)
        inward = jnp.stack([jnp.minimum(moved[0], self.start), jnp.maximum(moved[1], self.start)])
        at = jnp.where(ripe, space.clip(inward), plan.at)
        return Borders(at, jnp.where(ripe, 0.0, total), jnp.where(ripe, 0, count))
