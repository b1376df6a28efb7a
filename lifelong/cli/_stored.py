"""Reading again what was stored: `verify`, `compare`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isclose, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lifelong.errors import BadFile, BadInput, LifelongError, Mismatch
from lifelong.lab._catalogue import catalogue, entry
from lifelong.lab._folders import Recorded, default_folder, recorded, runs_of
from lifelong.lab._shipped import has_shipped, shipped

from ._cache import keep_compiled
from ._options import Command, Out, option
from ._output import facts, show, show_json, table

if TYPE_CHECKING:
    import numpy as np

    import lifelong.lab as lab

WORDS = ("reason", "sentence", "because")
"""Fields of a verdict that are prose, and may be reworded without changing it."""

EXIT_CODES = {"as recorded": 0, "changed": 1, "stale": 1, "unfinished": 2, "unreadable": 2}


@dataclass(frozen=True, kw_only=True)
class Verify(Command):
    """Verify stored findings: measure raw lives and judge claims again, and compare with what was recorded.

    Results that come with the library hold the measures of every seed instead of lives; they are judged again. A result is
    'stale' where the code that lived it has changed. Nothing is lived again and nothing is changed.
    """

    slugs: Annotated[list[str], option("the studies to verify", nargs="*", metavar="STUDY")]
    all: Annotated[bool, option("verify every run there is")] = False
    out: Out = None

    def __call__(self) -> int:
        """Print one row a run; the exit code is that of the worst."""
        slugs = self._slugs()
        keep_compiled()
        rows = [_verified_shipped(slug) for slug in slugs if has_shipped(entry(slug))]
        rows += [_verified(folder) for slug in slugs for folder in runs_of(slug, self.out)]
        if self.json:
            show_json({"runs": rows})
        else:
            columns = ("study", "run", "budget", "state", "verdict", "what_differs")
            header = [column.replace("_", " ") for column in columns]
            show(table(header, [[row.get(column) for column in columns] for row in rows]))
        return max(EXIT_CODES[row["state"]] for row in rows)

    def _slugs(self) -> list[str]:
        """Return the studies that there is something to verify of."""
        if self.all == bool(self.slugs):
            raise BadInput("name the studies to verify, or give --all, and not both")
        named = [paper.slug for paper in catalogue()] if self.all else [entry(slug).slug for slug in self.slugs]
        there = [slug for slug in named if runs_of(slug, self.out) or has_shipped(entry(slug))]
        where = self.out or default_folder()
        if not there:
            raise BadInput(f"there is nothing to verify in '{where}'; run a study first, or name its folder with --out")
        if not self.all and (empty := [slug for slug in named if slug not in there]):
            raise BadInput(f"there are no runs of '{empty[0]}' in '{where}'; run it with: lifelong run {empty[0]}")
        return there


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Compare two runs of a study: every measure of every arm that both have, over the seeds that both have.

    Give two folders of runs, or a study and the names of two of its runs as `lifelong show` lists them. Effects are
    those of the second run over the first.
    """

    runs: Annotated[list[str], option("two folders of runs, or a study and two of its runs", nargs="+", metavar="RUN")]
    out: Out = None

    def __call__(self) -> int:
        """Print one row a measure."""
        keep_compiled()
        a, b = (recorded(folder) for folder in self._folders())
        if a.study != b.study:
            raise Mismatch(f"two runs of one study can be compared, and these are of '{a.study}' and of '{b.study}'")
        rows, changed = _compared(a, b), _changed_settings(a, b)
        if self.json:
            runs = {name: {"folder": run.folder, "budget": run.budget} for name, run in (("a", a), ("b", b))}
            show_json({"study": a.study, **runs, "settings_that_differ": changed, "measures": rows})
            return 0
        settings = ", ".join(f"{name}: {old} → {new}" for name, (old, new) in changed.items())
        show(facts({"study": a.study, "a": a.folder, "b": b.folder, "settings": settings or "the same"}), "")
        show(table(("arm", "measure", "a", "b", "seeds", "p", "b − a (95 % interval)"), map(_row, rows)))
        return 0

    def _folders(self) -> list[Path]:
        if len(self.runs) not in (2, 3):
            raise BadInput(
                "two folders of runs, or a study and two of its runs, are compared; see lifelong compare --help"
            )
        if len(self.runs) == 2:
            return [Path(run) for run in self.runs]
        slug, *runs = self.runs
        return [run_named(entry(slug).slug, name, self.out) for name in runs]


def run_named(slug: str, name: str, out: Path | None) -> Path:
    """Return the folder of a study's run whose name begins so."""
    folders = runs_of(slug, out)
    found = [folder for folder in folders if folder.name.startswith(name)]
    if len(found) != 1:
        known = ", ".join(folder.name for folder in folders) or "none"
        raise BadInput(f"'{name}' names {len(found)} runs of '{slug}' where one was expected; there are: {known}")
    return found[0]


def _verified_shipped(slug: str) -> dict[str, Any]:
    """Return how a result stands that came with the library."""
    from lifelong import studies
    from lifelong.lab._ship import revived

    row = {"study": slug, "run": "shipped", "budget": None}
    try:
        one = shipped(entry(slug))
        assert one is not None
        again = revived(one, studies.load(slug))
        stale = f"changed since: {', '.join(again.changed)}" if again.changed else ""
        return row | {"budget": one.budget} | _standing(one.findings, again.findings(), stale)
    except LifelongError as error:
        return row | {"state": "unreadable", "verdict": None, "what_differs": str(error)}


