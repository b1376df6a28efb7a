"""Mazes: distances against breadth-first search in plain Python, and levels that are made, changed and drawn."""

from collections import deque

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import Maze, drawing, drawn_mazes, mutated_maze, placed_maze, random_maze, shortest_path
from lifelong.worlds import distances as distances_to_goal

SIDE, MANY = 6, 300


def searched(walls, goal):
    """Return distances by a queue."""
    found, queue = {goal: 0}, deque([goal])
    while queue:
        cell = queue.popleft()
        row, column = divmod(cell, SIDE)
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < SIDE and 0 <= c < SIDE and not walls[r, c] and r * SIDE + c not in found:
                found[r * SIDE + c] = found[cell] + 1
                queue.append(r * SIDE + c)
    return np.array([found.get(cell, -1) for cell in range(SIDE * SIDE)]).reshape(SIDE, SIDE)


@pytest.fixture(scope="module")
def levels():
    """Random mazes, each of them after five edits, how far it is in the first, and the way."""

    @jax.jit
    def make(keys):
        def one(key):
            level = random_maze(SIDE, 12, key=key)
            return level, mutated_maze(level, 5, key=key), distances_to_goal(level), shortest_path(level)

        return jax.vmap(one)(keys)

    return jax.tree.map(np.asarray, make(jax.random.split(jax.random.key(0), MANY)))


def test_distances_are_those_of_a_search(levels):
    level, _, far, way = levels
    for i in range(MANY):
        np.testing.assert_array_equal(far[i], searched(level.walls[i], level.goal[i]))
        assert way[i] == far[i].reshape(-1)[level.start[i]]
    assert 0.05 < (way < 0).mean() < 0.95, "some are solvable and some are not"


def test_random_mazes_have_the_walls_they_should_and_ends_apart(levels):
    level, changed, _, _ = levels
    flat = level.walls.reshape(MANY, -1)
    assert (flat.sum(1) == 12).all() and (level.start != level.goal).all()
    for one in (level, changed):
        rows = np.arange(MANY)
        assert not one.walls.reshape(MANY, -1)[rows, one.start].any()
        assert not one.walls.reshape(MANY, -1)[rows, one.goal].any() and (one.start != one.goal).all()
    np.testing.assert_allclose(flat.mean(0), 12 / SIDE**2, atol=4.5 * np.sqrt(1 / 3 * 2 / 3 / MANY))


def test_edits_change_a_few_cells_and_sometimes_the_goal(levels):
    level, changed, _, _ = levels
    different = (level.walls != changed.walls).reshape(MANY, -1).sum(1)
    assert different.max() <= 5 and different.min() >= 0 and 2 < different.mean() < 5
    np.testing.assert_array_equal(level.start, changed.start)
    assert 0.3 < (level.goal != changed.goal).mean() < 0.8


def test_drawings_are_read_and_written():
    level = jax.tree.map(lambda leaf: leaf[1], drawn_mazes("S.G ... ...", "#.G #.# #.S"))
    assert drawing(level) == "#.G\n#.#\n#.S"
    assert int(shortest_path(level)) == 4


def test_a_list_of_cells_is_a_maze_whatever_its_order_and_ends_settle_on_free_cells():
    place = jax.jit(lambda walls, start, goal, key: placed_maze(3, walls, start, goal, key=key))
    key = jax.random.key(0)
    one = place(jnp.asarray([4, 1, -1, 4]), jnp.int32(0), jnp.int32(8), key)
    other = place(jnp.asarray([1, 4, 4, -1]), jnp.int32(0), jnp.int32(8), key)
    assert drawing(one) == drawing(other) == "S#.\n.#.\n..G"
    crowded = place(jnp.asarray([4, 1, 0, 2]), jnp.int32(4), jnp.int32(1), key)
    flat = np.asarray(crowded.walls).reshape(-1)
    assert flat.sum() == 4 and not flat[crowded.start] and not flat[crowded.goal] and crowded.start != crowded.goal


def test_what_is_seen_moves_with_the_agent_and_the_goal_pays():
    world = Maze(drawn_mazes("S.# ..G ..."), view=1)
    situation, seen = eqx.filter_jit(world.reset)(world.level(0), key=jax.random.key(0))
    step = eqx.filter_jit(lambda situation, action: world.step(situation, action, key=jax.random.key(0)))
    np.testing.assert_array_equal(seen[:9].reshape(3, 3), [[1, 1, 1], [1, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(seen[-2:], np.array([1, 2]) / np.sqrt(5), rtol=1e-6)
    situation, outcome = step(situation, jnp.int32(0))
    assert situation.body.cell == 0 and outcome.reward == 0, "it walked into the rim"
    situation, outcome = step(situation, jnp.int32(1))
    situation, outcome = step(situation, jnp.int32(1))
    assert situation.body.cell == 1, "it walked into a wall"
    situation, outcome = step(situation, jnp.int32(2))
    assert outcome.observation[9:18].reshape(3, 3)[1, 2] == 1, "the goal is seen beside it"
    np.testing.assert_array_equal(outcome.observation[18:22], [0, 0, 1, 0])
    situation, outcome = step(situation, jnp.int32(1))
    assert outcome.terminated and outcome.reward == 1 and not outcome.truncated


def test_drawings_and_levels_that_are_none_are_refused():
    with pytest.raises(BadInput, match="square and of one size"):
        drawn_mazes("S.G ...")
    with pytest.raises(BadInput, match="exactly one goal, drawn as G"):
        drawn_mazes("S. ..")
    with pytest.raises(BadInput, match="one of these has 'x'"):
        drawn_mazes("Sx .G")
    with pytest.raises(BadInput, match="one level becomes a stack"):
        Maze(jax.tree.map(lambda leaf: leaf[0], drawn_mazes("S. .G")))


def test_haste_takes_from_the_goal_what_time_was_spent():
    world = Maze(drawn_mazes("S.G ... ..."), limit=8, haste=0.5)
    situation, _ = world.reset(world.level(0), key=jax.random.key(0))
    for action, worth in ((0, 0), (1, 0), (1, 1 - 0.5 * 3 / 8)):
        situation, outcome = world.step(situation, jnp.int32(action), key=jax.random.key(0))
        assert outcome.reward == worth
    assert outcome.terminated
