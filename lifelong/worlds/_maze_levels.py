"""Mazes as parameters: made at random, changed a little, drawn by hand, and asked how far it is to the goal."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.keys import key_for


class MazeLevel(NamedTuple):
    """Walls on a square grid, and the cells (row·side + column) where an agent starts and where it should get."""

    walls: Bool[Array, "*n side side"]
    start: Int[Array, "*n"]
    goal: Int[Array, "*n"]


def random_maze(side: int, walls: Int[Array, ""] | int, *, key: PRNGKeyArray) -> MazeLevel:
    """Return a maze with so many walls, start and goal on different cells drawn at random; it need not be solvable."""
    order = jnp.argsort(jax.random.uniform(key, (side * side,)))
    rank = jnp.zeros(side * side, jnp.int32).at[order].set(jnp.arange(side * side, dtype=jnp.int32))
    standing = (rank >= 2) & (rank < walls + 2)
    return MazeLevel(standing.reshape(side, side), order[0].astype(jnp.int32), order[1].astype(jnp.int32))


def any_maze(side: int, most: int, *, key: PRNGKeyArray) -> MazeLevel:
    """Return a random maze with up to `most` walls, all numbers being as likely."""
    return random_maze(side, jax.random.randint(key_for(key, "walls"), (), 0, most + 1), key=key)


def placed_maze(
    side: int, walls: Int[Array, " k"], start: Int[Array, ""], goal: Int[Array, ""], *, key: PRNGKeyArray
) -> MazeLevel:
    """Return the maze that a list of cells describes, in any order and with repetitions; cells below 0 are left out.

    A start or goal on a taken cell moves to a free one at random, as in CLUTR's and PAIRED's levels, and so does one below 0.
    """
    cells = side * side
    standing = jnp.zeros(cells, bool).at[jnp.where(walls < 0, cells, walls)].set(True, mode="drop")
    chance = jax.random.uniform(key, (2, cells))
    start = _settled(start, standing, chance[0])
    goal = _settled(goal, standing.at[start].set(True), chance[1])
    return MazeLevel(standing.reshape(side, side), start, goal)


def _settled(cell: Int[Array, ""], taken: Bool[Array, " cells"], chance: Array) -> Int[Array, ""]:
    elsewhere = jnp.argmax(jnp.where(taken, -1.0, chance))
    return jnp.where(taken[cell] | (cell < 0), elsewhere, cell).astype(jnp.int32)


def mutated_maze(level: MazeLevel, edits: int = 1, move: float = 0.2, *, key: PRNGKeyArray) -> MazeLevel:
    """Return the maze after some edits: each turns a random cell into a wall or a wall into a free cell, or, with probability
    `move`, moves the goal to a random free cell (Parker-Holder et al. 2022, "Evolving Curricula with Regret-Based Environment
    Design"). Start and goal are never walled in place.
    """
    side = level.walls.shape[-1]
    chances = jax.random.uniform(key, (edits, side * side + 1))

    def edit(level: MazeLevel, chance: Array) -> tuple[MazeLevel, None]:
        walls, start, goal = level.walls.reshape(-1), level.start, level.goal
        cells = jnp.arange(side * side)
        free = (cells != start) & (cells != goal)
        cell = jnp.argmax(jnp.where(free, chance[:-1], -1.0))
        moves = (chance[-1] < move) & ~walls[cell]
        walls = walls.at[cell].set(jnp.where(moves, False, ~walls[cell]))
        return MazeLevel(walls.reshape(side, side), start, jnp.where(moves, cell, goal).astype(jnp.int32)), None

    return jax.lax.scan(edit, level, chances)[0]


def distances(level: MazeLevel) -> Int[Array, "side side"]:
    """Return how many steps it is from every cell to the goal, −1 where there is no way; breadth first, ring by ring."""
    side = level.walls.shape[-1]
    far = side * side
    first = jnp.full(far, far, jnp.int32).at[level.goal].set(0).reshape(side, side)

    def spread(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        steps, _ = carry
        rim = jnp.pad(steps, 1, constant_values=far)
        near = jnp.minimum(jnp.minimum(rim[:-2, 1:-1], rim[2:, 1:-1]), jnp.minimum(rim[1:-1, :-2], rim[1:-1, 2:]))
        wider = jnp.where(level.walls, far, jnp.minimum(steps, near + 1))
        return wider, (wider != steps).any()

    steps, _ = jax.lax.while_loop(lambda carry: carry[1], spread, (first, jnp.bool_(True)))
    return jnp.where(steps >= far, -1, steps)


def shortest_path(level: MazeLevel) -> Int[Array, ""]:
    """Return the number of steps from start to goal, −1 where the maze cannot be solved."""
    return distances(level).reshape(-1)[level.start]


def drawn_mazes(*drawings: str | Sequence[str]) -> MazeLevel:
    """Return mazes drawn with # for walls, S for the start, G for the goal and . for free cells, stacked.

    Raises BadInput for drawings that are not square, of different sizes, or without exactly one start and one goal.
    """
    rows = [drawing.split() if isinstance(drawing, str) else list(drawing) for drawing in drawings]
    sides = {len(lines) for lines in rows} | {len(line) for lines in rows for line in lines}
    if len(sides) != 1:
        raise BadInput(f"drawings of mazes must be square and of one size, and have lines and lengths {sorted(sides)}")
    cells = np.array([[list(line) for line in lines] for lines in rows])
    if odd := set(cells.ravel()) - set("#SG."):
        raise BadInput(f"a maze is drawn with #, S, G and ., and one of these has '{min(odd)}'")
    flat = cells.reshape(len(rows), -1)
    for mark, what in {"S": "start", "G": "goal"}.items():
        if ((flat == mark).sum(1) != 1).any():
            raise BadInput(f"every maze has exactly one {what}, drawn as {mark}")
    ends = [jnp.asarray((flat == mark).argmax(1), jnp.int32) for mark in "SG"]
    return MazeLevel(jnp.asarray(cells == "#"), *ends)


def drawing(level: MazeLevel) -> str:
    """Return one maze as text, the inverse of `drawn_mazes`."""
    cells = np.where(np.asarray(level.walls), "#", ".")
    flat = cells.reshape(-1)
    flat[int(level.start)], flat[int(level.goal)] = "S", "G"
    return "\n".join("".join(line) for line in flat.reshape(cells.shape))
