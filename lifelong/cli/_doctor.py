"""What a report of trouble should contain: `doctor`."""

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong._runtime import devices_state, guard_state
from lifelong.lab._folders import default_folder

from ._cache import compile_cache, keep_compiled
from ._options import Command, Out
from ._output import facts, show, show_json

PACKAGES = ("lifelong", "jax", "jaxlib", "equinox", "optax", "numpy", "scipy", "xarray", "scikit-learn")
SIDE = 1024
"""Rows and columns of the matrices of the benchmark."""

SECONDS = 1.0
"""How long the benchmark takes, at least."""


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Diagnose the installation: versions, devices, the guard against hangs, caches, data, speed."""

    out: Out = None

    def __call__(self) -> int:
        """Print everything; takes some seconds, one of them for a benchmark."""
        keep_compiled()
        content = {
            "python": f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores",
            "packages": {name: _version(name) for name in PACKAGES},
            "devices": _devices(),
            "device_for_every_core": devices_state(),
            "hang_guard": guard_state(),
            "compile_cache": _cache_facts(compile_cache()),
            "data": _data(),
            "runs": _runs_facts(self.out or default_folder()),
            "matrix_products": {"side": SIDE, "type": "float32", "GFLOP/s": round(_gigaflops(), 1)},
        }
        if self.json:
            show_json(content)
        else:
            show(facts({name.replace("_", " "): _line(value) for name, value in content.items()}))
        return 0


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> list[str]:
    import jax

    return [f"{device.device_kind} ({device.platform})" for device in jax.devices()]


def _cache_facts(folder: Path) -> dict[str, Any]:
    sizes = [path.stat().st_size for path in folder.glob("*") if path.is_file()]
    return {"folder": folder, "programs": len(sizes), "megabytes": round(sum(sizes) / 1e6, 1)}


def _data() -> dict[str, str]:
    from lifelong.worlds._registry import status

    return {one.name: one.state for one in status()}


def _runs_facts(folder: Path) -> dict[str, Any]:
    """Return the run folder, and whether it, or the first of its parents that exists, can be written to."""
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    return {"folder": folder, "writable": existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)}


def _gigaflops() -> float:
    """Return how many 10⁹ floating-point operations a second a product of two matrices reaches."""
    import jax
    import jax.numpy as jnp

    product = jax.jit(jnp.matmul)
    a = jnp.ones((SIDE, SIDE), jnp.float32)
    product(a, a).block_until_ready()
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < SECONDS:
        product(a, a).block_until_ready()
        count += 1
    return 2 * SIDE**3 * count / passed / 1e9


def _line(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
