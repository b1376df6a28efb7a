"""The figures of a traced log as inline SVG: models, learning curves, mastery, calibration, prerequisites."""

from collections.abc import Sequence
from html import escape
from math import cos, hypot, pi, sin

import numpy as np
from jaxtyping import Bool, Float

from lifelong.exams.tracing import LearningCurve, Prerequisite, mark, reliability
from lifelong.worlds import PracticeLog

from ._figures import Panel
from ._svg import LEVELS, Point, Row, Scale, drawing, line, path, strip_chart, tag, text
from ._trace import Examined, Trace
from ._trace_gaps import all_the_same, no_pairs

CELL = 15
"""Pixels of a cell of the mastery map."""

PLACE = 660
"""Pixels across the page: a smaller map stays small."""


def models_figure(trace: Trace) -> Panel:
    """Return the AUC of every model: each fold, that of all of them and its interval, and chance."""
    rows = [_model_row(one, trace) for one in trace.examined.values()]
    if not any(np.isfinite(row.mean) for row in rows):
        return Panel("AUC", "", f"the AUC is undefined: {all_the_same(trace.log)}, so there is nothing to rank")
    label = "AUC on held-out students, every fold: " + "; ".join(f"{row.label} {row.value}" for row in rows)
    return Panel("AUC", strip_chart(rows, "AUC", label, {"chance": 0.5}))


def _model_row(one: Examined, trace: Trace) -> Row:
    validation, log = one.validation, trace.log
    folds = [mark(validation.p, log, (validation.fold == f)[log.student]).auc for f in _graded_folds(one, log)]
    interval = validation.intervals()["auc"]
    value = validation.marks().auc
    return Row(
        label=one.name,
        mean=value,
        interval=(interval.low, interval.high) if interval else None,
        dots={f"fold {i + 1}: {v:.3f}": v for i, v in enumerate(folds) if np.isfinite(v)},
        value=f"{value:.3f}",
        strong=one.name == trace.best,
    )


def _graded_folds(one: Examined, log: PracticeLog) -> list[int]:
    folds = np.unique(one.validation.fold[log.student[log.graded]])
    return folds.tolist()


def curve_figure(curve: LearningCurve, number: int, best: str) -> Panel:
    """Return one skill's learning curve: what was observed, the best model's mean prediction, the others' faintly."""
    width, height = 220, 150
    x = Scale(1, max(2, len(curve.observed)), 32, width - 8)
    y = Scale(0, 1, height - 22, 8)
    steps = range(1, len(curve.observed) + 1)
    body = [path([[(x.start, y(v)), (x.end, y(v))] for v in (0, 0.5, 1)], "grid")]
    body += [text(26, y(v) + 4, f"{100 * v:.0f}", "muted", "end") for v in (0, 0.5, 1)]
    body += [text(x.start, height - 6, "1", "muted"), text(x.end, height - 6, f"attempt {len(steps)}", "muted", "end")]
    others = [_points(steps, p, x, y) for name, p in curve.predicted.items() if name != best]
    body.append(path(others, "thin ink"))
    body.append(path([_points(steps, curve.observed, x, y)], "thick ink"))
    body.append(path([_points(steps, curve.predicted[best], x, y)], "thick accent"))
    first, last = (100 * float(curve.observed[i]) for i in (0, -1))
    label = f"{curve.skill}: {first:.0f} per cent right at attempt 1, {last:.0f} at attempt {len(steps)}"
    return Panel(f"{number}. {curve.skill}", drawing(width, height, label, *body))


def _points(steps: Sequence[int], values: Float[np.ndarray, " steps"], x: Scale, y: Scale) -> list[Point]:
    return [(x(s), y(v)) for s, v in zip(steps, values.tolist(), strict=True)]


def mastery_figure(
    known: Float[np.ndarray, "students skills"],
    practised: Bool[np.ndarray, "students skills"],
    students: Sequence[str],
    numbers: Sequence[int],
) -> Panel:
    """Return a map of what each student knows of each skill; what was never practised is a dot, not a cell."""
    left, top = 8 + 6.6 * min(14, max(map(len, students))), 20
    rows, columns = known.shape
    shades: dict[int, list[str]] = {}
    dots: list[str] = []
    for s, k in np.ndindex(rows, columns):
        x, y = left + CELL * k, top + CELL * s
        if practised[s, k]:
            shades.setdefault(round(LEVELS * float(known[s, k])), []).append(
                f"M{x:.0f} {y}h{CELL - 1}v{CELL - 1}h-{CELL - 1}z"
            )
        else:
            dots.append(f"M{x + CELL / 2 - 1:.0f} {y + CELL // 2}h1")
    body = [
        tag("path", d="".join(d), class_="heat", fill_opacity=f"{s / LEVELS:.2f}") for s, d in sorted(shades.items())
    ]
    body.append(tag("path", d="".join(dots), class_="mark"))
    body += [
        text(left - 5, top + CELL * s + 11, short, "muted small", "end", name if short != name else "")
        for s, (name, short) in enumerate(zip(students, _short(students, 14), strict=True))
    ]
    body += [text(left + CELL * (k + 0.5) - 1, 13, str(n), "muted small", "middle") for k, n in enumerate(numbers)]
    mean = 100 * float(known[practised].mean()) if practised.any() else 0
    label = f"mastery of {columns} skills by {rows} students; {mean:.0f} per cent on average where practised"
    return Panel("mastery", drawing(max(PLACE, left + CELL * columns + 4), top + CELL * rows + 4, label, *body))


