"""Classes of growth curves: densities and errors against NumPy and SciPy, and what is known of simulated persons."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from lifelong.errors import BadInput, UnknownName
from lifelong.exams.growth import (
    POPULATION,
    SHAPES,
    Curves,
    GrowthMixture,
    Natural,
    by_name,
    estimated,
    fit_growths,
    growing_students,
    posterior,
)
from lifelong.exams.growth._climb import COMPILED, climbed
from lifelong.exams.growth._curves import Scale
from lifelong.exams.growth._estimates import natural
from lifelong.exams.growth._fit import _by_bend
from lifelong.exams.growth._likelihood import Growth, joint

RATES = Natural(
    bend=np.array([0.4, 1.6]),
    mean=np.array([[10.0, 30.0], [12.0, 20.0]]),
    slope=np.array([[[1.0], [2.0]], [[-1.0], [1.5]]]),
    covariance=np.array([[[4.0, 0.5], [0.5, 9.0]], [[3.0, -1.0], [-1.0, 4.0]]]),
    noise=np.array([0.5, 0.8]),
    gate=np.array([[0.3, 1.0]]),
)
"""Two classes that approach their asymptotes at different rates."""

ONE = Scale(np.float32(0), np.float32(1), np.float32(1), *[np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)] * 2)


def loadings(shape, time, bend):
    """Return what named factors count at times, [waves, factors]."""
    if shape == "exponential":
        return np.stack([np.ones_like(time), 1 - np.exp(-bend * time)], axis=-1)
    return np.stack([np.ones_like(time), np.minimum(time, bend), np.maximum(time - bend, 0)], axis=-1)


def by_hand(values, curves, shape):
    """Return ln P(k | z) + ln p(y | k), [persons, classes], by NumPy in double precision; no wave may be missing."""
    logits = np.concatenate(
        [np.zeros((len(curves.gate), 1)), values.gate[:, 0] + curves.gate @ values.gate[:, 1:].T], 1
    )
    found = []
    for k, bend in enumerate(values.bend):
        lines = loadings(shape, curves.time.astype(float), bend)
        residual = curves.score - np.einsum("njf,nf->nj", lines, values.mean[k] + curves.expert @ values.slope[k].T)
        spread = np.einsum("nif,fg,njg->nij", lines, values.covariance[k], lines)
        spread += values.noise[k] * np.eye(residual.shape[1])
        square = (residual * np.linalg.solve(spread, residual[..., None])[..., 0]).sum(axis=1)
        found.append(-0.5 * (np.linalg.slogdet(2 * np.pi * spread)[1] + square))
    return np.stack(found, axis=1) + logits - logsumexp(logits, axis=1, keepdims=True)


def approaching(persons=250, waves=7, seed=0):
    """Return persons of the two classes of `RATES`."""
    random = np.random.default_rng(seed)
    gate, expert = random.normal(size=(2, persons, 1))
    label = (random.random(persons) < 1 / (1 + np.exp(-RATES.gate[0, 0] - RATES.gate[0, 1] * gate[:, 0]))).astype(int)
    time = np.tile(np.arange(waves, dtype=float), (persons, 1))
    noise = np.stack([random.multivariate_normal(np.zeros(2), c, persons) for c in RATES.covariance])
    factors = RATES.mean[label] + RATES.slope[label][..., 0] * expert + noise[label, np.arange(persons)]
    lines = np.stack([loadings("exponential", t, RATES.bend[k]) for t, k in zip(time, label, strict=True)])
    score = np.einsum("njf,nf->nj", lines, factors) + random.normal(size=time.shape) * np.sqrt(RATES.noise[label, None])
    return Curves.of(time, score, gate, expert)


def with_holes(curves, seed=0):
    """Return curves of which a fifth of the waves is missing, their times too."""
    there = np.random.default_rng(seed).random(curves.score.shape) > 0.2
    return Curves.of(
        np.where(there, curves.time, np.nan), np.where(there, curves.score, np.nan), curves.gate, curves.expert
    )


@pytest.fixture(scope="module")
def drawn():
    return growing_students(1000, seed=7)


@pytest.fixture(scope="module")
def fitted(drawn):
    return GrowthMixture(starts=3).fit(drawn.curves)


@pytest.fixture(scope="module")
def rates():
    curves = approaching()
    return curves, GrowthMixture(shape="exponential", starts=3).fit(curves)


def some_growth(classes, shape="bilinear", experts=2, gates=2):
    random, factors = np.random.default_rng(3), len(SHAPES[shape].factors)
    sizes = [(classes,), (classes, factors), (classes, factors, experts), (classes, factors * (factors + 1) // 2)]
    sizes += [(classes,), (classes - 1, gates + 1)]
    return Growth(*(0.5 * random.normal(size=size).astype(np.float32) for size in sizes))


@pytest.mark.parametrize("classes", [1, 3])
def test_densities_are_those_of_scipy_whatever_waves_are_missing(classes):
    random = np.random.default_rng(0)
    curves = with_holes(
        Curves.of(random.random((5, 6)), *random.normal(size=(1, 5, 6)), *random.normal(size=(2, 5, 2)))
    )
    growth = jax.tree.map(jnp.asarray, some_growth(classes))
    found = jax.jit(partial(joint, shape=SHAPES["bilinear"]), compiler_options=COMPILED)(growth, curves)
    values = jax.tree.map(np.asarray, natural(growth, ONE, SHAPES["bilinear"]))
    logits = np.concatenate([[np.zeros(5)], values.gate[:, :1] + values.gate[:, 1:] @ curves.gate.T]).T
    for i, (k, bend) in ((i, one) for i in range(5) for one in enumerate(values.bend)):
        there = np.isfinite(curves.score[i])
        lines = loadings("bilinear", curves.time[i, there].astype(float), bend)
        mean = lines @ (values.mean[k] + values.slope[k] @ curves.expert[i])
        spread = lines @ values.covariance[k] @ lines.T + values.noise[k] * np.eye(there.sum())
        density = multivariate_normal(mean, spread).logpdf(curves.score[i, there])
        np.testing.assert_allclose(found[i, k], density + logits[i, k] - logsumexp(logits[i]), rtol=1e-4, atol=1e-4)


def test_one_who_knows_the_truth_uses_bayes_rule(drawn):
    logs = by_hand(POPULATION, drawn.curves, "bilinear")
    np.testing.assert_allclose(
        posterior(drawn.curves), np.exp(logs - logsumexp(logs, axis=1, keepdims=True)), atol=1e-6
    )


def test_a_climb_ends_at_the_top_of_what_is_badly_scaled():
    """Rosenbrock's valley, whose lowest point is (1, 1), and a start where there is no loss at all."""

    def loss(x):
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    point, least = jax.jit(partial(climbed, loss, steps=200))(jnp.array([-1.2, 1.0], np.float32))
    np.testing.assert_allclose(point, 1.0, atol=2e-3)
    assert least < 1e-6
    assert not np.isfinite(jax.jit(partial(climbed, loss, steps=5))(jnp.full(2, jnp.nan))[1])


