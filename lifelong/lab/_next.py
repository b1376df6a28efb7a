"""What a reader of a report may try next."""

from typing import NamedTuple

from ._catalogue import Entry, catalogue
from ._runner import Run
from ._sources import imported_by
from ._verdict import Outcome

MOST = 4
"""Related studies that are named."""

NARROWER = 4
"""Times as many seeds halve an interval."""


class Step(NamedTuple):
    """A thing to try: why, and the command for it."""

    why: str
    command: str


class Related(NamedTuple):
    """A study that has parts in common with another."""

    paper: Entry
    parts: tuple[str, ...]


def next_steps(run: Run) -> list[Step]:
    """Return what to try next, the most telling first."""
    study = run.study
    command, more = study.command(run.budget, run.settings), min(NARROWER * run.settings.seeds, *study.tuning_seeds)
    wider = study.command(run.budget, run.settings.changed({"seeds": min(more, min(study.tuning_seeds) - 1)}))
    broken = run.verdict.outcome is Outcome.BROKEN
    steps = [
        Step("Look at the arm whose control failed, before anything else", f"lifelong report {study.slug}")
        if broken
        else Step("More seeds: four times as many halve the interval", wider),
        Step("Take back one simplification at a time: every setting can be set", f"{command} --set NAME=VALUE"),
    ]
    if "world" in study.settings:
        why = "Another world: any data set that <code>lifelong data list</code> names, or a file of your own"
        steps.append(Step(why, f"{command} --set world=NAME"))
    return steps


def related(paper: Entry) -> list[Related]:
    """Return ready studies that share parts with this one, those with most in common first."""
    own = _parts(paper)
    others = [
        Related(one, tuple(sorted(own & _parts(one)))) for one in catalogue() if one.status == "ready" and one != paper
    ]
    shared = sorted((one for one in others if one.parts), key=lambda one: -len(one.parts))
    return shared[:MOST]


def kindred(paper: Entry) -> list[Entry]:
    """Return ready studies of papers that contribute to the same roles, those of the same family and most roles first."""
    ready = [one for one in catalogue() if one.status == "ready" and one != paper and set(one.roles) & set(paper.roles)]
    return sorted(ready, key=lambda one: (one.family != paper.family, -len(set(one.roles) & set(paper.roles))))[:MOST]


def _parts(paper: Entry) -> set[str]:
    """Return the classes of the library that a paper's study imports by name, its lab left out."""
    return {one.name for one in imported_by(paper) if one.name[:1].isupper() and not one.module.startswith("lab")}
