"""Mixtures of Gaussians against scikit-learn, and learning progress against brute force."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from lifelong.teachers import ALPGMM, CovarGMM
from lifelong.teachers._gaussians import (
    akaike,
    best_mixture,
    cholesky,
    clustered,
    fitted,
    log_densities,
    maximised,
    spread_out,
)
from lifelong.worlds import TaskBox

random = np.random.default_rng(0)
CENTRES = np.array([[0, 0, 0], [4, 0, 1], [0, 5, 2]])
POINTS = np.concatenate([c + random.normal(size=(80, 3)) @ random.normal(size=(3, 3)) / 2 for c in CENTRES])
POINTS = jnp.asarray(POINTS.astype(np.float32))


def theirs(k, start):
    """scikit-learn's fit from the same responsibilities, by way of the same first mixture."""
    precisions = np.linalg.inv(np.asarray(start.covariances, np.float64))
    numbers = {"weights_init": np.asarray(start.weights, np.float64), "means_init": np.asarray(start.means)}
    numbers["weights_init"] /= numbers["weights_init"].sum()
    return GaussianMixture(k, precisions_init=precisions, init_params="random", random_state=0, **numbers).fit(
        np.asarray(POINTS)
    )


@pytest.fixture(scope="module")
def fits():
    @jax.jit
    def both(shares):
        start = maximised(POINTS, shares)
        return start, fitted(POINTS, start), log_densities(POINTS, start)

    shares = [jax.nn.one_hot(np.arange(len(POINTS)) % k, 4).T for k in (2, 3, 4)]
    return {k: both(one) for k, one in zip((2, 3, 4), shares, strict=True)}


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_expectation_maximisation_ends_where_that_of_scikit_learn_does(fits, k):
    """Fitted with room for four components, of which k are there."""
    start, (mixture, likelihood), _ = fits[k]
    peer = theirs(k, jax.tree.map(lambda leaf: leaf[:k], start))
    np.testing.assert_allclose(mixture.weights[:k], peer.weights_, atol=2e-3)
    np.testing.assert_allclose(mixture.means[:k], peer.means_, atol=2e-2)
    np.testing.assert_allclose(mixture.covariances[:k], peer.covariances_, atol=3e-2)
    np.testing.assert_allclose(likelihood / len(POINTS), peer.score(np.asarray(POINTS)), atol=1e-3)
    np.testing.assert_allclose(akaike(likelihood, jnp.int32(k), 3), peer.aic(np.asarray(POINTS)), rtol=1e-3)
    assert (np.asarray(mixture.weights[k:]) == 0).all()


def test_densities_are_those_of_scipy(fits):
    from scipy.stats import multivariate_normal

    start, _, densities = fits[3]
    for k in range(3):
        expected = multivariate_normal(start.means[k], start.covariances[k]).logpdf(POINTS) + np.log(start.weights[k])
        np.testing.assert_allclose(densities[k], expected, rtol=1e-3, atol=1e-3)
    assert (np.asarray(densities[3]) == -np.inf).all()


