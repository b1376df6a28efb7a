"""Published AUCs of models of practice beside ours, for whoever has the file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lifelong.exams.tracing import MODELS

WHOLE = 100_000
"""Attempts that each of the public files has at least; a log of fewer is a part of it, or another of the same columns."""

LEAST_BAND = 0.01
"""AUC within which two numbers always agree: what an unspecified detail of a protocol may change."""


@dataclass(frozen=True, kw_only=True)
class TracingAnchor:
    """One published AUC: of a model, on a public file known by its layout, under a protocol."""

    source: str
    file: str
    layout: str
    protocol: str
    model: str
    auc: float
    sd: float | None
    rounding: float

    @property
    def name(self) -> str:
        """The name of the row: source, layout and model."""
        return f"{self.source}/{self.layout}/{self.model}"

    @property
    def band(self) -> float:
        """How far apart two numbers may be: max(0.01, 3·sd, rounding)."""
        return max(LEAST_BAND, 3 * (self.sd or 0.0), self.rounding)

    def state(self, ours: Mapping[str, float] | None, whole: bool = True) -> str:
        """Return how the row stands beside our AUCs by model, on the whole file or not; None where nobody has the file."""
        if ours is None:
            return "needs the file"
        if self.model not in MODELS:
            return "not a model here"
        if self.model not in ours:
            return "not measured"
        if not whole:
            return "not comparable"
        return "inside" if abs(ours[self.model] - self.auc) <= self.band + self.rounding else "outside"


@cache
def tracing_anchors(layout: str | None = None) -> tuple[TracingAnchor, ...]:
    """Return every published AUC, in the order of the file, or those of one layout."""
    text = (files("lifelong") / "lab" / "tracing_anchors.toml").read_text(encoding="utf-8")
    rows = []
    for given in tomllib.loads(text)["source"]:
        values, spread = given.pop("auc"), given.pop("sd", {})
        source = given.pop("name")
        rows += [TracingAnchor(source=source, model=m, auc=auc, sd=spread.get(m), **given) for m, auc in values.items()]
    return tuple(row for row in rows if layout in (None, row.layout))
