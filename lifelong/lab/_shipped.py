"""Results that come with the library: a small file a study, read with the standard library alone."""

import json
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from lifelong.errors import BadFile

from ._catalogue import Entry, catalogue

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A study's result in full: what every seed measured, the verdicts, and how it came about.

    - `study`, `budget`, `settings`: what was run; `run` is the name of its folder.
    - `findings`: verdict, secondary verdicts and measures, as a run's `verdict.json` has them.
    - `lives`: for each arm its provenance (`about`), and its exams as far as a report draws them (`curve`).
    - `sources`: a hash of every module that the lives depended on.
    """

    study: str
    budget: str
    run: str
    settings: dict[str, Any]
    findings: dict[str, Any]
    lives: dict[str, dict[str, Any]]
    sources: dict[str, str]

    @property
    def outcome(self) -> str:
        """The outcome that was found."""
        return self.findings["verdict"]["outcome"]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of all arms together: `cold` with compiling, `warm` without."""
        about = [life["about"] for life in self.lives.values()]
        run, compiling = (sum(one.get(name, 0.0) for one in about) for name in ("run_seconds", "compile_seconds"))
        return {"cold": run + compiling, "warm": run}


def results_folder() -> Traversable:
    """Return where the results lie that come with the library."""
    return files("lifelong") / "studies" / "results"


def has_shipped(paper: Entry) -> bool:
    """Say whether a result of a paper's study came with the library, readable or not."""
    return (results_folder() / f"{paper.slug}.json").is_file()


def shipped(paper: Entry, folder: Path | None = None) -> Shipped | None:
    """Return the result of a paper's study that came with the library, or lies in a folder; None where there is none.

    Raises `BadFile` where the file is corrupt.
    """
    path = (folder or results_folder()) / f"{paper.slug}.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("it has another format")
        one = Shipped(**content)
        one.outcome.lower()
        return one
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadFile(f"'{path}' is not a readable result ({error}); write it anew with `lifelong ship`") from error


def all_shipped(folder: Path | None = None) -> dict[str, Shipped]:
    """Return every result there is, by the name of its study, in the order of the catalogue."""
    found = {paper.slug: shipped(paper, folder) for paper in catalogue()}
    return {slug: one for slug, one in found.items() if one is not None}