def test_a_large_set_gives_the_truth_back(fitted):
    truth = by_name(POPULATION, SHAPES["bilinear"])
    assert len(fitted.estimates) == len(truth) == 31
    for one in fitted.estimates:
        assert 0 < one.error < 2 and one.low < one.value < one.high
        assert abs(one.value - truth[one.name, one.label]) < 4 * one.error, one


def test_its_likelihood_and_classes_are_those_of_the_estimates(fitted, drawn):
    values = jax.tree.map(lambda leaf: leaf[0].astype(float), estimated(fitted._fits, "bilinear")[0])
    logs = by_hand(values, drawn.curves, "bilinear")
    whole = logsumexp(logs, axis=1)
    np.testing.assert_allclose(fitted.log_likelihood, whole.sum(), rtol=1e-5)
    np.testing.assert_allclose(fitted.bic, 37 * np.log(1000) - 2 * whole.sum(), rtol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(drawn.curves), np.exp(logs - whole[:, None]), atol=2e-3)
    assert by_hand(POPULATION, drawn.curves, "bilinear").shape == (1000, 2)
    assert whole.sum() > logsumexp(by_hand(POPULATION, drawn.curves, "bilinear"), axis=1).sum()


def test_classes_come_in_the_order_of_their_knots(fitted):
    growth = jax.tree.map(lambda leaf: np.asarray(leaf[0]), fitted._fits.growth)
    turned = jax.tree.map(lambda leaf: leaf[::-1], growth._replace(gate=growth.bend))._replace(gate=-growth.gate)
    found = _by_bend(jax.tree.map(jnp.asarray, turned))
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), found, growth)
    knots = [one.value for one in fitted.estimates if one.name == "knot"]
    assert knots == sorted(knots)


