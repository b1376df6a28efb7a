"""Living blocks of seeds on a Ray cluster: `lifelong run --on ray`.

Every process stores what it has lived in the folder of the run, which all of them must see. So nothing is lost with a
process, and what is missing afterwards is lived by whoever gives the same command again.
"""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from lifelong.errors import LifelongError, MissingExtra

from ._cache import BLOCKS, keep_compiled
from ._output import say
from ._plan import Block

RETRIES = 8
"""How often a block whose process died is started anew; it goes on from its checkpoint."""

SAVING = 60.0
"""Seconds that processes have to save what they live when a run is interrupted."""


def live_on_ray(blocks: Sequence[Block]) -> dict[str, str]:
    """Live blocks on the cluster that RAY_ADDRESS names, or on one started here; return what went wrong, by study.

    Raises `MissingExtra` without Ray.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtra("--on ray", "ray", "ray") from None
    if not blocks:
        return {}
    with warnings.catch_warnings():
        # Ray starts its servers as programs of their own: what JAX warns of, threads that a fork leaves behind, ends there.
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, runtime_env=_as_here())
    try:
        with redirect_stdout(sys.stderr):  # where results go, Ray would tell of processes that died
            return _gathered(ray, _started(ray, blocks))
    finally:
        ray.shutdown()


def _as_here() -> dict[str, Any]:
    """Return the environment of processes in which NumPy rounds as here: Ray gives it one thread unless told."""
    return {"env_vars": {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count() or 1))}}


def _started(ray: Any, blocks: Sequence[Block]) -> dict[Any, Block]:
    """Start every block once its arm is tuned, in their order; return what is on its way."""
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    start = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES, max_calls=BLOCKS)(_live).remote
    on_its_way, tuned = {}, {}
    for block in blocks:
        arm = (block.slug, block.arm)
        if not block.tuned and arm not in tuned:
            tuned[arm] = start(block.tuning())
        on_its_way[start(block, tuned.get(arm))] = block
    return on_its_way


def _live(block: Block, tuned: None = None) -> None:
    """Live a block in a process of its own, after its arm was tuned."""
    keep_compiled()
    block.live()


def _gathered(ray: Any, on_its_way: dict[Any, Block]) -> dict[str, str]:
    """Wait for all blocks; return what went wrong, by study."""
    faults, count = {}, len(on_its_way)
    try:
        while on_its_way:
            (one,), _ = ray.wait(list(on_its_way), num_returns=1)
            block = on_its_way.pop(one)
            try:
                ray.get(one)
                say(f"{block} is done ({count - len(on_its_way)} of {count})")
            except (LifelongError, ray.exceptions.RayError) as error:
                faults[block.slug] = _sentence(error)
    except KeyboardInterrupt:
        for one in on_its_way:
            ray.cancel(one)
        ray.wait(list(on_its_way), num_returns=len(on_its_way), timeout=SAVING)
        raise
    return faults


def _sentence(error: Exception) -> str:
    """Return what went wrong in a process, without its traceback."""
    cause = getattr(error, "cause", None) or error
    return str(cause) if isinstance(cause, LifelongError) else f"a process failed: {cause}"
