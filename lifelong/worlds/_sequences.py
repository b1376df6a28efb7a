"""Practice logs as padded arrays, one line a student, for compiled models."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, Shaped

from lifelong.errors import BadInput

from ._practice import UNGRADED, PracticeLog


class Sequences(NamedTuple):
    """Pieces of students' histories, padded on the right to one length; a pytree of NumPy arrays.

    `student` [pieces] is whose piece it is, `start` [pieces] how many rows that student had before it, `row` the row of
    the log at each place, −1 where padded. What is padded has item 0, skills −1, outcome −1, and time and gap 0.
    `time` counts seconds from the student's first row, `gap` from the row before (also across pieces).
    """

    student: Int32[np.ndarray, " pieces"]
    start: Int32[np.ndarray, " pieces"]
    row: Int64[np.ndarray, "pieces length"]
    item: Int32[np.ndarray, "pieces length"]
    skill: Int32[np.ndarray, "pieces length width"]
    outcome: Int32[np.ndarray, "pieces length"]
    time: Float32[np.ndarray, "pieces length"]
    gap: Float32[np.ndarray, "pieces length"]

    @property
    def mask(self) -> Bool[np.ndarray, "pieces length"]:
        """Whether there is a row at each place."""
        return self.row >= 0

    @property
    def graded(self) -> Bool[np.ndarray, "pieces length"]:
        """Whether there is a row with a grade at each place."""
        return self.outcome >= 0

    def unpad(
        self, values: Shaped[np.ndarray, "pieces length *shape"], out: Shaped[np.ndarray, "rows *shape"]
    ) -> Shaped[np.ndarray, "rows *shape"]:
        """Write the value at each place to its row of `out` [rows of the log, …], and return that."""
        out[self.row[self.mask]] = np.asarray(values)[self.mask]
        return out


def sequences(log: PracticeLog, longest: int | None = None) -> Sequences:
    """Return every student's rows as one piece, or cut into consecutive pieces of at most `longest` rows.

    Pieces come in the order of the log; all are padded to the longest one. Students without rows have no piece.
    Raises BadInput where `longest` is below 1.
    """
    if longest is not None and longest < 1:
        raise BadInput(f"a piece of a history has one row at least, not {longest}")
    sizes = np.diff(log.starts)
    most = max(1, int(sizes.max())) if longest is None else longest
    pieces = -(-sizes // most)
    student = np.repeat(np.arange(len(sizes)), pieces)
    start = (np.arange(len(student)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * most
    return _padded(log, student, start, np.minimum(sizes[student] - start, most))


def buckets(log: PracticeLog, ratio: float = 2.0) -> list[Sequences]:
    """Return whole histories in groups of similar length, each padded to its own longest one: little is wasted.

    The longest history of a group is at most `ratio` times as long as its shortest, so groups are few and padding is
    less than half where the ratio is 2. Raises BadInput where `ratio` is not above 1.
    """
    if not ratio > 1:
        raise BadInput(f"the ratio of lengths within a bucket must be above 1, not {ratio}")
    sizes = np.diff(log.starts)
    order = np.argsort(sizes, kind="stable")[np.count_nonzero(sizes == 0) :]
    groups, first = [], 0
    while first < len(order):
        last = int(np.searchsorted(sizes[order], ratio * sizes[order[first]], side="right"))
        student = np.sort(order[first:last])
        groups.append(_padded(log, student, np.zeros_like(student), sizes[student]))
        first = last
    return groups


def _padded(log: PracticeLog, student: np.ndarray, start: np.ndarray, sizes: np.ndarray) -> Sequences:
    places = np.arange(int(sizes.max()))
    mask = places < sizes[:, None]
    row = np.where(mask, (log.starts[student] + start)[:, None] + places, -1)
    skill = np.where(mask[..., None], log.skill[row], -1)
    since = log.time - log.time[log.starts[log.student]]
    return Sequences(
        student=student.astype(np.int32),
        start=start.astype(np.int32),
        row=row.astype(np.int64),
        item=np.where(mask, log.item[row], 0),
        skill=skill,
        outcome=np.where(mask, log.outcome[row], UNGRADED).astype(np.int32),
        time=np.where(mask, since[row], 0).astype(np.float32),
        gap=np.where(mask, log.gap[row], 0).astype(np.float32),
    )
