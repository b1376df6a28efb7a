"""What a life says while it is lived."""

import io
import sys

from lifelong.life import Forecast, Moment, on_stderr


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


def test_what_was_lived_before_a_life_went_on_is_no_part_of_its_pace():
    forecast = Forecast()
    assert forecast(Moment(1000, 2000, 1.0, 4, 0)) == "step 1000/2000 · 4 lanes"
    assert forecast(Moment(1010, 2000, 2.0, 4, 1)) == "step 1010/2000 · 4 lanes, 1 diverged · 99 s left"
    assert forecast(Moment(2000, 2000, 9.0, 4, 1)).endswith(" · 0 s left")


def test_another_life_has_a_pace_of_its_own():
    forecast = Forecast()
    forecast(Moment(1, 100, 1.0, 4, 0))
    assert forecast(Moment(50, 100, 50.0, 4, 0)).endswith(" · 50 s left")
    assert forecast(Moment(60, 100, 1.0, 4, 0)) == "step 60/100 · 4 lanes"
    assert forecast(Moment(70, 100, 2.0, 4, 0)).endswith(" · 3 s left")
