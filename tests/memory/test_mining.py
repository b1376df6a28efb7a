"""Mined views against scikit-learn's nearest neighbours, and what a miner may and may not pick."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.neighbors import NearestNeighbors

from lifelong.errors import BadInput
from lifelong.memory import ViewMiner, nearest

RANDOM = np.random.default_rng(0)
QUERIES, POOL = (jnp.asarray(RANDOM.normal(size=(n, 5)), jnp.float32) for n in (20, 40))
ALL = jnp.ones((20, 40), bool)
SAME = jnp.asarray(RANDOM.random((20, 40)) < 0.3)


@pytest.fixture(scope="module")
def neighbours():
    return NearestNeighbors(n_neighbors=4, metric="cosine").fit(POOL).kneighbors(QUERIES, return_distance=False)


def picks(miner, may=ALL, times=200):
    keys = jax.random.split(jax.random.key(0), times)
    return np.asarray(jax.jit(jax.vmap(lambda k: miner(QUERIES, POOL, may, SAME, key=k)))(keys))


def test_nearest_are_those_of_scikit_learn(neighbours):
    np.testing.assert_array_equal(nearest(QUERIES, POOL, 4), neighbours)


def test_every_one_of_the_k_nearest_is_mined_and_nothing_else(neighbours):
    found = picks(ViewMiner(k=4))
    for query in range(20):
        assert set(found[:, query]) == set(neighbours[query])
    assert chisquare(np.unique((found[:, :, None] == neighbours).argmax(-1), return_counts=True)[1]).pvalue > 1e-3


def test_what_may_not_be_mined_is_not(neighbours):
    may = ALL.at[jnp.arange(20), neighbours[:, 0]].set(False)
    np.testing.assert_array_equal(picks(ViewMiner(k=1), may, 1)[0], neighbours[:, 1])
    may = jnp.arange(40) >= jnp.zeros((20, 1)) + 30
    assert picks(ViewMiner(nearness=0.0, k=3), may).min() == 30


def test_at_nearness_0_every_candidate_is_as_likely_as_any():
    found = picks(ViewMiner(nearness=0.0, k=3), times=500)
    for query in (0, 7):
        assert chisquare(np.bincount(found[:, query], minlength=40)).pvalue > 1e-3
    assert len(set(map(tuple, found[:, :4]))) > 300, "queries do not share their picks"


def test_an_oracle_mines_its_own_label():
    rows = np.arange(20)
    assert np.asarray(SAME)[rows, picks(ViewMiner(nearness=0.0, labels=2.0, k=2))].all()
    assert not np.asarray(SAME)[rows, picks(ViewMiner(nearness=0.0, k=2))].all()


def test_a_miner_needs_somebody_to_pick_from():
    with pytest.raises(BadInput, match="at least one candidate"):
        ViewMiner(k=0)
