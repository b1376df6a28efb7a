"""Published numbers and ours, as a page of the documentation."""

from collections.abc import Iterable, Sequence
from math import isfinite

from ._anchors import LEAST_BAND, Comparison, Source

SPREADS = {"sd": "± standard deviation over runs", "se": "± standard error", "none": "spread not published"}


def as_page(comparisons: Sequence[Comparison]) -> str:
    """Return the page `docs/anchors.md`: how the comparison is made, and one table a source."""
    sources = list({id(one.anchor.source): one.anchor.source for one in comparisons}.values())
    parts = [_HEAD.rstrip()]
    for source in sources:
        own = [one for one in comparisons if one.anchor.source is source]
        parts += _section(source, own)
    return "\n".join(parts) + "\n"


_HEAD = f"""# Published numbers

What others have published, lived again with the parts of this library under the protocols of their code. This page is
written by `lifelong anchors show --markdown`; `lifelong anchors run` lives rows again.

Accuracies are in per cent, over all tasks after the last one. Ours agrees with a published value (✓) where the two means
lie within max({LEAST_BAND:g} point, 3·√(se² + se²)) of each other, in either direction, with the standard error se of each;
a value that was read from a figure has the error of reading it, too. Coefficients are the published ones. What lies outside
stays here (✗), with the reason as far as it is known.
"""


def _section(source: Source, comparisons: Sequence[Comparison]) -> list[str]:
    reading = f", read to about {source.reading:g} points" if source.reading else ""
    return [
        f"\n## {source.title}\n",
        f"Values: {source.file} ({SPREADS[source.spread]}, {source.runs} runs{reading}).\n",
        f"{source.protocol}\n",
        *_table(comparisons),
        *_duration(comparisons),
        *_listed("What differs by method:", comparisons, "note"),
        *_listed("Outside its band:", comparisons, "outside"),
        *_listed("Not measured yet:", comparisons, "unmeasured"),
    ]


def _duration(comparisons: Sequence[Comparison]) -> list[str]:
    """Say how long the lives took, and on what machine."""
    lived = [one.ours.about for one in comparisons if one.ours and "run_seconds" in one.ours.about]
    if not lived:
        return []
    minutes = sum(about["run_seconds"] + about["compile_seconds"] for about in lived) / 60
    machines = ", ".join(dict.fromkeys(about["machine"] for about in lived))
    return [f"\n{len(lived)} rows were lived in {minutes:.0f} minutes ({machines})."]


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
        f"{one.difference:+.2f}".replace("-", "−"),
        f"{one.band:.2f}",
    ]
    return f"| {' | '.join(cells)} | {MARKS[one.state]} |"


MARKS = {"inside": "✓", "outside": "✗", "diverged": "✗ diverged", "not measured": "not measured"}


def published(one: Comparison) -> str:
    """Return a published value with its spread."""
    about = "≈ " if one.anchor.about else ""
    return about + spread(one.anchor.mean, one.anchor.sd)


def spread(mean: float, sd: float | None) -> str:
    """Return a mean and its spread, where it has one."""
    if not isfinite(mean):
        return "diverged"
    return f"{mean:.2f} ± {sd:.2f}" if sd is not None and isfinite(sd) else f"{mean:.2f}"
