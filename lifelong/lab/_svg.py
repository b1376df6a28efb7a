"""A small drawing kit: charts as SVG text, whose colours come, light or dark, from the page they stand in.

Text stays text, and every mark carries a class (`ink`, `accent`, `muted` …) that the page's style sheet colours.
"""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, isfinite, log10
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

WIDTH = 440
"""The width of a full chart, in pixels at which its text has its own size."""

LEVELS = 20
"""Shades of a heat map."""

Point = tuple[float, float]


def tag(name: str, *content: str, **attributes: object) -> str:
    """Return an element; in attributes' names `_` stands for `-`, and a trailing one is dropped (`class_`)."""
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{_written(value)}"' for key, value in attributes.items())
    inside = "".join(content)
    return f"<{name}{words}>{inside}</{name}>" if inside else f"<{name}{words}/>"


def text(x: float, y: float, words: str, class_: str = "ink", anchor: str = "start", whole: str = "") -> str:
    """Return words at a place; `anchor` is 'start', 'middle' or 'end', `whole` what is shown where the pointer rests."""
    place = {} if anchor == "start" else {"text_anchor": anchor}
    title = [tag("title", escape(whole))] if whole else []
    return tag("text", escape(words), *title, x=x, y=y, class_=class_, **place)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """Return a straight line."""
    return tag("path", d=f"M{_short(x1)} {_short(y1)}L{_short(x2)} {_short(y2)}", class_=class_)


def path(lines: Sequence[Sequence[Point]], class_: str) -> str:
    """Return several polylines as one path; points that are not finite leave a gap."""
    return tag("path", d="".join(_trace(points) for points in lines), class_=class_)


def dots(places: Sequence[Point], class_: str) -> str:
    """Return a dot at every place, as wide as the stroke of the class: lines of no length with round ends, in one path."""
    return tag("path", d="".join(f"M{_short(x)} {_short(y)}h0" for x, y in places), class_=f"dots {class_}")


def drawing(width: float, height: float, label: str, *content: str) -> str:
    """Return a picture that scales to the width of its place and reads its label aloud."""
    box = f"0 0 {_short(width)} {_short(height)}"
    return tag("svg", *content, xmlns="http://www.w3.org/2000/svg", viewBox=box, role="img", aria_label=label)


