"""How a run gets on, shown on standard error while it is lived."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._output import CLEAR, say

if TYPE_CHECKING:
    from lifelong.lab import Study
    from lifelong.life import Moment

PAUSE = 60.0
"""Seconds from one line to the next where there is no terminal to rewrite one on."""


class Status:
    """How something gets on, told on standard error: on a terminal in a line that is rewritten, elsewhere in one a minute."""

    def __init__(self):
        self.terminal, self.said = sys.stderr.isatty(), time.perf_counter()

    def show(self, line: str) -> None:
        """Show the line, on a terminal as far as it has room, elsewhere if it is time to."""
        if self.terminal:
            sys.stderr.write(f"{CLEAR}{line[: get_terminal_size().columns - 1]}")
            sys.stderr.flush()
        elif time.perf_counter() >= self.said + PAUSE:
            self.said = time.perf_counter()
            say(line)

    def clear(self) -> None:
        """Take the line away, where there is one."""
        if self.terminal:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()


class Ticker:
    """Takes the news of a run; where there is no terminal, every finished arm has a line, too."""

    def __init__(self, study: "Study", arms: Sequence[str]):
        tuned = {name for name in arms if (grid := study.arms[name].tune) and len(grid.values) > 1}
        self.name, self.lives = study.slug, {name: 2 if name in tuned else 1 for name in arms}
        self.lived: dict[str, float] = dict.fromkeys(arms, 0.0)
        self.first: dict[str, float] = {}
        self.current: dict[str, str] = {}
        self.done: list[str] = []
        self.began = self.paced = time.perf_counter()
        self.lock, self.status = threading.Lock(), Status()

    def __enter__(self) -> "Ticker":
        self.status.show(f"{self.name}: {len(self.lived)} arms, compiling")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.status.clear()

    def __call__(self, arm: str, doing: str, moment: "Moment | None") -> None:
        """Take in what an arm is doing; called from the threads that live them."""
        with self.lock:
            if moment is None:
                self._finish(arm, doing)
            else:
                before = self.lives[arm] - 1 if doing == "living" else 0
                self.lived[arm] = (before + moment.step / moment.steps) / self.lives[arm]
                self._begin(arm)
                self.current[arm] = f"{arm} {doing} {moment.step}/{moment.steps}{_trouble(moment)}"
            self.status.show(self.line())

    def line(self) -> str:
        """Return arms done and in all, what is being lived, and how long it may take."""
        left = self.seconds_left()
        parts = [f"{len(self.done)}/{len(self.lives)} arms", *self.current.values()]
        return f"{self.name}: {' · '.join(parts)}" + (f" · {_duration(left)} left" if left is not None else "")

    def seconds_left(self) -> float | None:
        """Return the time that what is left takes at the pace since the first news; None before there is a pace.

        What was lived of an arm before its first news, perhaps before an interruption, is no part of the pace.
        """
        since = sum(self.lived[arm] - first for arm, first in self.first.items())
        left = sum(1.0 - lived for lived in self.lived.values())
        return (time.perf_counter() - self.paced) * left / since if since else None

    def _begin(self, arm: str) -> None:
        if not self.first:
            self.paced = time.perf_counter()
        self.first.setdefault(arm, self.lived[arm])

    def _finish(self, arm: str, doing: str) -> None:
        self.current.pop(arm, None)
        self.done.append(arm)
        if doing == "stored":
            del self.lived[arm]  # it says nothing about the pace
            self.first.pop(arm, None)
        else:
            self.first.setdefault(arm, 0.0)
            self.lived[arm] = 1.0
        if not self.status.terminal:
            outcome = "was stored already" if doing == "stored" else "is done"
            seconds = _duration(time.perf_counter() - self.began)
            say(f"{self.name}: {arm} {outcome} ({len(self.done)} of {len(self.lives)} arms, {seconds})")


@contextmanager
def saving_first() -> Iterator[None]:
    """Let the first Ctrl-C say that lives are being saved, and a second one end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        say("stopping: what is being lived will be saved (Ctrl-C again stops at once and loses it)")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _trouble(moment: "Moment") -> str:
    return f", {moment.diverged} of {moment.lanes} diverged" if moment.diverged else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
