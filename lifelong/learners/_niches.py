"""Agents in environments of their own, each of which climbs there by an evolution strategy."""

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import Info
from lifelong.keys import key_for
from lifelong.recipe import Number, number
from lifelong.worlds import Discrete, Environment, Vectors, World

from ._agent import where
from ._evolution import EvolutionStrategy, Search, flattened
from ._learner import Learner


class Niches(NamedTuple):
    """Pairs of an environment and its agent, in slots of which some may be empty, and what became of them.

    `born` counts the pairs in the order they came; `hops` in how many environments before this one an agent's forebears
    learned. `episodes` and `transfers` are what has been lived and how often an agent has been replaced. Of the `archive`,
    all environments that ever came, the first `admitted` rows are filled.
    """

    tasks: Float[Array, "slots parameters"]
    search: Search
    alive: Bool[Array, " slots"]
    born: Int[Array, " slots"]
    hops: Int[Array, " slots"]
    episodes: Int[Array, ""]
    transfers: Int[Array, ""]
    archive: Float[Array, "archive parameters"]
    admitted: Int[Array, ""]


class Tried(NamedTuple):
    """An experience: directions, what the candidates along and against them were worth, and who is to learn from it."""

    noise: Float[Array, "slots pairs numbers"]
    values: Float[Array, "slots 2 pairs"]
    learn: Bool[Array, " slots"]


