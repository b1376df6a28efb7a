"""Evolution strategies against ranks by hand, a known slope, and a hill."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import rankdata

from lifelong.errors import BadInput
from lifelong.learners import EvolutionStrategy, centred_ranks
from lifelong.learners._evolution import flattened
from lifelong.nets import MLP

KEY = jax.random.key(0)


def test_ranks_are_those_of_scipy_and_say_nothing_where_all_are_equal():
    values = jnp.asarray(np.random.default_rng(0).integers(0, 6, 20), jnp.float32)
    np.testing.assert_allclose(centred_ranks(values), (rankdata(values) - 1) / 19 - 0.5, atol=1e-6)
    np.testing.assert_array_equal(centred_ranks(jnp.full(8, 3.0)), 0)
    np.testing.assert_allclose(centred_ranks(jnp.exp(values)), centred_ranks(values), atol=1e-6)


def test_the_first_step_follows_the_sum_by_hand():
    """Adam's first step is the sign of the slope, and its memory holds a tenth of it."""
    strategy = EvolutionStrategy(pairs=6, sigma=0.5, decay=0.9, least=0.1, learning_rate=0.2, l2=0.3)
    search = strategy.start(jnp.asarray([1.0, -2.0, 0.5]))
    noise = strategy.noise(search, key=KEY)
    values = jax.random.normal(jax.random.key(1), (2, 6))
    after = strategy.step(search, noise, values)
    ranks = ((rankdata(values) - 1) / 11 - 0.5).reshape(2, 6)
    slope = sum((ranks[0, i] - ranks[1, i]) * np.asarray(noise[i]) for i in range(6)) / (6 * 0.5)
    slope -= 0.3 * np.asarray(search.point)
    np.testing.assert_allclose(after.adam.mu, 0.1 * slope, rtol=1e-5)
    np.testing.assert_allclose(after.point, search.point + 0.2 * np.sign(slope), atol=1e-3)
    assert after.sigma == np.float32(0.45)


def test_candidates_lie_on_both_sides_and_the_spread_falls_to_its_least():
    strategy = EvolutionStrategy(pairs=3, sigma=0.2, decay=0.5, least=0.04)
    search = strategy.start(jnp.arange(4.0))
    both = strategy.candidates(search, strategy.noise(search, key=KEY))
    np.testing.assert_allclose(both.mean(0), np.broadcast_to(search.point, (3, 4)), atol=1e-6)
    for expected in (0.1, 0.05, 0.04, 0.04):
        search = strategy.step(search, strategy.noise(search, key=KEY), jnp.zeros((2, 3)))
        assert search.sigma == np.float32(expected)


def climbed(strategy, told):
    """Return how far from the top a search ends, if it is told `told` of what candidates are worth."""
    top = jnp.asarray([2.0, -1.0, 0.5, 3.0])

    def step(search, key):
        noise = strategy.noise(search, key=key)
        height = -((strategy.candidates(search, noise) - top) ** 2).sum(-1)
        return strategy.step(search, noise, told(height, key)), None

    search, _ = jax.lax.scan(step, strategy.start(jnp.zeros(4)), jax.random.split(KEY, 200))
    return float(jnp.abs(search.point - top).max())


def test_it_climbs_a_hill_and_does_not_if_the_heights_are_shuffled():
    strategy = EvolutionStrategy(pairs=16, learning_rate=0.05, l2=0.0)
    assert climbed(strategy, lambda height, key: height) < 0.1
    assert climbed(strategy, lambda height, key: jnp.exp(height)) < 0.1, "ranks see no scale"
    shuffled = climbed(strategy, lambda height, key: jax.random.permutation(key, height.ravel()).reshape(height.shape))
    assert shuffled > 1


def test_a_model_is_its_numbers_and_back():
    net = MLP(3, 2, 4, 1, activation=jnp.tanh, key=KEY)
    point, build = flattened(net)
    x = jnp.asarray([0.1, -0.4, 2.0])
    assert point.shape == (3 * 4 + 4 + 4 * 2 + 2,)
    np.testing.assert_array_equal(build(point)(x), net(x))
    assert not np.allclose(build(2 * point)(x), net(x))


def test_a_strategy_has_candidates():
    with pytest.raises(BadInput, match="at least one pair"):
        EvolutionStrategy(pairs=0)
