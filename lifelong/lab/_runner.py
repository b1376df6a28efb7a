"""The runner: lives every arm of a study that was not lived yet, and weighs its claim."""

import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from lifelong.errors import BadInput, UnknownName
from lifelong.life import Moment

from ._clock import clocked
from ._store import Store, code_fingerprint, missing_seeds
from ._study import Arm, Settings, Study
from ._verdict import Verdict, judge

News = Callable[[str, str, Moment | None], None]
"""Called with an arm, what it is doing ('tuning', 'living', 'done', 'stored'), and how far it has come."""

WORKERS = 2
"""Arms that are compiled and lived side by side."""


@dataclass(frozen=True)
class Run:
    """A study that was run: its raw lives, measures and verdict."""

    study: Study
    budget: str
    settings: Settings
    store: Store
    lives: Mapping[str, xr.Dataset]
    measures: Mapping[str, Mapping[str, np.ndarray]]
    verdict: Verdict
    secondary: tuple[Verdict, ...]

    @property
    def stale(self) -> list[str]:
        """The arms whose stored lives were lived by other code than this."""
        return [arm for arm, life in self.lives.items() if life.attrs.get("code") != code_fingerprint()]

    @property
    def standing(self) -> str:
        """Say whether the code that lived it is the code that is here."""
        if not self.stale:
            return "All arms were lived by the code that wrote this page."
        named = ", ".join(self.stale)
        return f"Some arms were lived by other code than the one that wrote this page: {named}. Live them again to be sure."

    def findings(self) -> dict[str, Any]:
        """Return verdicts and measures as plain values, as they are stored in `verdict.json`."""
        return {
            "verdict": self.verdict.to_dict(),
            "secondary": [one.to_dict() for one in self.secondary],
            "measures": {arm: {name: v.tolist() for name, v in own.items()} for arm, own in self.measures.items()},
        }

    def to_xarray(self) -> xr.Dataset:
        """Return the raw lives of all arms as one data set with an `arm` dimension; what an arm lacks is NaN."""
        arms = xr.IndexVariable("arm", list(self.lives))
        return xr.concat(list(self.lives.values()), arms, join="outer", combine_attrs="drop_conflicts")


class Interrupted(KeyboardInterrupt):
    """A run that was stopped; finished arms and checkpoints of the others are stored."""


def run(
    study: Study,
    budget: str = "full",
    *,
    changes: Mapping[str, Any] | None = None,
    arms: Sequence[str] | None = None,
    out: str | Path | None = None,
    force: bool = False,
    news: News = lambda arm, doing, moment: None,
) -> Run:
    """Live what is missing of a study under a budget, and return it with its verdict.

    What was lived under the same configuration is not lived again (unless `force`); more seeds extend it. Ctrl-C saves
    unfinished lives and raises `Interrupted`; the same call goes on from there. A verdict on some `arms` only is
    returned, but not stored.

    Raises `UnknownName` and `BadInput` for unknown arms, budgets or settings, `BadFile` where results cannot be written
    or read.
    """
    settings = study.configured(budget, changes)
    chosen = _chosen(study, arms)
    store = Store.of(study, settings, out)
    store.prepare()
    seeds = tuple(range(settings.seeds))
    store.write_json("manifest.json", {"study": study.slug, "budget": budget, "settings": dict(settings)})
    for name in chosen if force else ():
        store.forget(name)
    job = _Job(study, settings, store, seeds, news)
    lives = job.live_all(chosen)
    conclude = assess if len(chosen) == len(study.arms) else weigh
    return conclude(study, budget, settings, store, {name: lives[name] for name in chosen})


def assess(study: Study, budget: str, settings: Settings, store: Store, lives: Mapping[str, xr.Dataset]) -> Run:
    """Measure raw lives and judge the claims on them; store the verdict."""
    weighed = weigh(study, budget, settings, store, lives)
    store.write_json("verdict.json", weighed.findings())
    return weighed


def weigh(study: Study, budget: str, settings: Settings, store: Store, lives: Mapping[str, xr.Dataset]) -> Run:
    """Measure raw lives and judge the claims on them; store nothing."""
    measures = study.measured(lives)
    verdict = judge(study.claim, study.controls, measures)
    secondary = tuple(judge(claim, (), measures) for claim in study.secondary)
    return Run(study, budget, settings, store, lives, measures, verdict, secondary)


def stored(
    study: Study, budget: str = "full", *, changes: Mapping[str, Any] | None = None, out: str | Path | None = None
) -> Run:
    """Return a run from stored lives alone, and change nothing; raise `BadInput` where some are missing."""
    settings = study.configured(budget, changes)
    store = Store.of(study, settings, out)
    lives = {name: store.load(name) for name in study.arms}
    seeds = list(range(settings.seeds))
    missing = [name for name, life in lives.items() if missing_seeds(life, seeds)]
    if missing:
        raise BadInput(
            f"the arm '{missing[0]}' of '{study.slug}' has not been lived under the budget '{budget}'; "
            f"run it with: {study.command(budget, settings)}"
        )
    return weigh(
        study, budget, settings, store, {n: life.sel(seed=seeds) for n, life in lives.items() if life is not None}
    )


def _chosen(study: Study, arms: Sequence[str] | None) -> list[str]:
    for name in arms or ():
        if name not in study.arms:
            raise UnknownName("arm", name, study.arms)
    return [name for name in study.arms if arms is None or name in arms]


@dataclass
class _Job:
    """The work of one run."""

    study: Study
    settings: Settings
    store: Store
    seeds: tuple[int, ...]
    news: News

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
        arm, known = self.study.arms[name], self.store.load(name)
        missing = missing_seeds(known, self.seeds)
        if missing:
            known = self.store.add(name, self._live(name, arm, missing, known))
        self.news(name, "done" if missing else "stored", None)
        assert known is not None
        return known.sel(seed=list(self.seeds))

    def _live(self, name: str, arm: Arm, seeds: Sequence[int], known: xr.Dataset | None) -> xr.Dataset:
        with clocked() as clock:
            chosen = self._tuned(name, arm, known)
            sweep = {arm.tune.path: [chosen]} if arm.tune else {}
            life = self._call(name, arm, seeds, sweep, "living")
        if arm.tune:
            life = life.isel({arm.tune.path: 0}, drop=True)
        return life.assign_attrs(self._provenance(clock.compiling, clock.total, chosen))

    def _tuned(self, name: str, arm: Arm, known: xr.Dataset | None) -> float:
        """Return the hyperparameter that does best on the tuning seeds; one that makes a seed diverge is worst."""
        if arm.tune is None:
            return float("nan")
        if known is not None and "chosen" in known.attrs:
            return float(known.attrs["chosen"])
        if len(arm.tune.values) == 1:
            return arm.tune.values[0]
        life = self._call(name, arm, self.study.tuning_seeds, {arm.tune.path: arm.tune.values}, "tuning")
        on, claim = self.study.tuned_by, self.study.claim
        scores = self.study.measure(on, life).mean("seed", skipna=False)
        scores = -scores if on == claim.on and not claim.higher_is_better else scores
        return float(scores[arm.tune.path].values[scores.fillna(-np.inf).values.argmax()])

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
