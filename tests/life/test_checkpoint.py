import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lives import learner, quiet_life, remembering, world
from safetensors.numpy import load_file, save_file
from test_live import same

from lifelong.errors import BadFile
from lifelong.life import Result
from lifelong.life._checkpoint import fingerprint, load_checkpoint, pack, save_checkpoint, unpack
from lifelong.memory import Replay


class InterruptAt:
    """Raises KeyboardInterrupt the first time a life has come this far, as Ctrl-C would."""

    def __init__(self, step: int):
        self.step = step

    def __call__(self, moment) -> None:
        if moment.step >= self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", [1, 12, 25])
def test_an_interrupted_life_goes_on_to_the_same_end(tiny, tmp_path, step):
    whole = quiet_life(remembering(), world(tiny), seeds=16, every=5)
    path = tmp_path / "life.safetensors"
    part = quiet_life(remembering(), world(tiny), seeds=16, every=5, checkpoint=path, progress=InterruptAt(step))
    assert not part.finished
    assert set(part.results) == {Result.interrupted}
    assert 0 < len(part.exam_steps) < len(whole.exam_steps)
    resumed = quiet_life(remembering(), world(tiny), seeds=16, every=5, checkpoint=path)
    assert resumed.finished
    same(whole, resumed)


def test_a_finished_life_is_not_lived_again(tiny, tmp_path):
    path, seen = tmp_path / "life.safetensors", []
    whole = quiet_life(remembering(), world(tiny), seeds=16, checkpoint=path)
    same(whole, quiet_life(remembering(), world(tiny), seeds=16, checkpoint=path, progress=seen.append))
    assert seen == []


OTHERS = {
    "other seeds": {"seeds": range(1, 17)},
    "other steps": {"steps": 35},
    "other thinning": {"record": 2},
    "another strength": {"learner": learner(Replay(30, 10, logits=0.6))},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS.keys())
def test_a_checkpoint_of_another_life_is_refused_and_left_alone(tiny, tmp_path, change):
    path = tmp_path / "life.safetensors"
    quiet_life(remembering(), world(tiny), seeds=16, checkpoint=path)
    before = path.read_bytes()
    arguments = {"learner": remembering(), "seeds": 16, **change}
    with pytest.raises(BadFile, match="another life"):
        quiet_life(world=world(tiny), checkpoint=path, **arguments)
    assert path.read_bytes() == before


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "flipped":
        data[-3] ^= 0xFF
    elif how == "empty":
        data = bytearray()
    elif how == "text":
        data = bytearray(b"this is no checkpoint")
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty", "text", "foreign"])
def test_a_damaged_checkpoint_is_named_and_left_alone(tiny, tmp_path, how):
    path = tmp_path / "life.safetensors"
    quiet_life(remembering(), world(tiny), seeds=16, checkpoint=path)
    if how == "foreign":
        save_file({"weights": np.zeros(3)}, path)
    else:
        damage(path, how)
    before = path.read_bytes()
    with pytest.raises(BadFile, match=r"life.safetensors.*left as it is"):
        quiet_life(remembering(), world(tiny), seeds=16, checkpoint=path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tiny, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadFile, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "life.safetensors", {"a": np.zeros(1)}, "life")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "life.safetensors"
    save_checkpoint(path, {"a": np.arange(3)}, "life")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BadFile, match="No space left"):
        save_checkpoint(path, {"a": np.arange(4)}, "life")
    assert load_checkpoint(path, "life")["a"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["life.safetensors"]


def test_states_with_keys_and_odd_types_survive(tmp_path):
    def group(seed):
        return {
            "key": jax.random.split(jax.random.key(seed), 2),
            "none": None,
            "flag": jnp.array([True, False]),
            "n": jnp.array([4, seed]),
            "x": jnp.zeros((2, 0, 2)),
        }

    groups = (group(3), group(5))
    save_checkpoint(tmp_path / "s", pack(groups), "it")
    backs = unpack(load_checkpoint(tmp_path / "s", "it"), groups)
    for back, state in zip(backs, groups, strict=True):
        assert jax.random.key_data(back["key"]).tolist() == jax.random.key_data(state["key"]).tolist()
        assert back["x"].shape == (2, 0, 2) and back["flag"].dtype == bool and back["none"] is None
        assert back["n"].tolist() == state["n"].tolist()


def test_fingerprints_tell_values_shapes_and_settings_apart():
    base = fingerprint(remembering())
    assert base == fingerprint(remembering())
    assert base != fingerprint(remembering(active="all"))
    assert base != fingerprint(remembering(learning_rate=0.06))
    assert fingerprint(jnp.zeros(4)) != fingerprint(jnp.zeros((2, 2)))


CHILD = """
import sys
sys.path[:0] = [{here!r}, {tests!r}]
from conftest import gaussians
from lives import learner, quiet_life, remembering, world
print("ready", flush=True)
life = quiet_life(remembering(), world(gaussians()), seeds=16, steps=1200, every=100, checkpoint={path!r}, save_every=0.0)
print("finished", flush=True)
"""


def start(path: Path) -> subprocess.Popen:
    here = Path(__file__).parent
    code = CHILD.format(here=str(here), tests=str(here.parent), path=str(path))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, child: subprocess.Popen, newer_than: float = 0.0) -> None:
    deadline = time.monotonic() + 120
    while not (path.exists() and path.stat().st_mtime_ns > newer_than):
        assert child.poll() is None or child.returncode == 0, child.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_a_life_killed_at_random_moments_ends_as_an_uninterrupted_one(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(whole)
    assert "finished" in uninterrupted.communicate(timeout=300)[0]
    random, kills = np.random.default_rng(0), 0
    for _ in range(3):
        seen = killed.stat().st_mtime_ns if killed.exists() else 0
        child = start(killed)
        wait_for(killed, child, newer_than=seen)
        time.sleep(random.uniform(0, 0.5))
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            kills += 1
        child.communicate()
    assert kills >= 1
    assert "finished" in start(killed).communicate(timeout=300)[0]
    ours, theirs = load_file(whole), load_file(killed)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
