"""A guard against a hang of JAX's CPU runtime, set before the runtime starts.

With its concurrency-optimised scheduler, the CPU runtime of jax 0.10 can deadlock in vmapped, scanned recurrent programs on machines
of few cores: compiled, started, and all threads idle for ever. Turning that scheduler off costs nothing measurable. The flag
is read once, when the CPU backend starts; giving it to a single compilation does not help. This module imports no JAX.
"""

import os
import sys
import warnings

FLAG = "xla_cpu_enable_concurrency_optimized_scheduler"


def guard() -> str:
    """Turn the scheduler off unless the user has decided, and return what was done, in words.

    Warns where JAX's backend was already running, so that the flag comes too late.
    """
    chosen = _chosen()
    if chosen is not None:
        return f"left as you set it ({FLAG}={chosen})"
    if _backend_is_running():
        warnings.warn(
            f"JAX was already running when lifelong was imported, so a known hang of its CPU runtime is not guarded against; "
            f"import lifelong first, or set XLA_FLAGS=--{FLAG}=false",
            RuntimeWarning,
            stacklevel=3,
        )
        return "too late: JAX was already running"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --{FLAG}=false".strip()
    return "set by lifelong"


def guard_state() -> str:
    """Return what the guard did when lifelong was imported."""
    return _state


def _chosen() -> str | None:
    """Return the value that the user gave the flag, if any; the last one counts, as it does for XLA."""
    chosen = None
    for word in os.environ.get("XLA_FLAGS", "").split():
        name, _, value = word.lstrip("-").partition("=")
        if name == FLAG:
            chosen = value or "true"
    return chosen


def _backend_is_running() -> bool:
    """Say whether JAX has started a backend, without importing it; JAX has no public way to ask."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    running = getattr(bridge, "backends_are_initialized", None)
    return bool(running and running())


_state = guard()
