"""The measures of the study of forward-only entropy learning, on records made by hand."""

import numpy as np
import pytest
import xarray as xr

from lifelong.studies.representation.ska import HALVINGS, across, hidden_probe, study

SPAN, TIMES = 1.0, 25


def record(smooth: bool):
    """Return two seeds whose entropies a unit of time come from Euler's scheme, or from chance."""
    time = np.arange(1, TIMES + 1)
    rates = np.stack([(1 - SPAN / TIMES / h) ** (time * h) for h in HALVINGS])
    rates = -np.broadcast_to(rates[:, None, :, None], (4, 2, TIMES, 4)) * (time - 12.5)[:, None] ** 2
    rates = rates if smooth else np.random.default_rng(0).normal(size=rates.shape)
    per_step = rates * (SPAN / TIMES / np.array(HALVINGS))[:, None, None, None]
    probes = np.linspace(0.9, 0.1, TIMES + 1)[None, :, None] * np.ones((2, 1, 5))
    dims = ("halving", "seed", "step", "unit_layer")
    raw = {"entropy_rate": (dims, rates), "learning_entropy": (dims, per_step)}
    raw |= {name: (("seed", "exam", "layer"), probes) for name in ("probe_accuracy", "effective_rank")}
    raw["diverged_at"] = ("seed", [-1, -1])
    return xr.Dataset(raw, {"halving": list(HALVINGS), "seed": [0, 1]})


@pytest.fixture(scope="module")
def values():
    return across({arm: record(smooth=arm != "flipped") for arm in study.arms})


def test_a_forward_scheme_is_time_invariant_and_chance_is_not(values):
    np.testing.assert_allclose(values["ska"]["order"], 1.0, atol=0.1)
    assert (values["ska"]["margin"] > 0).all()
    assert (abs(values["flipped"]["order"]) < 0.5).all()


def test_entropies_a_step_are_not_time_invariant(values):
    assert (values["per-step"]["order"] < 0.5).all()


def test_stopping_reads_the_probe_where_entropy_is_least(values):
    life = record(smooth=True)
    least = life.entropy_rate.sel(halving=8).isel(unit_layer=2).values.argmin(1) + 1
    expected = life.probe_accuracy.values[[0, 1], least, -2]
    np.testing.assert_allclose(values["stopped"]["hidden_probe"], expected)
    np.testing.assert_allclose(hidden_probe(life), 0.1)
    np.testing.assert_allclose(values["untrained"]["hidden_probe"], 0.9)
