"""Learning from views: the moving average by hand, what labels may not do, and what a knock-out changes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import BYOL, MYOW, InfoNCE
from lifelong.learners import ViewLearner, averaged
from lifelong.memory import ViewMiner
from lifelong.nets import NormedMLP, ViewNetwork
from lifelong.recipe import Recipe
from lifelong.worlds import Lesson, NeuralPopulation, NeuralViews

KEY = jax.random.key(0)
LESSON = Lesson(jnp.int32(0), jnp.int32(0))
WORLD = NeuralPopulation(neurons=6, angles=4, trials=8, test_trials=4, bins=5)
NET = Recipe(
    ViewNetwork,
    encoder=Recipe(NormedMLP, inputs=6, outputs=4, width=(7,)),
    features=4,
    projection=3,
    width=5,
    mined_projection=2,
    mined_width=4,
)


def learner(feedback=None, rate=0.1, **options):
    feedback = feedback or MYOW(weight=1.0, warm_up=-2.0, ramp=-1.0)
    sizes = {"batch": 12, "candidates": 16, "alike": True}
    return ViewLearner(NET, NeuralViews(), feedback, Recipe(optax.sgd, learning_rate=rate), **{**sizes, **options})


@pytest.fixture(scope="module")
def world():
    return eqx.filter_jit(lambda w: w.open(key=KEY))(WORLD)


@eqx.filter_jit
def born(who, world):
    return who.init(world, key=KEY)


@eqx.filter_jit
def met(who, state, world):
    return who.meet(state, world, LESSON, key=jax.random.key(1))


@eqx.filter_jit
def taught(who, state, experience):
    return who.learn(state, experience, key=jax.random.key(2))


def numbers(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))]


def test_averages_move_by_hand():
    slow, fast = {"a": jnp.array([1.0, 2.0]), "n": 3}, {"a": jnp.array([3.0, -2.0]), "n": 3}
    moved = averaged(slow, fast, 0.75)
    np.testing.assert_allclose(moved["a"], [1.5, 1.0])
    assert moved["n"] == 3


def test_the_target_follows_the_model_and_nothing_else_moves_it(world):
    who = learner(decay=0.9)
    state = born(who, world)
    assert eqx.tree_equal(state.model, state.target)
    expected = numbers(state.target)
    for _ in range(3):
        state, _ = taught(who, state, met(who, state, world))
        expected = [0.9 * slow + 0.1 * fast for slow, fast in zip(expected, numbers(state.model), strict=True)]
    for found, wanted in zip(numbers(state.target), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    still, _ = taught(learner(decay=1.0), state, met(who, state, world))
    assert eqx.tree_equal(still.target, state.target) and not eqx.tree_equal(still.model, state.model)


def test_labels_are_only_reported_on(world):
    who, state = learner(), born(learner(), world)
    shown = met(who, state, world)
    other = eqx.tree_at(lambda s: (s.asked.y, s.pool.y), shown, (shown.asked.y * 0, shown.pool.y * 0))
    (one, info), (same, pure) = (taught(who, state, experience) for experience in (shown, other))
    for a, b in zip(numbers(one), numbers(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert pure["purity"] == 1.0 > info["purity"]


def test_mined_views_are_what_the_target_makes_of_the_nearest_candidates(world):
    who, state = learner(miner=ViewMiner(k=1)), born(learner(), world)
    target = NET(key=jax.random.key(7))
    state = eqx.tree_at(lambda s: s.target, state, target)
    shown = met(who, state, world)
    mined, report = eqx.filter_jit(lambda s, e: who.mine(s, e, key=KEY))(state, shown)
    asked, pool = np.asarray(state.model.represent(shown.asked.x)), np.asarray(target.represent(shown.pool.x))
    cosine = (asked @ pool.T) / np.linalg.norm(asked, axis=1)[:, None] / np.linalg.norm(pool, axis=1)
    best = np.where(shown.may, cosine, -np.inf).argmax(1)
    np.testing.assert_allclose(mined, pool[best], atol=1e-5)
    np.testing.assert_allclose(report["purity"], (np.asarray(shown.pool.y)[best] == np.asarray(shown.asked.y)).mean())


def test_a_knock_out_learns_something_else(world):
    state = born(learner(), world)
    shown = met(learner(), state, world)
    ends = [
        taught(learner(miner=ViewMiner(nearness, labels)), state, shown)[0].model
        for nearness, labels in ((1.0, 0.0), (0.0, 0.0), (0.0, 2.0))
    ]
    ends += [taught(learner(feedback), state, shown)[0].model for feedback in (BYOL(), InfoNCE())]
    for i, one in enumerate(ends):
        for other in ends[i + 1 :]:
            assert not eqx.tree_equal(one, other)
    unmined = taught(learner(MYOW(weight=0.0)), state, shown)[0].model
    for a, b in zip(numbers(unmined), numbers(ends[3]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_pairs_are_seen_alike_or_apart(world):
    state = born(learner(), world)
    still = eqx.tree_at(lambda w: w.x, world, jnp.ones_like(world.x))
    alike, apart = (met(learner(alike=alike), state, still) for alike in (True, False))
    np.testing.assert_array_equal(alike.one, alike.other)
    assert not np.array_equal(apart.one, apart.other)


def test_answers_are_normalised_by_what_was_seen_not_by_who_is_asked(world):
    who, state = learner(), born(learner(), world)
    shown = met(who, state, world)
    state, _ = taught(who, state, shown)
    for kept, seen in zip(state.moments, born(who, world).model.encoder.moments(shown.one), strict=True):
        np.testing.assert_allclose(kept, seen, atol=1e-5)
    np.testing.assert_allclose(who.answer(state, world.x[:3]), who.answer(state, world.x)[:3], atol=1e-5)


def test_what_does_not_fit_is_said_before_anything_runs(world):
    with pytest.raises(BadInput, match="3 candidates"):
        learner(candidates=2)
    wide = Recipe(ViewNetwork, encoder=Recipe(NormedMLP, inputs=5, outputs=4), features=4)
    with pytest.raises(Mismatch, match="cannot represent"):
        ViewLearner(wide, NeuralViews()).init(world, key=KEY)
    narrow = Recipe(ViewNetwork, encoder=Recipe(NormedMLP, inputs=6, outputs=4), features=9)
    with pytest.raises(Mismatch, match="cannot represent"):
        ViewLearner(narrow, NeuralViews()).init(world, key=KEY)
