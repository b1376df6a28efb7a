"""How long compiling and running take, thread by thread."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import jax.monitoring

from lifelong.errors import BadFile
from lifelong.life import write_atomically

_local = threading.local()
_EVENTS = "/jax/core/compile/"


def _listen(event: str, duration_secs: float, **_: str | int) -> None:
    clock = getattr(_local, "clock", None)
    if clock is not None and event.startswith(_EVENTS):
        clock.count(time.perf_counter() - duration_secs, duration_secs)


jax.monitoring.register_event_duration_secs_listener(_listen)


@dataclass
class Clock:
    """Seconds spent tracing and compiling, and in all."""

    compiling: float = 0.0
    total: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)

    def count(self, began: float, seconds: float) -> None:
        """Count a span that ends now; spans within it, such as the tracing of functions it calls, count once."""
        while self.spans and self.spans[-1][0] >= began:
            self.compiling -= self.spans.pop()[1]
        self.spans.append((began, seconds))
        self.compiling += seconds


@contextmanager
def clocked(noted: Path | None = None) -> Iterator[Clock]:
    """Measure the time that JAX spends compiling in this thread, and the whole.

    What Ctrl-C cuts short notes both in the file `noted`; what goes on from there begins with them, and removes the file.
    What a killed process spent is not counted.
    """
    compiling, before = _read(noted)
    clock, began = Clock(compiling), time.perf_counter() - before
    _local.clock = clock
    try:
        yield clock
    except KeyboardInterrupt:
        if noted:
            spent = {"compiling": clock.compiling, "total": time.perf_counter() - began}
            with suppress(BadFile):
                write_atomically(noted, json.dumps(spent).encode())
        raise
    finally:
        clock.total = time.perf_counter() - began
        _local.clock = None
    if noted:
        noted.unlink(missing_ok=True)


def _read(noted: Path | None) -> tuple[float, float]:
    """Return the seconds that were noted, of compiling and in all; none where there is no note that can be read."""
    try:
        spent = json.loads(noted.read_text()) if noted else {}
        return float(spent["compiling"]), float(spent["total"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0.0, 0.0
