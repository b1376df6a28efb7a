"""A claim of several parts rests on its weakest."""

import numpy as np
import xarray as xr

from lifelong.exams import mean_interval
from lifelong.lab import measures as m


def margins(**means):
    noise = np.random.default_rng(0).normal(size=16)
    return {name: xr.DataArray(mean + 0.1 * noise, dims="seed") for name, mean in means.items()}


def test_the_weakest_margin_is_the_one_whose_interval_lies_lowest():
    found = margins(wide=0.5, low=0.2, high=0.9)
    np.testing.assert_array_equal(m.weakest(found), found["low"])
    found["wide"] = 0.5 + 20 * (found["wide"] - 0.5)
    np.testing.assert_array_equal(m.weakest(found), found["wide"])
    assert mean_interval(found["wide"].values).low < mean_interval(found["low"].values).low


def test_a_margin_that_is_undefined_is_the_weakest():
    found = margins(one=-3.0, other=1.0)
    found["other"][5] = np.nan
    assert np.isnan(m.weakest(found)).any()
