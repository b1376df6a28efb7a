"""Where compiled programs are kept between commands."""

import os
import sys
from pathlib import Path


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


BLOCKS = 16
"""Blocks that are lived before their programs are dropped, or their process: after 70 one held 5 GB, and another crashed."""


def drop_compiled() -> None:
    """Drop what this process has compiled: some thousands of programs use up its memory maps, and XLA crashes."""
    import jax

    jax.clear_caches()
