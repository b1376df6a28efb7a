"""The study of retrain equivalence: its timetables, its linear world, and its measures on a record made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from lifelong.exams import mean_interval
from lifelong.studies.continual.retrain_equivalence import (
    FORGET,
    LOCAL,
    across,
    in_stages,
    linear_world,
    mixed,
    parts,
    spreads,
    study,
)

RULES = [*LOCAL, "replay"]


def test_the_stage_to_forget_comes_at_every_place_and_the_others_keep_their_order():
    paths = in_stages(lessons=3, tasks=4)
    assert [path[::3].tolist() for path in paths] == [[0, 1, 2, 3], [1, 0, 2, 3], [1, 2, 0, 3], [1, 2, 3, 0]]
    assert {tuple(path[path != FORGET]) for path in paths} == {tuple(np.repeat([1, 2, 3], 3))}


def test_without_stages_there_are_as_many_lessons_of_every_task_in_four_orders():
    paths = mixed(lessons=3, tasks=4)
    assert len({tuple(path) for path in paths}) == 4
    for path in paths:
        np.testing.assert_array_equal(np.bincount(path), [3, 3, 3, 3])
        assert (np.diff(path) != 0).sum() > 3


@pytest.fixture(scope="module")
def linear():
    return {
        name: linear_world(study.arms[name], SimpleNamespace(features=60, draws=2), seeds=range(3))
        for name in study.arms
    }


def test_stages_drift_as_fast_as_theory_says_and_rows_in_one_stage_do_not_drift(linear):
    staged, single = linear["orders"], linear["shuffles"]
    assert (staged.start < staged.step.max()).all()
    assert ((staged.log_distance >= staged.log_floor) | (staged.step < staged.start)).all()
    np.testing.assert_array_equal(staged.log_floor, single.log_floor)  # what is asked of both is the same
    assert (single.log_distance < staged.log_distance - 40).all()  # rounding, where float64 has 2 · 36 e-folds
    assert len(np.unique(staged.log_distance.isel(step=0, rate=0))) == 6  # every seed and draw is another


SCORES = np.array([[1.0, 2.0, 3.0, 6.0], [3.0, 2.0, 5.0, 2.0], [2.0, 2.0, 4.0, 4.0]])
"""By seed and order."""


def life(linear, scores=SCORES, factor=1.0):
    loss = np.zeros((4, 4, 3, 6))
    loss[:, :, :, 0] = 0.5
    loss[:, :, :, 2] = 0.5 + np.arange(1, 5)[:, None, None] * factor * scores.T
    right = np.full((4, 4, 3, 6, 4), 0.8)
    right[:, :, :, 2, 1:] = 0.8 - 0.1 * np.arange(4)[:, None, None]
    raw = {
        "loss": (("rule", "order", "seed", "exam"), loss),
        "right": (("rule", "order", "seed", "exam", "task"), right),
        "from_retrained": (("rule", "order", "seed", "exam"), 0.1 + 0.1 * np.arange(4)[:, None, None] + 0 * loss),
        "yardstick": ("seed", np.full(3, 0.15)),
    }
    return xr.Dataset(raw, {"rule": RULES, "exam": 10 * np.arange(6), "seed": np.arange(3)}).merge(linear)


def test_spreads_are_standard_deviations_over_orders_and_over_seeds(linear):
    over_orders, over_seeds = spreads(life(linear["orders"]))
    np.testing.assert_allclose(over_orders.sel(rule="ascent"), SCORES.std(1, ddof=1))
    np.testing.assert_allclose(over_orders.sel(rule="simnpo"), 3 * SCORES.std(1, ddof=1))
    pooled = (over_seeds.sel(rule="ascent") ** 2).mean()
    np.testing.assert_allclose(pooled, SCORES.var(0, ddof=1).mean())


def test_parts_are_distances_from_their_bounds(linear):
    margins = parts(life(linear["orders"]))
    assert set(margins) == {"floor", "growth", "ascent", "npo", "simnpo"}
    assert (margins["floor"] > 0).all() and (margins["growth"] > 0).all()
    assert (parts(life(linear["shuffles"]))["floor"] < -20).all()
    same = parts(life(linear["orders"], np.repeat(SCORES[:, :1], 4, axis=1)))
    assert (same["ascent"] <= 0).all() and same["ascent"].mean() < -0.5  # the control: orders that make no difference


def test_what_paths_tell(linear):
    lives = {"orders": life(linear["orders"]), "shuffles": life(linear["shuffles"], SCORES * 0 + 1.0)}
    values = across(lives)
    margins = {name: value for name, value in values["orders"].items() if name.startswith("margin_")}
    weakest = min(margins.values(), key=lambda margin: mean_interval(margin.values).low)
    np.testing.assert_array_equal(values["orders"]["margin"], weakest)
    np.testing.assert_allclose(values["orders"]["cost_range"], 0.3)
    np.testing.assert_allclose(values["orders"]["farther"], 0.4 - 0.15)
    np.testing.assert_allclose(values["shuffles"]["spread"], 0.0)
    first = SCORES[:, :3].mean(1) - SCORES[:, 3]
    assert any(np.allclose(values["orders"]["recency"], k * first) for k in (1, 2, 3))
    np.testing.assert_allclose(values["replaying"]["ascent_spread"], 4 * values["local"]["ascent_spread"])


def test_a_diverged_seed_is_undefined_in_all_that_looks_at_it(linear):
    broken = life(linear["orders"])
    broken["loss"] = broken.loss.where(broken.seed != 1)
    margins = parts(broken)
    for rule in LOCAL:
        assert np.isnan(margins[rule].values).tolist()[1]
