"""The measures of the study of multitasking, on overlaps made by hand: a perfect hierarchy, parallel recall, one alone."""

import numpy as np
import pytest
import xarray as xr

from lifelong.studies.continual.multitasking_hebbian import (
    MILD,
    STRONG,
    amplitudes,
    crossing,
    parts,
    recalled,
    slope,
)

DILUTIONS = (0.0, 0.2, 0.4, 0.6, 0.8, *STRONG)


def life(amplitude, seeds=2):
    """Return a record in which amplitudes of K patterns at dilution d are `amplitude(K, d)`; the cue is the first of them."""
    overlap = np.full((3, len(DILUTIONS), seeds, 4, 4), np.nan)
    for i, patterns in enumerate(MILD):
        for j, dilution in enumerate(DILUTIONS):
            for cue in range(patterns):
                order = np.roll(np.arange(patterns), -cue) if cue % 2 else np.roll(np.arange(patterns)[::-1], cue + 1)
                overlap[i, j, :, cue, order] = np.asarray(amplitude(patterns, dilution))[:, None] * [1, -1]
    coords = {"patterns": list(MILD), "dilution": list(DILUTIONS), "seed": range(seeds)}
    raw = xr.Dataset({"overlap": (("patterns", "dilution", "seed", "task", "pattern"), overlap)}, coords)
    return raw.assign_attrs(features=8000)


def graded(patterns, dilution):
    return max(dilution, 0.01) ** np.arange(patterns)


def alike(patterns, dilution):
    return np.full(patterns, 0.9)


def alone(patterns, dilution):
    return np.r_[1.0, np.full(patterns - 1, 0.05)]


def test_amplitudes_are_sorted_whatever_pattern_was_cued_and_whatever_its_sign():
    found = amplitudes(life(graded), 3, 0.4)
    np.testing.assert_allclose(found, [[1.0, 0.4, 0.16]] * 2)


@pytest.mark.parametrize("patterns", [2, 3, 4])
def test_the_slope_of_a_perfect_hierarchy_is_log_d(patterns):
    np.testing.assert_allclose(slope(life(graded), patterns, 0.4, 8000), 0.0, atol=1e-9)
    steeper = life(lambda patterns, d: graded(patterns, d) ** 1.2)
    np.testing.assert_allclose(slope(steeper, patterns, 0.4, 8000), 0.2, atol=1e-9)


def test_all_parts_hold_where_recall_is_as_claimed_and_fail_where_it_is_not():
    good = parts(life(graded), life(alike), life(alone))
    assert len(good) == 2 * sum(map(len, MILD.values())) + 2 + 2 * len(STRONG)
    assert all((margin > 0).all() for margin in good.values())
    bad = parts(life(alone), life(graded), life(alike))
    assert (bad["one_2"] < 0).all() and (bad["hierarchy_3_0.4_below"] < 0).all()
    assert (parts(life(graded), life(alone), life(alone))["parallel_2_0.9"] < 0).all()


def test_a_crossing_lies_between_exams_and_is_undefined_where_there_is_none():
    """What is seen before the first example is the cue itself, and no recall."""
    exams = xr.Dataset({"examples": ("exam", [0, 10, 20, 30])})
    curves = [[1.0, 0.5, 0.7, 0.9], [1.0, 0.1, 0.2, 0.3], [1.0, 0.8, 0.9, 0.9]]
    curves = xr.DataArray(curves, dims=("seed", "exam"))
    np.testing.assert_allclose(crossing(curves, exams), [22.5, np.nan, np.nan])


def test_recall_is_a_mean_over_all_that_was_swept_at_the_end():
    raw = xr.Dataset({"recalled": (("dilution", "exam", "seed"), np.array([[[0, 0.0]], [[1.0, 0.5]]]))})
    np.testing.assert_allclose(recalled(raw), [0.5, 0.25])
