"""What a student did before each attempt: counts for every skill of every row, from earlier rows alone."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from lifelong.worlds import PracticeLog


class Entries(NamedTuple):
    """Every skill of every row, in order of student, skill and time: its row, its slot, and where its thread began."""

    row: Int[np.ndarray, " entries"]
    slot: Int[np.ndarray, " entries"]
    start: Int[np.ndarray, " entries"]

    def table(self, values: Float[np.ndarray, " entries"], log: PracticeLog) -> Float[np.ndarray, "rows width"]:
        """Return values by row and slot, 0 where a row has fewer skills."""
        out = np.zeros(log.skill.shape)
        out[self.row, self.slot] = values
        return out


def entries(log: PracticeLog) -> Entries:
    """Return the entries of a log."""
    row, slot = np.nonzero(log.skill >= 0)
    skill, student = log.skill[row, slot], log.student[row]
    order = np.lexsort((row, skill, student))
    row, slot, skill, student = row[order], slot[order], skill[order], student[order]
    fresh = (np.diff(student, prepend=-1) != 0) | (np.diff(skill, prepend=-1) != 0)
    start = np.maximum.accumulate(np.where(fresh, np.arange(len(row)), 0))
    return Entries(row, slot, start)


class Credit(NamedTuple):
    """What each row counts towards later ones: an attempt, a success, a failure; all 0 for a row that only asks.

    Where an outcome is not known, it can be split between success and failure.
    """

    attempt: Float[np.ndarray, " rows"]
    right: Float[np.ndarray, " rows"]
    wrong: Float[np.ndarray, " rows"]


def credit(log: PracticeLog, asks: Bool[np.ndarray, " rows"] | None = None) -> Credit:
    """Return the credit of every row as its outcome has it; ungraded rows are attempts alone."""
    counts = np.ones(len(log)) if asks is None else (~asks).astype(np.float64)
    return Credit(counts, counts * (log.outcome == 1), counts * (log.outcome == 0))


def before(values: Float[np.ndarray, " rows"], at: Entries) -> Float[np.ndarray, " entries"]:
    """Return the sum of a value over the earlier rows of the same thread."""
    upto = np.concatenate([[0.0], np.cumsum(values[at.row])])
    return upto[:-1] - upto[at.start]


def within(
    values: Float[np.ndarray, " rows"], at: Entries, log: PracticeLog, seconds: float
) -> Float[np.ndarray, " entries"]:
    """Return the sum of a value over the earlier rows of the same thread that are at most so many seconds old."""
    upto = np.concatenate([[0.0], np.cumsum(values[at.row])])
    return upto[:-1] - upto[_first_within(at, log, seconds)]


def _first_within(at: Entries, log: PracticeLog, seconds: float) -> Int[np.ndarray, " entries"]:
    """Return for every entry the first of its thread that is at most so old."""
    if not np.isfinite(seconds):
        return at.start
    time = log.time[at.row] - log.time.min()
    thread = np.cumsum(at.start == np.arange(len(at.start)))
    reach = thread * (2 * np.ptp(time) + seconds + 1.0)
    return np.searchsorted(reach + time, reach + time - seconds, side="left")


def since(at: Entries, log: PracticeLog) -> Float[np.ndarray, " entries"]:
    """Return the seconds since the last row of the same thread, infinite for its first."""
    time = log.time[at.row]
    first = at.start == np.arange(len(at.start))
    return np.where(first, np.inf, np.diff(time, prepend=time[:1]))


def earlier(values: Float[np.ndarray, " rows"], log: PracticeLog) -> Float[np.ndarray, " rows"]:
    """Return the sum of a value over all earlier rows of the student, whatever their skill."""
    upto = np.concatenate([[0.0], np.cumsum(values)])
    return upto[:-1] - upto[log.starts[log.student]]
