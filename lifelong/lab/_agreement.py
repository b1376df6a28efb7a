"""Published numbers and ours, as a page of the documentation and as a table of the front page."""

from collections.abc import Iterable, Sequence
from math import isfinite

from ._anchors import LEAST_BAND, Comparison, Source

SPREADS = {"sd": "± standard deviation over runs", "se": "± standard error", "none": "spread not published"}


def as_page(comparisons: Sequence[Comparison]) -> str:
    """Return the page `docs/anchors.md`: how the comparison is made, and one table a source."""
    parts = [_HEAD.rstrip()]
    for source, own in _by_source(comparisons):
        parts += _section(source, own)
    return "\n".join(parts) + "\n"


def as_front_page(comparisons: Sequence[Comparison]) -> str:
    """Return what stands in `README.md` between `MARK` and `END`: how many agree, and one line a method."""
    states = [one.state for one in comparisons]
    lived, inside = len(states) - states.count("not measured"), states.count("inside")
    others = f"{lived - inside} {'does' if lived - inside == 1 else 'do'} not"
    agree = (
        f"Of {len(states)} published values {lived} have been lived again; {inside} agree (✓), {others} (✗). "
        "Ours / published: accuracy in per cent after the last task; "
        "for agents, the mean return of the last episodes; for few shots, on characters never met:"
    )
    parts = [MARK, agree]
    for source, own in _by_source(comparisons):
        labels, scenarios = (
            list(dict.fromkeys(getattr(one.anchor, of) for one in own)) for of in ("label", "scenario")
        )
        parts += ["", f"| {source.title.split(',')[0]} | {' | '.join(scenarios)} |", f"|---{'|---:' * len(scenarios)}|"]
        parts += [_line(label, own, scenarios) for label in labels]
    return "\n".join([*parts, "", END]) + "\n"


MARK = "<!-- published numbers: written by `lifelong anchors show --readme` -->"
END = "<!-- end of published numbers -->"


def _line(label: str, comparisons: Sequence[Comparison], scenarios: Sequence[str]) -> str:
    cells = {one.anchor.scenario: _both(one) for one in comparisons if one.anchor.label == label}
    return f"| {label} | {' | '.join(cells.get(scenario, '') for scenario in scenarios)} |"


def _both(one: Comparison) -> str:
    if one.ours is None:
        return f"– / {one.anchor.mean:.2f}"
    return f"{spread(one.ours.mean, None)} / {one.anchor.mean:.2f} {MARKS[one.state]}"


def _by_source(comparisons: Sequence[Comparison]) -> list[tuple[Source, list[Comparison]]]:
    sources = {id(one.anchor.source): one.anchor.source for one in comparisons}
    return [(source, [one for one in comparisons if one.anchor.source is source]) for source in sources.values()]


_HEAD = f"""# Published numbers

What others have published, lived again with the parts of this library under the protocols of their code. This page is
written by `lifelong anchors show --markdown`; `lifelong anchors run` lives rows again.

Accuracies are in per cent, over all tasks after the last one, or over episodes of classes never met; agents have returns. Ours
agrees with a published value
(✓) where the two means lie within max({LEAST_BAND:g} point, 3·√(se² + se²)) of each other, in either direction, with
the standard error se of each; a value that was read from a figure has the error of reading it, too. Coefficients are
the published ones. What lies outside stays here (✗), with the reason as far as it is known.
"""


def _section(source: Source, comparisons: Sequence[Comparison]) -> list[str]:
    reading = f", read to about {source.reading:g} points" if source.reading else ""
    return [
        f"\n## {source.title}\n",
        f"Values: {source.file} ({SPREADS[source.spread]}, {_runs(source)}{reading}).\n",
        f"{source.protocol}\n",
        *_table(comparisons),
        *_duration(comparisons),
        *_listed("What differs by method:", comparisons, "note"),
        *_listed("Outside its band:", comparisons, "outside"),
        *_listed("Cannot be measured yet:", comparisons, "unmeasured"),
    ]


def _runs(source: Source) -> str:
    return f"{source.runs} runs" if source.runs else "how many runs is not published"


def _duration(comparisons: Sequence[Comparison]) -> list[str]:
    """Say how long the lives took, and on what machine."""
    lived = [one.ours.about for one in comparisons if one.ours and "run_seconds" in one.ours.about]
    if not lived:
        return []
    minutes = sum(about["run_seconds"] + about["compile_seconds"] for about in lived) / 60
    machines = ", ".join(dict.fromkeys(about["machine"] for about in lived))
    rows = "row was" if len(lived) == 1 else "rows were"
    return [f"\n{len(lived)} {rows} lived in {minutes:.0f} minutes ({machines})."]


def _listed(title: str, comparisons: Sequence[Comparison], field: str) -> list[str]:
    lines = [f"- {label}: {text}." for label, text in _notes(comparisons, field)]
    return [f"\n{title}\n", *lines] if lines else []


def _notes(comparisons: Iterable[Comparison], field: str) -> list[tuple[str, str]]:
    """Return what a field says, once for all scenarios of which it says the same."""
    said: dict[tuple[str, str], list[str]] = {}
    for one in comparisons:
        if text := getattr(one.anchor, field):
            said.setdefault((one.anchor.label, text), []).append(one.anchor.scenario)
    scenarios = {one.anchor.label: 0 for one in comparisons}
    for one in comparisons:
        scenarios[one.anchor.label] += 1
    return [
        (label if len(where) == scenarios[label] else f"{label} ({', '.join(where)})", text)
        for (label, text), where in said.items()
    ]


def _table(comparisons: Sequence[Comparison]) -> list[str]:
    return [
        "| method | scenario | published | ours | seeds | difference | band | |",
        "|---|---|---:|---:|---:|---:|---:|---|",
        *(_row(one) for one in comparisons),
    ]


def _row(one: Comparison) -> str:
    ours = one.ours
    cells = [one.anchor.label, one.anchor.scenario, published(one)]
    if ours is None:
        return f"| {' | '.join([*cells, '', '', '', ''])} | {MARKS[one.state]} |"
    cells += [
        spread(ours.mean, ours.sd),
        str(len(ours.accuracy)),
        apart(one).replace("-", "−"),
        f"{one.band:.2f}",
    ]
    return f"| {' | '.join(cells)} | {MARKS[one.state]} |"


MARKS = {"inside": "✓", "outside": "✗", "diverged": "✗ diverged", "not measured": "not measured"}


def apart(one: Comparison) -> str:
    """Return ours minus the published value; what rounds to nothing is +0.00."""
    return f"{round(one.difference, 2) + 0.0:+.2f}"


def published(one: Comparison) -> str:
    """Return a published value with its spread."""
    about = "≈ " if one.anchor.about else ""
    return about + spread(one.anchor.mean, one.anchor.sd if one.anchor.se is None else one.anchor.se)


def spread(mean: float, sd: float | None) -> str:
    """Return a mean and its spread, where it has one."""
    if not isfinite(mean):
        return "diverged"
    return f"{mean:.2f} ± {sd:.2f}" if sd is not None and isfinite(sd) else f"{mean:.2f}"
