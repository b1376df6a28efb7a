"""The tree of things to make: every step of the long way to a diamond, by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import Feat, Situation, TechTree
from lifelong.worlds._tech_tree import CELLS, FEATS, ITEMS, Village

UP, RIGHT, DOWN, LEFT, COLLECT, STONE, TABLE, FURNACE = range(8)
MAKE = {item: 8 + i for i, item in enumerate(ITEMS[6:])}
WORLD = TechTree(limit=1000)
STEP = eqx.filter_jit(lambda situation, action: WORLD.step(situation, action, key=jax.random.key(0)))


def in_front_of(things, feat, times=1, dummy=0):
    """Return an agent in the middle of grass, with things above, right, below and left of it."""
    task = Feat(jnp.int32(FEATS.index(feat)), jnp.int32(times), jnp.int32(dummy))
    cells = np.zeros((9, 9), int)
    for thing, (row, column) in zip(things, ((3, 4), (4, 5), (5, 4), (4, 3)), strict=False):
        cells[row, column] = CELLS.index(thing)
    none = jnp.zeros(len(ITEMS), jnp.int32)
    village = Village(jnp.asarray(cells, jnp.int32), jnp.asarray([4, 4]), jnp.int32(0), none, jnp.int32(0))
    return Situation(task, village, jnp.int32(0))


def holding(situation, place, thing):
    """Return the situation with another thing in one cell."""
    cells = np.array(situation.body.cells)
    cells[place] = CELLS.index(thing)
    return eqx.tree_at(lambda s: s.body.cells, situation, jnp.asarray(cells))


def do(situation, *actions):
    for action in actions:
        situation, outcome = STEP(situation, jnp.int32(action))
    return situation, outcome


def carried(situation):
    return {item: int(n) for item, n in zip(ITEMS, situation.body.carried, strict=True) if n}


def test_the_long_way_to_a_diamond():
    """Wood, table, wooden pickaxe, stone, stone pickaxe, coal, iron, furnace, iron pickaxe, diamond."""
    here = in_front_of(("tree", "stone", "grass", "stone"), "collect_diamond")
    here, _ = do(here, RIGHT, COLLECT)
    assert carried(here) == {}, "a stone needs a pickaxe"
    here, _ = do(here, UP, *[COLLECT] * 4, DOWN)
    assert carried(here) == {"wood": 4} and tuple(here.body.place) == (5, 4)
    here, _ = do(here, MAKE["wood_pickaxe"])
    assert carried(here) == {"wood": 4}, "a tool needs a table"
    here, _ = do(here, UP, DOWN, UP, TABLE)
    assert carried(here) == {"wood": 4}, "a table needs grass in front"
    here, _ = do(here, DOWN, TABLE, MAKE["wood_pickaxe"], MAKE["stone_pickaxe"])
    assert carried(here) == {"wood": 2, "wood_pickaxe": 1}, "no stone yet"
    here = eqx.tree_at(lambda h: h.body.place, here, jnp.asarray([4, 4], jnp.int32))
    here, _ = do(here, RIGHT, COLLECT, LEFT)
    assert carried(here) == {"wood": 2, "stone": 1, "wood_pickaxe": 1}
    here, _ = do(here, COLLECT, MAKE["stone_pickaxe"], FURNACE)
    assert carried(here) == {"wood": 1, "wood_pickaxe": 1, "stone_pickaxe": 1}
    here = holding(holding(here, (4, 5), "coal"), (3, 4), "iron")
    here, _ = do(here, RIGHT, COLLECT, UP, COLLECT, MAKE["iron_pickaxe"])
    assert carried(here) == {"wood_pickaxe": 1, "stone_pickaxe": 1, "iron_pickaxe": 1}
    here, outcome = do(holding(here, (3, 4), "diamond"), COLLECT)
    assert outcome.terminated and outcome.reward == 1 and carried(here)["diamond"] == 1
    assert here.body.cells[3, 4] == 0, "the place where it was is free"


def test_a_feat_is_done_as_often_as_asked_and_a_dummy_never():
    here = in_front_of(("water",), "collect_drink", times=2)
    here, outcome = do(here, UP, COLLECT)
    assert not outcome.terminated and outcome.reward == 0
    assert do(here, COLLECT)[1].terminated
    here = in_front_of(("water",), "collect_drink", dummy=3)
    assert not do(here, UP, *[COLLECT] * 5)[1].terminated


def test_tasks_are_named_and_counted_as_in_the_paper_in_small():
    """Six feats up to five times, nine up to three: 57; and as many dummies as asked for."""
    assert WORLD.tasks == len(WORLD.names) == 57 + 63 and len(set(WORLD.names)) == WORLD.tasks
    assert WORLD.names[0] == "collect wood" and "collect wood 3 times" in WORLD.names
    assert (np.asarray(WORLD.levels.times)[:15] == 1).all() and (np.asarray(WORLD.levels.dummy)[:57] == 0).all()


def test_every_grid_has_everything_and_room_to_start():
    grids = jax.jit(jax.vmap(lambda key: WORLD.start(WORLD.level(0), key=key).cells))(
        jax.random.split(jax.random.key(0), 50)
    )
    counts = [np.bincount(np.asarray(grid).ravel(), minlength=9) for grid in grids]
    assert (np.asarray(counts) == counts[0]).all() and (counts[0][1:7] > 0).all() and (counts[0][7:] == 0).all()
    assert (np.asarray(grids)[:, 3:6, 3:6] == 0).all() and (np.asarray(grids).std(0) > 0).mean() > 0.8


def test_sizes_that_make_no_world_are_refused():
    with pytest.raises(BadInput, match="a side of 7"):
        TechTree(side=4)
    with pytest.raises(BadInput, match="at most 63 tasks"):
        TechTree(dummies=64)
