"""Factors against scikit-learn, Gaussian conditioning and ridge regression, and excess risk against its closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from lifelong.errors import BadInput, Mismatch
from lifelong.exams import ExcessRisk
from lifelong.learners import FactorLearner, PretrainedRegressor
from lifelong.nets import FactorModel, fit_factors
from lifelong.worlds import Batch, LatentFactors, Lesson, Split

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(300, 5)) @ np.random.default_rng(1).normal(size=(5, 5)) + 3
WORLD = LatentFactors(6, 2, unlabelled=90.0, labelled=20.0, questions=40)


@eqx.filter_jit
def lived(who, world, lessons):
    here = world.open(key=KEY)
    state = who.init(here, key=KEY)
    for task, turn in lessons:
        batch = who.meet(state, here, Lesson(jnp.int32(task), jnp.int32(turn)), key=KEY)
        state, info = who.learn(state, batch, key=KEY)
    return here, state, info


@pytest.mark.parametrize("rank", [1, 3])
def test_factors_of_largest_likelihood_are_those_of_scikit_learn(rank):
    pca = PCA(rank).fit(X)
    covariance = np.cov(X.T)
    found = fit_factors(jnp.asarray(X.mean(0), jnp.float32), jnp.asarray(covariance, jnp.float32), rank)
    np.testing.assert_allclose(found.covariance, pca.get_covariance(), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.noise, pca.noise_variance_, rtol=1e-3)


def test_with_known_noise_no_other_loadings_are_likelier():
    """At the fit the log likelihood −½ (log|C| + tr C⁻¹S) is highest, also among its own scalings and small changes."""
    s = np.cov(X.T)
    fit = fit_factors(jnp.zeros(5), jnp.asarray(s, jnp.float32), 2, 0.5)

    def likelihood(loadings):
        c = loadings @ loadings.T + 0.5 * np.eye(5)
        return -0.5 * (np.linalg.slogdet(c)[1] + np.trace(np.linalg.solve(c, s)))

    best, random = likelihood(np.asarray(fit.loadings, np.float64)), np.random.default_rng(2)
    assert all(likelihood(np.asarray(fit.loadings) + 0.1 * random.normal(size=(5, 2))) < best for _ in range(50))
    assert max(likelihood(np.asarray(fit.loadings) * scale) for scale in (0.95, 1.05)) < best


def test_posterior_means_are_those_of_the_joint_gaussian():
    b = np.random.default_rng(3).normal(size=(5, 2)).astype(np.float32)
    model = FactorModel(jnp.asarray(b), jnp.ones(5), jnp.float32(0.7))
    expected = (X - 1) @ np.linalg.solve(b @ b.T + 0.7 * np.eye(5), b)
    np.testing.assert_allclose(model(jnp.asarray(X, jnp.float32)), expected, rtol=1e-3, atol=1e-3)


def test_factors_learned_in_batches_are_those_of_all_at_once(tiny):
    world, who = Split(tiny, 1), FactorLearner(3, batch=60)
    _, state, info = lived(who, world, [(0, turn) for turn in range(6)])
    assert info["met"] == len(tiny.x_train) == 360
    x = tiny.x_train.astype(np.float64)
    pca = PCA(3).fit(x)
    said = np.asarray(who.answer(state, jnp.asarray(tiny.x_test)))
    shrunk = np.sqrt(np.maximum(pca.explained_variance_ - pca.noise_variance_, 0)) / pca.explained_variance_
    expected = pca.transform(tiny.x_test) * shrunk
    np.testing.assert_allclose(np.abs(said[:, ::-1]), np.abs(expected), atol=0.03)


def test_padding_is_not_counted(tiny):
    who = FactorLearner(2, batch=4)
    state = who.init(Split(tiny, 1), key=KEY)
    rows = Batch(jnp.asarray(tiny.x_train[:4]), jnp.zeros(4, int), jnp.zeros(4, int), jnp.array([1.0, 0.0, 1.0, 0.0]))
    state, _ = who.learn(state, rows, key=KEY)
    np.testing.assert_allclose(state.xx, tiny.x_train[:4:2].T @ tiny.x_train[:4:2], rtol=1e-4)


def test_without_factors_it_is_ridge_regression():
    who = PretrainedRegressor(2, "inputs", 0.3, batch=20)
    world, state, _ = lived(who, WORLD, [(0, 0), (1, 0)])
    rows = world.draw(Lesson(jnp.int32(1), jnp.int32(0)), 20, key=KEY)
    oracle = Ridge(alpha=0.3 * 20, fit_intercept=False).fit(rows.x, rows.y[:, 0])
    asked = world.papers(40).page(0).x
    np.testing.assert_allclose(who.answer(state, asked)[:, 0], oracle.predict(np.asarray(asked)), atol=1e-4)


@pytest.mark.parametrize("representation", ["fitted", "random", "true"])
def test_a_head_is_least_squares_on_what_represents(representation):
    who = PretrainedRegressor(2, representation, batch=45)
    world, state, info = lived(who, WORLD, [(0, 0), (0, 1), (1, 0)])
    assert (int(info["unlabelled"]), int(info["labelled"])) == (90, 20)
    rows = world.draw(Lesson(jnp.int32(1), jnp.int32(0)), 20, key=KEY)
    features = np.asarray(rows.x, np.float64) @ np.asarray(who.reading(state), np.float64).T
    head = np.linalg.lstsq(features, np.asarray(rows.y, np.float64), rcond=None)[0]
    asked = np.asarray(world.papers(40).page(0).x)
    expected = asked @ np.asarray(who.reading(state)).T @ head
    np.testing.assert_allclose(who.answer(state, jnp.asarray(asked)), expected, atol=2e-3)
    if representation == "true":
        np.testing.assert_array_equal(state.given.loadings, world.loadings)


def test_a_representation_is_fitted_to_unlabelled_examples_alone():
    who = PretrainedRegressor(2, batch=45)
    (_, one, _), (_, two, _) = (lived(who, WORLD, lessons) for lessons in ([(0, 0)], [(0, 0), (1, 0)]))
    np.testing.assert_array_equal(who.reading(one), who.reading(two))


def test_excess_risk_is_the_distance_from_the_best_weights():
    """E (wᵀx − w*ᵀx)² = (w − w*)ᵀ Σ (w − w*) with Σ = B Bᵀ + I."""
    big = LatentFactors(6, 2, unlabelled=90.0, labelled=20.0, questions=20_000)
    who = PretrainedRegressor(2, "inputs", 0.1, batch=20)
    world, state, _ = lived(who, big, [(1, 0)])
    found = jax.jit(lambda: ExcessRisk(page=5000).sit(state, who, world, key=KEY))()
    sigma = np.asarray(world.loadings @ world.loadings.T) + np.eye(6)
    for name, weights in (("excess_risk", who.answer(state, jnp.eye(6))), ("naive_risk", jnp.zeros((6, 1)))):
        off = np.asarray(weights - world.best(jnp.eye(6)))[:, 0]
        np.testing.assert_allclose(found[name], off @ sigma @ off, rtol=0.05)


def test_what_does_not_fit_is_said(tiny, unchecked):
    with pytest.raises(BadInput, match="at least one factor"):
        FactorLearner(0)
    with pytest.raises(Mismatch, match="no 9 factors"):
        FactorLearner(9).init(Split(tiny, 1), key=KEY)
    with pytest.raises(BadInput, match="'fitted', 'random', 'true' or 'inputs'"):
        PretrainedRegressor(2, "learned")  # pyright: ignore[reportArgumentType]
    with pytest.raises(Mismatch, match="has classes"):
        PretrainedRegressor(2).init(Split(tiny, 1), key=KEY)