class Scale(NamedTuple):
    """A linear map from values low … high to pixels start … end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float) -> "Scale":
        """Return a scale on which all finite values lie, with some air around them."""
        finite = [value for value in values if isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        air = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - air, high + air, start, end)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    step = 10 ** floor(log10((high - low) / about))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= about)
    return [round(i * step, 12) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


class Row(NamedTuple):
    """One line of a strip chart: a value per seed, their mean and its interval; seeds counted as worst are crosses.

    A row without seeds has its label above it.
    """

    label: str
    mean: float
    interval: tuple[float, float] | None = None
    dots: Mapping[str, float] = {}
    crosses: Mapping[str, float] = {}
    value: str = ""
    strong: bool = False


def strip_chart(
    rows: Sequence[Row], axis: str, label: str, marks: Mapping[str, float] | None = None, with_zero: bool = False
) -> str:
    """Return rows of dots over a common axis, each with its mean and interval; `marks` are named vertical lines."""
    marks, labelled = marks or {}, [row for row in rows if _has_seeds(row)]
    left = min(188.0, 16 + 7.8 * max((len(row.label) for row in labelled), default=-1))
    top, pitch = 22 if marks else 6, 34 if labelled else 42
    bottom = top + pitch * len(rows)
    x = Scale.around([*_seen(rows), *marks.values(), *[0.0] * with_zero], left, WIDTH - 54)
    body = [_grid(x, top, bottom), text((x.start + x.end) / 2, bottom + 32, axis, "muted", "middle")]
    if x.low < 0 < x.high:
        body.append(line(x(0), top, x(0), bottom, "zero"))
    for words, value in marks.items():
        body += [line(x(value), top - 6, x(value), bottom, "mark"), text(x(value), top - 10, words, "muted", "middle")]
    body += [_row(row, x, top + pitch * (i + 0.5)) for i, row in enumerate(rows)]
    return drawing(WIDTH, bottom + 38, label, *body)


def _seen(rows: Sequence[Row]) -> list[float]:
    return [v for row in rows for v in (*row.dots.values(), *row.crosses.values(), row.mean, *(row.interval or ()))]


def _grid(x: Scale, top: float, bottom: float) -> str:
    places = ticks(x.low, x.high)
    rules = path([[(x(v), top), (x(v), bottom)] for v in places], "grid")
    return rules + "".join(text(x(v), bottom + 15, _number(v), "muted", "middle") for v in places)


def _has_seeds(row: Row) -> bool:
    return bool(row.dots or row.crosses)


def _row(row: Row, x: Scale, y: float) -> str:
    """Return a row: seeds above their mean and its interval, the label beside them or, without seeds, above."""
    colour = "accent" if row.strong else "ink"
    label, most = (y + 4, 22) if _has_seeds(row) else (y - 5, 50)
    parts = [text(0, label, _cut(row.label, most), f"{colour} name")]
    parts.append(text(WIDTH, label, row.value, f"{colour} name", "end"))
    for i, (seed, value) in enumerate(row.dots.items()):
        title = tag("title", escape(seed))
        parts.append(tag("circle", title, cx=x(value), cy=y - 7 + 3 * (i % 3 - 1), r=2.4, class_=f"dot {colour}"))
    for i, (seed, value) in enumerate(row.crosses.items()):
        parts.append(_cross(x(value), y - 7 + 3 * (i % 3 - 1), seed))
    middle = y + 7
    if row.interval:
        low, high = (x(bound) for bound in row.interval)
        parts.append(line(low, middle, high, middle, f"interval {colour}"))
    if isfinite(row.mean):
        parts.append(line(x(row.mean), middle - 6, x(row.mean), middle + 6, f"mean {colour}"))
    return "".join(parts)


def _cross(x: float, y: float, title: str) -> str:
    d = f"M{_short(x - 3)} {_short(y - 3)}l6 6m0-6l-6 6"
    return tag("path", tag("title", escape(title)), d=d, class_="cross")


class Curves(NamedTuple):
    """What a panel of curves shows over `steps`: thin lines (one a seed), a thick one, and a faint one to compare."""

    steps: np.ndarray
    thin: np.ndarray
    thick: np.ndarray
    ghost: tuple[np.ndarray, np.ndarray] | None = None
    ends: np.ndarray = np.zeros(0)
    strong: bool = False


def curve_panel(curves: Curves, limits: tuple[float, float], label: str) -> str:
    """Return a small panel of curves, with the ends of tasks as vertical lines and an axis between the limits."""
    width, height = 220, 150
    x, y = Scale(0, float(curves.steps.max()) or 1.0, 32, width - 6), Scale(*limits, height - 22, 8)
    levels = ticks(*limits, about=3)
    colour = "accent" if curves.strong else "ink"
    body = [path([[(x.start, y(v)), (x.end, y(v))] for v in levels], "grid")]
    body += [path([[(x(e), y.start), (x(e), y.end)] for e in curves.ends], "end")] if len(curves.ends) else []
    body += [text(26, y(v) + 4, _number(v), "muted", "end") for v in levels]
    body += [text(x.start, height - 6, "0", "muted"), text(x.end, height - 6, f"step {x.high:,.0f}", "muted", "end")]
    body.append(path([_points(curves.steps, one, x, y) for one in curves.thin], f"thin {colour}"))
    if curves.ghost:
        steps, values = curves.ghost
        lived = steps <= x.high
        body.append(path([_points(steps[lived], values[lived], x, y)], "ghost"))
    body.append(path([_points(curves.steps, curves.thick, x, y)], f"thick {colour}"))
    return drawing(width, height, label, *body)


def _points(steps: np.ndarray, values: np.ndarray, x: Scale, y: Scale) -> list[Point]:
    return [(x(s), y(v)) for s, v in zip(steps.tolist(), values.tolist(), strict=True)]


def heat_panel(matrix: Float[np.ndarray, "exams tasks"], learned: Bool[np.ndarray, "exams tasks"], label: str) -> str:
    """Return shares [exam, task] as a heat map with per cents in its cells; cells not `learned` are muted."""
    rows, columns = matrix.shape
    side = 220 / max(columns + 1, 7)
    numbered = side >= 17
    size = "" if side >= 26 else " small"
    shades: dict[int, list[str]] = {}
    cells: list[str] = []
    for k, i in np.ndindex(rows, columns):
        value, x, y = float(matrix[k, i]), side * (i + 1), side * k
        if learned[k, i] and isfinite(value):
            box = f"M{_short(x + 0.5)} {_short(y + 0.5)}h{_short(side - 1)}v{_short(side - 1)}h-{_short(side - 1)}z"
            shades.setdefault(round(LEVELS * min(max(value, 0), 1)), []).append(box)
        if numbered:
            words = f"{100 * value:.0f}" if isfinite(value) else "–"
            class_ = ("ink" if learned[k, i] else "muted") + size
            cells.append(text(x + side / 2, y + side / 2 + 4, words, class_, "middle"))
    heat = [tag("path", d="".join(d), class_="heat", fill_opacity=f"{s / LEVELS:.2f}") for s, d in shades.items()]
    labels = _heat_labels(rows, columns, side, f"muted{size}")
    return drawing(side * (columns + 1), side * rows + 18, label, *heat, *cells, *labels)


def _heat_labels(rows: int, columns: int, side: float, class_: str) -> list[str]:
    every = max(1, ceil(14 / side))
    exams = [text(side - 4, side * (k + 0.5) + 4, str(k + 1), class_, "end") for k in range(0, rows, every)]
    tasks = [text(side * (i + 1.5), side * rows + 13, str(i + 1), class_, "middle") for i in range(0, columns, every)]
    return exams + tasks


def _trace(points: Sequence[Point]) -> str:
    """Return a polyline as path commands, without points that repeat the one before."""
    words, last = [], None
    for x, y in points:
        if not (isfinite(x) and isfinite(y)):
            last = None
            continue
        here = f"{_short(x)} {_short(y)}"
        if here != last:
            words.append(f"{'M' if last is None else 'L'}{here}")
        last = here
    return "".join(words)


def _short(value: float) -> str:
    number = f"{value:.1f}"
    return number[:-2] if number.endswith(".0") else number


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _written(value: object) -> str:
    return _short(value) if isinstance(value, float) else escape(str(value))


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
