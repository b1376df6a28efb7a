"""Groups of lanes on the cores of the machine: the same lives, whatever the grouping."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lives import quiet_life, remembering, world

from lifelong.exams import Accuracy, Exam
from lifelong.life import _abreast as abreast
from lifelong.life._abreast import Abreast, groups_of, on_host, together
from lifelong.life._lanes import Lanes


@pytest.mark.parametrize(
    ("lanes", "cores", "groups"),
    [
        (16, 1, 1),
        (16, 2, 2),
        (16, 4, 4),
        (16, 64, 4),
        (12, 8, 3),
        (9, 2, 1),
        (10, 2, 2),
        (7, 2, 1),
        (1, 2, 1),
        (3, 8, 1),
    ],
)
def test_lanes_are_dealt_evenly_and_no_group_is_small(lanes, cores, groups):
    assert groups_of(lanes, cores) == groups


@pytest.fixture
def lives(tiny, monkeypatch):
    def lived(cores):
        monkeypatch.setattr(abreast, "_cores", lambda: cores)
        sweep = {"memory.labels": [0.0, 1.0]}
        return quiet_life(remembering(), world(tiny), seeds=8, sweep=sweep)

    return lived


def test_lives_in_groups_equal_lives_in_one(lives):
    one, four = lives(1), lives(4)
    np.testing.assert_allclose(one.matrix, four.matrix, atol=0.02)
    np.testing.assert_allclose(one.records["loss"], four.records["loss"], atol=2e-3)
    leaves = zip(jax.tree.leaves(one.state), jax.tree.leaves(four.state), strict=True)
    assert all(a.shape == b.shape for a, b in leaves if isinstance(a, jax.Array))


def test_a_checkpoint_does_not_know_of_groups(lives, tiny, tmp_path, monkeypatch):
    whole = lives(1)

    def resumed(cores):
        monkeypatch.setattr(abreast, "_cores", lambda: cores)
        options = {"seeds": 8, "sweep": {"memory.labels": [0.0, 1.0]}, "checkpoint": tmp_path / "life"}
        return quiet_life(remembering(), world(tiny), **options)

    first, second = resumed(4), resumed(1)
    np.testing.assert_array_equal(first.matrix, second.matrix)
    np.testing.assert_allclose(whole.matrix, second.matrix, atol=0.02)


def test_the_first_call_of_a_program_is_alone_and_the_next_are_not(monkeypatch):
    monkeypatch.setattr(abreast, "_cores", lambda: 2)
    running, most = [], []
    lock, both = threading.Lock(), threading.Barrier(2, timeout=10)

    def program(swept, shared, keys, state):
        with lock:
            running.append(1)
            most.append(len(running))
        if len(seen):
            both.wait()
        with lock:
            running.pop()
        return keys

    call, seen = Abreast(Lanes({"seed": np.arange(8)}, jnp.arange(8), None, None)), []
    assert on_host(call(program, ())).tolist() == list(range(8))
    assert max(most[:1]) == 1
    seen.append("compiled")
    assert together([on_host(call(program, ()))]).tolist() == list(range(8))


class Curious(Exam):
    """Looks at the memory."""

    def sit(self, state, learner, world, *, key):
        return {"filled": state.memory.buffer.filled}


def test_only_exams_that_say_so_are_kept_from_memory_and_optimizer(tiny):
    seen = quiet_life(remembering(), world(tiny), exam=Curious(), seeds=2).exams["filled"]
    assert (seen[:, -1] == 30).all()
    assert Curious().whole and not Accuracy().whole
