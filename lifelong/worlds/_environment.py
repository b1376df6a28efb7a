"""Worlds to act in: what every one of them does, and what it takes and shows."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch

from ._batch import Mixture
from ._world import World


@dataclass(frozen=True)
class Discrete:
    """One of `count` actions, a whole number from 0 on."""

    count: int


@dataclass(frozen=True)
class Box:
    """An array of numbers between bounds, which are one number for all of them or one for each of a vector."""

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    shape: tuple[int, ...]

    def holds(self, x: Any) -> bool:
        """Return whether an array has this shape and lies within the bounds."""
        x = np.asarray(x)
        return x.shape == self.shape and bool((x >= np.asarray(self.low)).all() and (x <= np.asarray(self.high)).all())


class Situation(NamedTuple):
    """Where an episode stands: the task it is an episode of, the body of the world, and the steps taken."""

    task: PyTree
    body: PyTree
    clock: Int[Array, ""]


class Outcome(NamedTuple):
    """What a step leads to. `terminated`: the episode has come to its own end, and nothing can follow. `truncated`: the
    time is up, though the episode could have gone on; what would have followed still has a value.
    """

    observation: Array
    reward: Float[Array, ""]
    terminated: Bool[Array, ""]
    truncated: Bool[Array, ""]

    @property
    def ended(self) -> Bool[Array, "*n"]:
        """Whether the episode is over."""
        return self.terminated | self.truncated


class Several(NamedTuple):
    """Tries at several tasks at once, stacked along a leading axis: one for each body of an agent."""

    task: PyTree
    learn: Bool[Array, ""] | bool = True


class Environment(World):
    """A world to act in. Its tasks are parameters, any tree of arrays, so that a teacher can set them.

    A subclass says how an episode starts (`start`), how it moves (`move`) and what is seen of it (`observe`); the time limit
    and the list of levels are this class's. `levels` holds tasks stacked along a leading axis: a lesson that names a task
    by its number means one of them, and a lesson whose task is no whole number brings the parameters themselves.
    """

    levels: eqx.AbstractVar[PyTree]
    limit: eqx.AbstractVar[int]

    @property
    def tasks(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How many levels there are."""
        return len(jax.tree.leaves(self.levels)[0])

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How many actions there are to choose from, or how many numbers an action has."""
        actions = self.actions
        return actions.count if isinstance(actions, Discrete) else actions.shape[0]

    @property
    def actions(self) -> Discrete | Box:
        """What an action is."""
        raise NotImplementedError

    @property
    def observations(self) -> Box:
        """What an observation is."""
        raise NotImplementedError

    def start(self, task: PyTree, *, key: PRNGKeyArray) -> PyTree:
        """Return the body of the world at the start of an episode."""
        raise NotImplementedError

    def move(
        self, task: PyTree, body: PyTree, action: Array, *, key: PRNGKeyArray
    ) -> tuple[PyTree, Float[Array, ""], Bool[Array, ""]]:
        """Return the body after an action, the reward, and whether the episode has come to its own end."""
        raise NotImplementedError

    def observe(self, task: PyTree, body: PyTree) -> Array:
        """Return what is seen."""
        raise NotImplementedError

    def reset(self, task: PyTree, *, key: PRNGKeyArray) -> tuple[Situation, Array]:
        """Return the start of an episode of a task (its parameters), and what is seen."""
        body = self.start(task, key=key)
        return Situation(task, body, jnp.int32(0)), self.observe(task, body)

    def step(self, situation: Situation, action: Array, *, key: PRNGKeyArray) -> tuple[Situation, Outcome]:
        """Return what an action leads to. An episode that is over does not start again by itself."""
        task, body, clock = situation
        body, reward, terminated = self.move(task, body, action, key=key)
        truncated = (clock + 1 >= self.limit) & ~terminated
        return Situation(task, body, clock + 1), Outcome(self.observe(task, body), reward, terminated, truncated)

    def step_on(
        self, situation: Situation, action: Array, task: PyTree, *, key: PRNGKeyArray
    ) -> tuple[Situation, Outcome, Array]:
        """Take a step, and where it ends the episode start one of `task`.

        The outcome is still that of the step, with the last observation of the old episode; what comes third is what is
        seen now.
        """
        for_step, for_reset = jax.random.split(key)
        situation, outcome = self.step(situation, action, key=for_step)
        fresh, first = self.reset(task, key=for_reset)
        situation = jax.tree.map(lambda new, old: jnp.where(outcome.ended, new, old), fresh, situation)
        return situation, outcome, jnp.where(outcome.ended, first, outcome.observation)

    def level(self, number: Int[Array, "*n"] | int) -> PyTree:
        """Return the parameters of a level."""
        return jax.tree.map(lambda leaf: leaf[number], self.levels)

    def asked(self, lesson: Any, n: int, *, key: PRNGKeyArray) -> PyTree:
        """Return the parameters of what a teacher asks `n` bodies to meet, stacked; of a mixture each gets its own.

        Raises `Mismatch` where it asks for several tasks, and not for one each.
        """
        if isinstance(lesson, Mixture):
            return self.level(jax.random.categorical(key, jnp.log(lesson.weights), shape=(n,)))
        task = lesson.task if hasattr(lesson, "task") else lesson
        if not isinstance(task, tuple) and eqx.is_array(task) and jnp.issubdtype(task.dtype, jnp.integer):
            task = self.level(task)
        if isinstance(lesson, Several):
            if (asked := len(jax.tree.leaves(task)[0])) != n:
                raise Mismatch(
                    f"the teacher asks for {asked} tasks at once, and {n} bodies meet one each: Group(…, {n})"
                )
            return task
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n, *jnp.shape(leaf))), task)


def checked_limit(limit: int) -> int:
    """Return a time limit; raise `BadInput` for one below 1."""
    if limit < 1:
        raise BadInput(f"an episode has at least one step, and the limit is {limit}")
    return limit


class Vectors(Environment):
    """An environment whose tasks are vectors of numbers, by the names in `parameters`.

    `low` and `high` bound the tasks that make sense, so that a teacher knows where to search.
    """

    @property
    def parameters(self) -> dict[str, tuple[float, float, float]]:
        """The name of every number of a task, with its standard value and its bounds."""
        raise NotImplementedError

    @property
    def space(self) -> Box:
        """The tasks there are."""
        _, low, high = zip(*self.parameters.values(), strict=True)
        return Box(low, high, (len(low),))

    def _as_levels(self, levels: Any) -> Float[Array, "tasks parameters"]:
        names = self.parameters
        if levels is None:
            return jnp.asarray([[standard for standard, _, _ in names.values()]], jnp.float32)
        levels = jnp.asarray(levels, jnp.float32)
        if levels.ndim != 2 or levels.shape[1] != len(names) or not len(levels):
            raise BadInput(
                f"levels of {type(self).__name__} are rows of {len(names)} numbers ({', '.join(names)}), and these have "
                f"the shape {levels.shape}"
            )
        return levels
