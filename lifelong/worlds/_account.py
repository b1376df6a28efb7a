"""What became of every row of a file: nothing is dropped without being counted."""

from dataclasses import dataclass

import numpy as np

NAMED = 5
"""Rows of each fate that are named by their number."""


@dataclass(frozen=True)
class Fate:
    """What happened to some rows: why, how many, and the numbers of the first of them, the header being row 1."""

    why: str
    count: int
    first: tuple[int, ...]

    def __str__(self) -> str:
        rows = ", ".join(f"{row:,}" for row in self.first)
        more = " …" if self.count > len(self.first) else ""
        return f"{self.count:,} {self.why} (row{'s' if self.count > 1 else ''} {rows}{more})"


@dataclass(frozen=True)
class Account:
    """The rows of a source: `read` of them became `attempts`, were `joined` to others or `set_aside`, or not sampled.

    read = attempts + Σ joined + Σ set aside + sampled out. `remarks` say how the source was understood: its layout, its
    encoding, where skills were split.
    """

    source: str
    read: int
    attempts: int
    graded: int
    joined: tuple[Fate, ...] = ()
    set_aside: tuple[Fate, ...] = ()
    remarks: tuple[str, ...] = ()
    sampled_out: int = 0

    def __str__(self) -> str:
        """Return one line that accounts for every row."""
        parts = [
            f"{counted(self.attempts, 'attempt')} ({self.graded:,} graded, {self.attempts - self.graded:,} ungraded)"
        ]
        parts += [f"joined to another: {fate}" for fate in self.joined]
        parts += [f"set aside: {fate}" for fate in self.set_aside]
        parts += [f"not drawn into the sample: {self.sampled_out:,}"] if self.sampled_out else []
        return f"{self.source}: {counted(self.read, 'row')} read = {' + '.join(parts)}"


def counted(count: int, thing: str) -> str:
    """Return so many things in words, '1 row' or '2,000 rows'."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


class Fates:
    """Counts rows by what became of them, and keeps the numbers of the first."""

    def __init__(self):
        self.counts: dict[str, int] = {}
        self.first: dict[str, list[int]] = {}

    def add(self, why: str, rows: np.ndarray) -> None:
        """Take in the places of rows, from 0; they are named counting the header as row 1."""
        if len(rows):
            self.counts[why] = self.counts.get(why, 0) + len(rows)
            self.first[why] = sorted([*self.first.get(why, []), *(np.sort(rows)[:NAMED] + 2).tolist()])[:NAMED]

    def all(self) -> tuple[Fate, ...]:
        """Return them in the order in which they came up first."""
        order = sorted(self.counts, key=lambda why: self.first[why])
        return tuple(Fate(why, self.counts[why], tuple(self.first[why])) for why in order)
