"""The measures of the study of pretraining, on risks made by hand."""

import numpy as np
import pytest
import xarray as xr

from lifelong.studies.representation.unsup_pretraining import LABELLED, RIDGES, UNLABELLED, across, risk, slope, study

N, M = np.array(LABELLED), np.array(UNLABELLED)


def pretrained(scale):
    """Return risks that fall as 1/n and, slower, with m, for two seeds, at birth and at the end."""
    found = scale * M[:, None] ** -0.5 / N
    raw = np.stack([np.stack([np.ones_like(found), found * factor]) for factor in (1.0, 2.0)], 2)
    data = {"excess_risk": (("exam", "unlabelled", "seed", "labelled"), np.moveaxis(raw, 2, 2))}
    data["naive_risk"] = (("exam", "unlabelled", "seed", "labelled"), np.ones_like(raw))
    return xr.Dataset(data, {"unlabelled": M, "labelled": N, "seed": [0, 1]})


def ridged(scale):
    """Return risks of which another ridge is the best at every n."""
    ridges = np.array(RIDGES)
    best = ridges[np.arange(len(N))]
    worse = 1 + np.abs(np.log(ridges[:, None] / best))
    raw = np.broadcast_to(scale * worse / np.sqrt(N), (2, 2, len(ridges), len(N)))
    return xr.Dataset(
        {"excess_risk": (("exam", "seed", "ridge", "labelled"), raw)}, {"ridge": ridges, "labelled": N, "seed": [0, 1]}
    )


@pytest.fixture(scope="module")
def values():
    lives = {
        name: ridged(1.0) if arm.build.representation == "inputs" else pretrained(10.0)
        for name, arm in study.arms.items()
    }
    return across(lives)


def test_the_baseline_has_the_best_ridge_at_every_n():
    np.testing.assert_allclose(risk(ridged(2.0)), np.broadcast_to(2 / np.sqrt(N), (2, len(N))))


def test_ratios_are_of_the_same_examples(values):
    expected = np.log(np.array([1.0, 2.0]) * 10 * 2000**-0.5 / 32 * np.sqrt(32))
    np.testing.assert_allclose(values["pretrained"]["log_ratio"], expected)
    np.testing.assert_allclose(values["supervised"]["log_ratio"], 0.0)
    np.testing.assert_allclose(values["few"]["log_ratio"] - values["many"]["log_ratio"], 0.5 * np.log(8000 / 64))


def test_slopes_are_exponents(values):
    np.testing.assert_allclose(values["pretrained"]["n_slope"], -1.0)
    np.testing.assert_allclose(values["weak"]["m_slope"], -0.5)
    line = xr.DataArray([1.0, 0.25], dims="n", coords={"n": [1.0, 2.0]})
    np.testing.assert_allclose(slope(line, "n"), -2.0)