def _verified(folder: Path) -> dict[str, Any]:
    """Return how a run's findings stand: its state, its verdict, and what differs from the record."""
    row = {"study": folder.parent.name, "run": folder.name, "budget": None}
    try:
        run = recorded(folder)
        row |= {"budget": run.budget}
        if run.findings is None:
            return row | {"state": "unfinished", "verdict": None, "what_differs": f"lifelong run {run.study} goes on"}
        again = weighed(run, run.findings)
        stale = f"other code lived {', '.join(again.stale)}" if again.stale else ""
        return row | _standing(run.findings, again.findings(), stale)
    except LifelongError as error:
        return row | {"state": "unreadable", "verdict": None, "what_differs": str(error)}


def _standing(recorded: Mapping[str, Any], again: Mapping[str, Any], stale: str) -> dict[str, Any]:
    """Return the state of findings that were weighed again, given why they may be stale."""
    was, now = (findings["verdict"]["outcome"] for findings in (recorded, again))
    if different := list(_differences(recorded, again)):
        verdict = now if was == now else f"{was} → {now}"
        return {"state": "changed", "verdict": verdict, "what_differs": "; ".join(different[:3])}
    return {"state": "stale" if stale else "as recorded", "verdict": now, "what_differs": stale}


def weighed(run: Recorded, findings: Mapping[str, Any]) -> "lab.Run":
    """Weigh again the arms and seeds that recorded findings rest on."""
    from lifelong import lab, studies
    from lifelong.lab._runner import weigh

    study, store = studies.load(run.study), lab.Store(run.folder)
    lives = {}
    for arm in study.arms:
        if measures := findings["measures"].get(arm):
            seeds = range(len(next(iter(measures.values()))))
            lives[arm] = _lives(store, arm, seeds)
    return weigh(study, run.budget, lab.Settings(run.settings), store, lives)


def _lives(store: "lab.Store", arm: str, seeds: Sequence[int]) -> Any:
    from lifelong.lab._store import missing_seeds

    life = store.load(arm)
    if life is None or missing_seeds(life, seeds):
        raise BadFile(f"'{store.path(arm)}' does not hold the {len(seeds)} seeds that the recorded verdict rests on")
    return life.sel(seed=list(seeds))


def _differences(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Say where plain values differ by more than rounding; prose is passed over."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in (*old, *(name for name in new if name not in old)):
            if name not in WORDS:
                yield from _differences(old.get(name), new.get(name), f"{at}.{name}" if at else name)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{at}[{place}]")
    elif not _same(old, new):
        yield f"{at}: {old} → {new}"


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return isclose(old, new, rel_tol=1e-9, abs_tol=1e-12) or (isnan(old) and isnan(new))
    return old == new


def _compared(a: Recorded, b: Recorded) -> list[dict[str, Any]]:
    """Return the paired effect of one run over another, for every measure of every arm that both have."""
    from lifelong import lab, studies

    study = studies.load(a.study)
    lives = [
        {arm: life for arm in study.arms if (life := lab.Store(run.folder).load(arm)) is not None} for run in (a, b)
    ]
    arms = [arm for arm in study.arms if all(arm in own for own in lives)]
    if not arms:
        raise BadInput(f"the runs '{a.folder}' and '{b.folder}' have no finished arm in common")
    seeds = sorted(set.intersection(*(set(own[arm].seed.values.tolist()) for own in lives for arm in arms)))
    of_a, of_b = (study.measured({arm: own[arm].sel(seed=seeds) for arm in arms}) for own in lives)
    return [
        {"arm": arm, "measure": name, "seeds": seeds, **_effect(values, of_b[arm][name])}
        for arm, measures in of_a.items()
        for name, values in measures.items()
        if name in of_b.get(arm, {})
    ]


def _effect(a: "np.ndarray", b: "np.ndarray") -> dict[str, Any]:
    """Return how far b lies above a, or why that cannot be said."""
    import numpy as np

    from lifelong.exams._statistics import paired_effect

    diverged = [int(np.sum(~np.isfinite(values))) for values in (a, b)]
    reason = "fewer than two shared seeds" if len(a) < 2 else ""
    if any(diverged):
        reason = f"undefined on {diverged[0]} seeds of a and {diverged[1]} of b, and no direction is declared as worse"
    effect = None if reason else asdict(paired_effect(b, a))
    return {
        "a": float(np.mean(a)) if len(a) else None,
        "b": float(np.mean(b)) if len(b) else None,
        "effect": effect,
        "reason": reason,
    }


def _row(measure: Mapping[str, Any]) -> tuple[str, ...]:
    effect, means = measure["effect"], [f"{measure[run]:.4g}" if measure[run] is not None else "" for run in "ab"]
    about = (measure["arm"], measure["measure"], *means, str(len(measure["seeds"])))
    if effect is None:
        return (*about, "", measure["reason"])
    interval = effect["interval"]
    return (*about, f"{effect['p']:.2g}", f"{effect['mean']:.4g} ({interval['low']:.4g} to {interval['high']:.4g})")


def _changed_settings(a: Recorded, b: Recorded) -> dict[str, tuple[Any, Any]]:
    every = dict.fromkeys((*a.settings, *b.settings))
    pairs = {name: (a.settings.get(name), b.settings.get(name)) for name in every}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
