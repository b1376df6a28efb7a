"""What JAX's CPU runtime is told before it starts: a guard against a hang, and a device for every core.

With its concurrency-optimised scheduler, the CPU runtime of jax 0.10 can deadlock in vmapped, scanned recurrent programs
on machines of few cores: compiled, started, and all threads idle for ever. Turning that scheduler off costs nothing
measurable. The flag is read once, when the CPU backend starts; giving it to a single compilation does not help.

What waits there are batches of decompositions, such as those of orthogonal initial weights: the flag keeps most of them
apart, and `_decompositions` cures it for what is compiled after `lifelong.life` is imported.

A device of that runtime shares out each product of a program among threads, which gains little where products are small, as
those of a few lanes are. So every core is a device, and `live` deals lanes to them: sixteen small agents train twice as
fast on two devices as on one (docs/decisions/0002). What is not dealt stays on the first.

This module imports no JAX.
"""

import os
import sys
import warnings
from importlib.util import find_spec

FLAG = "xla_cpu_enable_concurrency_optimized_scheduler"
DEVICES = "xla_force_host_platform_device_count"
COUNT = "JAX_NUM_CPU_DEVICES"
"""JAX's own setting of the number of devices, which goes before the flag."""

FAULTY = "0.10."
"""The jaxlib whose fault and flag are known. XLA ends the process at a flag it does not know, so no other is given it."""


def guard() -> str:
    """Turn the scheduler off unless the user has decided, and return what was done, in words.

    Warns where that cannot be done: JAX's backend was already running, or XLA_FLAGS names a file of flags.
    """
    given = os.environ.get("XLA_FLAGS", "").strip()
    chosen = _chosen(given, FLAG)
    if chosen is not None:
        return f"left as you set it ({FLAG}={chosen})"
    if not (installed := _jaxlib()).startswith(FAULTY):
        return f"not set: the hang is known of jaxlib {FAULTY}*, and {installed} is installed"
    if _backend_is_running():
        _warn(
            "JAX was already running when lifelong was imported",
            f"import lifelong first, or set XLA_FLAGS=--{FLAG}=false",
        )
        return "too late: JAX was already running"
    if _names_a_file(given):
        _warn(f"XLA_FLAGS names the file '{given}'", f"put --{FLAG}=false into it")
        return f"not set: XLA_FLAGS names the file '{given}'"
    os.environ["XLA_FLAGS"] = f"{given} --{FLAG}=false".strip()
    return "set by lifelong"


def spread() -> str:
    """Make every core a device unless the user has decided or JAX is running, and return what was done, in words."""
    given = os.environ.get("XLA_FLAGS", "").strip()
    chosen = os.environ.get(COUNT) or _chosen(given, DEVICES)
    if chosen is not None:
        return f"left as you set it ({chosen})"
    if _backend_is_running() or _names_a_file(given):
        return "not set: JAX was already running, or XLA_FLAGS names a file"
    os.environ["XLA_FLAGS"] = f"{given} --{DEVICES}={cores()}".strip()
    return "set by lifelong"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _warn(why: str, remedy: str) -> None:
    warnings.warn(
        f"{why}, so a known hang of its CPU runtime is not guarded against; {remedy}", RuntimeWarning, stacklevel=5
    )


def guard_state() -> str:
    """Return what the guard did when lifelong was imported."""
    return _state


def devices_state() -> str:
    """Return whether every core was made a device when lifelong was imported."""
    return _spread


def _names_a_file(given: str) -> bool:
    """Say whether XLA takes this for the name of a file of flags, not for flags."""
    return bool(given) and not given.startswith("--")


def _chosen(given: str, flag: str) -> str | None:
    """Return the value that the user gave a flag, if any; the last one counts, as it does for XLA."""
    if _names_a_file(given):
        if not os.path.isfile(given):
            return None
        with open(given) as file:
            given = file.read()
    chosen = None
    for word in given.split():
        name, _, value = word.removeprefix("--").partition("=")
        if name == flag:
            chosen = value or "true"
    return chosen


def _jaxlib() -> str:
    """Return the installed version, read from a folder's name: `importlib.metadata` would take longer than all else."""
    spec = find_spec("jaxlib")
    if spec is None or spec.origin is None:
        return "none"
    beside = os.listdir(os.path.dirname(os.path.dirname(spec.origin)))
    names = [name for name in beside if name.startswith("jaxlib-") and name.endswith(".dist-info")]
    return names[0].split("-")[1].removesuffix(".dist") if names else "an unknown version"


def _backend_is_running() -> bool:
    """Say whether JAX has started a backend, without importing it; JAX has no public way to ask."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    running = getattr(bridge, "backends_are_initialized", None)
    return bool(running and running())


_state = guard()
_spread = spread()
