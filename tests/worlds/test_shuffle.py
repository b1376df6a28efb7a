"""The computed shuffle: a bijection whatever the size, and no order likelier than another."""

from functools import partial
from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from lifelong.worlds import shuffled

SIZES = (1, 2, 3, 5, 7, 8, 30, 64, 97, 255, 256, 1000)
SEEDS = jnp.arange(60_000, dtype=jnp.uint32)


@partial(jax.jit, static_argnums=0)
def orders(length, size, passes, seeds):
    """Return what stands at 0 … length−1 for every pass and seed; only places below size mean anything."""
    place = jnp.arange(length)

    def one(pass_number, seed):
        return shuffled(place % size, size, jnp.full(length, pass_number), seed)

    return jax.vmap(one)(passes, seeds)


@pytest.fixture(scope="module")
def of_five():
    return np.asarray(orders(5, jnp.int32(5), jnp.zeros_like(SEEDS, jnp.int32), SEEDS))


def evenly(codes, kinds):
    """Return the p-value of the hypothesis that all kinds are equally likely."""
    return chisquare(np.bincount(codes, minlength=kinds)).pvalue


@pytest.mark.parametrize("size", SIZES)
def test_each_place_has_one_thing_and_each_thing_one_place(size):
    seeds = jnp.arange(20, dtype=jnp.uint32)
    for pass_number in (0, 1, 2**31 - 1):
        drawn = orders(max(SIZES), jnp.int32(size), jnp.full(20, pass_number), seeds)[:, :size]
        np.testing.assert_array_equal(np.sort(drawn, axis=1), np.broadcast_to(np.arange(size), (20, size)))


def test_the_order_of_a_large_set_is_a_bijection_too():
    size = 60_000
    drawn = orders(size, jnp.int32(size), jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.uint32))
    np.testing.assert_array_equal(np.sort(drawn[0]), np.arange(size))
    assert abs(np.corrcoef(drawn[0], np.arange(size))[0, 1]) < 0.02


@pytest.mark.parametrize("place", range(5))
def test_over_seeds_everything_is_equally_likely_at_every_place(of_five, place):
    assert evenly(of_five[:, place], 5) > 1e-4


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 4), (2, 3)])
def test_over_seeds_every_pair_is_equally_likely_at_two_places(of_five, first, second):
    a, b = of_five[:, first], of_five[:, second]
    assert evenly(a * 4 + b - (b > a), 20) > 1e-4


def test_over_seeds_every_order_of_five_is_equally_likely(of_five):
    number = {order: i for i, order in enumerate(permutations(range(5)))}
    assert evenly(np.array([number[tuple(order)] for order in of_five.tolist()]), 120) > 1e-4


def test_over_passes_of_one_seed_every_order_of_five_is_equally_likely():
    passes = jnp.arange(60_000)
    drawn = np.asarray(orders(5, jnp.int32(5), passes, jnp.full_like(SEEDS, 7)))
    number = {order: i for i, order in enumerate(permutations(range(5)))}
    assert evenly(np.array([number[tuple(order)] for order in drawn.tolist()]), 120) > 1e-4


def test_a_large_set_is_evenly_spread_as_well():
    """The first ten of a thousand, counted by hundreds, and how often a thing stays where it was."""
    drawn = np.asarray(orders(1000, jnp.int32(1000), jnp.zeros(6000, jnp.int32), SEEDS[:6000]))
    assert all(evenly(drawn[:, place] // 100, 10) > 1e-4 for place in range(10))
    fixed = (drawn == np.arange(1000)).sum(1)
    assert abs(fixed.mean() - 1.0) < 6 / np.sqrt(6000)


def test_passes_and_seeds_do_not_repeat_an_order():
    several = jnp.arange(200)
    of_passes = orders(64, jnp.int32(64), several, jnp.zeros(200, jnp.uint32))
    of_seeds = orders(64, jnp.int32(64), jnp.zeros(200, jnp.int32), several.astype(jnp.uint32))
    assert len(np.unique(np.concatenate([of_passes, of_seeds[1:]]), axis=0)) == 399
