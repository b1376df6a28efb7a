"""Making a run small enough to come with the library, and reading it back as a run that can be judged and reported."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lifelong.errors import Mismatch
from lifelong.life import write_atomically

from ._runner import Run
from ._shipped import FORMAT, Shipped
from ._sources import HERE, changed_sources, sources_of
from ._store import Store, code_fingerprint
from ._study import Settings, Study
from ._verdict import judge

ABOUT = ("code", "lifelong", "jax", "device", "machine", "when", "compile_seconds", "run_seconds", "chosen")
"""What is kept of an arm's provenance."""

DIGITS = 4
"""Significant digits of measures that are only tabled; what a verdict rests on is kept in full."""

DRAWN_DIGITS = 3
"""Significant digits of exams, which are only drawn."""

MANY_EXAMS = 16
"""Of more exams than this only those at ends of tasks are kept or, where there are none, about so many."""


@dataclass(frozen=True)
class ShippedRun(Run):
    """A run as it was shipped: measures are those of its seeds, its lives hold what a report draws of them."""

    sources: Mapping[str, str]

    @property
    def stale(self) -> list[str]:
        """All arms, if a module they depend on has changed since they were lived."""
        return list(self.lives) if self.changed else []

    @property
    def standing(self) -> str:
        """Say whether what the lives depended on has changed since."""
        if not self.changed:
            return "Nothing that these lives depended on in the library has changed since they were lived."
        named = ", ".join(self.changed)
        return f"Since these lives were lived the library has changed in what they depended on: {named}."

    @property
    def changed(self) -> list[str]:
        """The modules that have changed since the lives were lived."""
        return changed_sources(self.study.paper, dict(self.sources))


def shipped_from(run: Run, source: Path = HERE) -> Shipped:
    """Return a run as it is shipped; `source` is the library that lived it.

    Raises `Mismatch` where other code lived it, so that nobody could say later whether it is stale.
    """
    here = code_fingerprint(source)
    if others := sorted({str(life.attrs.get("code")) for life in run.lives.values()} - {here}):
        raise Mismatch(
            f"the lives of '{run.study.slug}' were lived by the code {', '.join(others)}, and '{source}' is {here}; "
            "name the library that lived them with --source, or live them again"
        )
    return Shipped(
        study=run.study.slug,
        budget=run.budget,
        run=run.store.folder.name,
        settings=dict(run.settings),
        findings=_findings(run),
        lives={arm: _life(life, run.study.curve) for arm, life in run.lives.items()},
        sources=sources_of(run.study.paper, source),
    )


def write_shipped(one: Shipped, folder: Path) -> Path:
    """Write a result as a file of a few lines, one a part, and return where it is; raise `BadFile` if it cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"format": FORMAT, **vars(one)}
    lines = [f"{json.dumps(name)}: {json.dumps(part, separators=(',', ':'))}" for name, part in parts.items()]
    path = folder / f"{one.study}.json"
    write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    return path


def revived(one: Shipped, study: Study) -> ShippedRun:
    """Return a shipped result as a run, its claims judged again; raise `Mismatch` where the study has other settings now."""
    if set(one.settings) != set(study.settings):
        differ = ", ".join(sorted(set(one.settings) ^ set(study.settings)))
        raise Mismatch(f"the shipped result of '{one.study}' and its study differ in settings ({differ}): ship it anew")
    measures = {
        arm: {name: np.asarray(values, np.float64) for name, values in own.items()}
        for arm, own in one.findings["measures"].items()
    }
    return ShippedRun(
        study,
        one.budget,
        Settings(one.settings),
        Store(Path(one.run)),
        {arm: _revived_life(life, study.curve, one.settings["seeds"]) for arm, life in one.lives.items()},
        measures,
        judge(study.claim, study.controls, measures),
        tuple(judge(claim, (), measures) for claim in study.secondary),
        one.sources,
    )


def _findings(run: Run) -> dict[str, Any]:
    """Return verdicts and measures; measures that no claim or control names are rounded."""
    needed = {part.on for part in (run.study.claim, *run.study.controls, *run.study.secondary)}
    measures = {
        arm: {name: values.tolist() if name in needed else _rounded(values, DIGITS) for name, values in own.items()}
        for arm, own in run.measures.items()
    }
    return run.findings() | {"measures": measures}


def _life(life: xr.Dataset, curve: str) -> dict[str, Any]:
    """Return an arm's provenance, its diverged seeds, and its exams on every task, averaged over what else there is."""
    kept: dict[str, Any] = {"about": {name: _plain(life.attrs[name]) for name in ABOUT if name in life.attrs}}
    if "ends" in life.attrs:
        kept["ends"] = np.atleast_1d(life.attrs["ends"]).tolist()
    if "diverged_at" in life:
        others = [dim for dim in life.diverged_at.dims if dim != "seed"]
        kept["diverged"] = life.seed.values[(life.diverged_at >= 0).any(others).values].tolist()
    if curve in life and {"seed", "exam"} <= set(life[curve].dims):
        result = life[curve].isel(exam=_kept_exams(life))
        result = result.mean([dim for dim in result.dims if dim not in ("seed", "exam", "task")], skipna=False)
        dims = [dim for dim in ("seed", "exam", "task") if dim in result.dims]
        kept["curve"] = {
            "exam": result.exam.values.tolist(),
            "values": _rounded(result.transpose(*dims).values, DRAWN_DIGITS),
        }
    return kept


def _kept_exams(life: xr.Dataset) -> np.ndarray:
    """Return the places of the exams that are kept, without the one before the first step."""
    places = np.flatnonzero(life.exam.values > 0)
    if len(places) <= MANY_EXAMS:
        return places
    at_ends = places[np.isin(life.exam.values[places], life.attrs.get("ends", ()))]
    return at_ends if len(at_ends) else places[:: -(-len(places) // MANY_EXAMS)]


def _revived_life(kept: Mapping[str, Any], curve: str, seeds: int) -> xr.Dataset:
    """Return what was kept of an arm as a record."""
    lived = {"seed": np.arange(seeds), "diverged_at": ("seed", np.full(seeds, -1))}
    life = xr.Dataset(lived, attrs=dict(kept["about"])).set_coords("seed")
    life.diverged_at[{"seed": kept.get("diverged", [])}] = 0
    if "ends" in kept:
        life.attrs["ends"] = np.asarray(kept["ends"], int)
    if "curve" in kept:
        values = np.asarray(kept["curve"]["values"], np.float64)
        life = life.assign_coords(exam=kept["curve"]["exam"])
        life[curve] = (("seed", "exam", "task")[: values.ndim], values)
    return life


def _rounded(values: np.ndarray, digits: int) -> Any:
    """Return an array as nested lists of numbers with few digits."""
    return [_rounded(one, digits) for one in values] if np.ndim(values) else float(f"{float(values):.{digits}g}")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
