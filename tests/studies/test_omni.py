"""The stand-in for a model of interestingness: a rule about words, and what is done to it."""

import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.studies.agents.omni import FEATS, Oracle, table_of, without_count
from lifelong.worlds import TaskList, TechTree
from lifelong.worlds._tech_tree import FEATS as NAMES

WORLD = TechTree((3, 2), 4)
NAMED = [without_count(name) for name in WORLD.names]


def test_a_task_is_boring_to_who_does_one_of_the_same_words():
    expected = [[a == b or x != y for b, y in enumerate(NAMED)] for a, x in enumerate(NAMED)]
    np.testing.assert_array_equal(table_of(WORLD.names), expected)
    assert without_count("collect wood 3 times") == "collect wood" and "in a dream" in NAMED[-1]


def test_the_interesting_tasks_come_first_and_each_is_another_feat():
    assert len(NAMES) == FEATS and sorted(WORLD.levels.what[:FEATS].tolist()) == list(range(FEATS))
    assert (WORLD.levels.times[:FEATS] == 1).all() and (WORLD.levels.dummy[:FEATS] == 0).all()


def test_the_knock_out_keeps_how_many_tasks_are_boring_to_whom():
    table, permuted = table_of(WORLD.names), table_of(WORLD.names, permuted=True)
    np.testing.assert_array_equal(table.sum(1), permuted.sum(1))
    assert (table != permuted).any(1).mean() > 0.5
    wrong = (table != table_of(WORLD.names, wrong=0.3)).mean()
    assert wrong == pytest.approx(0.3, abs=0.03)


def test_the_oracle_knows_repeats_whatever_is_done_well():
    repeats = [without_count(name) != name for name in WORLD.names]
    teacher = Oracle(TaskList(WORLD.names), repeats)
    for success in (jnp.zeros(len(repeats)), jnp.asarray(repeats, jnp.float32)):
        np.testing.assert_array_equal(teacher.worth(success), np.logical_not(repeats))
