"""Diluted patterns and their noisy examples: frequencies, what blanks do, and examples that are computed, not stored."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import Lesson, Mixture, Patterns, dataset_entropy

KEY = jax.random.key(0)
N, K, M = 6000, 3, 40


@eqx.filter_jit
def opened(world):
    return world.open(key=KEY)


@eqx.filter_jit
def shown(world, task, place):
    return world.show(task, place, jnp.ones(len(place)))


def close(share, expected, n):
    return abs(share - expected) < 4.5 * np.sqrt(max(expected * (1 - expected), 1e-9) / n) + 1e-9


@pytest.mark.parametrize(("d", "r"), [(0.0, 1.0), (0.3, 0.2), (0.9, 0.6)])
def test_patterns_and_examples_have_the_shares_asked_for(d, r):
    world = opened(Patterns(N, K, M, dilution=d, quality=r))
    xi = np.asarray(world.xi)
    assert set(np.unique(xi)) <= {-1.0, 0.0, 1.0}
    assert close((xi == 0).mean(), d, xi.size) and close((xi[xi != 0] > 0).mean(), 0.5, (xi != 0).sum())
    batch = shown(world, jnp.int32(1), jnp.arange(M))
    x = np.asarray(batch.x)
    np.testing.assert_array_equal(x == 0, np.broadcast_to(xi[1] == 0, x.shape))
    kept = (x * xi[1])[:, xi[1] != 0] > 0
    assert close(kept.mean(), (1 + r) / 2, kept.size)
    assert (np.asarray(batch.y) == 1).all()
    if r < 1:
        assert np.abs(np.corrcoef(kept[:2])[0, 1]) < 5 / np.sqrt(kept.shape[1])


def test_filling_gives_blanks_signs_that_all_examples_share():
    plain, filled = (opened(Patterns(N, K, M, dilution=0.5, quality=1.0, filling=f)) for f in (0.0, 1.0))
    np.testing.assert_array_equal(plain.xi, filled.xi)
    np.testing.assert_array_equal(plain.shown, plain.xi)
    xi, dense = np.asarray(filled.xi), np.asarray(filled.shown)
    assert (dense != 0).all()
    np.testing.assert_array_equal(dense[xi != 0], xi[xi != 0])
    x = np.asarray(shown(filled, jnp.int32(0), jnp.arange(3)).x)
    np.testing.assert_array_equal(x, np.broadcast_to(dense[0], x.shape))


def test_an_example_is_the_same_whenever_it_is_met():
    world = opened(Patterns(50, K, M, quality=0.3))
    whole = shown(world, jnp.int32(2), jnp.arange(M))
    np.testing.assert_array_equal(shown(world, jnp.int32(2), jnp.asarray([7, 31])).x, np.asarray(whole.x)[[7, 31]])
    assert len({row.tobytes() for row in np.asarray(whole.x)}) == M

    @eqx.filter_jit
    def passed(world):
        return [world.draw(Lesson(jnp.int32(2), jnp.int32(turn)), 10, key=KEY).x for turn in range(4)]

    met = np.concatenate([np.asarray(x) for x in passed(world)])
    assert {row.tobytes() for row in met} == {row.tobytes() for row in np.asarray(whole.x)}
    mixed = eqx.filter_jit(lambda w: w.draw(Mixture(jnp.ones(K)), 60, key=KEY))(world)
    assert set(np.asarray(mixed.y)) == {0, 1, 2}


def test_cues_are_patterns_with_their_blanks_filled_by_chance():
    world = opened(Patterns(N, K, dilution=0.6))
    pages = eqx.filter_jit(lambda w: [w.papers(2).page(i) for i in range(2)])(world)
    x = np.concatenate([np.asarray(page.x) for page in pages])[:K]
    assert [np.asarray(page.weight).tolist() for page in pages] == [[1.0, 1.0], [1.0, 0.0]]
    xi = np.asarray(world.xi)
    np.testing.assert_array_equal(x[xi != 0], xi[xi != 0])
    assert set(np.unique(x)) == {-1.0, 1.0} and close((x[xi == 0] > 0).mean(), 0.5, (xi == 0).sum())


def test_the_entropy_of_a_data_set():
    assert dataset_entropy(1.0, 1) == 0
    np.testing.assert_allclose(dataset_entropy(0.2, np.array([5, 20, 80])), [4.8, 1.2, 0.3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 0}, "sizes of at least 1"),
        ({"features": 5, "dilution": 1.2}, "dilution of patterns lies between 0 and 1, and it is 1.2"),
        ({"features": 5, "quality": -0.1}, "quality"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(BadInput, match=message):
        Patterns(**options)