def calibration_figure(trace: Trace) -> Panel:
    """Return the share right against the probability predicted, bin by bin; dots grow with the attempts behind them."""
    one, log = trace.examined[trace.best], trace.log
    p, outcome = one.validation.p[log.graded], log.outcome[log.graded].astype(float)
    bins = reliability(p, outcome)
    width, height = 300, 270
    x, y = Scale(0, 1, 40, width - 10), Scale(0, 1, height - 40, 10)
    body = [path([[(x.start, y(v)), (x.end, y(v))] for v in (0, 0.25, 0.5, 0.75, 1)], "grid")]
    body.append(line(x(0), y(0), x(1), y(1), "mark"))
    for v in (0, 0.5, 1):
        body += [text(34, y(v) + 4, f"{v:g}", "muted", "end"), text(x(v), height - 22, f"{v:g}", "muted", "middle")]
    body += [
        text(x(0.5), height - 4, "predicted probability", "muted", "middle"),
        text(x.start + 4, 22, "share right", "muted"),
    ]
    seen = bins.attempts > 0
    body.append(
        path([[(x(a), y(b)) for a, b in zip(bins.predicted[seen], bins.observed[seen], strict=True)]], "thick accent")
    )
    for a, b, n in zip(bins.predicted[seen], bins.observed[seen], bins.attempts[seen], strict=True):
        title = tag("title", f"{n:,} attempts: predicted {a:.2f}, right {b:.2f}")
        radius = 2.5 + 6 * float(n / bins.attempts.max()) ** 0.5
        body.append(tag("circle", title, cx=x(float(a)), cy=y(float(b)), r=radius, class_="dot accent"))
    error = one.validation.marks().calibration_error
    return Panel("calibration", drawing(width, height, f"calibration of {trace.best}: mean error {error:.3f}", *body))


def graph_figure(edges: Sequence[Prerequisite], numbers: dict[str, int], log: PracticeLog) -> Panel:
    """Return the skills of the edges on a circle, with an arrow from each that seems to prepare for another."""
    names = sorted({name for edge in edges for name in (edge.before, edge.after)}, key=lambda name: numbers[name])
    if not names:
        nothing = no_pairs(log) or "no pair of skills stands out from what the predictions explain"
        return Panel("prerequisites", "", nothing)
    side, reach = 360.0, 150.0
    place = {n: _on_circle(i, len(names), side / 2, reach) for i, n in enumerate(names)}
    body = [_arrow(place[edge.before], place[edge.after]) for edge in edges]
    for name, (x, y) in place.items():
        title = tag("title", escape(name))
        body.append(tag("circle", title, cx=x, cy=y, r=12, class_="node"))
        body.append(text(x, y + 4, str(numbers[name]), "ink", "middle"))
    label = "; ".join(f"{numbers[edge.before]} before {numbers[edge.after]}" for edge in edges)
    return Panel("prerequisites", drawing(side, side, f"estimated prerequisites: {label}", *body))


def _on_circle(i: int, n: int, middle: float, reach: float) -> Point:
    angle = 2 * pi * i / n - pi / 2
    return middle + reach * cos(angle), middle + reach * sin(angle)


def _arrow(start: Point, end: Point) -> str:
    """Return a line between two nodes with a head at its end."""
    (x1, y1), (x2, y2) = start, end
    length = hypot(x2 - x1, y2 - y1)
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    x1, y1, x2, y2 = x1 + 13 * ux, y1 + 13 * uy, x2 - 14 * ux, y2 - 14 * uy
    wings = [(x2 - 7 * ux + 4 * s * uy, y2 - 7 * uy - 4 * s * ux) for s in (1, -1)]
    return path([[(x1, y1), (x2, y2)], [wings[0], (x2, y2), wings[1]]], "edge")


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def _short(names: Sequence[str], most: int) -> list[str]:
    """Return names cut at their end, or at their beginning where that keeps more of them apart."""
    ends = [_cut(name, most) for name in names]
    beginnings = [name if len(name) <= most else "…" + name[1 - most :] for name in names]
    return max(ends, beginnings, key=lambda cut: len(set(cut)))
