"""What a life says while it is lived."""

import io
import sys

from lifelong.life import on_stderr
from lifelong.life._progress import Moment


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(seconds: list[float], stderr: io.StringIO, monkeypatch) -> str:
    monkeypatch.setattr(sys, "stderr", stderr)
    for i, second in enumerate(seconds, 1):
        on_stderr(Moment(i, len(seconds), second, 4, 0))
    return stderr.getvalue()


def test_a_short_life_says_nothing(monkeypatch):
    assert said([0.5, 1.0, 1.9], io.StringIO(), monkeypatch) == ""


def test_without_a_terminal_lines_are_ten_seconds_apart(monkeypatch):
    lines = said([1.0, 9.0, 11.5, 12.0, 20.0, 22.0, 30.0, 33.0], io.StringIO(), monkeypatch).splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["step 3/8", "step 6/8", "step 8/8"]


def test_a_life_after_one_that_was_interrupted_starts_anew(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    on_stderr(Moment(1, 3, 500.0, 4, 0))
    lines = said([5.0, 16.0, 17.0], io.StringIO(), monkeypatch).splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["step 2/3", "step 3/3"]


def test_a_terminal_has_one_line_that_is_rewritten(monkeypatch):
    shown = said([3.0, 4.0, 5.0], Terminal(), monkeypatch)
    assert "\n" not in shown and shown.count("step ") == 3 and shown.endswith("\r\x1b[K")
