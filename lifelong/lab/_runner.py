"""The runner: lives every arm of a study that was not lived yet, and weighs its claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lifelong.errors import BadInput, UnknownName

from ._job import Interrupted as Interrupted
from ._job import Job, News, untold
from ._store import Store, code_fingerprint, missing_seeds
from ._study import Settings, Study
from ._verdict import Verdict, judge


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


def run(
    study: Study,
    budget: str = "full",
    *,
    changes: Mapping[str, Any] | None = None,
    arms: Sequence[str] | None = None,
    out: str | Path | None = None,
    force: bool = False,
    block: int | None = None,
    news: News = untold,
) -> Run:
    """Live what is missing of a study under a budget, and return it with its verdict.

    What was lived under the same configuration is not lived again (unless `force`); more seeds extend it. Ctrl-C saves
    unfinished lives and raises `Interrupted`; the same call goes on from there. A verdict on some `arms` only is
    returned, but not stored. `block` seeds at a time are lived and stored; all at once unless stated.

    Raises `UnknownName` and `BadInput` for unknown arms, budgets or settings, `BadFile` where results cannot be written
    or read.
    """
    settings = study.configured(budget, changes)
    chosen = _chosen(study, arms)
    store = Store.of(study, settings, out)
    store.prepare()
    store.write_json("manifest.json", {"study": study.slug, "budget": budget, "settings": dict(settings)})
    for name in chosen if force else ():
        store.forget(name)
    lives = Job(study, settings, store, news, block).live_all(chosen)
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