def test_roots_of_covariances():
    factor = random.normal(size=(5, 4, 4)).astype(np.float32)
    covariances = jnp.asarray(factor @ factor.transpose(0, 2, 1) + 0.1 * np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(cholesky(covariances), np.linalg.cholesky(covariances), rtol=1e-3, atol=1e-3)


SIZES = (1, 2, 3, 4, 5, 6)


@pytest.fixture(scope="module")
def best():
    return jax.jit(lambda points, key: best_mixture(points, SIZES, key=key))


@pytest.fixture(scope="module")
def candidates():
    """The fits among which `best_mixture` chooses: where each started, where it ended, and its criterion."""

    @jax.jit
    def each(key):
        centres = spread_out(POINTS, max(SIZES), key=key)

        def fit(k):
            start = maximised(POINTS, clustered(POINTS, centres, jnp.arange(max(SIZES)) < k))
            end, likelihood = fitted(POINTS, start)
            return start, end, akaike(likelihood, k, POINTS.shape[1])

        return jax.vmap(fit)(jnp.asarray(SIZES))

    return each


def with_parameters(mixture):
    """scikit-learn's mixture that has these parameters."""
    weights, means, covariances = (np.asarray(leaf, np.float64) for leaf in mixture)
    peer = GaussianMixture(len(weights))
    peer.weights_, peer.means_, peer.covariances_ = weights, means, covariances
    peer.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances))
    return peer


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(3))
def test_the_criterion_and_the_choice_are_those_of_scikit_learn(best, candidates, seed):
    """Of the same parameters, and of scikit-learn's own fits from the same first mixtures."""
    key, points = jax.random.key(seed), np.asarray(POINTS)
    starts, ends, criterion = candidates(key)
    of_ours, of_theirs = [], []
    for i, k in enumerate(SIZES):
        start, end = (jax.tree.map(lambda leaf, i=i, k=k: leaf[i, :k], one) for one in (starts, ends))
        of_ours.append(with_parameters(end).aic(points))
        of_theirs.append(theirs(k, start).aic(points))
    np.testing.assert_allclose(criterion, of_ours, rtol=1e-5)
    np.testing.assert_allclose(criterion, of_theirs, rtol=2e-3)
    chosen = best(POINTS, key)
    assert (chosen.weights > 0).sum() == SIZES[np.argmin(of_ours)] == SIZES[np.argmin(of_theirs)]
    np.testing.assert_allclose(chosen.means, ends.means[np.argmin(of_ours)], rtol=1e-4, atol=1e-4)


def test_a_fit_of_points_without_spread_is_finite(best):
    """Progress that is 0 everywhere is an axis without variance; points in a corner have none at all."""
    for points in (POINTS * jnp.asarray([1.0, 1.0, 0.0]), jnp.ones_like(POINTS)):
        mixture = best(points, jax.random.key(0))
        assert all(np.isfinite(leaf).all() for leaf in mixture)


def test_clusters_hold_what_is_nearest_to_their_means():
    centres = spread_out(POINTS, 3, key=jax.random.key(1))
    points = np.asarray(POINTS)
    assert all((points == centre).all(1).any() for centre in np.asarray(centres))
    shares = np.asarray(clustered(POINTS, centres, jnp.ones(3, bool))).T
    means = np.stack([points[shares[:, k] == 1].mean(0) for k in range(3)])
    nearest = ((points[:, None] - means) ** 2).sum(-1).argmin(1)
    assert (shares.sum(1) == 1).all() and (shares.argmax(1) == nearest).mean() > 0.98


BOX = TaskBox([0.0, 0.0], [1.0, 1.0])


def told(teacher, tasks, returns):
    def step(plan, told):
        task, value = told
        return teacher.hear(plan, task, value, jnp.bool_(True), key=jax.random.key(7)), None

    start = teacher.init(key=jax.random.key(0))
    return eqx.filter_jit(lambda: jax.lax.scan(step, start, (tasks, returns))[0])()


def test_progress_is_the_difference_to_the_nearest_earlier_try():
    """By brute force, over a history that forgets all but the last twenty."""
    tasks, returns = random.random((60, 2)).astype(np.float32), random.random(60).astype(np.float32)
    plan = told(ALPGMM(BOX, every=60, sizes=(2,), history=21), tasks, returns)
    expected = []
    for i in range(60):
        earlier = np.arange(max(0, i - 20), i)
        nearest = earlier[((tasks[earlier] - tasks[i]) ** 2).sum(1).argmin()] if i > 5 else i
        expected.append(abs(returns[i] - returns[nearest]))
    np.testing.assert_allclose(plan.window[:, :2], tasks)
    np.testing.assert_allclose(plan.window[:, 2], expected, atol=1e-6)


@pytest.mark.parametrize("teacher", [ALPGMM(BOX, 0.0, every=100, sizes=(2, 3, 4)), CovarGMM(BOX, 0.0, every=100)])
def test_tasks_are_asked_for_where_returns_change(teacher):
    """Returns grow in the upper right quarter, are noise-free and flat elsewhere."""
    tasks = random.random((100, 2)).astype(np.float32)
    inside = (tasks > 0.5).all(1)
    returns = np.where(inside, np.arange(100) / 100, 0.5).astype(np.float32)
    plan = told(teacher, tasks, returns)
    asked = jax.jit(jax.vmap(lambda key: teacher.choose(plan, key=key)))(jax.random.split(jax.random.key(1), 400))
    assert (np.asarray(asked) > 0.45).all(1).mean() > 0.6
