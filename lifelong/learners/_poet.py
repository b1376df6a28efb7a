"""POET: environments and agents that are made in pairs, while agents go from one to the other."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.recipe import Number, number
from lifelong.worlds import Vectors, World

from ._agent import where
from ._niches import NicheLearner, Niches, ranges, vectors


class Heir(NamedTuple):
    """An agent for an environment: its numbers, its score there, and the slot it comes from."""

    point: Float[Array, " numbers"]
    score: Float[Array, ""]
    source: Int[Array, ""]


class Child(NamedTuple):
    """A new environment, the slot of its parent, the parent's score in it, and whether it may be admitted."""

    task: Float[Array, " parameters"]
    parent: Int[Array, ""]
    score: Float[Array, ""]
    passes: Bool[Array, ""]


class POET(NicheLearner):
    """Breed environments from mastered ones and let agents go where they are better: the Paired Open-Ended Trailblazer.

    Between ends of tasks every agent climbs in its own environment. At each end, in this order:

    - transfer: for every environment, all other agents (direct) and what each becomes by one step in it (proposal) are tested;
      the best of them replaces its agent if it scores more, with a fresh search;
    - birth: `children` are bred from mastered environments, each parameter moved by U(−1, 1)·stride of its range; of those in
      which the parent's agent scores from `low` to `high`, the most novel is tried, by a transfer from everywhere; if the best
      scores within the bounds too, the pair is admitted, where a slot is free or in the place of the oldest.

    Novelty is the mean distance, in units of the parameters' ranges, to the `neighbours` nearest environments that ever were.
    Wang et al. 2019, "Paired Open-Ended Trailblazer", section 3; the defaults are those of their code, but that theirs tries
    children in the order of novelty until one is admitted, and measures distances in the parameters' own units.

    Args:
        slots: pairs that may live at once; POET has 25.
        archive: environments that are remembered.
        children: bred at each end.
        neighbours: by which novelty is measured.
        low, high: the minimal criterion; POET's is 25 … 340, of scores that reach about 350.
        transfer: whether agents go from one environment to another; if not, a child begins with its parent's agent.

    Raises BadInput for fewer slots, or a smaller archive, than environments at first, and for no children or neighbours.
    """

    slots: int = eqx.field(static=True, default=25, kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]
    archive: int = eqx.field(static=True, default=256, kw_only=True)
    children: int = eqx.field(static=True, default=8, kw_only=True)
    neighbours: int = eqx.field(static=True, default=5, kw_only=True)
    low: Number = number(25.0)
    high: Number = number(340.0)
    transfer: bool = eqx.field(static=True, default=True, kw_only=True)

    def __check_init__(self):
        if min(self.slots, self.archive) < len(self.tasks) or min(self.children, self.neighbours) < 1:
            raise BadInput(
                f"POET begins with {len(self.tasks)} environments and has room for {self.slots}, for {self.archive} in its "
                f"archive; it needs room for all, and at least one child and neighbour: {self.children=}, {self.neighbours=}"
            )

    def init(self, world: World, *, key: PRNGKeyArray) -> Niches:
        """Return newborn agents in the first environments, and room for more."""
        state = super().init(world, key=key)
        room = jnp.zeros((self.archive, self.tasks.shape[1]))
        return state._replace(archive=room.at[: len(self.tasks)].set(self.tasks))

    def consolidate(self, state: Niches, world: World, lesson: Any, *, key: PRNGKeyArray) -> Niches:
        """Return the niches after transfers and a birth."""
        here = vectors(world, self)
        after, scores = self.transferred(state, here, key=key_for(key, "transfer"))
        after = self.grown(after, scores, here, key=key_for(key, "birth"))
        return where(state.episodes < self.budget, after, state)

    def transferred(self, state: Niches, world: Vectors, *, key: PRNGKeyArray) -> tuple[Niches, Float[Array, " slots"]]:
        """Return the niches after every environment has taken the best of all agents, and the scores there are then."""
        scores = self.scores(state, world, key=key)
        count = state.alive.sum()
        if not self.transfer:
            return state._replace(episodes=state.episodes + count * self.tests), scores
        others = state.alive & ~jnp.eye(self.slots, dtype=bool)
        keys = jax.random.split(
            key, self.slots
        )  # those of the scores: an environment's agent and its rivals live the same
        heir = jax.vmap(lambda task, among, key: self.heir(state, world, task, among, key=key))(
            state.tasks, others, keys
        )
        better = state.alive & (heir.score > scores)
        search = jax.vmap(where)(better, jax.vmap(self.strategy.start)(heir.point), state.search)
        after = state._replace(
            search=search,
            hops=jnp.where(better, state.hops[heir.source] + 1, state.hops),
            transfers=state.transfers + better.sum(),
            episodes=state.episodes + count * (self.tests + (count - 1) * self.cost),
        )
        return after, jnp.where(better, heir.score, scores)

    @property
    def cost(self) -> int:
        """Episodes by which one agent is tested as an heir, as it is and after a step."""
        return 2 * self.strategy.pairs + 2 * self.tests

    def heir(
        self,
        state: Niches,
        world: Vectors,
        task: Float[Array, " parameters"],
        among: Bool[Array, " slots"],
        *,
        key: PRNGKeyArray,
    ) -> Heir:
        """Return the best for an environment among some agents and what each becomes by one step in it."""
        fresh = jax.vmap(self.strategy.start)(state.search.point)
        keys = jax.random.split(key_for(key, "proposals"), self.slots)
        tried = jax.vmap(lambda search, key: self.explored(world, search, task, key=key))(fresh, keys)
        stepped = jax.vmap(self.strategy.step)(fresh, *tried)
        points = jnp.concatenate([fresh.point, stepped.point])
        scores = jax.vmap(lambda point: self.score(world, point, task, key=key))(points)
        scores = jnp.where(jnp.tile(among, 2), scores, -jnp.inf)
        best = scores.argmax()
        return Heir(points[best], scores[best], best % self.slots)

    def grown(self, state: Niches, scores: Float[Array, " slots"], world: Vectors, *, key: PRNGKeyArray) -> Niches:
        """Return the niches with one more pair, if a child passes."""
        ready = state.alive & (scores >= self.good)
        child = self.bred(state, ready, world, key=key)
        heir, lived = Heir(state.search.point[child.parent], child.score, child.parent), self.children * self.tests
        if self.transfer:
            heir = self.heir(state, world, child.task, state.alive, key=key_for(key, "heir"))
            lived = lived + child.passes * state.alive.sum() * self.cost
        state = state._replace(episodes=state.episodes + ready.any() * lived)
        return where(child.passes & self.within(heir.score), self.joined(state, child.task, heir), state)

    def bred(self, state: Niches, ready: Bool[Array, " slots"], world: Vectors, *, key: PRNGKeyArray) -> Child:
        """Return the most novel child that its parent's agent finds neither too hard nor too easy."""
        for_parent, for_child, for_score = jax.random.split(key, 3)
        parents = jax.random.categorical(for_parent, jnp.where(ready, 0.0, -jnp.inf), shape=(self.children,))
        parents = jnp.where(ready.any(), parents, 0)
        tasks = mutated(state.tasks[parents], world, self.stride, key=for_child)
        keys = jax.random.split(for_score, self.children)
        test = jax.vmap(lambda point, task, key: self.score(world, point, task, key=key))
        scores = test(state.search.point[parents], tasks, keys)
        there = jnp.arange(self.archive) < state.admitted
        novel = novelty(tasks / ranges(world), state.archive / ranges(world), there, self.neighbours)
        known = (jnp.abs(tasks[:, None] - state.tasks).max(-1) == 0) & state.alive
        passes = ready.any() & self.within(scores) & ~known.any(1)
        best = jnp.where(passes, novel, -jnp.inf).argmax()
        return Child(tasks[best], parents[best], scores[best], passes[best])

    def within(self, scores: Float[Array, "*n"]) -> Bool[Array, "*n"]:
        """Return which scores meet the minimal criterion."""
        return (scores >= self.low) & (scores <= self.high)

    def joined(self, state: Niches, task: Float[Array, " parameters"], heir: Heir) -> Niches:
        """Return the niches with a new pair, in a free slot or in the place of the oldest."""
        slot = jnp.where(state.alive, state.born, -1).argmin()
        search = jax.tree.map(lambda old, new: old.at[slot].set(new), state.search, self.strategy.start(heir.point))
        return state._replace(
            tasks=state.tasks.at[slot].set(task),
            search=search,
            alive=state.alive.at[slot].set(True),
            born=state.born.at[slot].set(state.admitted),
            hops=state.hops.at[slot].set(state.hops[heir.source] + 1),
            archive=state.archive.at[state.admitted % self.archive].set(task),
            admitted=state.admitted + 1,
        )


def mutated(
    tasks: Float[Array, "n parameters"], world: Vectors, stride: Number, *, key: PRNGKeyArray
) -> Float[Array, "n parameters"]:
    """Return tasks with every parameter moved by U(−1, 1)·stride of its range, within its bounds."""
    moved = tasks + stride * ranges(world) * jax.random.uniform(key, tasks.shape, minval=-1.0)
    return jnp.clip(moved, jnp.asarray(world.space.low), jnp.asarray(world.space.high))


def novelty(
    tasks: Float[Array, "n parameters"],
    archive: Float[Array, "archive parameters"],
    there: Bool[Array, " archive"],
    neighbours: int,
) -> Float[Array, " n"]:
    """Return the mean distance of tasks to their nearest neighbours in an archive, of which only some rows are there.

    Where fewer than `neighbours` are there it is the mean over them (Lehman and Stanley 2011, "Abandoning Objectives").
    """
    apart = jnp.sqrt(((tasks[:, None] - archive) ** 2).sum(-1))
    nearest = jnp.sort(jnp.where(there, apart, jnp.inf), 1)[:, :neighbours]
    known = jnp.isfinite(nearest)
    return jnp.where(known, nearest, 0.0).sum(1) / jnp.maximum(known.sum(1), 1)