def test_units_change_estimates_as_they_should(fitted, drawn):
    curves = drawn.curves
    other = Curves.of(7 * curves.time, 10 * curves.score + 3, curves.gate, curves.expert / 5)
    again = GrowthMixture(starts=3).fit(other)
    factor = {"knot": 7.0, "intercept": 10.0, "first slope": 10 / 7, "second slope": 10 / 7, "noise": 100.0}
    for one, same in zip(fitted.estimates, again.estimates, strict=True):
        name, _, of = one.name.partition(": ")
        by = 1.0 if name == "gate" else factor[name]
        by = by**2 if of == "variance" else by * 5 if of and name != "gate" else by
        added = 3.0 if one.name == "intercept" else 0.0
        np.testing.assert_allclose(same.value, by * one.value + added, atol=0.05 * by * one.error)
        np.testing.assert_allclose(same.error, by * one.error, rtol=0.02)
    np.testing.assert_allclose(again.log_likelihood, fitted.log_likelihood - curves.score.size * np.log(10), rtol=1e-6)


def test_sets_side_by_side_are_fitted_as_each_alone_and_with_waves_missing(drawn, fitted):
    holes = with_holes(drawn.curves)
    both = fit_growths([drawn.curves, holes], 2, "bilinear", starts=3, steps=300, seeds=(0, 0))
    alone = GrowthMixture(starts=3).fit(holes)
    np.testing.assert_allclose(both.log_likelihood, [fitted.log_likelihood, alone.log_likelihood], rtol=1e-6)
    np.testing.assert_allclose(both.growth.bend[0], fitted._fits.growth.bend[0], atol=2e-3)
    np.testing.assert_allclose(both.growth.bend[1], alone._fits.growth.bend[0], atol=2e-3)
    truth = by_name(POPULATION, SHAPES["bilinear"])
    for one, whole in zip(alone.estimates, fitted.estimates, strict=True):
        assert abs(one.value - truth[one.name, one.label]) < 4 * one.error
        assert one.error > 0.9 * whole.error


def test_an_empty_class_has_no_errors_and_does_not_crash(fitted):
    fits = fitted._fits
    gone = fits.growth._replace(gate=np.array([[[-300.0, 0.0, 0.0]]], np.float32))
    values, errors = estimated(fits._replace(growth=gone), "bilinear")
    assert np.isfinite(values.mean).all()
    assert all(np.isnan(leaf).all() for leaf in errors)


def test_covariates_that_matter_are_important_and_others_are_not(fitted, drawn):
    worth = fitted.importance(drawn.curves)
    assert worth.gate.shape == worth.expert.shape == (2,)
    assert worth.expert.min() > 0.02 and worth.gate.min() > 0.005
    order = np.random.default_rng(0).permutation(1000)
    others = fitted.importance(drawn.curves._replace(gate=drawn.curves.gate[order]))
    assert others.gate.max() < worth.gate.min()


