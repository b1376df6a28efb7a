"""Lanes on the devices of the machine: the same lives, however they are dealt, and nothing passes between devices."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from lives import STEPS, TEACHER, quiet_life, remembering, world

from lifelong.exams import Accuracy, Exam
from lifelong.life import _abreast as abreast
from lifelong.life import _programs as programs
from lifelong.life._abreast import Abreast
from lifelong.life._lanes import lay_out

SWEEP = {"memory.labels": [0.0, 1.0]}
COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")


@pytest.mark.parametrize(
    ("lanes", "devices", "used"),
    [(16, 1, 1), (16, 2, 2), (16, 4, 4), (16, 64, 16), (12, 8, 6), (9, 2, 1), (1, 2, 1), (3, 8, 3)],
)
def test_lanes_are_dealt_evenly(monkeypatch, lanes, devices, used):
    monkeypatch.setattr(jax, "local_devices", lambda: list(range(devices)))
    assert abreast._devices(lanes).tolist() == list(range(used))


@pytest.fixture
def lives(tiny, monkeypatch):
    def lived(devices, **options):
        monkeypatch.setattr(abreast, "_devices", lambda lanes: np.asarray(jax.devices()[:devices]))
        return quiet_life(remembering(), world(tiny), seeds=4, sweep=SWEEP, **options)

    return lived


def test_lives_on_two_devices_equal_lives_on_one(lives):
    one, two = lives(1), lives(2)
    np.testing.assert_allclose(one.matrix, two.matrix, atol=0.02)
    np.testing.assert_allclose(one.records["loss"], two.records["loss"], atol=2e-3)
    leaves = zip(jax.tree.leaves(one.state), jax.tree.leaves(two.state), strict=True)
    assert all(a.shape == b.shape and a.devices() == b.devices() for a, b in leaves if isinstance(a, jax.Array))


def stop(moment):
    """Interrupt a life after its first exam."""
    if moment.step >= 12:
        raise KeyboardInterrupt


def test_a_checkpoint_does_not_know_of_devices(lives, tmp_path):
    begun = lives(2, checkpoint=tmp_path / "life", progress=stop)
    ended = lives(1, checkpoint=tmp_path / "life")
    assert not begun.finished and ended.finished
    np.testing.assert_allclose(lives(1).matrix, ended.matrix, atol=0.02)


def test_a_life_on_two_devices_is_resumed_bit_for_bit(lives, tmp_path):
    whole, begun = lives(2), lives(2, checkpoint=tmp_path / "life", progress=stop)
    again = lives(2, checkpoint=tmp_path / "life")
    assert not begun.finished
    np.testing.assert_array_equal(whole.matrix, again.matrix)
    np.testing.assert_array_equal(whole.records["loss"], again.records["loss"])


def test_lanes_that_cannot_be_dealt_evenly_are_lived_too(tiny):
    three, four = (quiet_life(remembering(), world(tiny), seeds=seeds) for seeds in (3, 4))
    np.testing.assert_allclose(three.matrix, four.matrix[:3], atol=0.02)


def test_lanes_lie_on_all_devices_and_need_not_talk(tiny):
    parts = programs.Parts(remembering(), world(tiny), TEACHER, Accuracy())
    call = Abreast(lay_out(parts, 4, SWEEP, jax.random.key(0)))
    state, numbers = call(programs.begin, None), map(np.int32, (0, STEPS, 1))
    assert len(jax.tree.leaves(state)[0].devices()) == 2
    lowered = programs.advance.lower(call.mesh, call.swept, call.shared, call.keys, state, *numbers)
    program = lowered.compile().compiled.as_text()
    assert "num_partitions=2" in program and not talks(program)


def test_a_program_whose_devices_talk_would_be_found_out():
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("lanes",))
    both = jax.shard_map(lambda x: jax.lax.psum(x, "lanes"), mesh=mesh, in_specs=P("lanes"), out_specs=P())
    assert talks(jax.jit(both).lower(np.zeros(2)).compile().as_text())


def talks(program):
    """Return whether something passes between the devices of a compiled program."""
    return any(name in program for name in COLLECTIVES)


class Curious(Exam):
    """Looks at the memory."""

    def sit(self, state, learner, world, *, key):
        return {"filled": state.memory.buffer.filled}


def test_only_exams_that_say_so_are_kept_from_memory_and_optimizer(tiny):
    seen = quiet_life(remembering(), world(tiny), exam=Curious(), seeds=2).exams["filled"]
    assert (seen[:, -1] == 30).all()
    assert Curious().whole and not Accuracy().whole
