"""Where compiled programs are kept between commands."""

import os
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from ._output import say

UNREADABLE = "Error reading persistent compilation cache entry"
"""How JAX begins its warning of a compiled program that is damaged, or that another process is writing."""


def compile_cache() -> Path:
    """Return the folder of compiled programs: $JAX_COMPILATION_CACHE_DIR, or one where the platform keeps caches."""
    if own := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(own)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "lifelong" / "xla"


def keep_compiled() -> None:
    """Let JAX, which must not be loaded yet, keep what it compiles, unless the user has decided otherwise."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(compile_cache()))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    _explain_unreadable()


@cache
def _explain_unreadable() -> None:
    """Let one sentence stand for JAX's warnings of compiled programs that it cannot read, which would come with every run."""
    show = warnings.showwarning

    def explained(message: Warning | str, *where: Any, **more: Any) -> None:
        if str(message).startswith(UNREADABLE):
            _say_unreadable()
        else:
            show(message, *where, **more)

    warnings.showwarning = explained


@cache
def _say_unreadable() -> None:
    say(
        f"some compiled programs in {compile_cache()} cannot be read, and are compiled again: a process may have been "
        "stopped while it wrote them, or is writing them; if this comes again, delete the folder, which loses nothing else"
    )


BLOCKS = 16
"""Blocks that are lived before their programs are dropped, or their process: after 70 one held 5 GB, and another crashed."""


def drop_compiled() -> None:
    """Drop what this process has compiled: some thousands of programs use up its memory maps, and XLA crashes."""
    import jax

    jax.clear_caches()
