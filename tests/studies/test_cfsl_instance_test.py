"""The measures of the study of continual few-shot learning, on records made by hand."""

import jax
import numpy as np
import pytest
import xarray as xr

from lifelong.nets import ConvNet
from lifelong.studies.continual.cfsl_instance_test import (
    CLASS_TESTS,
    INSTANCE_TESTS,
    LEVELS,
    How,
    accuracy,
    across,
    continued,
    student,
    study,
)
from lifelong.worlds import Episodes

SETTINGS = [*CLASS_TESTS, *INSTANCE_TESTS]


def life(klass, instance, fall=0.2):
    """Return three seeds of two episodes; instances are seen worse with every level, classes asked about when clean."""
    values = np.full((3, len(SETTINGS), 2, len(LEVELS)), np.nan)
    values[:, : len(CLASS_TESTS), :, 0] = klass
    values[:, len(CLASS_TESTS) :] = instance * (1 - fall * np.arange(len(LEVELS)))
    values += 1e-3 * np.arange(3)[:, None, None, None]
    coords = {"setting": SETTINGS, "level": np.arange(len(LEVELS)), "seed": range(3)}
    return xr.Dataset({"accuracy": (("seed", "setting", "episode", "level"), values)}, coords)


@pytest.fixture
def lives():
    return {
        "tune": life(0.3, 0.4),
        "replay": life(0.4, 0.7),
        "current-only": life(0.25, 0.4),
        "prototypes": life(0.5, 0.6),
        "pixels": life(0.2, 1.0),
    }


def test_accuracy_is_a_mean_over_settings_and_episodes_at_a_level(lives):
    np.testing.assert_allclose(accuracy(lives["replay"], INSTANCE_TESTS, level=2), 0.7 * 0.6 + 1e-3 * np.arange(3))
    np.testing.assert_allclose(accuracy(lives["replay"], CLASS_TESTS), 0.4 + 1e-3 * np.arange(3))


def test_the_weakest_gain_is_the_smaller_of_gain_and_contrast(lives):
    """Replay gains 0.3 on instances and 0.1 on classes: the contrast of 0.2 is weaker than the gain."""
    values = across(lives)
    np.testing.assert_allclose(values["replay"]["weakest_gain"], 0.2, atol=1e-9)
    np.testing.assert_allclose(values["replay"]["instance_gain"], 0.3, atol=1e-9)
    np.testing.assert_allclose(values["tune"]["weakest_gain"], 0.0)
    np.testing.assert_allclose(values["current-only"]["weakest_gain"], 0.0, atol=1e-9)
    lives["replay"] = life(0.2, 0.7)
    np.testing.assert_allclose(across(lives)["replay"]["weakest_gain"], 0.3, atol=1e-9)


def test_occlusion_has_margins_for_every_step_and_for_the_half(lives):
    assert (across(lives)["occlusion"]["margin"] > 0).all()
    lives["replay"] = life(0.4, 0.7, fall=0.1)  # falls at every step, and not to less than half
    np.testing.assert_allclose(across(lives)["occlusion"]["margin"], 0.5 * 0.7 - 0.7 * 0.7, atol=1e-2)
    lives["replay"] = life(0.4, 0.7, fall=0.0)
    assert (across(lives)["occlusion"]["margin"] < -0.3).all()


@pytest.mark.parametrize("kind", ["base", "20x1"])
def test_the_knock_out_learns_from_as_many_examples_a_step_as_replay(kind):
    shape = {**INSTANCE_TESTS[kind], "ways": 1, "instances": True} if kind in INSTANCE_TESTS else CLASS_TESTS[kind]
    world = Episodes(np.zeros((50, 20, 14, 14), np.float32), **shape)
    net = ConvNet(shape=(14, 14), outputs=4, channels=(2, 2), width=8, key=jax.random.key(0))
    replay, current, tune = (student(How(name), world, net, study.configured()) for name in ("replay", "current", ""))
    assert replay.batch == tune.batch == world.longest
    assert current.batch == replay.batch + replay.memory.batch > tune.batch


def test_a_network_goes_on_from_the_trained_layer_with_a_new_head():
    weight, bias = np.arange(6.0).reshape(2, 3), np.ones(2)
    one, other = (continued(4, weight, bias, key=jax.random.key(k)) for k in (0, 1))
    np.testing.assert_array_equal(one.hidden[0].weight, weight)
    np.testing.assert_array_equal(other.hidden[0].bias, bias)
    assert (one.head.weight != other.head.weight).all()
