"""What a life reports while it is lived."""

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

PATIENCE = 2.0
"""Seconds after which a life starts to say how it is getting on."""

PAUSE = 10.0
"""Seconds from one line to the next where there is no terminal to rewrite one on."""


class Moment(NamedTuple):
    """How far a life has come."""

    step: int
    steps: int
    seconds: float
    lanes: int
    diverged: int

    def __str__(self) -> str:
        trouble = f", {self.diverged} diverged" if self.diverged else ""
        return f"step {self.step}/{self.steps} · {self.lanes} lanes{trouble}"


Progress = Callable[[Moment], None]
"""What is called now and then while a life goes on."""


class Forecast:
    """Tells of a life's moments how long the rest will take, at the pace since the first of them.

    What was lived before that moment, or before a checkpoint that the life goes on from, is no part of the pace.
    """

    def __init__(self):
        self.first = self.last = Moment(0, 0, 0.0, 0, 0)

    def __call__(self, moment: Moment) -> str:
        """Return a moment in words, with the time left where a pace is known."""
        last = self.last
        goes_on = moment.steps == last.steps and moment.step > last.step and moment.seconds > last.seconds
        self.first, self.last = self.first if goes_on else moment, moment
        lived = moment.step - self.first.step
        left = (moment.seconds - self.first.seconds) * (moment.steps - moment.step) / max(lived, 1)
        return f"{moment} · {left:.0f} s left" if lived else str(moment)


class OnStderr:
    """Says on standard error how a life is getting on once it takes longer than two seconds: in one line that is rewritten
    on a terminal, elsewhere in a line every ten seconds and one at the end.
    """

    def __init__(self):
        self.said, self.forecast = 0.0, Forecast()

    def __call__(self, moment: Moment) -> None:
        """Show a moment if it is time to."""
        terminal, done, line = sys.stderr.isatty(), moment.step == moment.steps, self.forecast(moment)
        self.said = min(self.said, moment.seconds)
        if moment.seconds < PATIENCE or not (terminal or done or moment.seconds >= self.said + PAUSE):
            return
        self.said = 0.0 if done else moment.seconds
        sys.stderr.write(f"\r\x1b[K{line}" if terminal else f"{line}\n")
        if done and terminal:
            sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


on_stderr = OnStderr()
"""What `live` reports to unless it is told otherwise."""


def silent(moment: Moment) -> None:
    """Show nothing."""


class Pace:
    """How many steps to take before looking up: about `target` seconds' worth, learned on the way."""

    def __init__(self, target: float = 1.0, first: int = 64):
        self.target, self.steps, self.began = target, first, time.perf_counter()

    def measured(self, steps: int, seconds: float) -> None:
        """Adapt to a chunk that took `seconds`; never more than double, since a first chunk also compiles."""
        ideal = int(steps * self.target / max(seconds, 1e-9))
        self.steps = max(1, min(ideal, 2 * self.steps)) if steps >= self.steps else self.steps

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began
