"""Mazes seen through a small window: worlds whose tasks are whole levels."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number

from ._environment import Box, Discrete, Environment, checked_limit
from ._maze_levels import MazeLevel, random_maze


class Walk(eqx.Module):
    """Where the agent stands, the move it tried last (4: none yet), and how many it has tried."""

    cell: Int[Array, ""]
    last: Int[Array, ""]
    moves: Int[Array, ""]


class Maze(Environment):
    """Find the goal of a maze with steps up (0), right (1), down (2) and left (3); getting there is worth 1 − haste·t/limit.

    What is seen are the walls and the goal within `view` cells in all four directions (what lies outside the grid is wall),
    the last move, and, with a `compass`, the direction of the goal as a vector of length 1 (Bhatt et al. and Parker-Holder et
    al. 2022 use mazes like these, with turns in place of four moves). Walking into a wall is staying.

    Args:
        levels: mazes, stacked; `random_maze`, `drawn_mazes` and `mutated_maze` make them. Twenty random ones of 13 × 13 with
            25 walls unless stated. All tasks have the same side.
        limit: steps after which the time is up; 250 in most papers.
        view: how far it is seen in every direction.
        compass: whether the direction of the goal is seen from everywhere.
        haste: what the last moment takes off the worth of the goal; t is the number of moves. MiniGrid's mazes have 0.9.

    Raises BadInput for a single level that is not stacked, and sizes below 1.
    """

    levels: MazeLevel
    limit: int = eqx.field(static=True)
    view: int = eqx.field(static=True)
    compass: bool = eqx.field(static=True)
    haste: Number

    def __init__(
        self,
        levels: MazeLevel | None = None,
        limit: int = 250,
        view: int = 2,
        compass: bool = True,
        haste: Number = 0.0,
    ):
        self.levels = Maze.random(20, 13, 25, key=jax.random.key(0)) if levels is None else levels
        if self.levels.walls.ndim != 3:
            raise BadInput(
                f"levels are mazes stacked along a first axis, and these walls have the shape {self.levels.walls.shape}; "
                "one level becomes a stack by jax.tree.map(lambda leaf: leaf[None], level)"
            )
        if view < 1:
            raise BadInput(f"an agent in a maze sees at least one cell far, not {view}")
        self.limit, self.view, self.compass = checked_limit(limit), view, compass
        self.haste = jnp.asarray(haste, jnp.float32)

    @staticmethod
    def random(count: int, side: int, walls: int, *, key: PRNGKeyArray) -> MazeLevel:
        """Return `count` random mazes, stacked."""
        return jax.vmap(lambda key: random_maze(side, walls, key=key))(jax.random.split(key, count))

    @property
    def side(self) -> int:
        """Cells along a side."""
        return self.levels.walls.shape[-1]

    @property
    def actions(self) -> Discrete:
        """Up, right, down, left."""
        return Discrete(4)

    @property
    def observations(self) -> Box:
        """Walls and goal in the window, the last move, the compass."""
        window = (2 * self.view + 1) ** 2
        return Box(-1.0, 1.0, (2 * window + 4 + 2 * self.compass,))

    def start(self, task: MazeLevel, *, key: PRNGKeyArray) -> Walk:
        """Return the start of the level."""
        return Walk(task.start, jnp.int32(4), jnp.int32(0))

    def move(
        self, task: MazeLevel, body: Walk, action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Walk, Float[Array, ""], Bool[Array, ""]]:
        """Take a step, if there is no wall."""
        here = jnp.stack(jnp.divmod(body.cell, self.side))
        there = here + jnp.asarray([[-1, 0], [0, 1], [1, 0], [0, -1]])[action]
        inside = ((there >= 0) & (there < self.side)).all()
        cell = jnp.where(inside, there[0] * self.side + there[1], body.cell).astype(jnp.int32)
        cell = jnp.where(task.walls.reshape(-1)[cell], body.cell, cell)
        arrived = cell == task.goal
        moves = body.moves + 1
        worth = jnp.where(arrived, 1 - self.haste * moves / self.limit, 0.0)
        return Walk(cell, action.astype(jnp.int32), moves), worth, arrived

    def observe(self, task: MazeLevel, body: Walk) -> Float[Array, " numbers"]:
        """Return the window around the agent, the last move and the compass."""
        row, column = jnp.divmod(body.cell, self.side)
        reach = jnp.arange(-self.view, self.view + 1)
        rows, columns = (row + reach)[:, None], (column + reach)[None, :]
        inside = (rows >= 0) & (rows < self.side) & (columns >= 0) & (columns < self.side)
        cells = jnp.clip(rows, 0, self.side - 1) * self.side + jnp.clip(columns, 0, self.side - 1)
        walls = jnp.where(inside, task.walls.reshape(-1)[cells], True)
        seen = [walls.reshape(-1), ((cells == task.goal) & inside).reshape(-1), jnp.arange(4) == body.last]
        if self.compass:
            away = jnp.stack(jnp.divmod(task.goal, self.side)) - jnp.stack([row, column])
            seen.append(away / jnp.maximum(jnp.sqrt((away**2).sum()), 1.0))
        return jnp.concatenate([part.astype(jnp.float32) for part in seen])
