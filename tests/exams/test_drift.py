"""The drift of linear models: stages against scikit-learn, ascent against powers of a matrix, the bound where it is known."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from lifelong.errors import BadInput
from lifelong.exams import ascended, drift, log_distances, ridge_stage

RANDOM = np.random.default_rng(0)
X, Y, BEFORE = RANDOM.normal(size=(12, 30)), RANDOM.normal(size=12), RANDOM.normal(size=30)
QUESTIONS = RANDOM.normal(size=(40, 30))


def matrix(x, rate):
    return np.eye(x.shape[1]) + 2 * rate / len(x) * x.T @ x


def test_a_stage_is_the_ridge_regression_of_what_is_left_to_explain():
    expected = BEFORE + Ridge(alpha=0.7, fit_intercept=False).fit(X, Y - X @ BEFORE).coef_
    np.testing.assert_allclose(ridge_stage(X, Y, BEFORE, 0.7), expected, rtol=1e-9)
    expected = Ridge(alpha=1.0, fit_intercept=False).fit(X, Y).coef_
    np.testing.assert_allclose(ridge_stage(X, Y), expected, rtol=1e-9)


def test_ascent_climbs_the_mean_squared_error():
    path = ascended(BEFORE, X, Y, rate=0.01, steps=3)
    errors = ((X @ path.T - Y[:, None]) ** 2).mean(0)
    assert (np.diff(errors) > 0).all()
    nudged = np.array([((X @ (BEFORE + 1e-6 * axis) - Y) ** 2).mean() for axis in np.eye(30)])
    np.testing.assert_allclose(path[1] - path[0], 0.01 * (nudged - errors[0]) / 1e-6, atol=1e-5)


def test_the_difference_of_two_ascents_is_a_matrix_to_a_power_whatever_the_labels():
    other = BEFORE + RANDOM.normal(size=30)
    found = log_distances([BEFORE, other], X, Y, QUESTIONS, 0.02, 5)
    np.testing.assert_allclose(found, log_distances([BEFORE, other], X, 7 - Y, QUESTIONS, 0.02, 5), atol=1e-9)
    for t in range(6):
        apart = np.linalg.matrix_power(matrix(X, 0.02), t) @ (BEFORE - other)
        np.testing.assert_allclose(found[t], np.log(((QUESTIONS @ apart) ** 2).mean()), atol=1e-9)


def test_with_one_row_the_bound_is_a_quarter_of_the_distance():
    """Along a row growth is exactly 1 + 2η‖x‖²; a difference along it, asked of the axes, has d = ‖Δ‖²/m · (1 + λ)^2t."""
    row, axes = 2 * np.eye(4)[:1], np.eye(4)
    bound = drift(np.array([3.0, 0, 0, 0]), row, axes, rate=0.1, steps=6)
    assert bound.start == 0
    np.testing.assert_allclose(bound.growth, np.log(1 + 2 * 0.1 * 4))
    found = log_distances([np.array([3.0, 0, 0, 0]), np.zeros(4)], row, np.zeros(1), axes, 0.1, 6)
    np.testing.assert_allclose(found - bound.log_floor, np.log(4), rtol=1e-9)


def test_the_bound_starts_where_what_stays_is_half_of_what_grows():
    """What lies on the row doubles with each step, what lies off it stays: 2 · 20 ≤ 1 · 2^t from t = 6 on."""
    row, axes = np.eye(3)[:1], np.eye(3)
    assert drift(np.array([1.0, 20.0, 0]), row, axes, rate=0.5, steps=10).start == 6
    assert drift(np.array([1.0, 20.0, 0]), row, axes, rate=0.5, steps=5).start == 6  # not reached
    assert drift(np.array([1.0, 0.0, 0]), row, axes, rate=0.5, steps=5).start == 0


@pytest.mark.parametrize(("rate", "steps"), [(0.003, 400), (0.05, 120)])
def test_the_bound_holds_from_its_start_on_and_growth_is_at_least_its_own_in_the_end(rate, steps):
    for seed in range(20):
        random = np.random.default_rng(seed)
        rows, questions, labels = random.normal(size=(4, 15)), random.normal(size=(20, 15)), random.normal(size=4)
        models = [random.normal(size=15), 3 * random.normal(size=15)]
        bound = drift(models[0] - models[1], rows, questions, rate, steps)
        found = log_distances(models, rows, labels, questions, rate, steps)
        assert bound.start <= steps
        assert (found >= bound.log_floor)[bound.start :].all()
        assert (found[-1] - found[-2]) / 2 > bound.growth
        most = np.log1p(2 * rate / 4 * (rows**2).sum())
        assert (
            found[-1] < bound.log_floor[0] + 2 * steps * most
        )  # the control: no growth is as fast as all rows together


def test_what_cannot_drift_is_refused():
    with pytest.raises(BadInput, match="2 rows of rank 1, and 5 questions"):
        drift(BEFORE, np.ones((2, 30)), QUESTIONS[:5], 0.1, 3)
    with pytest.raises(BadInput, match="12 rows of rank 12, and 5 questions"):
        drift(BEFORE, X, QUESTIONS[:5], 0.1, 3)
    with pytest.raises(BadInput, match="nothing that could drift"):
        drift(np.zeros(30), X, QUESTIONS, 0.1, 3)
