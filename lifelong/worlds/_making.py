"""Worlds in which tasks are made: an episode ends with a level for somebody else to live in."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput

from ._environment import Box, Discrete, Environment
from ._maze_levels import MazeLevel
from ._maze_sequences import sequence_maze


class Making(Environment):
    """A world in which tasks are made. Nothing is worth anything in it: what an episode made is judged by who lives there.

    It has one level, which says nothing. What is seen ends with `noise` random numbers, evenly drawn from 0 … 1 for each
    episode, so that a maker without chance of its own can make many things.
    """

    levels: Float[Array, "1"]
    limit: int = eqx.field(static=True)
    noise: int = eqx.field(static=True)

    def made(self, seen: Float[Array, " numbers"], *, key: PRNGKeyArray) -> PyTree:
        """Return the task that an episode has made, from what was seen last of it."""
        raise NotImplementedError


class Draft(NamedTuple):
    """A maze half made: which cells hold walls, the start and the goal; how much was placed, and the episode's noise."""

    walls: Bool[Array, " cells"]
    start: Bool[Array, " cells"]
    goal: Bool[Array, " cells"]
    placed: Int[Array, ""]
    noise: Float[Array, " noise"]


class PlacingMazes(Making):
    """Make a maze by placing the goal, the start, and then walls, cell after cell: how PAIRED's teacher acts.

    A wall on a taken cell changes nothing, a start on the goal goes to another cell at random. What is seen is the maze so far,
    in three planes, how much was placed, and noise (after Dennis et al. 2020, "Emergent Complexity and Zero-shot Transfer via
    Unsupervised Environment Design"; as much noise as in CLUTR's code).

    Args:
        side: cells along a side.
        walls: how many are placed at most.
        noise: random numbers in what is seen.

    Raises BadInput for a side below 2, and for fewer than no walls or noise.
    """

    side: int = eqx.field(static=True)

    def __init__(self, side: int, walls: int, noise: int = 50):
        if side < 2 or min(walls, noise) < 0:
            raise BadInput(f"a maze to make has a side of at least 2, walls and noise: {side=}, {walls=}, {noise=}")
        self.side, self.noise, self.limit, self.levels = side, noise, walls + 2, jnp.zeros(1)

    @property
    def actions(self) -> Discrete:
        """A cell."""
        return Discrete(self.side**2)

    @property
    def observations(self) -> Box:
        """Walls, start and goal, how much was placed, and noise."""
        return Box(0.0, 1.0, (3 * self.side**2 + self.limit + 1 + self.noise,))

    def start(self, task: Array, *, key: PRNGKeyArray) -> Draft:
        """Return an empty maze."""
        none = jnp.zeros(self.side**2, bool)
        return Draft(none, none, none, jnp.int32(0), jax.random.uniform(key, (self.noise,)))

    def move(
        self, task: Array, body: Draft, action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Draft, Float[Array, ""], Bool[Array, ""]]:
        """Place the goal, the start or a wall."""
        chosen = jnp.arange(self.side**2) == action
        elsewhere = jnp.argmax(jnp.where(body.goal, -1.0, jax.random.uniform(key, body.goal.shape)))
        beside = jnp.where((chosen & body.goal).any(), jnp.arange(self.side**2) == elsewhere, chosen)
        goal, start = body.goal | (chosen & (body.placed == 0)), body.start | (beside & (body.placed == 1))
        walls = body.walls | (chosen & ~goal & ~start & (body.placed > 1))
        placed = body.placed + 1
        return Draft(walls, start, goal, placed, body.noise), jnp.float32(0), placed >= self.limit

    def observe(self, task: Array, body: Draft) -> Float[Array, " numbers"]:
        """Return the maze so far, and noise."""
        placed = jnp.arange(self.limit + 1) == body.placed
        seen = [body.walls, body.start, body.goal, placed, body.noise]
        return jnp.concatenate([part.astype(jnp.float32) for part in seen])

    def made(self, seen: Float[Array, " numbers"], *, key: PRNGKeyArray) -> MazeLevel:
        """Return the maze."""
        cells = self.side**2
        walls, start, goal = seen[: 3 * cells].reshape(3, cells) > 0.5
        ends = jnp.argmax(start).astype(jnp.int32), jnp.argmax(goal).astype(jnp.int32)
        return MazeLevel(walls.reshape(self.side, self.side), *ends)


class Sketch(NamedTuple):
    """The latent vector that was named, 0 before, and the episode's noise."""

    latent: Float[Array, " dims"]
    noise: Float[Array, " noise"]


class LatentMazes(Making):
    """Make a maze in one step, by naming the latent vector of its description: how CLUTR's teacher acts.

    What is seen is noise, and the vector once it is named (Azad et al. 2022, "CLUTR", whose code has 50 numbers of noise).

    Args:
        spell: returns the words that a latent vector stands for, as `maze_sequence` orders them; nothing here changes it.
        dims: numbers in a latent vector.
        side: cells along a side.
        noise: random numbers in what is seen.
        bound: numbers beyond ± it count as this; 4 holds all that a standard normal prior makes.

    Raises BadInput for sizes below 1.
    """

    spell: Callable[[Float[Array, " dims"]], Int[Array, " length"]]
    dims: int = eqx.field(static=True)
    side: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)

    def __init__(self, spell: Callable, dims: int, side: int, noise: int = 50, bound: float = 4.0):
        if min(dims, side, noise, bound) <= 0:
            raise BadInput(f"mazes from latent vectors need positive sizes: {dims=}, {side=}, {noise=}, {bound=}")
        self.spell, self.dims, self.side, self.noise, self.bound = spell, dims, side, noise, bound
        self.limit, self.levels = 1, jnp.zeros(1)

    @property
    def actions(self) -> Box:
        """A latent vector."""
        return Box(-self.bound, self.bound, (self.dims,))

    @property
    def observations(self) -> Box:
        """The latent vector, and noise."""
        return Box(-self.bound, self.bound, (self.dims + self.noise,))

    def start(self, task: Array, *, key: PRNGKeyArray) -> Sketch:
        """Return nothing but noise."""
        return Sketch(jnp.zeros(self.dims), jax.random.uniform(key, (self.noise,)))

    def move(
        self, task: Array, body: Sketch, action: Float[Array, " dims"], *, key: PRNGKeyArray
    ) -> tuple[Sketch, Float[Array, ""], Bool[Array, ""]]:
        """Name the vector."""
        latent = jnp.clip(action, -self.bound, self.bound)
        return Sketch(latent, body.noise), jnp.float32(0), jnp.bool_(True)

    def observe(self, task: Array, body: Sketch) -> Float[Array, " numbers"]:
        """Return the vector, and noise."""
        return jnp.concatenate(body)

    def made(self, seen: Float[Array, " numbers"], *, key: PRNGKeyArray) -> MazeLevel:
        """Return the maze that the vector's words describe."""
        return sequence_maze(self.spell(seen[: self.dims]), self.side, key=key)
