"""The atlas: a site of static pages that shows every paper of the catalogue and what the runs found.

Effects of different measures are drawn in standard deviations of their paired differences (Cohen's d_z). Significance is
adjusted after Benjamini and Hochberg, over the primary claims and, apart from them, over the secondary ones: the
catalogue is a survey of many papers, where the share of false discoveries among the claims called significant is what a
reader needs to know. Holm's adjustment, which guards against a single false one, stands beside it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minijinja import safe

from lifelong.exams import Effect
from lifelong.exams._statistics import benjamini_hochberg, holm
from lifelong.life import write_atomically

from ._agreement import MARKS, published, spread
from ._anchors import Comparison
from ._atlas_figures import (
    Axis,
    Standard,
    effect_axis,
    effect_strip,
    gains_thumbnail,
    roles_thumbnail,
    tally,
)
from ._catalogue import FAMILIES, KINDS, ROLES, Entry, bibtex
from ._figures import gains_over
from ._mechanism import mechanism, pieces
from ._next import kindred
from ._report import BADGES, as_html, templates
from ._ship import ShippedRun
from ._sources import imported_by
from ._study import Study
from ._verdict import Verdict
from ._words import plain, spoken, unit_of

STANDINGS = ("supported", "refuted", "inconclusive", "broken", "ready", "planned")
"""What may be known of a paper: a verdict, or that its study is ready but not run in full, or that it is planned."""

MARK_OF = {**{outcome.value: mark for outcome, (mark, _) in BADGES.items()}, "ready": "○", "planned": "·"}

RUNTIMES = {"under 2 minutes": 120.0, "2 to 10 minutes": 600.0, "over 10 minutes": float("inf")}
"""Names of ranges of seconds, by their upper ends."""

SIGNIFICANT = 0.05


class Finding(NamedTuple):
    """A claim that was judged, and the run it belongs to."""

    run: ShippedRun
    verdict: Verdict
    effect: Effect


def build_atlas(
    papers: Sequence[Entry],
    runs: Mapping[str, ShippedRun],
    anchors: Sequence[Comparison],
    folder: Path,
    written: Mapping[str, Study] | None = None,
    docs: str = "",
) -> list[Path]:
    """Write the index, the secondary claims and a page for every paper into a folder, and return the files.

    Raises `BadFile` if that cannot be done.

    `written` are studies that run, lived or not; `docs` is the address of the documentation as seen from the folder, if
    there is one.
    """
    deeper = f"../{docs}" if docs and "://" not in docs else docs
    content = _content(papers, runs, anchors)
    pages = {"index.html": templates().render_template("atlas.html", docs=docs, **content)}
    if (claims := content["forests"][1])["rows"]:
        pages["secondary.html"] = templates().render_template("secondary.html", docs=docs, claims=claims)
    for paper in papers:
        run = runs.get(paper.slug)
        study = (written or {}).get(paper.slug)
        pages[f"studies/{paper.slug}.html"] = (
            as_html(run, "../index.html", deeper) if run else _unlived(paper, study, deeper)
        )
    for name, page in pages.items():
        write_atomically(folder / name, page.encode())
    return [folder / name for name in pages]


def _unlived(paper: Entry, study: Study | None, docs: str) -> str:
    """Return the page of a paper of which nothing was found yet: its claim and, where that is written, its study."""
    return templates().render_template(
        "planned.html",
        docs=docs,
        paper=paper,
        family=FAMILIES[paper.family],
        standing=paper.status,
        mark=MARK_OF[paper.status],
        mechanism=safe(mechanism(study)) if study else "",
        annotated=pieces(study) if study else [],
        kindred=kindred(paper),
        bibtex=bibtex(paper),
    )


def _content(papers: Sequence[Entry], runs: Mapping[str, ShippedRun], anchors: Sequence[Comparison]) -> dict[str, Any]:
    """Return all that the index shows."""
    standing = {paper.slug: _standing(paper, runs) for paper in papers}
    count = Counter(standing.values())
    primary = [Finding(run, run.verdict, run.verdict.effect) for run in runs.values() if run.verdict.effect]
    secondary = [Finding(run, v, v.effect) for run in runs.values() for v in run.secondary if v.effect]
    return {
        "papers": len(papers),
        "lived": len(runs),
        "counts": [{"name": name, "mark": MARK_OF[name], "count": count[name]} for name in STANDINGS if count[name]],
        "dots": sorted(standing.values(), key=STANDINGS.index),
        "forests": [_forest("primary", primary), _forest("secondary", secondary)],
        "undefined": [run.study.slug for run in runs.values() if run.verdict.effect is None],
        "cards": [
            _card(paper, standing[paper.slug], runs.get(paper.slug))
            for paper in sorted(papers, key=lambda paper: STANDINGS.index(standing[paper.slug]))
        ],
        "filters": _filters(papers, standing, runs),
        "roles": ROLES,
        "map": [_map_row(family, words, papers, standing) for family, words in FAMILIES.items()],
        "components": _components(papers),
        "sources": _anchor_tables(anchors),
        "agreeing": sum(one.state == "inside" for one in anchors),
        "measured": sum(one.ours is not None for one in anchors),
    }


def _standing(paper: Entry, runs: Mapping[str, ShippedRun]) -> str:
    return runs[paper.slug].verdict.outcome.value if paper.slug in runs else paper.status


def _dots(papers: Sequence[Entry], standing: Mapping[str, str], label: str) -> str:
    """Return a dot for each paper, verdicts first."""
    return tally(sorted((standing[paper.slug] for paper in papers), key=STANDINGS.index), 7, label)


def _forest(name: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the rows of a forest plot, the largest effect first, and its axis."""
    effects = [Standard.of(one.effect) for one in findings]
    axis = Axis.over([effect for effect in effects if effect])
    p = [one.effect.p for one in findings]
    adjusted = zip(benjamini_hochberg(p), holm(p), strict=True) if p else ()
    rows = [
        _forest_row(one, effect, axis, float(bh), float(strict))
        for one, effect, (bh, strict) in zip(findings, effects, adjusted, strict=True)
    ]
    return {"name": name, "rows": sorted(rows, key=lambda row: -row["order"]), "axis": safe(effect_axis(axis))}


