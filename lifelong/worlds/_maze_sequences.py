"""Mazes as sequences of words: a cell each, walls first, then the start, then the goal, then the end."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.keys import key_for

from ._maze_levels import MazeLevel, any_maze, placed_maze


def maze_sequence(level: MazeLevel, most: int, rank: Float[Array, " cells"] | None = None) -> Int[Array, " length"]:
    """Return the words of one maze: its walls, its start, its goal, and then side² for the end until there are `most` + 3.

    Walls come in the order of their cells, so that there is one sequence for a maze, as in Azad et al. 2022 ("CLUTR: Curriculum
    Learning via Unsupervised Task Representation Learning"), or in the order of `rank`, a number for every cell. Of more than
    `most` walls the last are left out.
    """
    standing = level.walls.reshape(-1)
    cells = len(standing)
    last = jnp.where(standing, jnp.arange(cells) if rank is None else rank, jnp.inf)
    order, count = jax.lax.top_k(-last, min(most + 3, cells))[1], jnp.minimum(standing.sum(), most)
    place = jnp.arange(most + 3)
    walls = jnp.where(place < count, order[jnp.minimum(place, cells - 1)], cells)
    return walls.at[count].set(level.start).at[count + 1].set(level.goal).astype(jnp.int32)


def sequence_maze(words: Int[Array, " length"], side: int, *, key: PRNGKeyArray) -> MazeLevel:
    """Return the maze that a sequence describes, whatever it is: the last two words before the first end are start and goal,
    those before them walls. What is missing or on a taken cell moves to a free one at random.
    """
    place = jnp.arange(len(words))
    ended = words >= side * side
    count = jnp.where(ended.any(), jnp.argmax(ended), len(words))
    walls = jnp.where(place < count - 2, words, -1)
    start, goal = (jnp.where(count >= back, words[count - back], -1) for back in (2, 1))
    return placed_maze(side, walls, start, goal, key=key)


class MazeSequences(eqx.Module):
    """Batches of sequences of random mazes (`any_maze`).

    Args:
        side, walls: cells along a side, and the most walls there are.
        batch: sequences in a batch.
        shuffled: whether walls come in any order, so that one maze has many sequences.
    """

    side: int = eqx.field(static=True)
    walls: int = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    shuffled: Bool[Array, ""] = eqx.field(converter=jnp.asarray, default=False)

    def __call__(self, *, key: PRNGKeyArray) -> Int[Array, "batch length"]:
        """Return a batch."""

        def one(key: PRNGKeyArray) -> Array:
            anyhow = jax.random.uniform(key_for(key, "order"), (self.side**2,))
            rank = jnp.where(self.shuffled, anyhow, jnp.arange(self.side**2))
            return maze_sequence(any_maze(self.side, self.walls, key=key), self.walls, rank)

        return jax.vmap(one)(jax.random.split(key, self.batch))
