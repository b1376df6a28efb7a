"""The measures of the study of growth in classes, on records made by hand."""

import numpy as np
import xarray as xr

from lifelong.exams.growth import growing_students
from lifelong.studies.tracing.moe_growth import (
    Way,
    across,
    bias,
    coverage,
    population,
    slope_variance,
    study,
)

NAMES = ["knot, class 1", "intercept, class 1", "gate: intercept, class 2", "noise, class 1"]
SLOPES = [f"{which} slope: variance, class 1" for which in ("first", "second")]


def record(value, error=1.0, importance=(3.0, 2.0, 1.0), fit=0.0):
    """Return three replications of a few parameters, the truth of which is 10, but 0 for the gate."""
    names = NAMES + SLOPES
    raw = {"value": (("seed", "parameter"), np.broadcast_to(np.asarray(value, float), (3, 6)))}
    raw["error"] = (("seed", "parameter"), np.broadcast_to(np.asarray(error, float), (3, 6)))
    raw["truth"] = ("parameter", np.array([10.0, 10, 0, 10, 10, 10]))
    raw["expert_importance"] = (("seed", "expert"), np.tile(importance, (3, 1)))
    raw |= {name: ("seed", np.full(3, fit)) for name in ("fit", "accuracy", "shuffled", "known")}
    return xr.Dataset(raw, {"seed": [0, 1, 2], "parameter": names})


def test_bias_is_that_of_the_median_parameter_and_positive():
    """Of two parameters, whose biases are −1 % and −20 %, the larger counts; a truth of 0 has no relative bias."""
    life = record([9.9, 8.0, 5.0, 50.0, 50.0, 50.0])
    np.testing.assert_allclose(bias(life), 0.2)
    life.value.values = life.value.values + np.array([[-1.0], [0.0], [1.0]])
    np.testing.assert_allclose(bias(life), [0.3, 0.2, 0.1])


def test_coverage_counts_intervals_and_is_undefined_without_errors():
    life = record([11.9, 12.1, 0.0, 50.0, 50.0, 50.0])
    np.testing.assert_allclose(coverage(life), 2 / 3)
    assert np.isnan(coverage(record(10.0, error=[1, np.nan, 1, 1, 1, 1]))).all()


def test_the_margin_is_that_of_the_weakest_part():
    lives = {name: record(10.0) for name in study.arms}
    lives["full"] = record([10.0, 10.0, 0.0, 1.0, 1.0, 1.0], fit=1.0)
    values = across(lives)
    np.testing.assert_allclose(values["full"]["margin"], -0.02)  # intervals that always hold the truth are too wide
    np.testing.assert_allclose(values["full"]["preferred"], 1.0)
    np.testing.assert_allclose(values["bound"]["margin"], 0.0)
    lives["full"] = record([10.0, 12.0, 0.0, 1.0, 1.0, 1.0], error=2.0)
    np.testing.assert_allclose(across(lives)["full"]["margin"], -0.15)


def test_importance_ranks_only_if_both_true_covariates_lead():
    lives = {name: record(10.0) for name in study.arms}
    np.testing.assert_allclose(across(lives)["screened"]["ranked"], 1.0)
    lives["screened"] = record(10.0, importance=(3.0, 1.0, 2.0))
    np.testing.assert_allclose(across(lives)["screened"]["ranked"], 0.0)


def test_what_is_left_of_the_variance_of_slopes():
    np.testing.assert_allclose(slope_variance(record([0, 0, 0, 0, 1.0, 3.0]), 1), 2.0)


def test_models_see_what_they_are_given():
    students = growing_students(50, seed=0)
    full = Way().seen(students, 1)
    np.testing.assert_array_equal(full.expert, students.curves.expert)
    other = Way(permuted=True).seen(students, 1)
    assert not np.array_equal(other.expert, full.expert)
    np.testing.assert_array_equal(np.sort(other.expert, axis=0), np.sort(full.expert, axis=0))
    np.testing.assert_array_equal(other.score, full.score)
    assert Way(screened=True).seen(students, 1).expert.shape == (50, 6)
    assert Way(gate=False, expert=False).seen(students, 1).gate.shape == (50, 0)


def test_the_truth_has_the_size_of_the_model():
    assert population(2, 6).slope.shape == (2, 3, 6) and not population(2, 6).slope[..., 2:].any()
    assert population(0, 0).slope.shape == (2, 3, 0) and population(0, 0).gate.shape == (1, 1)
