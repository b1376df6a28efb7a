"""The catalogue: the papers that the studies come from, with the claim each study tests.

It is read from `studies/catalogue.toml` with the standard library alone, so that listing and citing papers never waits
for JAX.
"""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lifelong.errors import UnknownName

FAMILIES = {
    "continual": "continual learning and memory",
    "agents": "curricula, agents, feedback",
    "language": "language learners",
    "representation": "representation, meta-learning, theory",
    "tracing": "knowledge tracing and education",
}
KINDS = ("method", "theory", "benchmark", "survey", "position", "dataset", "analysis")
ROLES = ("world", "learner", "memory", "teacher", "feedback", "exam")
STATUSES = ("planned", "ready")

_LATEX_ESCAPES = str.maketrans({character: f"\\{character}" for character in "&%$#_"})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One paper of the catalogue and the claim its study tests.

    - `slug`: the study's name, lower-case words joined by hyphens.
    - `title`, `year`, `authors` (empty where unknown), `arxiv` (the identifier without version, `None` where unknown).
    - `family`: a key of `FAMILIES`.
    - `kind`: what the paper mainly is, one of `KINDS`.
    - `roles`: the parts of a life it contributes to, the main one first, out of `ROLES`.
    - `claim`: what the study tests, in one sentence; not what it found.
    - `status`: `"planned"`, or `"ready"` once the study runs.
    """

    slug: str
    title: str
    year: int
    family: str
    kind: str
    roles: tuple[str, ...]
    claim: str
    status: str
    arxiv: str | None = None
    authors: tuple[str, ...] = ()


@cache
def catalogue() -> tuple[Entry, ...]:
    """Return every paper of the catalogue, family by family."""
    text = (files("lifelong") / "studies" / "catalogue.toml").read_text(encoding="utf-8")
    return tuple(_entry_of(row) for row in tomllib.loads(text)["study"])


def entry(slug: str) -> Entry:
    """Return the paper with this slug; raises `UnknownName` where there is none."""
    by_slug = {paper.slug: paper for paper in catalogue()}
    _check_known("study", slug, by_slug)
    return by_slug[slug]


def select(
    family: str | None = None, role: str | None = None, status: str | None = None, kind: str | None = None
) -> tuple[Entry, ...]:
    """Return the papers that match every filter given; raises `UnknownName` for a value no paper could have."""
    for name, value, known in (
        ("family", family, FAMILIES),
        ("role", role, ROLES),
        ("status", status, STATUSES),
        ("kind", kind, KINDS),
    ):
        if value is not None:
            _check_known(name, value, known)
    return tuple(
        paper
        for paper in catalogue()
        if family in (None, paper.family)
        and role in (None, *paper.roles)
        and status in (None, paper.status)
        and kind in (None, paper.kind)
    )


def bibtex(entry: Entry) -> str:
    """Return the paper as a BibTeX `@misc` record whose key is the slug; what is unknown is left out."""
    fields = {
        "title": f"{{{entry.title}}}",
        "author": " and ".join(entry.authors),
        "year": str(entry.year),
        "eprint": entry.arxiv,
        "archivePrefix": entry.arxiv and "arXiv",
    }
    lines = [f"  {name} = {{{value.translate(_LATEX_ESCAPES)}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{entry.slug},", *lines, "}"])


def _entry_of(row: dict[str, Any]) -> Entry:
    lists: dict[str, Any] = {name: tuple(row.get(name, ())) for name in ("roles", "authors")}
    return Entry(**{**row, **lists})


def _check_known(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise UnknownName(kind, name, known)
