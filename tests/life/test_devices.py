"""Lanes sharded over devices: the same lives as on one, and nothing passes between the devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    paths = os.pathsep.join(map(str, (HERE, HERE.parent, HERE.parents[1])))
    words = [sys.executable, str(HERE / "two_devices.py"), str(tmp_path_factory.mktemp("two") / "life")]
    done = subprocess.run(
        words, env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_lanes_lie_on_all_devices_and_need_not_talk(found):
    assert found["devices"] == 2
    assert found["collectives"] == []


def test_lives_on_two_devices_equal_those_on_one(found):
    np.testing.assert_allclose(*map(np.asarray, found["losses"]), atol=2e-3)
    np.testing.assert_allclose(*map(np.asarray, found["matrices"]), atol=0.02)


def test_a_life_on_two_devices_is_resumed_bit_for_bit(found):
    assert found["resumed"]


def test_lanes_that_cannot_be_dealt_evenly_live_too(found):
    assert found["odd"] == 3
