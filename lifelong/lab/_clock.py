"""How long compiling and running take, thread by thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import jax.monitoring

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
def clocked() -> Iterator[Clock]:
    """Measure the time that JAX spends compiling in this thread, and the whole."""
    clock, began = Clock(), time.perf_counter()
    _local.clock = clock
    try:
        yield clock
    finally:
        clock.total = time.perf_counter() - began
        _local.clock = None
