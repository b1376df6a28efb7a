"""The work of a run: living blocks of seeds of the arms of a study, and storing each as soon as it is lived."""

import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
import xarray as xr

from lifelong.errors import BadInput
from lifelong.life import Moment

from ._clock import clocked
from ._store import Store, code_fingerprint, missing_seeds
from ._study import Arm, Grid, Settings, Study

News = Callable[[str, str, Moment | None], None]
"""Called with an arm, what it is doing ('tuning', 'living', 'done', 'stored'), and how far it has come."""

WORKERS = 2
"""Arms that are compiled and lived side by side."""


def untold(arm: str, doing: str, moment: Moment | None) -> None:
    """Take the news of a run, and tell nobody."""


def blocks(seeds: Sequence[int], size: int | None) -> list[tuple[int, ...]]:
    """Return seeds in blocks of a size, the last one perhaps smaller; all in one unless a size is stated."""
    if size is not None and size < 1:
        raise BadInput(f"a block holds at least one seed, not {size}")
    step = size or max(len(seeds), 1)
    return [tuple(seeds[i : i + step]) for i in range(0, len(seeds), step)]


class Interrupted(KeyboardInterrupt):
    """A run that was stopped; finished arms and checkpoints of the others are stored."""


@dataclass
class Job:
    """Lives arms of a study under one configuration, `block` seeds at a time."""

    study: Study
    settings: Settings
    store: Store
    news: News = untold
    block: int | None = None

    def __post_init__(self):
        self.stop = threading.Event()

    def live_all(self, names: Sequence[str]) -> dict[str, xr.Dataset]:
        """Live groups of arms side by side; arms that share a program one after the other."""
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(self.study.arms[name].like or name, []).append(name)
        with ThreadPoolExecutor(WORKERS) as pool:
            futures = [pool.submit(self._live_group, group) for group in groups.values()]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException as fault:
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                if isinstance(fault, KeyboardInterrupt):
                    raise Interrupted from None
                raise
        return {name: life for future in futures for name, life in future.result().items()}

    def _live_group(self, names: Sequence[str]) -> dict[str, xr.Dataset]:
        return {name: self._live_arm(name) for name in names}

    def _live_arm(self, name: str) -> xr.Dataset:
        seeds = range(self.settings.seeds)
        missing = missing_seeds(self.store.load(name), seeds)
        for some in blocks(missing, self.block):
            self.store.add(name, self._live(name, some))
        known = self.store.gather(name)
        self.news(name, "done" if missing else "stored", None)
        assert known is not None
        return known.sel(seed=list(seeds))

    def live_block(self, name: str, seeds: Sequence[int]) -> None:
        """Live what is missing of a block of seeds; store it apart, so that several processes may do so at once."""
        missing = missing_seeds(self.store.load(name), seeds)
        if missing:
            self.store.add_part(name, self._live(name, missing))

    def tune(self, name: str) -> None:
        """Choose an arm's hyperparameter, if there is a choice, and note it for those who live the arm."""
        self._tuned(name, self.study.arms[name])

    def _live(self, name: str, seeds: Sequence[int]) -> xr.Dataset:
        arm = self.study.arms[name]
        with clocked(self.store.seconds(name, seeds)) as clock:
            chosen = self._tuned(name, arm)
            sweep = {arm.tune.path: [chosen]} if arm.tune else {}
            life = self._call(name, arm, seeds, sweep, "living")
        if arm.tune:
            life = life.isel({arm.tune.path: 0}, drop=True)
        return life.assign_attrs(self._provenance(clock.compiling, clock.total, chosen))

    def _tuned(self, name: str, arm: Arm) -> float:
        """Return the hyperparameter that was chosen, or is now."""
        if arm.tune is None:
            return float("nan")
        if len(arm.tune.values) == 1:
            return arm.tune.values[0]
        if (known := self.store.chosen(name)) is None:
            known = self.store.choose(name, self._best(name, arm, arm.tune))
        return known

    def _best(self, name: str, arm: Arm, grid: Grid) -> float:
        """Return the value of a grid that does best on the tuning seeds; one that makes a seed diverge is worst."""
        life = self._call(name, arm, self.study.tuning_seeds, {grid.path: grid.values}, "tuning")
        on, claim = self.study.tuned_by, self.study.claim
        scores = self.study.measure(on, life).mean("seed", skipna=False)
        scores = -scores if on == claim.on and not claim.higher_is_better else scores
        return float(scores[grid.path].values[scores.fillna(-np.inf).values.argmax()])

    def _call(self, name: str, arm: Arm, seeds: Sequence[int], sweep: Mapping, doing: str) -> xr.Dataset:
        def progress(moment: Moment) -> None:
            if self.stop.is_set():
                raise KeyboardInterrupt
            self.news(name, doing, moment)

        if self.stop.is_set():
            raise Interrupted
        checkpoint = self.store.checkpoint(name, doing, seeds)
        life = self.study.lifetime(
            arm, self.settings, seeds=seeds, sweep=sweep, progress=progress, checkpoint=checkpoint
        )
        if not life.attrs.get("finished", True):
            raise Interrupted
        checkpoint.unlink(missing_ok=True)
        return life

    def _provenance(self, compiling: float, total: float, chosen: float) -> dict[str, Any]:
        about = {
            "code": code_fingerprint(),
            "lifelong": version("lifelong"),
            "jax": jax.__version__,
            "device": jax.devices()[0].device_kind,
            "machine": platform.machine(),
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "compile_seconds": round(compiling, 3),
            "run_seconds": round(total - compiling, 3),
            "settings": str(dict(self.settings)),
        }
        return about if np.isnan(chosen) else about | {"chosen": chosen}
