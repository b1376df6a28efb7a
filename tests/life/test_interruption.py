"""Ctrl-C wherever it strikes, and what a life must know before it begins."""

import sys
from inspect import unwrap as untyped
from itertools import count

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from lives import STEPS, learner, quiet_life, remembering, world
from test_live import same

from lifelong.errors import BadFile, BadInput, Mismatch
from lifelong.exams import Accuracy
from lifelong.life import Life, Result, fingerprint, live, silent
from lifelong.life import _live as loop
from lifelong.life import _programs as programs
from lifelong.life._checkpoint import load_checkpoint, save_checkpoint
from lifelong.life._lanes import _numbers
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce, OneByOne

NUMBERS = {"seeds": 16}
RATES = "optimizer.numbers.learning_rate"


def lines_of_the_loop(act):
    """Return a trace function that calls `act` with the number of every line of the loop, each time it is reached."""

    def on_line(frame, event, _):
        if event == "line":
            act(frame.f_lineno)
        return on_line

    return lambda frame, event, _: on_line if frame.f_code.co_filename == loop.__file__ else None


def traced(act, **arguments):
    """Live, calling `act` at every line of the loop; return the life, or None if Ctrl-C came before it could be saved."""
    before = sys.gettrace()
    sys.settrace(lines_of_the_loop(act))
    try:
        return quiet_life(remembering(), **NUMBERS, **arguments)
    except KeyboardInterrupt:
        return None
    finally:
        sys.settrace(before)


def interrupt_at(moment):
    """Return what raises Ctrl-C, once, when so many lines have been reached."""
    passed = count()

    def act(_):
        if next(passed) == moment:
            raise KeyboardInterrupt

    return act


def fresh(moments):
    """Return the first, the second and the last time that each line is reached."""
    times = {}
    for moment, line in enumerate(moments):
        times.setdefault(line, []).append(moment)
    return sorted({moment for reached in times.values() for moment in (*reached[:2], reached[-1])})


