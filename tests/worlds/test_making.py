"""Mazes as sequences, and worlds in which mazes are made, beside the same rules in plain Python."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import (
    LatentMazes,
    MazeSequences,
    PlacingMazes,
    drawing,
    drawn_mazes,
    maze_sequence,
    maze_suite,
    random_maze,
    sequence_maze,
    shortest_path,
)

SIDE, MOST, MANY = 5, 6, 200
END = SIDE**2
KEYS = jax.random.split(jax.random.key(0), MANY)


@jax.jit
@jax.vmap
def written(key, walls):
    level = random_maze(SIDE, walls, key=key)
    shuffled = maze_sequence(level, MOST, jax.random.uniform(key, (END,)))
    words = maze_sequence(level, MOST)
    return level, words, sequence_maze(words, SIDE, key=key), shuffled, sequence_maze(shuffled, SIDE, key=key)


@pytest.fixture(scope="module")
def mazes():
    return jax.tree.map(np.asarray, written(KEYS, jnp.arange(MANY) % (MOST + 1)))


def test_a_sequence_is_the_sorted_walls_start_goal_and_the_end(mazes):
    level, words, *_ = mazes
    for i in range(MANY):
        walls = np.flatnonzero(level.walls[i]).tolist()
        told = [*walls, int(level.start[i]), int(level.goal[i])]
        assert words[i].tolist() == told + [END] * (MOST + 3 - len(told))


def test_the_maze_comes_back_from_its_sequence_in_any_order_of_walls(mazes):
    level, words, back, shuffled, back_shuffled = mazes
    for again in (back, back_shuffled):
        for mine, theirs in zip(level, again, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(np.sort(words, 1), np.sort(shuffled, 1))
    assert (words != shuffled).any(1).mean() > 0.5
    moved = (words != shuffled).argmax(1)
    assert (moved[(words != shuffled).any(1)] < level.walls[(words != shuffled).any(1)].sum((1, 2))).all()


@pytest.mark.parametrize("words", [[END] * 5, [3, END, 1, 2, 4], [7, 7, 7, 7, END], [0, 1, 2, 3, 4], [END, 3, 3, 3, 3]])
def test_any_sequence_is_a_maze_with_ends_on_free_cells(words):
    decode = jax.jit(jax.vmap(lambda key: sequence_maze(jnp.asarray(words), SIDE, key=key)))
    many = jax.tree.map(np.asarray, decode(KEYS))
    told = words[: words.index(END)] if END in words else words
    flat, rows = many.walls.reshape(MANY, -1), np.arange(MANY)
    assert (np.flatnonzero(flat[0]) == sorted(set(told[:-2]))).all()
    assert not flat[rows, many.start].any() and not flat[rows, many.goal].any() and (many.start != many.goal).all()
    free = len(told) >= 2 and told[-2] not in told[:-2]
    assert (many.start == told[-2]).all() if free else len(set(many.start.tolist())) > 5


def test_shuffled_sequences_are_those_of_the_same_mazes_in_another_order():
    """What the knock-out of CLUTR lacks is the order of walls, and nothing else."""
    ordered, shuffled = (
        np.asarray(MazeSequences(SIDE, MOST, MANY, shuffled=kind)(key=KEYS[0])) for kind in (False, True)
    )
    count = (ordered != END).sum(1) - 2
    assert set(count) == set(range(MOST + 1)) and (ordered != shuffled).any(1).mean() > 0.4
    for i, n in enumerate(count):
        assert ordered[i, :n].tolist() == sorted(shuffled[i, :n]) and (ordered[i, n:] == shuffled[i, n:]).all()


def test_the_suite_can_be_solved():
    ways = jax.jit(jax.vmap(shortest_path))(maze_suite())
    assert (ways >= 6).all() and (ways <= 20).all() and len(ways) == 12


def test_more_walls_than_there_is_room_for_are_left_out():
    level = jax.tree.map(lambda leaf: leaf[0], drawn_mazes("S## ##. .#G"))
    np.testing.assert_array_equal(maze_sequence(level, 3), [1, 2, 3, 0, 8, 9])


def test_placing_follows_the_rule_by_hand():
    world, key = PlacingMazes(3, 3, noise=4), jax.random.key(1)
    step = eqx.filter_jit(lambda situation, action: world.step(situation, action, key=key))

    def built(actions):
        situation, seen = world.reset(world.level(0), key=key)
        assert not seen[:27].any() and seen[27] == 1
        for i, action in enumerate(actions):
            situation, outcome = step(situation, jnp.int32(action))
            assert outcome.terminated == (i == 4) and outcome.reward == 0 and outcome.observation[28 + i] == 1
            np.testing.assert_array_equal(outcome.observation[-4:], seen[-4:])
        return world.made(outcome.observation, key=key)

    assert drawing(built([8, 0, 4, 4, 1])) == "S#.\n.#.\n..G"
    assert drawing(built([8, 0, 8, 0, 2])) == "S.#\n...\n..G", "walls on taken cells change nothing"
    crowded = built([4, 4, 0, 1, 2])
    assert crowded.goal == 4 and crowded.start != 4 and not crowded.walls.reshape(-1)[crowded.start]


def test_a_vector_is_spelled_out_within_its_bounds():
    def spell(z):
        return jnp.concatenate([jnp.round(z).astype(jnp.int32) + 4, jnp.full(1, 9)])

    world, key = LatentMazes(spell, 3, 3, noise=2), jax.random.key(0)
    situation, seen = world.reset(world.level(0), key=key)
    _, outcome = world.step(situation, jnp.asarray([0.0, -9.0, 9.0]), key=key)
    assert outcome.terminated and not seen[:3].any()
    np.testing.assert_array_equal(outcome.observation, [0, -4, 4, *seen[3:]])
    assert drawing(world.made(outcome.observation, key=key)) == "S..\n.#.\n..G"


@pytest.mark.parametrize(
    "build", [lambda: PlacingMazes(1, 3), lambda: PlacingMazes(4, -1), lambda: LatentMazes(abs, 0, 3)]
)
def test_sizes_that_cannot_be_are_refused(build):
    with pytest.raises(BadInput, match=r"size|side"):
        build()
