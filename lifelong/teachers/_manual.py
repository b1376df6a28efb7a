"""Orders of tasks written by hand: a list of them, or boxes that are passed one after the other."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.recipe import Number
from lifelong.worlds import task_space

from ._searching import Searching, boxed


class InOrder(Searching):
    """Ask for given tasks, one after the other, each for `tries` tries; the last one for ever.

    Args:
        tasks: the tasks, in their order; each must be one of the space.
        tries: tries of each before the next.
    """

    order: PyTree
    tries: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def __init__(self, space: Any, tasks: Sequence[Any], tries: int = 1, *, measure: str = "return"):
        self.space, self.measure, self.tries, self.count = task_space(space), measure, tries, len(tasks)
        if not len(tasks) or tries < 1:
            raise BadInput(f"an order needs at least one task and one try of each, and has {len(tasks)} and {tries}")
        self.order = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(self.space.checked, tasks))

    def init(self, *, key: PRNGKeyArray) -> Int[Array, ""]:
        """Return how many tries were told of: none."""
        return jnp.int32(0)

    def choose(self, plan: Int[Array, ""], *, key: PRNGKeyArray) -> PyTree:
        """Return the task whose turn it is."""
        place = jnp.minimum(plan // self.tries, self.count - 1)
        return jax.tree.map(lambda leaf: leaf[place], self.order)

    def hear(self, plan: Array, task: PyTree, value: Array, told: Array, *, key: PRNGKeyArray) -> Int[Array, ""]:
        """Return the number of tries told of."""
        return plan + told


class Stage(NamedTuple):
    """The window's place, the returns told of since it came there in sum, and how many."""

    low: Float[Array, " dims"]
    total: Float[Array, ""]
    count: Int[Array, ""]


class Window(Searching):
    """Ask for tasks from a window that moves through the box when they go well: a curriculum by who knows the tasks.

    The window starts at the `start` corner and moves by `step` when the mean of `tries` returns is at least `good`, until it
    reaches the other end of the box. The oracle of Portelas et al. 2019 (`oracle_teacher.py`): a window of a sixth of the
    box, 50 returns; how it moves and when must be given by hand.

    Args:
        step: how far it moves along every dimension; negative numbers move downward.
        good: the mean return that moves it.
        width: its width as a share of the box.
        tries: returns that decide.
    """

    step: Float[Array, " dims"]
    good: Number
    width: Number
    tries: int = eqx.field(static=True)

    def __init__(
        self, space: Any, step: Any, good: Number, width: Number = 1 / 6, tries: int = 50, *, measure: str = "return"
    ):
        self.space, self.measure, self.tries = task_space(space), measure, tries
        self.step = jnp.broadcast_to(jnp.asarray(step, jnp.float32), (boxed(self).dims,))
        self.good, self.width = jnp.asarray(good, jnp.float32), jnp.asarray(width, jnp.float32)
        if tries < 1:
            raise BadInput(f"a window needs at least one return before it moves, not {tries}")

    def init(self, *, key: PRNGKeyArray) -> Stage:
        """Return the window at its start: where it can move on from."""
        space = boxed(self)
        high = space.high - self.width * (space.high - space.low)
        return Stage(jnp.where(self.step >= 0, space.low, high), jnp.float32(0), jnp.int32(0))

    def choose(self, plan: Stage, *, key: PRNGKeyArray) -> Float[Array, " dims"]:
        """Return a task from the window."""
        space = boxed(self)
        place = jax.random.uniform(key, (space.dims,))
        return space.clip(plan.low + place * self.width * (space.high - space.low))

    def hear(self, plan: Stage, task: Array, value: Array, told: Array, *, key: PRNGKeyArray) -> Stage:
        """Return the window, moved where it is time."""
        space = boxed(self)
        total, count = plan.total + told * value, plan.count + told
        ripe = count >= self.tries
        moves = ripe & (total / jnp.maximum(count, 1) >= self.good)
        last = space.high - self.width * (space.high - space.low)
        low = jnp.where(moves, jnp.clip(plan.low + self.step, space.low, last), plan.low)
        return Stage(low, jnp.where(ripe, 0.0, total), jnp.where(ripe, 0, count))
