"""Learning progress in regions of a box of tasks that are split ever finer: RIAC."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number, number

from ._searching import Searching, boxed, in_proportion, sometimes


class Regions(NamedTuple):
    """Boxes within boxes, and the last tries in each: the first `count` are there, the first of all is the whole."""

    low: Float[Array, "regions dims"]
    high: Float[Array, "regions dims"]
    leaf: Bool[Array, " regions"]
    tasks: Float[Array, "regions room dims"]
    returns: Float[Array, "regions room"]
    size: Int[Array, " regions"]
    """How many tries are kept."""
    told: Int[Array, " regions"]
    """How many were written: the next one goes to `told` modulo the room."""
    progress: Float[Array, " regions"]
    count: Int[Array, ""]


class RIAC(Searching):
    """Ask for tasks from regions in proportion to their learning progress, and split a region where progress differs.

    The progress of a region is |mean of the older half − mean of the newer half| of its last returns. A region that
    nothing splits yet and that has more than `room` tries is split where the progress of both sides differs most, among
    `attempts` random cuts that leave at least room/20 tries and 1/15 of the box's width on either side; where no cut does,
    the oldest quarter is forgotten. Of the tasks a share `mutation_share` is the one of lowest return in a region chosen by
    progress, moved by noise of 0.1; `random_share` are any; the rest are drawn evenly from a region chosen by progress. Both
    large and small regions are chosen from.

    Baranes and Oudeyer 2009; the rules and defaults are those of Portelas et al. 2019 (`riac.py`), but that random cuts with
    too few tries on a side are not drawn again, and that the number of regions is limited.

    Args:
        random_share, mutation_share: how tasks are drawn.
        room: tries that a region keeps.
        regions: the most regions there can be.
        attempts: cuts to choose from.
    """

    random_share: Number = number(0.2)
    mutation_share: Number = number(0.1)
    room: int = eqx.field(static=True, default=200)
    regions: int = eqx.field(static=True, default=128)
    attempts: int = eqx.field(static=True, default=50)

    def __check_init__(self):
        boxed(self)
        if self.room < 4 or min(self.regions, self.attempts) < 1:
            raise BadInput(
                f"regions need room for 4 tries, and there must be some, and cuts: room={self.room}, "
                f"regions={self.regions}, attempts={self.attempts}"
            )

    def init(self, *, key: PRNGKeyArray) -> Regions:
        """Return one region: the whole box."""
        space, n, room = boxed(self), self.regions, self.room + 1
        return Regions(
            low=jnp.broadcast_to(space.low, (n, space.dims)),
            high=jnp.broadcast_to(space.high, (n, space.dims)),
            leaf=jnp.arange(n) == 0,
            tasks=jnp.zeros((n, room, space.dims)),
            returns=jnp.zeros((n, room)),
            size=jnp.zeros(n, jnp.int32),
            told=jnp.zeros(n, jnp.int32),
            progress=jnp.zeros(n),
            count=jnp.int32(1),
        )

    def choose(self, plan: Regions, *, key: PRNGKeyArray) -> Float[Array, " dims"]:
        """Return a task from a region, one like the worst of a region, or any."""
        space = boxed(self)
        for_places, for_noise = jax.random.split(key)
        mode, which, *places = jax.random.uniform(for_places, (2 + space.dims,))
        there = jnp.arange(self.regions) < plan.count
        progress = jnp.where(there, plan.progress, 0.0)
        region = in_proportion(jnp.where(progress.sum() > 0, progress, there), which)
        low, high, place = plan.low[region], plan.high[region], jnp.stack(places)
        returns = jnp.where(jnp.arange(self.room + 1) < plan.size[region], plan.returns[region], jnp.inf)
        worst = plan.tasks[region, jnp.argmin(returns)] + 0.1 * jax.random.normal(for_noise, (space.dims,))
        mutated = jnp.where(plan.size[0] > 0, jnp.clip(worst, low + EDGE, high - EDGE), space.at(place))
        anywhere = jnp.where(
            mode < self.mutation_share + self.random_share, space.at(place), low + place * (high - low)
        )
        return space.clip(jnp.where(mode < self.mutation_share, mutated, anywhere))

    def hear(self, plan: Regions, task: Array, value: Array, told: Array, *, key: PRNGKeyArray) -> Regions:
        """Return the regions with one more try in all that hold it, one of them split if it is full."""
        there = jnp.arange(self.regions) < plan.count
        holds = there & told & ((plan.low <= task) & (task <= plan.high)).all(1)
        room = self.room + 1
        slot = jnp.where(holds, plan.told % room, room)
        at = (jnp.arange(self.regions), slot)
        plan = plan._replace(
            tasks=plan.tasks.at[at].set(task, mode="drop"),
            returns=plan.returns.at[at].set(value, mode="drop"),
            size=jnp.minimum(plan.size + holds, room),
            told=plan.told + holds,
        )
        full = holds & plan.leaf & (plan.size == room)
        plan = sometimes(full.any(), lambda plan: self._split(plan, jnp.argmax(full), key), plan)
        progress = jax.vmap(self._progress)(*jax.vmap(_in_time)(plan.returns, plan.size, plan.told))
        return plan._replace(progress=progress)

    def _progress(self, returns: Float[Array, " room"], kept: Bool[Array, " room"]) -> Float[Array, ""]:
        """Return |mean of the older − mean of the newer half| of returns in the order of time, newest last."""
        size = jnp.minimum(kept.sum(), self.room)
        newest_first = jnp.where(kept, kept[::-1].cumsum()[::-1] - 1, self.room + 1)
        newer, older = newest_first < size // 2, (newest_first >= size // 2) & (newest_first < size)

        def mean(part: Array) -> Array:
            return jnp.where(part, returns, 0.0).sum() / jnp.maximum(part.sum(), 1)

        return jnp.where(size > 2, jnp.abs(mean(older) - mean(newer)), 0.0)

    def _split(self, plan: Regions, region: Int[Array, ""], key: PRNGKeyArray) -> Regions:
        """Return the regions with one of them split, or without its oldest quarter where nothing splits it."""
        space = boxed(self)
        order = _oldest_first(plan.size[region], plan.told[region], self.room + 1)
        tasks, returns = plan.tasks[region][order], plan.returns[region][order]
        low, high = plan.low[region], plan.high[region]
        numbers = jax.random.uniform(key, (self.attempts, 2))
        dims = (numbers[:, 0] * space.dims).astype(jnp.int32)
        cuts = low[dims] + numbers[:, 1] * (high - low)[dims]

        def judged(dim: Array, cut: Array) -> tuple[Array, Array]:
            left = tasks[:, dim] <= cut
            enough = jnp.minimum(left.sum(), (~left).sum()) >= self.room / 20
            wide = jnp.minimum(cut - low[dim], high[dim] - cut) >= (space.high - space.low)[dim] / 15
            gap = jnp.abs(self._progress(returns, left) - self._progress(returns, ~left))
            return left, jnp.where(enough & wide, gap, -1.0)

        lefts, gaps = jax.vmap(judged)(dims, cuts)
        best = jnp.argmax(gaps)
        possible = (gaps[best] >= 0) & (plan.count + 2 <= self.regions)
        quarter = plan._replace(size=plan.size.at[region].add(-(self.room // 4)))
        split = _parted(plan, region, dims[best], cuts[best], lefts[best], tasks, returns)
        return jax.tree.map(lambda new, old: jnp.where(possible, new, old), split, quarter)


EDGE = 1e-5
"""How far a moved task stays away from the borders of its region."""


def _oldest_first(size: Array, told: Array, room: int) -> Int[Array, " room"]:
    """Return the places of tries, oldest first; those of none come before them."""
    return (told + jnp.arange(room)) % room


def _in_time(returns: Array, size: Array, told: Array) -> tuple[Array, Array]:
    """Return returns in the order of time, and which of them are kept: the last `size`."""
    room = len(returns)
    return returns[_oldest_first(size, told, room)], jnp.arange(room) >= room - size


def _parted(plan: Regions, region: Array, dim: Array, cut: Array, left: Array, tasks: Array, returns: Array) -> Regions:
    """Return the regions with two new ones, which share the tries of the one that is cut."""
    low, high = plan.low[region], plan.high[region]
    plan = plan._replace(leaf=plan.leaf.at[region].set(False))
    sides = ((left, low, high.at[dim].set(cut)), (~left, low.at[dim].set(cut), high))
    for i, (mine, lowest, highest) in enumerate(sides):
        new, order, size = plan.count + i, jnp.argsort(~mine, stable=True), mine.sum().astype(jnp.int32)
        plan = plan._replace(
            low=plan.low.at[new].set(lowest, mode="drop"),
            high=plan.high.at[new].set(highest, mode="drop"),
            leaf=plan.leaf.at[new].set(True, mode="drop"),
            tasks=plan.tasks.at[new].set(tasks[order], mode="drop"),
            returns=plan.returns.at[new].set(returns[order], mode="drop"),
            size=plan.size.at[new].set(size, mode="drop"),
            told=plan.told.at[new].set(size, mode="drop"),
        )
    return plan._replace(count=plan.count + 2)