def _forest_row(one: Finding, effect: Standard | None, axis: Axis, bh: float, strict: float) -> dict[str, Any]:
    claim, slug = one.verdict.claim, one.run.study.slug
    values = [own[claim.on] for own in one.run.measures.values() if claim.on in own]
    unit = unit_of(claim.on, values)
    gain = f"{unit.bare(one.effect.mean)}{unit.gap}"
    interval = unit.span(one.effect.interval)
    return {
        "slug": slug,
        "order": effect.mean if effect else float("inf"),
        "outcome": one.verdict.outcome.value,
        "mark": MARK_OF[one.verdict.outcome.value],
        "claim": f"{claim.better} over {claim.than}",
        "on": spoken(claim.on),
        "sentence": claim.sentence,
        "strip": safe(effect_strip(effect, axis, f"{gain}, 95 % interval {interval}")),
        "size": plain(effect.mean, 2) if effect else "undefined",
        "gain": gain,
        "interval": interval,
        "p": plain(bh, 2),
        "holm": plain(strict, 2),
        "significant": bh <= SIGNIFICANT,
    }


def _card(paper: Entry, standing: str, run: ShippedRun | None) -> dict[str, Any]:
    seconds = None if run is None else _seconds(run)
    return {
        "paper": paper,
        "family": FAMILIES[paper.family],
        "standing": standing,
        "mark": MARK_OF[standing],
        "lived": run is not None,
        "claim": paper.claim,
        "found": "" if run is None else _found(run),
        "thumbnail": safe(roles_thumbnail(paper) if run is None else _thumbnail(run)),
        "runtime": "" if seconds is None else _range_of(seconds),
        "seconds": "" if seconds is None else plain(seconds, 2),
        "stale": run is not None and bool(run.stale),
    }


def _thumbnail(run: ShippedRun) -> str:
    claim = run.study.claim
    if run.verdict.effect is None:
        return roles_thumbnail(run.study.paper)
    return gains_thumbnail(gains_over(run, claim.than), run.verdict.effect, f"gains seed by seed: {_found(run)}")


