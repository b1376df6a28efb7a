"""Recordings of neurons: pairs, pools, gains, and views of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.worlds import Lesson, NeuralPopulation, NeuralViews, Split, glimpses

BINS, LOOK = 10, 3
LESSON = Lesson(jnp.int32(0), jnp.int32(0))
SIZES = {"neurons": 12, "trials": 32, "test_trials": 8, "bins": BINS, "lookahead": LOOK}


@eqx.filter_jit
def opened(world, seed=0):
    return world.open(key=jax.random.key(seed))


@pytest.fixture(scope="module")
def world():
    return opened(NeuralPopulation(**SIZES))


def rows_of(world, x):
    """Return the training row of every example; rows of spikes of so many neurons are all different."""
    found = (np.asarray(world.x)[None] == np.asarray(x)[:, None]).all(-1)
    assert (found.sum(1) == 1).mean() > 0.95
    return np.where(found.sum(1) == 1, found.argmax(1), -1)


def test_pairs_are_moments_of_one_trial_not_far_apart(world):
    shown = glimpses(world, LESSON, 400, 5, key=jax.random.key(1))
    one, other = rows_of(world, shown.one), rows_of(world, shown.other)
    told = (one >= 0) & (other >= 0)
    assert (one // BINS == other // BINS)[told].all()
    assert set(np.abs(one - other)[told]) == set(range(LOOK + 1))


def test_candidates_are_of_other_trials(world):
    shown = glimpses(world, LESSON, 60, 80, key=jax.random.key(2))
    asked, pool = rows_of(world, shown.asked.x), rows_of(world, shown.pool.x)
    told = (asked >= 0)[:, None] & (pool >= 0)
    np.testing.assert_array_equal(shown.may[told], (asked[:, None] // BINS != pool // BINS)[told])
    assert not shown.may.all()
    np.testing.assert_array_equal(shown.pool.y[pool >= 0], pool[pool >= 0] // BINS % 8)


def test_counts_have_the_rates_they_should():
    """Without gains of trials, the mean count of a neuron at an angle is its tuning curve and the mean baseline."""
    still = NeuralPopulation(neurons=5, trials=1600, test_trials=8, bins=4, spread=0.0, drift=0.0)
    here = opened(still, 3)
    np.testing.assert_array_equal(here.nuisance, 0.0)
    tuned = still._tuning(key=key_for(jax.random.key(3), "tuning"))
    angle = np.asarray(here._angle(jnp.arange(len(here.x))))
    raw = np.stack([np.asarray(here.x)[angle == a].mean(0) for a in range(8)])
    scaled = raw / raw.sum(0) * np.asarray(tuned + 0.5 * np.exp(0.125)).sum(0)
    np.testing.assert_allclose(scaled, tuned + 0.5 * np.exp(0.125), rtol=0.15, atol=0.05)


def test_gains_are_constant_in_a_trial_but_for_their_drift():
    steady = opened(NeuralPopulation(**SIZES, drift=0.0))
    gains = np.asarray(steady.nuisance).reshape(32, BINS, 4)
    np.testing.assert_allclose(gains, gains[:, :1] * np.ones((1, BINS, 1)), atol=1e-6)
    np.testing.assert_allclose(gains[:, 0].std(), 0.6, rtol=0.15)


def test_lifetimes_record_populations_of_their_own(world):
    assert not np.allclose(world.x, opened(NeuralPopulation(**SIZES), 1).x)
    np.testing.assert_allclose(np.asarray(world.x).std(0), 1.0, rtol=1e-3)


def test_any_data_world_has_glimpses(tiny):
    stream = Split(tiny, 3)
    shown = glimpses(stream, Lesson(jnp.int32(1), jnp.int32(0)), 8, 30, key=jax.random.key(0))
    np.testing.assert_array_equal(shown.one, shown.other)
    assert set(np.asarray(shown.pool.y)) == set(np.asarray(shown.asked.y)) == {2, 3}
    same = (np.asarray(shown.asked.x)[:, None] == np.asarray(shown.pool.x)).all(-1)
    assert same.any()
    np.testing.assert_array_equal(shown.may, ~same)


def test_views_silence_and_disturb():
    x, key = jnp.ones((4000, 20)), jax.random.key(0)
    quiet = np.asarray(NeuralViews(noise=0.0)(x, key=key))
    assert set(np.unique(quiet)) == {0.0, 1.0}
    np.testing.assert_allclose(1 - quiet.mean(), 0.9 * 0.4, atol=0.01)
    share = 1 - quiet.mean(1)
    assert share.max() > 0.7 and (share == 0).mean() > 0.1, "every bin has a chance of its own"
    noisy = np.asarray(NeuralViews(dropout=0.0)(x, key=key)) - 1
    np.testing.assert_allclose([noisy.mean(), noisy.std()], [0.0, 0.2], atol=2e-3)
    np.testing.assert_array_equal(NeuralViews(dropout=0.0, noise=0.0)(x, key=key), x)
    np.testing.assert_array_equal(NeuralViews()(x, key=key) == 0, NeuralViews()(2 * x, key=key) == 0)


def test_what_does_not_fit_is_refused():
    for bad in ({"neurons": 0}, {"trials": 7, "tasks": 2}, {"spread": -1.0}):
        with pytest.raises(BadInput):
            NeuralPopulation(**bad)
    with pytest.raises(BadInput, match="within 0 … 1"):
        NeuralViews(dropout=1.5)
