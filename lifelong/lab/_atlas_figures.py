"""The small pictures of the atlas: one strip a claim on a common axis, a thumbnail a paper, tallies as dots."""

from collections import defaultdict
from collections.abc import Sequence
from math import asinh, cos, isfinite, pi, sin
from typing import NamedTuple

import numpy as np

from lifelong.exams import Effect

from ._catalogue import ROLES, Entry
from ._svg import Scale, dots, drawing, line, path, tag, text

STRIP, TALL = 300, 26
"""Width and height of a strip."""

TICKS = (-20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20)


class Standard(NamedTuple):
    """An effect in standard deviations of the paired differences: mean and interval divided by the same number."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, effect: Effect) -> "Standard | None":
        """Return an effect in standard deviations; None where all seeds differ by the same, unless that is 0."""
        if effect.mean == 0:
            return cls(0.0, 0.0, 0.0)
        if not effect.cohens_dz:
            return None
        deviation = effect.mean / effect.cohens_dz
        return cls(effect.cohens_dz, effect.interval.low / deviation, effect.interval.high / deviation)


class Axis(NamedTuple):
    """An axis of effects: near 0 it is linear, further out it is compressed (inverse hyperbolic sine)."""

    scale: Scale
    ticks: tuple[int, ...]

    def __call__(self, value: float) -> float:
        """Return the pixel of an effect."""
        return self.scale(asinh(value))

    @classmethod
    def over(cls, effects: Sequence[Standard]) -> "Axis":
        """Return an axis on which all effects and their intervals lie."""
        values = [0.0, -1.0, 1.0, *(value for effect in effects for value in effect if isfinite(value))]
        scale = Scale.around([asinh(value) for value in values], 6, STRIP - 6)
        return cls(scale, tuple(tick for tick in TICKS if min(values) <= tick <= max(values)))


def effect_strip(effect: Standard | None, axis: Axis, label: str) -> str:
    """Return one row of a forest plot."""
    grid = path([[(axis(tick), 0), (axis(tick), TALL)] for tick in axis.ticks if tick], "grid")
    body = [grid, line(axis(0), 0, axis(0), TALL, "zero")]
    if effect is not None:
        middle = TALL / 2
        body.append(line(axis(effect.low), middle, axis(effect.high), middle, "interval tone"))
        body.append(tag("circle", cx=axis(effect.mean), cy=middle, r=4.5, class_="point tone"))
    return drawing(STRIP, TALL, label, *body)


def effect_axis(axis: Axis) -> str:
    """Return the numbers below a forest plot."""
    numbers = [text(axis(tick), 12, f"{tick}".replace("-", "−"), "muted", "middle") for tick in axis.ticks]
    return drawing(STRIP, 16, "axis in standard deviations of the paired differences", *numbers)


def gains_thumbnail(gains: np.ndarray, effect: Effect | None, label: str) -> str:
    """Return the gain of every seed as a dot beside 0, with their mean and its interval."""
    width, height = 160, 56
    span = [0.0, *(float(gain) for gain in gains), *((effect.interval.low, effect.interval.high) if effect else ())]
    x = Scale.around(span, 6, width - 6)
    body = [line(x(0), 4, x(0), height - 4, "zero")]
    rows = [(gain, 16.0 + 5 * (place % 4 - 1.5)) for place, gain in enumerate(gains.tolist())]
    body.append(dots([(x(gain), y) for gain, y in rows if isfinite(gain)], "tone"))
    if effect:
        body.append(line(x(effect.interval.low), 40, x(effect.interval.high), 40, "interval tone"))
        body.append(tag("circle", cx=x(effect.mean), cy=40.0, r=4.0, class_="point tone"))
    return drawing(width, height, label, *body)


def roles_thumbnail(paper: Entry) -> str:
    """Return the six roles as a ring, those that a paper contributes to filled, its main one largest."""
    width, height, radius = 56, 56, 20
    places = {
        role: (width / 2 + radius * cos(pi * (i / 3 - 0.5)), height / 2 + radius * sin(pi * (i / 3 - 0.5)))
        for i, role in enumerate(ROLES)
    }
    ring = list(places.values())
    body = [path([[*ring, ring[0]]], "grid")]
    for role, (x, y) in places.items():
        own = role in paper.roles
        radius = 5.5 if role == paper.roles[0] else 4.0 if own else 2.5
        body.append(tag("circle", tag("title", role), cx=x, cy=y, r=radius, class_="node own" if own else "node"))
    return drawing(width, height, f"roles: {', '.join(paper.roles)}", *body)


def tally(classes: Sequence[str], columns: int, label: str) -> str:
    """Return one dot a paper, coloured by class, row by row."""
    pitch = 10
    places = defaultdict(list)
    for i, name in enumerate(classes):
        places[name].append((pitch * (i % columns + 0.5), pitch * (i // columns + 0.5)))
    drawn = [dots(own, f"paper {name}") for name, own in places.items()]
    return drawing(pitch * columns, pitch * -(-len(classes) // columns), label, *drawn)
