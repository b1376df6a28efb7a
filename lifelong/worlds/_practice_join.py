"""Rows that tell of one attempt become one: further skills are added to it, duplicates are counted."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int8, Int32, Int64

from ._practice import pad_skills

SEPARATORS = ("~~", ";", "|")
"""What may stand between the skills of one cell; all but the first only where no skill contains a blank."""


class Rows(NamedTuple):
    """What was read of every row that is used; codes of labels are in the order met."""

    student: Int32[np.ndarray, " rows"]
    skill: Int32[np.ndarray, " rows"]
    item: Int32[np.ndarray, " rows"]
    outcome: Int8[np.ndarray, " rows"]
    time: Float64[np.ndarray, " rows"]
    attempt: Int64[np.ndarray, " rows"]
    row: Int64[np.ndarray, " rows"]

    def take(self, chosen: np.ndarray) -> "Rows":
        """Return some rows, by their places or marked True."""
        return Rows(*(column[chosen] for column in self))


class Joined(NamedTuple):
    """The rows kept, the skills of each [rows, width], and which rows went into others or were duplicates."""

    rows: Rows
    skill: Int32[np.ndarray, "rows width"]
    further: Int64[np.ndarray, " further"]
    duplicate: Int64[np.ndarray, " duplicates"]
    disagreeing: int


class Cells(NamedTuple):
    """The skills that every cell names: their codes, cell after cell, and how many each cell has."""

    codes: Int[np.ndarray, " entries"]
    counts: Int[np.ndarray, " cells"]

    def of(self, cell: Int32[np.ndarray, " rows"]) -> tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " rows"]]:
        """Return the skill codes of some cells, one after the other, and how many each has."""
        lengths = self.counts[cell]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        starts = np.cumsum(self.counts) - self.counts
        return self.codes[np.repeat(starts[cell], lengths) + within], lengths


def joined(rows: Rows, cells: Cells, timed: bool, identified: bool) -> Joined:
    """Join rows of one attempt, and name all skills of each.

    Rows are of one attempt where student and attempt agree, if attempts are identified; else, if there are times, where
    student, item, time and outcome do. The first of them counts.
    """
    keys = (rows.attempt,) if identified else (rows.item, rows.time, rows.outcome) if timed else (rows.row,)
    order = np.lexsort((rows.row, *keys, rows.student))
    rows = rows.take(order)
    keys = (rows.attempt,) if identified else (rows.item, rows.time, rows.outcome) if timed else (rows.row,)
    first = np.ones(len(order), bool)
    first[1:] = np.any([key[1:] != key[:-1] for key in (*keys, rows.student)], axis=0)
    owner = np.cumsum(first) - 1
    repeats = _seen_before(owner, rows.skill, first)
    codes, lengths = cells.of(rows.skill)
    skill = pad_skills(codes, np.bincount(owner, lengths).astype(np.int64))
    disagrees = int(np.count_nonzero(rows.outcome != rows.outcome[first][owner]))
    return Joined(rows.take(first), skill, np.sort(rows.row[~first & ~repeats]), np.sort(rows.row[repeats]), disagrees)


def _seen_before(owner: np.ndarray, cell: np.ndarray, first: np.ndarray) -> Bool[np.ndarray, " rows"]:
    """Mark rows whose cell of skills an earlier row of the same attempt has too."""
    if first.all():
        return ~first
    order = np.lexsort((np.arange(len(owner)), cell, owner))
    same = (np.diff(owner[order], prepend=-1) == 0) & (np.diff(cell[order], prepend=-1) == 0)
    marked = np.zeros(len(owner), bool)
    marked[order] = same
    return marked


def split_cells(cells: Sequence[str], separator: str | None) -> tuple[list[list[str]], str]:
    """Return the skills that every cell names, and the separator found, '' for none."""
    found = separator if separator is not None else next((s for s in SEPARATORS if _separates(s, cells)), "")
    if not found:
        return [[cell] for cell in cells], ""
    return [[part.strip() for part in cell.split(found) if part.strip()] or [cell] for cell in cells], found


def _separates(separator: str, cells: Sequence[str]) -> bool:
    parts = [part for cell in cells if separator in cell for part in cell.split(separator)]
    return bool(parts) and (separator == SEPARATORS[0] or not any(" " in part.strip() for part in parts))