def test_rates_are_found_with_the_errors_of_a_hessian_in_double_precision(rates):
    """The information in natural parameters, by finite differences; at a maximum the delta method gives the same errors."""
    curves, mixture = rates
    values, errors = (
        jax.tree.map(lambda leaf: leaf[0].astype(float), part) for part in estimated(mixture._fits, "exponential")
    )
    lower = np.tril_indices(2)
    sizes = [2, 4, 4, 6, 2, 2]

    def flat(of):
        return np.concatenate(
            [np.ravel(leaf[:, *lower] if leaf.ndim == 3 and leaf.shape[2] == 2 else leaf) for leaf in of]
        )

    def loss(point):
        bend, mean, slope, entries, noise, gate = np.split(point, np.cumsum(sizes)[:-1])
        covariance = np.array([[[a, b], [b, c]] for a, b, c in entries.reshape(2, 3)])
        own = Natural(bend, mean.reshape(2, 2), slope.reshape(2, 2, 1), covariance, noise, gate.reshape(1, 2))
        return -logsumexp(by_hand(own, curves, "exponential"), axis=1).sum()

    point, error = flat(values), flat(errors)
    steps = np.diag(0.05 * error)
    information = np.array(
        [
            [loss(point + a + b) - loss(point + a - b) - loss(point - a + b) + loss(point - a - b) for a in steps]
            for b in steps
        ]
    ) / (4 * 0.05**2 * np.outer(error, error))
    slope = np.array([loss(point + a) - loss(point - a) for a in steps]) / 0.1
    np.testing.assert_allclose(error, np.sqrt(np.diag(np.linalg.inv(information))), rtol=0.02)
    assert abs(slope).max() < 0.05  # of what ln L falls by within one standard error, ½
    assert (abs(point - flat(RATES)) < 4 * error).all()


def test_without_covariates_one_class_is_a_growth_model():
    curves = approaching()
    bare = Curves.of(curves.time[0], curves.score)
    mixture = GrowthMixture(classes=1, shape="exponential", starts=2).fit(bare)
    assert {one.label for one in mixture.estimates} == {1}
    assert [one.name for one in mixture.estimates] == [
        "rate", "intercept", "intercept: variance", "gain", "gain: variance", "noise",
    ]  # fmt: skip
    np.testing.assert_array_equal(mixture.predict_proba(bare), 1.0)
    assert mixture.importance(bare).gate.shape == mixture.importance(bare).expert.shape == (0,)


def test_what_cannot_be_used_is_refused(fitted, drawn):
    time, score = drawn.curves.time, drawn.curves.score
    with pytest.raises(BadInput, match="one class"):
        GrowthMixture(classes=0)
    with pytest.raises(UnknownName, match="bilinear"):
        GrowthMixture(shape="bilinaer")
    with pytest.raises(BadInput, match="fit"):
        GrowthMixture().estimates  # noqa: B018
    with pytest.raises(BadInput, match="covariates"):
        fitted.predict_proba(Curves.of(time, score))
    with pytest.raises(BadInput, match="12 persons"):
        GrowthMixture(classes=3).fit(Curves.of(time[:9], score[:9]))
    with pytest.raises(BadInput, match="all scores"):
        GrowthMixture().fit(Curves.of(time, np.ones_like(score)))
    with pytest.raises(BadInput, match="the same for all"):
        GrowthMixture().fit(Curves.of(time, score, np.ones(1000)))
    with pytest.raises(BadInput, match="one size"):
        fit_growths([drawn.curves, Curves.of(time, score)], 2, "bilinear", starts=1, steps=1, seeds=(0, 1))
    for bad in ((time[:, :3], score), (time, score[0]), (np.full_like(time, np.nan), score), (-np.abs(time), score)):
        with pytest.raises(BadInput):
            Curves.of(*bad)
    with pytest.raises(BadInput, match="not finite"):
        Curves.of(time, score, np.full(1000, np.nan))
    with pytest.raises(BadInput, match="of 1000 persons"):
        Curves.of(time, score, expert=np.ones(3))