class NicheLearner(Learner):
    """Several agents, each of which climbs in its own environment by an evolution strategy, and nothing else.

    One step of a life is one step of every agent: each candidate lives one episode of its agent's environment, both of a pair
    the same one. Nobody learns any more once `budget` episodes have been lived, those of tests among them.

    Args:
        model: called with `key=` it returns what turns an observation into an action, `Recipe(MLP, …)`.
        tasks: the environments at first, rows of parameters of a world with `Vectors`.
        strategy: how an agent climbs.
        budget: episodes after which all stand still.
        tests: episodes by which a score is measured (Wang et al. 2019, as published in their code).
        good: the score from which an agent has mastered its environment (the same), for those whose environments change.
        stride: how far a parameter of an environment moves at most, as a share of its range, for the same.

    Raises BadInput for tasks of another shape and fewer than one test.
    """

    model: Callable[..., PyTree]
    tasks: Float[Array, "niches parameters"] = eqx.field(converter=jnp.asarray)
    strategy: EvolutionStrategy
    budget: Number = number(inf)
    tests: int = eqx.field(static=True, default=5, kw_only=True)
    good: Number = number(200.0)
    stride: Number = number(0.15)

    def __check_init__(self):
        if jnp.ndim(self.tasks) != 2 or self.tests < 1:
            raise BadInput(
                "niches are rows of an environment's parameters, and tested at least once: the shape of tasks is "
                f"{jnp.shape(self.tasks)}, and {self.tests=}"
            )

    @property
    def slots(self) -> int:
        """How many pairs there may be."""
        return len(self.tasks)

    def init(self, world: World, *, key: PRNGKeyArray) -> Niches:
        """Return newborn agents, one in each environment; raise `Mismatch` where the world has no such tasks."""
        here, taken = vectors(world, self), len(self.tasks)
        if self.tasks.shape[1] != len(here.parameters):
            raise Mismatch(
                f"tasks of {type(here).__name__} have {len(here.parameters)} parameters "
                f"({', '.join(here.parameters)}), and these have {self.tasks.shape[1]}"
            )
        points = jax.vmap(lambda key: flattened(self.model(key=key))[0])(jax.random.split(key, self.slots))
        tasks = jnp.zeros((self.slots, len(here.parameters))).at[:taken].set(self.tasks)
        alive, slots = jnp.arange(self.slots) < taken, jnp.zeros(self.slots, jnp.int32)
        none, searches = jnp.int32(0), jax.vmap(self.strategy.start)(points)
        return Niches(tasks, searches, alive, slots, slots, none, none, tasks[:taken], jnp.int32(taken))

    def meet(self, state: Niches, world: World, lesson: Any, *, key: PRNGKeyArray) -> Tried:
        """Let the candidates of all agents live an episode each, in their environments."""
        keys = jax.random.split(key, self.slots)
        explore = jax.vmap(lambda search, task, key: self.explored(vectors(world, self), search, task, key=key))
        return Tried(*explore(state.search, state.tasks, keys), state.alive & (state.episodes < self.budget))

    def learn(self, state: Niches, experience: Tried, *, key: PRNGKeyArray) -> tuple[Niches, Info]:
        """Take a step of every agent; report how many there are, what has been lived, and the candidates' mean return."""
        noise, values, learn = experience
        stepped = jax.vmap(self.strategy.step)(state.search, noise, values)
        search = jax.vmap(where)(learn, stepped, state.search)
        lived = state.episodes + learn.sum() * 2 * self.strategy.pairs
        mean = (values.mean((1, 2)) * state.alive).sum() / state.alive.sum()
        info = {"return": mean, "niches": state.alive.sum(), "episodes": lived}
        return state._replace(search=search, episodes=lived), info

    def explored(
        self, world: Vectors, search: Search, task: Float[Array, " parameters"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "pairs numbers"], Float[Array, "2 pairs"]]:
        """Return directions from a search's point, and what both ways are worth in an environment."""
        noise = self.strategy.noise(search, key=key_for(key, "noise"))
        keys = jax.random.split(key_for(key, "tracks"), len(noise))
        live = jax.vmap(lambda point, key: self.value(world, point, task, key=key))
        return noise, jax.vmap(live, (0, None))(self.strategy.candidates(search, noise), keys)

    def value(
        self, world: Vectors, point: Float[Array, " numbers"], task: Float[Array, " parameters"], *, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """Return the return of an agent's episode in an environment."""
        return episode(flattened(self.model(key=jax.random.key(0)))[1](point), world, task, key=key)

    def score(
        self, world: Vectors, point: Float[Array, " numbers"], task: Float[Array, " parameters"], *, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """Return the mean return of an agent's tests in an environment; with the same key all agents live the same ones."""
        return jax.vmap(lambda key: self.value(world, point, task, key=key))(jax.random.split(key, self.tests)).mean()

    def scores(self, state: Niches, world: Vectors, *, key: PRNGKeyArray) -> Float[Array, " slots"]:
        """Return every agent's score in its own environment."""
        keys = jax.random.split(key, self.slots)
        return jax.vmap(lambda point, task, key: self.score(world, point, task, key=key))(
            state.search.point, state.tasks, keys
        )


class DirectPath(NicheLearner):
    """Agents whose environments move towards targets, by a stride at each end of a task at which they are mastered.

    The control of Wang et al. 2019 (section 4.3): a curriculum that goes straight to where POET's own detours have led.

    Args:
        targets: where the environments go, one for each niche.
    """

    targets: Float[Array, "niches parameters"] = eqx.field(converter=jnp.asarray, kw_only=True)

    def __check_init__(self):
        if jnp.shape(self.targets) != jnp.shape(self.tasks):
            raise BadInput(
                "a direct path leads each environment to a target of its own: the shape of tasks is "
                f"{jnp.shape(self.tasks)}, and that of targets is {jnp.shape(self.targets)}"
            )

    def consolidate(self, state: Niches, world: World, lesson: Any, *, key: PRNGKeyArray) -> Niches:
        """Return the niches after those that are mastered have moved."""
        here = vectors(world, self)
        ready = (self.scores(state, here, key=key) >= self.good) & (state.episodes < self.budget)
        most = self.stride * ranges(here)
        step = jnp.clip(self.targets - state.tasks, -most, most)
        lived = state.episodes + (state.episodes < self.budget) * self.slots * self.tests
        return state._replace(tasks=state.tasks + ready[:, None] * step, episodes=lived)


def episode(act: Callable[[Array], Array], world: Environment, task: PyTree, *, key: PRNGKeyArray) -> Float[Array, ""]:
    """Return Σ r of one episode of a task, if an agent does what `act` makes of each observation."""
    situation, seen = world.reset(task, key=key_for(key, "reset"))

    def step(now: tuple, clock: Array) -> tuple[tuple, Array]:
        situation, seen, going = now
        situation, outcome = world.step(situation, act(seen), key=key_for(key, "step", clock))
        return (situation, outcome.observation, going & ~outcome.ended), going * outcome.reward

    return jax.lax.scan(step, (situation, seen, jnp.bool_(True)), jnp.arange(world.limit))[1].sum()


def vectors(world: World, learner: Learner) -> Vectors:
    """Return a world whose tasks are vectors and whose actions are numbers; raise `Mismatch` for any other."""
    if isinstance(world, Vectors) and not isinstance(world.actions, Discrete):
        return world
    raise Mismatch(
        f"{type(learner).__name__} changes the numbers that make an environment and acts in numbers, and "
        f"{type(world).__name__} has no such tasks or no such actions; `Leap()` has"
    )


def ranges(world: Vectors) -> Float[Array, " parameters"]:
    """Return how far apart the bounds of every parameter are."""
    return jnp.asarray(world.space.high) - jnp.asarray(world.space.low)
