"""The measures of the study of mined views, on records made by hand."""

import numpy as np
import pytest
import xarray as xr

from lifelong.feedback import BYOL
from lifelong.lab import Settings
from lifelong.learners import FactorLearner, GradientLearner, ViewLearner
from lifelong.studies.representation.myow import across, angle_accuracy, learner_of, purity_by_ramp, study
from lifelong.worlds import NeuralPopulation


def record(end, purity=None):
    """Return two seeds that are probed at the beginning and at the end."""
    raw = {"probe_accuracy": (("seed", "exam"), np.array([[0.3, end], [0.4, end]]))}
    coordinates = {"seed": [0, 1]}
    if purity is not None:
        raw["learning_purity"] = (("seed", "step"), np.broadcast_to(purity, (2, 100)))
        coordinates["step"] = np.arange(1, 101)
    return xr.Dataset(raw, coordinates)


def test_gains_are_paired_at_either_strength():
    ends = {"myow": 0.8, "byol": 0.7, "myow-weak": 0.6, "byol-weak": 0.3}
    values = across({arm: record(end) for arm, end in ends.items()})
    np.testing.assert_allclose(values["strong"]["gain"], 0.1)
    np.testing.assert_allclose(values["weak"]["gain"], 0.3)
    np.testing.assert_allclose(values["untrained"]["angle_accuracy"], [0.3, 0.4])
    np.testing.assert_allclose(values["chance"]["purity"], 1 / 8)


def test_purity_is_read_before_the_ramp_ends():
    purity = np.where((np.arange(1, 101) >= 30) & (np.arange(1, 101) <= 40), 0.5, 0.0)
    np.testing.assert_allclose(purity_by_ramp(record(0.5, purity)), 0.5)
    values = across(
        {arm: record(0.5, purity) for arm in ("myow", "byol")}
        | {arm: record(0.5) for arm in ("myow-weak", "byol-weak")}
    )
    np.testing.assert_allclose(values["myow"]["purity"], 0.5)
    assert values["myow-weak"] == {}, "what was not mined has no purity"


def test_a_supervised_arm_is_asked_and_not_probed():
    asked = xr.Dataset({"accuracy": (("seed", "exam", "task"), np.array([[[0.1], [0.9]]]))}, {"seed": [0]})
    np.testing.assert_allclose(angle_accuracy(asked), 0.9)


@pytest.fixture(scope="module")
def learners():
    settings = Settings(dict(study.settings))
    return {name: learner_of(arm.build, NeuralPopulation(), settings) for name, arm in study.arms.items()}


def test_arms_differ_in_what_they_say(learners):
    myow = learners["myow"]
    assert myow.feedback.mining == 1 == myow.feedback.weight and myow.miner.nearness == 1 > myow.miner.labels
    assert learners["byol"].feedback.mining == 0 and learners["byol"].miner.nearness == 1
    assert learners["random-mining"].miner.nearness == 0 == learners["random-mining"].miner.labels
    assert learners["random-mining"].feedback.mining == 1
    assert learners["oracle"].miner.labels == 2
    assert float(learners["myow-weak"].views.dropout) == pytest.approx(0.2)
    assert float(learners["byol"].feedback.ramp) == float(myow.feedback.ramp) == 320
    assert dict(learners["shared"].model.settings)["layout"] == "shared"
    assert isinstance(learners["components"], FactorLearner) and isinstance(learners["supervised"], GradientLearner)
    assert all(isinstance(learners[name], ViewLearner) for name in ("info-nce", "clusters"))
    assert isinstance(myow.feedback.augmented, BYOL)
