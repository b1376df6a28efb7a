"""Logistic tracers against scikit-learn, counting by hand, and students of whom the truth is known."""

import numpy as np
import pytest
from practice import practice
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from lifelong.errors import BadInput
from lifelong.exams import tracing
from lifelong.exams.tracing import PFA, BestLR, HalfLife, Rasch, TwoParameterIRT, schedule, simulate
from lifelong.exams.tracing._ability import NODES, followed
from lifelong.exams.tracing._design import beside, one_of
from lifelong.exams.tracing._logistic import Weights
from lifelong.exams.tracing._past import before, credit, entries, since, within
from lifelong.worlds import PracticeLog


@pytest.fixture(scope="module")
def log():
    return practice(students=30, attempts=20)


def dense(features):
    x = np.zeros((len(features.index), features.columns))
    np.add.at(x, (np.arange(len(x))[:, None], features.index), features.value)
    return x


@pytest.mark.parametrize("ridge", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("model", [PFA, BestLR])
def test_weights_are_scikit_learns(log, model, ridge):
    tracer = model(ridge=ridge).fit(log)
    x = dense(beside(*tracer.parts(log, credit(log)).values()))
    oracle = LogisticRegression(C=1 / ridge, tol=1e-8, max_iter=5000).fit(x[log.graded], log.outcome[log.graded])
    single_precision = np.sqrt(
        2 * 3e-5 / ridge
    )  # the objective is known to 3e-5 nats, and curved by the ridge at least
    np.testing.assert_allclose(tracer.parameters.weights[1:], oracle.coef_[0], atol=single_precision)
    assert tracer.parameters.weights[0] == pytest.approx(oracle.intercept_[0], abs=1e-2)
    np.testing.assert_allclose(tracer.predict_proba(log), oracle.predict_proba(x)[:, 1], atol=2e-3)


def test_counts_are_those_counted_by_hand(log):
    at, seen = entries(log), credit(log)
    right, hour = (at.table(v, log) for v in (before(seen.right, at), within(seen.attempt, at, log, 600.0)))
    gap = at.table(np.where(np.isfinite(since(at, log)), since(at, log), -1), log)
    for n in np.random.default_rng(0).choice(len(log), 150, replace=False):
        for slot, skill in enumerate(log.skill[n]):
            if skill < 0:
                continue
            past = [m for m in range(n) if log.student[m] == log.student[n] and skill in log.skill[m]]
            assert right[n, slot] == sum(log.outcome[m] == 1 for m in past)
            assert hour[n, slot] == sum(log.time[n] - log.time[m] <= 600.0 for m in past)
            assert gap[n, slot] == pytest.approx(log.time[n] - log.time[past[-1]] if past else -1)


def test_ability_is_followed_as_bayes_has_it():
    random = np.random.default_rng(0)
    log = PracticeLog.of(["a"] * 5 + ["b"] * 4, ["k"] * 9, random.integers(-1, 2, 9))
    eta, slope, sd = random.normal(size=9), random.random(9) + 0.5, 1.3
    found = followed(eta, slope, sd, log)
    theta = np.linspace(-8, 8, 4001)
    for n in range(9):
        weight = np.exp(-0.5 * theta**2)
        for m in range(n):
            if log.student[m] == log.student[n] and log.outcome[m] >= 0:
                p = expit(eta[m] + slope[m] * sd * theta)
                weight *= p if log.outcome[m] else 1 - p
        assert found[n] == pytest.approx((expit(eta[n] + slope[n] * sd * theta) @ weight) / weight.sum(), abs=2e-3)
    assert np.ptp(NODES) == 8


def test_difficulties_and_spread_are_found_again():
    random, log = np.random.default_rng(0), schedule(students=400, skills=5, attempts=60, items=4)
    difficulty = random.normal(0, 1, 20)
    weights = np.concatenate([[0.3], -difficulty, [0.0]]).astype(np.float32)
    truth = Rasch()
    truth.parameters, truth.vocabulary = Weights(weights, np.float32(1.2), np.zeros(6)), log.vocabulary
    log = simulate(truth, log, seed=1)
    fitted = Rasch().fit(log).parameters
    found = -(fitted.weights[1:-1] - fitted.weights[1:-1].mean())
    np.testing.assert_allclose(found, difficulty - difficulty.mean(), atol=0.2)
    assert fitted.spread == pytest.approx(1.2, abs=0.12)


def test_discriminations_are_found_again():
    random = np.random.default_rng(0)
    log = schedule(students=600, skills=4, attempts=60, items=4)
    slope, intercept, theta = random.uniform(0.4, 2.0, 16), random.normal(0, 1, 16), random.normal(0, 1, 600)
    p = expit(slope[log.item] * theta[log.student] + intercept[log.item])
    log = log.with_outcomes((random.random(len(log)) < p).astype(np.int8))
    fitted = TwoParameterIRT().fit(log).parameters
    assert np.corrcoef(fitted.slope[:-1], slope)[0, 1] > 0.95
    assert np.mean(fitted.slope[:-1]) == pytest.approx(slope.mean(), rel=0.12)
    np.testing.assert_allclose(fitted.intercept[:-1], intercept, atol=0.35)


def test_pfa_finds_its_own_weights_again():
    log, truth = schedule(students=300, skills=3, attempts=40), PFA()
    weights = np.concatenate([[-0.4], [0.5, 0.0, -0.5, 0], [0.3, 0.2, 0.1, 0], [0.05, 0.1, 0.0, 0], np.zeros(4)])
    truth.parameters, truth.vocabulary = Weights(weights, np.float32(1), np.zeros(4)), log.vocabulary
    found = PFA(ridge=0.1).fit(simulate(truth, log)).parameters.weights
    np.testing.assert_allclose(found[5:8], weights[5:8], atol=0.04)
    np.testing.assert_allclose(found[0] + found[1:4], weights[0] + weights[1:4], atol=0.2)


def test_half_lives_are_found_again_and_recall_falls():
    random = np.random.default_rng(0)
    students, attempts, day = 400, 12, 86_400.0
    gaps = random.exponential(2.0, (students, attempts)) * day
    right, tried, rows = np.zeros(students), np.zeros(students), []
    for t in range(attempts):
        half_life = 2.0 ** (0.5 + 0.6 * np.sqrt(1 + right) - 0.2 * np.sqrt(1 + tried - right))
        p = 0.5 ** (gaps[:, t] / day / half_life) if t else np.full(students, 0.5)
        answer = random.random(students) < p
        rows.append(answer.astype(int))
        right, tried = right + answer, tried + 1
    log = PracticeLog.of(np.repeat(np.arange(students), attempts), ["k"] * (students * attempts), np.array(rows).T.ravel(),
        time=np.cumsum(gaps, axis=1).ravel())  # fmt: skip
    model = HalfLife(ridge=0.01).fit(log)
    assert model.parameters.weights[-2] == pytest.approx(0.6, abs=0.12)
    assert model.parameters.weights[-1] == pytest.approx(-0.2, abs=0.12)
    now, later = model.mastery(log), model.mastery(log, 30 * day)
    assert np.all(later < now) and later.mean() < now.mean() - 0.3


def test_the_ridge_must_be_above_0():
    with pytest.raises(BadInput, match="ridge must be above 0"):
        tracing.AFM(ridge=0.0)


def test_columns_lie_beside_each_other():
    both = beside(one_of(np.array([1, 0]), 2), one_of(np.array([0, 2]), 3, np.array([0.5, 2.0])))
    np.testing.assert_array_equal(dense(both), [[0, 1, 0.5, 0, 0], [1, 0, 0, 0, 2.0]])
    np.testing.assert_allclose(both.times(np.arange(5.0)), [2.0, 8.0])
