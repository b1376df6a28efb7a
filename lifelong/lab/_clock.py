"""How long compiling and running take, thread by thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import jax.monitoring

_local = threading.local()
_EVENTS = ("/jax/core/compile/", "/jax/compilation_cache/cache_retrieval_time_sec")


def _listen(event: str, duration_secs: float, **_: str | int) -> None:
    clock = getattr(_local, "clock", None)
    if clock is not None and event.startswith(_EVENTS):
        clock.compiling += duration_secs


jax.monitoring.register_event_duration_secs_listener(_listen)


@dataclass
class Clock:
    """Seconds spent tracing and compiling, and in all."""

    compiling: float = 0.0
    total: float = 0.0


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
