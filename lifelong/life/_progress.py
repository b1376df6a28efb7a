"""What a life reports while it is lived."""

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

PATIENCE = 2.0
"""Seconds after which a life starts to say how it is getting on."""


class Moment(NamedTuple):
    """How far a life has come."""

    step: int
    steps: int
    seconds: float
    lanes: int
    diverged: int

    def __str__(self) -> str:
        left = self.seconds * (self.steps - self.step) / max(self.step, 1)
        trouble = f", {self.diverged} diverged" if self.diverged else ""
        return f"step {self.step}/{self.steps} · {self.lanes} lanes{trouble} · {left:.0f} s left"


Progress = Callable[[Moment], None]


def on_stderr(moment: Moment) -> None:
    """Show one line on standard error once a life takes longer than two seconds; rewritten in place on a terminal."""
    done = moment.step == moment.steps
    if moment.seconds < PATIENCE or not (sys.stderr.isatty() or done):
        return
    sys.stderr.write(f"\r\x1b[K{moment}" if sys.stderr.isatty() else f"{moment}\n")
    if done and sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()


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
