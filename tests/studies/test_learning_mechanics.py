"""The measures of the study of learning mechanics, on readings made by hand."""

import numpy as np
import xarray as xr

from lifelong.exams.mechanics import INSTRUMENTS
from lifelong.studies.representation.learning_mechanics import FAMILIES, across, families_won, hits, null_hits


def readings(error, null_error):
    """Return two seeds of all instruments, tolerance 0.1."""
    shape = (2, len(INSTRUMENTS))
    raw = {"error": (("seed", "instrument"), np.broadcast_to(error, shape))}
    raw["null_error"] = (("seed", "instrument"), np.broadcast_to(null_error, shape))
    raw["tolerance"] = ("instrument", np.full(shape[1], 0.1))
    return xr.Dataset(raw, {"seed": [0, 1], "instrument": list(INSTRUMENTS)})


def test_every_instrument_stands_for_a_family():
    assert sorted(name for own in FAMILIES.values() for name in own) == sorted(INSTRUMENTS)


def test_hits_are_within_tolerance_and_an_undefined_reading_is_none():
    life = readings([0.1, 0.2, np.nan, 0.0, 0.05, 0.3], 0.5)
    np.testing.assert_allclose(hits(life), 3 / 6)
    np.testing.assert_allclose(null_hits(life), 0.0)
    assert families_won(readings(0.0, 0.5)) == 5
    assert families_won(readings(0.0, 0.0)) == 0


def test_the_margin_is_that_of_the_weaker_part():
    values = across({"theory": readings(0.0, 0.0), "broken": readings(0.5, 0.5)})
    np.testing.assert_allclose(values["theory"]["margin"], -0.8)  # theory hits always, and so does the null predictor
    np.testing.assert_allclose(values["broken"]["margin"], -0.8)
    np.testing.assert_allclose(values["null"]["hits"], 1.0)
