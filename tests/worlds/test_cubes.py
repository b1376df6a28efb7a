"""The toy space of skills against the original rule, worked out by brute force, and against chance."""

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy.stats import binned_statistic_dd

from lifelong.errors import BadInput, Mismatch
from lifelong.exams import Mastery
from lifelong.learners import CubeLearner
from lifelong.worlds import Cubes, Split, Trial


@eqx.filter_jit
def practised(learner, world, tasks):
    def step(state, task):
        met = learner.meet(state, world, Trial(task), key=jax.random.key(0))
        state, info = learner.learn(state, met, key=jax.random.key(0))
        return state, info["return"]

    return jax.lax.scan(step, learner.init(world, key=jax.random.key(0)), tasks)


def by_hand(tasks, cubes, dims, most):
    """Return competences and returns by the rule of the original, one visit after the other."""
    competence, returns = np.zeros((cubes,) * dims), []
    edges = [np.linspace(0, 1, cubes + 1)] * dims
    for task in tasks:
        counts = binned_statistic_dd(task[None, :dims], [1.0], "count", bins=edges).statistic
        cell = tuple(int(place[0]) for place in counts.nonzero())
        behind = {tuple(np.maximum(np.subtract(cell, step), 0)) for step in np.ndindex(*(2,) * dims)} - {cell}
        if not any(cell) or any(competence[one] >= 0.75 * most for one in behind):
            competence[cell] = min(competence[cell] + 1, most)
        returns.append(competence[cell] / most)
    return competence, np.array(returns)


@pytest.mark.parametrize(("cubes", "dims", "irrelevant"), [(3, 1, 0), (3, 2, 1), (2, 3, 0)])
def test_skills_are_learned_and_unlocked_as_in_the_original(cubes, dims, irrelevant):
    tasks = np.random.default_rng(dims).random((600, dims + irrelevant)).astype(np.float32)
    tasks[::50] = 1.0
    world, most = Cubes(cubes, dims, irrelevant), 8.0
    competence, returns = practised(CubeLearner(most), world, tasks)
    expected, expected_returns = by_hand(tasks, cubes, dims, most)
    np.testing.assert_array_equal(competence, expected)
    np.testing.assert_allclose(returns, expected_returns, atol=1e-6)
    assert 0 < (expected == 0).sum() or expected.min() > 0
    share = Mastery().sit(competence, CubeLearner(most), world, key=jax.random.key(0))["mastered"]
    np.testing.assert_allclose(share, (expected > 6).mean())


def test_mastered_is_above_the_threshold_and_unlocking_at_it():
    learner, world = CubeLearner(4.0), Cubes(2, 1)
    tasks = np.float32([[0.1]] * 3 + [[0.9]])
    competence, returns = practised(learner, world, tasks)
    np.testing.assert_array_equal(competence, [3.0, 1.0])
    assert Mastery().sit(competence, learner, world, key=jax.random.key(0))["mastered"] == 0.0
    np.testing.assert_allclose(returns, [0.25, 0.5, 0.75, 0.25])


def test_a_space_of_nothing_and_another_world_are_refused(tiny):
    with pytest.raises(BadInput, match="cells and dimensions"):
        Cubes(cubes=0)
    with pytest.raises(Mismatch, match="Split has none"):
        CubeLearner().init(Split(tiny, tasks=2), key=jax.random.key(0))