def _found(run: ShippedRun) -> str:
    """Return the number a run found, in one line."""
    claim, effect = run.study.claim, run.verdict.effect
    if effect is None:
        return "no effect could be computed"
    unit = unit_of(claim.on, [own[claim.on] for own in run.measures.values() if claim.on in own])
    gain = f"{unit.bare(effect.mean)}{unit.gap} ({unit.span(effect.interval)})"
    return f"{claim.better} over {claim.than}, {spoken(claim.on)}: {gain}"


def _seconds(run: ShippedRun) -> float:
    """Return the seconds of all arms together, compiling included."""
    names = ("compile_seconds", "run_seconds")
    return sum(float(life.attrs.get(name, 0.0)) for life in run.lives.values() for name in names)


def _range_of(seconds: float) -> str:
    return next(name for name, end in RUNTIMES.items() if seconds < end)


def _filters(
    papers: Sequence[Entry], standing: Mapping[str, str], runs: Mapping[str, ShippedRun]
) -> list[dict[str, Any]]:
    """Return what cards can be filtered by: values and their names, those that occur."""
    there = {
        "verdict": {name: name for name in STANDINGS if name in standing.values()},
        "family": {name: words for name, words in FAMILIES.items() if any(p.family == name for p in papers)},
        "role": {name: name for name in ROLES if any(name in p.roles for p in papers)},
        "kind": {name: name for name in KINDS if any(p.kind == name for p in papers)},
        "runtime": {name: name for name in RUNTIMES if name in {_range_of(_seconds(run)) for run in runs.values()}},
    }
    return [{"name": name, "values": values} for name, values in there.items()]


def _map_row(family: str, words: str, papers: Sequence[Entry], standing: Mapping[str, str]) -> dict[str, Any]:
    cells = []
    for role in ROLES:
        own = [paper for paper in papers if paper.family == family and role in paper.roles]
        lived = sum(standing[paper.slug] not in ("ready", "planned") for paper in own)
        label = f"{len(own)} papers of {words} on the {role}, {lived} of them lived"
        cells.append({"role": role, "count": len(own), "label": label, "dots": safe(_dots(own, standing, label))})
    return {"family": family, "words": words, "cells": cells}


def _components(papers: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the parts of the library that ready studies are made of, role by role, and which studies use them."""
    users: dict[str, dict[str, list[str]]] = {f"{role}": {} for role in ROLES}
    packages = {"worlds": "world", "learners": "learner", "memory": "memory", "teachers": "teacher"}
    packages |= {"feedback": "feedback", "exams": "exam"}
    for paper in papers:
        for one in imported_by(paper) if paper.status == "ready" else ():
            if role := packages.get(one.module.split("/")[0]):
                users[role].setdefault(one.name, []).append(paper.slug)
    return [
        {
            "role": role,
            "parts": [{"name": name, "studies": sorted(set(own[name]))} for name in sorted(own, key=str.lower)],
        }
        for role, own in users.items()
        if own
    ]


def _anchor_tables(anchors: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return published numbers beside ours, one table a source."""
    sources = list({one.anchor.source.name: one.anchor.source for one in anchors}.values())
    tables = []
    for source in sources:
        own = [one for one in anchors if one.anchor.source.name == source.name]
        agreeing, measured = sum(one.state == "inside" for one in own), sum(one.ours is not None for one in own)
        title = f"{source.title}: {agreeing} of {measured} agree"
        tables.append({"title": title, "name": source.name, "rows": [_anchor_row(one) for one in own]})
    return tables


def _anchor_row(one: Comparison) -> dict[str, str]:
    ours = one.ours
    measured = ours is not None and not ours.diverged
    return {
        "method": one.anchor.label,
        "scenario": one.anchor.scenario,
        "published": published(one),
        "ours": spread(ours.mean, ours.sd) if ours else "",
        "difference": f"{one.difference:+.2f}".replace("-", "−") if measured else "",
        "band": f"{one.band:.2f}" if measured else "",
        "state": one.state.replace(" ", "-"),
        "mark": f"{MARKS[one.state]}",
        "words": one.state,
    }
