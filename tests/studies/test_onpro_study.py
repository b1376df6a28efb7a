"""The measures of the study of online prototypes, on records made by hand."""

import numpy as np
import xarray as xr

from lifelong.studies.continual.onpro import across, close_pairs, prototype_cosine, study


def symmetric(upper):
    return np.asarray(upper) + np.asarray(upper).T + np.eye(len(upper))


CLOSE = symmetric([[0, 0.9, 0.1, 0.3], [0, 0, 0.8, -0.5], [0, 0, 0, 0.7], [0, 0, 0, 0]])
"""Pairs from the closest on: 01, 12, 23, 03, 02, 13."""


def life(accuracy, confusion=None, seeds=2):
    def lanes(values, *dims):
        values = np.asarray(values, float)
        return ("seed", "exam", *dims), np.broadcast_to(values, (seeds, 1, *values.shape))

    confusion = np.eye(4) if confusion is None else confusion
    return xr.Dataset(
        {
            "accuracy": lanes([accuracy, accuracy], "task"),
            "closeness": lanes(CLOSE, "class", "other"),
            "confusion": lanes(confusion, "asked", "answered"),
        }
    )


def test_the_closest_pairs_are_found_in_both_directions():
    close = close_pairs(life(0.5).closeness.isel(exam=-1), pairs=2)
    assert np.argwhere(close[1]).tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]


def test_the_mean_cosine_leaves_out_a_prototype_with_itself():
    np.testing.assert_allclose(prototype_cosine(life(0.5)), np.mean([0.9, 0.1, 0.3, 0.8, -0.5, 0.7]))


def test_what_several_arms_say_together():
    confusion = np.full((4, 4), 0.0)
    confusion[0, 1], confusion[2, 1], confusion[3, 2], confusion[0, 2] = 0.3, 0.1, 0.2, 0.9
    lives = {arm: life(0.5, confusion) for arm in study.arms}
    lives["er"], lives["er-shortcut"] = life(0.4), life(0.2)
    measures = across(lives)
    np.testing.assert_allclose(measures["onpro"]["gain_over_replay"], 0.1)
    np.testing.assert_allclose(measures["onpro-shortcut"]["gain_over_replay"], 0.3)
    for arm in ("onpro", "no-apf"):
        np.testing.assert_allclose(measures[arm]["close_confusion"], (0.3 + 0.1 + 0.2) / 6)