def test_ctrl_c_at_any_line_of_the_loop_loses_nothing(tiny, tmp_path):
    """The life that goes on ends bit for bit as one that was never interrupted."""
    here, path, lines = world(tiny), tmp_path / "life", []
    whole = traced(lines.append, world=here, checkpoint=path, save_every=0.0)
    struck = fresh(lines)
    assert len(struck) > 100
    for moment in struck[:: 1 + len(struck) // 25]:
        path.unlink()
        part = traced(interrupt_at(moment), world=here, checkpoint=path, save_every=0.0)
        assert part is None or part.finished is (len(part.record_steps) == STEPS)
        same(whole, quiet_life(remembering(), here, checkpoint=path, **NUMBERS))
        assert [file.name for file in tmp_path.iterdir()] == ["life"]


def test_ctrl_c_before_the_first_step_leaves_an_empty_record(tiny, monkeypatch):
    def strike(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(programs, "begin", strike)
    life = quiet_life(remembering(), world(tiny), **NUMBERS)
    assert set(life.results) == {Result.interrupted} and not life.finished
    assert life.exams == life.records == {} and life.state is None
    assert "interrupted" in repr(life)
    with pytest.raises(KeyboardInterrupt):
        life.whole()


class Paced(loop.Pace):
    """A pace that always takes the same number of steps."""

    size = 1

    def measured(self, steps, seconds):
        self.steps = self.size


@pytest.mark.parametrize("size", [1, 7])
def test_when_a_lane_diverged_does_not_depend_on_the_pace(tiny, monkeypatch, size):
    arguments = {"seeds": 2, "sweep": {RATES: [0.05, 1e20, 0.02]}, "every": 5}
    whole = quiet_life(learner(), world(tiny), **arguments)
    monkeypatch.setattr(Paced, "size", size)
    monkeypatch.setattr(loop, "Pace", Paced)
    moments = []
    chunked = quiet_life(learner(), world(tiny), progress=moments.append, **arguments)
    assert whole.diverged_at.tolist() == chunked.diverged_at.tolist() == [-1, -1, 5, 5, -1, -1]
    same(whole, chunked)
    assert [moment.diverged for moment in moments if moment.step >= 5] == [2] * sum(m.step >= 5 for m in moments)
    assert "nan" in repr(whole) and "interval" not in repr(whole)


def test_a_lonely_life_can_be_shown(tiny):
    life = quiet_life(learner(), world(tiny), seeds=1)
    assert "final accuracy" in repr(life) and "interval" not in repr(life)
    assert "interval" in repr(quiet_life(learner(), world(tiny), seeds=2))


@pytest.mark.parametrize("name", ["file/life", "folder"])
def test_a_checkpoint_that_cannot_be_written_is_refused_before_anything_is_lived(tiny, tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(programs, "begin", lambda *_: pytest.fail("the life had begun"))
    with pytest.raises(BadFile, match="cannot be written"):
        quiet_life(remembering(), world(tiny), checkpoint=tmp_path / name, **NUMBERS)


def test_a_state_of_other_shapes_is_refused_even_where_the_fingerprint_agrees(tmp_path):
    path, state = tmp_path / "life", {"state.00000": np.zeros((2, 3), np.float32)}
    save_checkpoint(path, state, "it")
    assert load_checkpoint(path, "it", state).keys() == state.keys()
    for other in (np.zeros((3, 2), np.float32), np.zeros((2, 3), np.int32)):
        with pytest.raises(BadFile, match="another life"):
            load_checkpoint(path, "it", {"state.00000": other})
    with pytest.raises(BadFile, match="another life"):
        load_checkpoint(path, "it", {**state, "state.00001": np.zeros(1)})


def of_width(width):
    return lambda key: MLP(8, 6, width=width, key=key)


def defined(above, body="return 2 * x"):
    """Return a function written below so many empty lines."""
    scope = {}
    exec("\n" * above + f"def made(x):\n    {body}", scope)
    return scope["made"]


def calls_itself():
    def again(n):
        return again(n - 1) if n else 0

    return again


@pytest.mark.parametrize(
    ("one", "equal", "other"),
    [
        (optax.adam(0.01), optax.adam(0.01), optax.adam(0.02)),
        (of_width(8), of_width(8), of_width(9)),
        (defined(0), defined(5), defined(0, "return 3 * x")),
        (Recipe(defined(0)), Recipe(defined(1)), Recipe(defined(0, "return -x"))),
        (calls_itself(), calls_itself(), defined(0)),
        ({"a": jnp.zeros(2)}, {"a": jnp.zeros(2)}, {"b": jnp.zeros(2)}),
    ],
    ids=["optimizer", "closure", "code", "static field", "recursion", "names"],
)
def test_lives_are_told_apart_by_what_their_functions_do(one, equal, other):
    assert fingerprint(one) == fingerprint(equal) != fingerprint(other)


def test_a_checkpoint_with_another_ready_optimizer_is_another_life(tiny, tmp_path):
    path, here = tmp_path / "life", world(tiny)

    def lived(rate):
        who = eqx.tree_at(lambda one: one.optimizer, learner(), optax.sgd(rate))
        return live(who, here, OneByOne(3, 2), steps=2, seeds=1, checkpoint=path, progress=silent)

    assert isinstance(lived(0.1), Life)
    with pytest.raises(BadFile, match="another life"):
        lived(0.2)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"seeds": [0, -1]}, BadInput, "whole numbers from 0 .* -1"),
        ({"seeds": [2**32]}, BadInput, "whole numbers from 0"),
        ({"teacher": AllAtOnce(4)}, Mismatch, "AllAtOnce teaches 4 tasks, and Split has 3; .* tasks=3"),
        ({"teacher": OneByOne(5, 2)}, Mismatch, "OneByOne teaches 5 tasks"),
    ],
)
def test_a_life_that_cannot_be_is_refused_before_anything_runs(tiny, monkeypatch, change, error, words):
    monkeypatch.setattr(programs, "begin", lambda *_: pytest.fail("the life had begun"))
    with pytest.raises(error, match=words):
        quiet_life(learner(), world(tiny), **{"seeds": 2, **change})


def test_numbers_that_are_not_whole_are_refused(tiny):
    """Without a type checker, 1e3 steps would fail in the middle of a life."""
    parts = programs.Parts(learner(), world(tiny), OneByOne(3, 12), Accuracy())
    with pytest.raises(BadInput, match=r"steps must be a whole number, not 1000\.0"):
        untyped(loop._check)(parts, 1e3, None, 1)
    with pytest.raises(BadInput, match=r"whole numbers from 0 .* 0\.5"):
        untyped(_numbers)([0.5])
    assert untyped(_numbers)(np.int64(2)).tolist() == [0, 1]
