"""The measures of We-Math, on results made by hand."""

import numpy as np
import xarray as xr

from lifelong.exams import four_way
from lifelong.studies.tracing.we_math import CM, IG, IK, RM, across, classes, dealt, planted, study

RANDOM = np.random.default_rng(0)
PRESENT = np.tile(np.arange(3) < np.repeat([2, 3], 30)[:, None], (2, 1, 1)).astype(float)
PARTS = (RANDOM.random(PRESENT.shape) < 0.6) * PRESENT
WHOLE = (RANDOM.random(PRESENT.shape[:2]) < 0.5) * 1.0


def life(whole, parts, withheld):
    values = {"whole": whole, "parts": parts, "present": PRESENT, "withheld": withheld}
    dims = {name: ("seed", "exam", "composite", "part")[: 3 + (v.ndim == 3)] for name, v in values.items()}
    return xr.Dataset({n: (dims[n], v[:, None]) for n, v in values.items()}, {"seed": [0, 1]})


def test_classes_are_those_of_the_four_way_decomposition():
    found = classes(PARTS, WHOLE, PRESENT)
    for seed in range(2):
        counted = four_way(PARTS[seed] > 0, WHOLE[seed] > 0, PRESENT[seed] > 0).counts
        assert np.bincount(found[seed], minlength=4).tolist() == [counted[i] for i in (IK, IG, CM, RM)]


def test_parts_are_dealt_among_composites_of_one_length():
    other = dealt(PARTS, PRESENT)
    assert (other != PARTS).any() and not (other * (1 - PRESENT)).any()
    for seed in range(2):
        for rows in (slice(30), slice(30, 60)):
            assert sorted(other[seed, rows].tolist()) == sorted(PARTS[seed, rows].tolist())


def test_perfect_solvers_of_each_kind_are_found_and_dealt_results_lose_what_was_missing():
    withheld = (RANDOM.random(PRESENT.shape) < 0.4) * PRESENT
    none, ones, zeros = np.zeros_like(PRESENT), np.ones(WHOLE.shape), np.zeros(WHOLE.shape)
    lives = {
        "missing": life(zeros, PRESENT - withheld, withheld),
        "atoms": life(zeros, PRESENT, none),
        "composites": life(ones, none, none),
        "both": life(ones, PRESENT, none),
    }
    assert set(np.unique(planted(lives["missing"], "missing"))) == {IK, IG}
    values = across(lives | {arm: lives["both"] for arm in study.arms if arm not in lives})
    np.testing.assert_allclose(values["four-way"]["found"], 1.0)
    assert (values["dealt"]["found"] < 0.95).all() and (values["outcome-alone"]["found"] < 0.7).all()
