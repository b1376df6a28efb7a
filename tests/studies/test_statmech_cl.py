"""The measures of the study of posteriors as priors, on records made by hand."""

import numpy as np
import xarray as xr

from lifelong.studies.continual.statmech_cl import CLOSE, FRONT, across, final_accuracy, matched, study


def record(errors, strength):
    """Return a record of two seeds and three exams whose last errors on both tasks are given, by strength."""
    errors = np.asarray(errors, float)
    error = np.full((2, len(errors), 3, 2), 0.5)
    error[:, :, 1, 0], error[:, :, -1] = 0.05, errors
    raw = xr.Dataset({"error": (("seed", "strength", "exam", "task"), error)}, {"strength": list(strength)})
    raw = raw.assign(diverged_at=(("seed", "strength"), np.full((2, len(errors)), -1)))
    return raw.assign_coords(seed=[0, 1])


RISING = record([[0.4, 0.1], [0.3, 0.2], [0.2, 0.3], [0.1, 0.4]], strength=FRONT)


def test_an_error_is_read_off_a_front_between_its_points():
    wanted = xr.DataArray([0.25, 0.1], dims="seed", coords={"seed": [0, 1]})
    np.testing.assert_allclose(matched(RISING, wanted), [0.25, 0.4])
    np.testing.assert_allclose(matched(RISING, wanted * 0 + 0.9), 0.1)  # beyond its ends, the nearest end


def test_final_accuracy_is_over_whatever_the_arm_was_asked():
    np.testing.assert_allclose(final_accuracy(RISING), 0.75)
    alone = RISING.isel(strength=1, drop=True)
    np.testing.assert_allclose(final_accuracy(alone), 0.75)


def test_errors_are_those_at_full_strength_and_gaps_those_from_the_theory():
    predicted = (("strength", "task"), np.array([[0.0, 0.0], [0.0, 0.0], [0.22, 0.33], [0.0, 0.0]]))
    alone = xr.Dataset(
        {
            "error": (
                ("seed", "load", "exam", "task"),
                np.array([0.5, 0.2])[None, None, :, None] * np.ones((2, 3, 2, 1)),
            ),
            "diverged_at": (("seed", "load"), np.full((2, 3), -1)),
            "predicted": (("load", "task"), np.array([[0.2], [0.23], [0.17]])),
        },
        {"seed": [0, 1]},
    )
    none = record([[0.5, 0.1]], strength=[0.0]).assign(predicted=(("strength", "task"), np.array([[0.5, 0.1]])))
    plain = RISING.isel(strength=0, drop=True)
    lives = {"prior": RISING.assign(predicted=predicted), "no-prior": none, "uniform": RISING, "ewc": plain}
    values = across(lives | {"one-task": alone})
    np.testing.assert_allclose(values["prior"]["old_error"], 0.2)
    np.testing.assert_allclose(values["prior"]["matched_old_error"], values["uniform"]["matched_old_error"])
    np.testing.assert_allclose(values["prior"]["second_gap"], 0.03)
    np.testing.assert_allclose(values["no-prior"]["second_gap"], 0.0, atol=1e-12)
    np.testing.assert_allclose(values["no-prior"]["start_error"], 0.5)
    np.testing.assert_allclose(values["one-task"]["gap"], 0.02)
    np.testing.assert_allclose(values["tolerance"]["gap"], CLOSE)


def test_no_prior_is_the_prior_at_strength_zero():
    prior, without = (study.arms[name].build for name in ("prior", "no-prior"))
    assert without == prior._replace(strengths=(0.0,))
    assert 1.0 in prior.strengths
