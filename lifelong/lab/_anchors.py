"""Anchors: published numbers, ours beside them, and whether the two agree.

Read with the standard library alone, so that looking never waits for JAX.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import isfinite, sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from lifelong.errors import BadFile, UnknownName

from ._folders import default_folder

WORLDS = ("cart-pole", "acrobot", "mountain-car")
"""Scenarios in which agents act; their values are returns, not percentages."""

EPISODES = ("5-way-1-shot",)
"""Scenarios of few-shot episodes; their values are accuracies on classes that training never met."""

SCENARIOS = ("task", "domain", "class", *WORLDS, *EPISODES)

LEAST_BAND = 1.0
"""Points of accuracy within which two numbers always agree: what an unspecified detail of a protocol may change."""

STATES = {
    "inside": "ours lies within the band around the published value",
    "outside": "it does not",
    "diverged": "a seed diverged",
    "not measured": "not lived yet",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where published values come from, and the protocol they share; the fields are those of `anchors.toml`."""

    name: str
    title: str
    file: str
    mark: str
    reading: float
    spread: str
    runs: int
    seeds: int
    protocol: str


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """One published value: the accuracy in percent of a method in a scenario.

    `sd` is what the source gives as its spread, or `se` where this value has a standard error instead; `about` says that
    it could only be read roughly, `strength` is the coefficient of the official scripts; `outside` and `unmeasured` say
    why.
    """

    source: Source
    method: str
    label: str
    scenario: str
    mean: float
    sd: float | None = None
    se: float | None = None
    about: bool = False
    strength: float | None = None
    note: str = ""
    outside: str = ""
    unmeasured: str = ""

    @property
    def name(self) -> str:
        """The name of the row: source, method and scenario."""
        return f"{self.method_name}/{self.scenario}"

    @property
    def method_name(self) -> str:
        """The name that the rows of a method begin with."""
        return f"{self.source.name}/{self.method}"

    @property
    def data(self) -> str | None:
        """What it is lived on, as `lifelong data` names it; agents need nothing."""
        if self.scenario in WORLDS:
            return None
        return "omniglot" if self.scenario in EPISODES else "mnist"

    @property
    def error(self) -> float:
        """The standard error of the published mean, and of reading it."""
        return sqrt(self._error_of_runs**2 + self.source.reading**2)

    @property
    def _error_of_runs(self) -> float:
        if self.se is not None:
            return self.se
        if self.sd is None:
            return 0.0
        return self.sd if self.source.spread == "se" else self.sd / sqrt(self.source.runs)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Our lives of a row: accuracies in percent by seed (None: it diverged), and how they came about."""

    accuracy: Mapping[int, float | None]
    about: Mapping[str, Any]

    @property
    def diverged(self) -> bool:
        """Whether a seed has no accuracy."""
        return None in self.accuracy.values()

    @property
    def values(self) -> list[float]:
        """The accuracies of the seeds that have one."""
        return [value for value in self.accuracy.values() if value is not None]

    @property
    def mean(self) -> float:
        """The mean over seeds, NaN where one diverged."""
        return float("nan") if self.diverged else fmean(self.values)

    @property
    def sd(self) -> float:
        """The standard deviation over seeds, NaN where it has none."""
        return stdev(self.values) if len(self.values) > 1 and not self.diverged else float("nan")

    @property
    def error(self) -> float:
        """The standard error of the mean; a single seed says nothing about it, and counts as 0."""
        return self.sd / sqrt(len(self.values)) if isfinite(self.sd) else 0.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A published value beside ours: they agree where |ours − published| ≤ max(1 point, 3·√(error² + error²))."""

    anchor: Anchor
    ours: Measured | None

    @property
    def difference(self) -> float:
        """Ours minus the published value, in points."""
        return self.ours.mean - self.anchor.mean if self.ours else float("nan")

    @property
    def band(self) -> float:
        """How far apart the two may be, in points."""
        return max(LEAST_BAND, 3.0 * sqrt(self.anchor.error**2 + (self.ours.error if self.ours else 0.0) ** 2))

    @property
    def state(self) -> str:
        """One of `STATES`."""
        if self.ours is None:
            return "not measured"
        if self.ours.diverged:
            return "diverged"
        return "inside" if abs(self.difference) <= self.band else "outside"


@cache
def anchors() -> tuple[Anchor, ...]:
    """Return every published value, in the order of the file."""
    given_sources = [given for text in _texts("toml") for given in tomllib.loads(text)["source"]]
    rows = []
    for given in given_sources:
        methods = given.pop("method")
        source = Source(**given | {"protocol": given["protocol"].strip()})
        for method in methods:
            rows += _rows(source, method)
    return tuple(rows)


def _texts(suffix: str) -> list[str]:
    """Return the files about classifiers, about agents, and about learners from episodes."""
    folder, names = files("lifelong") / "lab", ("anchors", "anchors_of_agents", "anchors_of_episodes")
    return [(folder / f"{name}.{suffix}").read_text(encoding="utf-8") for name in names]


def _rows(source: Source, method: dict[str, Any]) -> list[Anchor]:
    about = {name: text.strip() for name, text in method.items() if isinstance(text, str)}
    about["method"] = about.pop("name")
    values = {scenario: method[scenario] for scenario in SCENARIOS if scenario in method}
    return [Anchor(source=source, scenario=name, **about | value) for name, value in values.items()]


def chosen(names: Sequence[str]) -> tuple[Anchor, ...]:
    """Return the rows that are named, each by itself or by the beginning of its name, as `hsu-2018/ewc`; all for none.

    Raises `UnknownName` for what names no row.
    """
    known = [anchor.name for anchor in anchors()]
    for name in names:
        if not any(_begins(row, name) for row in known):
            beginnings = {part for anchor in anchors() for part in (anchor.method_name, anchor.source.name)}
            raise UnknownName("anchor", name, {*known, *beginnings})
    return tuple(a for a in anchors() if not names or any(_begins(a.name, name) for name in names))


def _begins(row: str, name: str) -> bool:
    return f"{row}/".startswith(f"{name.rstrip('/')}/")


def results_file(out: Path | None = None) -> Path:
    """Return where the rows that are lived here are kept: `anchors.json` in the folder of runs."""
    return (out or default_folder()) / "anchors.json"


def shipped() -> dict[str, Measured]:
    """Return the results that come with the library, by row."""
    return {name: row for text in _texts("json") for name, row in _measured(text).items()}


def stored(path: Path) -> dict[str, Measured]:
    """Return the results of a file, by row, none where it does not exist; raise `BadFile` where it is corrupt."""
    try:
        return _measured(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadFile(
            f"'{path}' is no readable file of anchors ({error}); it was left as it is: move it away"
        ) from error


def _measured(text: str) -> dict[str, Measured]:
    rows = {}
    for name, row in json.loads(text).items():
        accuracy = {int(seed): None if value is None else float(value) for seed, value in row.pop("accuracy").items()}
        rows[name] = Measured(accuracy=accuracy, about=row)
    return rows


def compared(rows: Sequence[Anchor], out: Path | None = None) -> list[Comparison]:
    """Return rows beside our results: those lived here where there are any, else those shipped."""
    ours = shipped() | stored(results_file(out))
    return [Comparison(anchor=row, ours=ours.get(row.name)) for row in rows]
