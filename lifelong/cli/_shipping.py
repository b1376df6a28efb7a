"""Making stored results come with the library: `ship`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from lifelong.errors import BadFile, BadInput, LifelongError
from lifelong.lab._catalogue import catalogue, entry
from lifelong.lab._folders import Recorded, default_folder, recorded, runs_of

from ._cache import keep_compiled
from ._options import Command, Out, option
from ._output import show, show_json, table
from ._stored import weighed


@dataclass(frozen=True, kw_only=True)
class Ship(Command):
    """Ship results: make finished full runs small enough to come with the library, one file a study.

    A file holds what every seed measured, the verdicts, exams as far as a report draws them, and the modules that the
    lives depended on, so that `lifelong verify` can judge again and say what has changed since. Only the code that
    lived them can say which modules those were: where that is another checkout, name it with --source.
    """

    slugs: Annotated[list[str], option("the studies to ship", nargs="*", metavar="STUDY")]
    all: Annotated[bool, option("ship every study that has a finished full run")] = False
    source: Annotated[Path | None, option("the library that lived the runs", type=Path, metavar="DIR")] = None
    to: Annotated[Path | None, option("another folder than the library's own", type=Path, metavar="DIR")] = None
    out: Out = None

    def __call__(self) -> int:
        """Write what can be shipped; the exit code is 2 where a study was left out."""
        if self.all == bool(self.slugs):
            raise BadInput("name the studies to ship, or give --all, and not both")
        keep_compiled()
        slugs = [entry(slug).slug for slug in self.slugs] or [p.slug for p in catalogue() if runs_of(p.slug, self.out)]
        if not slugs:
            raise BadInput(f"there is nothing to ship in '{self.out or default_folder()}'; name its folder with --out")
        rows = [self._shipped(slug) for slug in slugs]
        if self.json:
            show_json({"studies": rows})
        else:
            show(table(("study", "verdict", "kB", "file, or why there is none"), [tuple(row.values()) for row in rows]))
        return 2 if any(row["verdict"] is None for row in rows) else 0

    def _shipped(self, slug: str) -> dict[str, Any]:
        from lifelong.lab._ship import shipped_from, write_shipped
        from lifelong.lab._shipped import results_folder
        from lifelong.lab._sources import HERE

        try:
            run = _latest(slug, self.out)
            assert run.findings is not None
            one = shipped_from(weighed(run, run.findings), _library(self.source) if self.source else HERE)
            path = write_shipped(one, self.to or Path(str(results_folder())))
        except LifelongError as error:
            return {"study": slug, "verdict": None, "kB": None, "file": str(error)}
        return {"study": slug, "verdict": one.outcome, "kB": round(path.stat().st_size / 1000), "file": path}


def _latest(slug: str, out: Path | None) -> Recorded:
    """Return the last finished run of a study in full, as it declares it."""
    from lifelong import studies

    declared = dict(studies.load(slug).configured("full"))
    finished = [run for run in _finished(slug, out) if run.budget == "full" and run.settings == declared]
    if not finished:
        raise BadInput(f"no full run of '{slug}' is finished in '{out or default_folder()}': lifelong run {slug}")
    return max(finished, key=lambda run: (run.folder / "verdict.json").stat().st_mtime)


def _finished(slug: str, out: Path | None) -> Iterator[Recorded]:
    for folder in runs_of(slug, out):
        if (run := recorded(folder)).findings is not None:
            yield run


def _library(folder: Path) -> Path:
    """Return the package within a checkout."""
    for root in (folder, folder / "lifelong"):
        if root.name == "lifelong" and (root / "__init__.py").exists():
            return root.resolve()
    raise BadFile(f"'{folder}' is no checkout of lifelong: it holds no package of that name")
