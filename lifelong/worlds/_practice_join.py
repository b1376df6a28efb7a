"""Rows that tell of one attempt become one: further skills are added to it, duplicates are counted."""

from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int8, Int32, Int64

from ._practice import pad_skills

SEPARATORS = ("~~", ";", "|")
"""What may stand between the skills of one cell; all but the first only where no skill contains a blank."""

MINUTE = 60.0


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


class Told(NamedTuple):
    """What tells attempts of a student apart: columns of `Rows`. `ordered` where the attempt's number gives their order."""

    by: tuple[str, ...]
    ordered: bool
    remarks: tuple[str, ...] = ()


def told_apart(rows: Rows, known: Container[str]) -> Told:
    """Return what tells attempts apart, of a log in which these roles are known.

    An attempt's number, and the item where it has a column of its own: some logs count attempts at every item anew. Else
    item, time and outcome; but where times are whole minutes and a student has several attempts at some of them, every
    row is an attempt, and so it is without times.
    """
    if "attempt" in known:
        by = ("attempt", "item") if "item" in known else ("attempt",)
        anew = "item" in known and _differ(rows, "attempt", ("item",))
        said = ("attempts are counted for each item anew, so that their numbers give no order",) if anew else ()
        return Told(by, not anew, said)
    if "time" not in known:
        return Told(("row",), False, _doubtful(rows) if "item" in known else ())
    if np.all(rows.time % MINUTE == 0) and _differ(rows, "time", ("item", "outcome")):
        said = "times are whole minutes or days, at which students have several attempts: every row is one of its own"
        return Told(("row",), False, (said, *(_doubtful(rows) if "item" in known else ())))
    return Told(("item", "time", "outcome"), False)


def _differ(rows: Rows, same: str, other: tuple[str, ...]) -> bool:
    """Return whether some rows of a student agree in one column and not in others."""
    columns = [rows.student, getattr(rows, same), *(getattr(rows, name) for name in other)]
    order = np.lexsort(columns[::-1])
    agrees, *differs = (np.diff(column[order]) for column in (columns[1], *columns[2:]))
    return bool(np.any((agrees == 0) & (np.diff(rows.student[order]) == 0) & np.any(differs, axis=0)))


def _doubtful(rows: Rows) -> tuple[str, ...]:
    """Say how many rows may tell of the attempt of the row before: they repeat all of it but the skill."""
    order = np.lexsort((rows.row, rows.student))
    same = [np.diff(getattr(rows, name)[order]) == 0 for name in ("student", "item", "outcome")]
    found = int(np.count_nonzero(np.all(same, axis=0) & (np.diff(rows.skill[order]) != 0)))
    if not found:
        return ()
    return (
        f"{found:,} rows repeat student, item and outcome of the row before with another skill: if they tell of the same "
        "attempt, models see its answer before they predict it; name the column that identifies attempts (--attempt)",
    )


def joined(rows: Rows, cells: Cells, told: Told) -> Joined:
    """Join rows of one attempt, of which the first counts, and name all skills of each."""
    rows = rows.take(np.lexsort((rows.row, *(getattr(rows, name) for name in told.by), rows.student)))
    first = np.ones(len(rows.row), bool)
    first[1:] = np.any([np.diff(getattr(rows, name)) != 0 for name in (*told.by, "student")], axis=0)
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
