"""Overlaps by hand, and exams under corruption."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.exams import Accuracy, Corrupted, Mattis, overlaps
from lifelong.learners import Learner
from lifelong.worlds import Corruption, Episodes, Patterns

KEY = jax.random.key(0)


def test_overlaps_count_the_entries_that_are_not_blank():
    patterns = jnp.asarray([[1.0, -1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    spins = jnp.asarray([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(overlaps(patterns, spins), [[1.0, -1 / 3, 0.0], [-1.0, 1.0, 0.0]], rtol=1e-6)


class Echo(Learner):
    """Answers with what it is shown."""

    def answer(self, state, x, allowed=None, *, key=None):
        assert key is not None
        return x


def test_the_exam_asks_with_a_key_and_measures_answers_on_every_pattern():
    world = eqx.filter_jit(lambda: Patterns(500, 3, dilution=0.4).open(key=KEY))()
    found = np.asarray(eqx.filter_jit(lambda w: Mattis().sit(None, Echo(), w, key=KEY))(world)["overlap"])
    np.testing.assert_allclose(np.diag(found), 1.0)
    assert np.abs(found - np.eye(3)).max() < 0.3 and Mattis().dims == {"overlap": ("task", "pattern")}


class Ink(Learner):
    """Calls a picture a 1 if more than half of it is ink."""

    def answer(self, state, x, allowed=None, *, key=None):
        share = x.mean((1, 2))
        return jnp.stack([1 - share, share], -1)


def test_every_level_is_the_exam_in_the_world_so_corrupted():
    pictures = np.stack([np.zeros((4, 6, 6)), np.ones((4, 6, 6))]).astype(np.float32)
    world = eqx.filter_jit(lambda w: w.open(key=KEY))(Episodes(pictures, ways=2, queries=3, corruption=Corruption()))
    levels = ((0.0, 0.0), (1.0, 0.0), (0.0, 0.2))
    exam = Corrupted(levels, Accuracy(page=6))
    found = np.asarray(eqx.filter_jit(lambda w: exam.sit(None, Ink(), w, key=KEY))(world)["accuracy"])
    right = float((np.asarray(world.plan.answers) == (np.asarray(world.x)[world.plan.asked].mean((1, 2)) > 0.5)).mean())
    blank = float((np.asarray(world.plan.answers) == 0).mean())
    np.testing.assert_allclose(found[:, 0], [right, blank, right])
    assert exam.dims == {"accuracy": ("level", "task")} and not exam.whole
    with pytest.raises(BadInput, match="needs at least one level"):
        Corrupted(())
