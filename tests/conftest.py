"""Small data and a compile cache, shared by all tests."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "lifelong-test-cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("MPLBACKEND", "agg")
# compiles faster, and has two devices on any machine
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0 --xla_force_host_platform_device_count=2"
)

import numpy as np
import pytest

import lifelong  # noqa: F401  (sets the runtime guard before JAX starts)

# isort: split
import jax
import jaxtyping

from lifelong.worlds import Dataset

MAPS = Path("/proc/self/maps")
MANY_MAPS = 30_000
"""Linux gives a process 65,530 memory maps, every compiled program takes some, and XLA crashes when none is left."""


@pytest.fixture
def unchecked():
    """Let arguments of a wrong type through to our own errors, as outside of tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module", autouse=True)
def few_memory_maps():
    """Forget the programs that finished files compiled before they are too many."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()


def gaussians(classes: int = 6, features: int = 8, rows: int = 60, questions: int = 20, seed: int = 0) -> Dataset:
    """Return well-separated Gaussian classes: easy to learn, so that what is forgotten was learned before."""
    random = np.random.default_rng(seed)
    centres = 3 * random.standard_normal((classes, features))

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.repeat(np.arange(classes), n).astype(np.int32)
        x = (centres[y] + random.standard_normal((len(y), features))).astype(np.float32)
        order = random.permutation(len(y))
        return x[order], y[order]

    return Dataset(*draw(rows), *draw(questions), tuple(str(c) for c in range(classes)), "gaussians")


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    return gaussians()
