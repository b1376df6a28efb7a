"""Histories as padded arrays for networks: pieces to learn from, and windows to answer in."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from lifelong.worlds import UNGRADED, PracticeLog, sequences

from ._threads import similar

GROUPS = 2
"""Groups of pieces, each padded to its own longest one."""

SAVING = 0.1
"""Share of the padded rows that groups have to save: each costs a compiled program, and a batch that is not full."""

ROUND = 8
"""Lengths are rounded up to a multiple of this, so that logs of nearly equal lengths share compiled programs."""


class Rows(NamedTuple):
    """Pieces of histories, padded on the right: what a network may see of them, and what it is asked. Arrays of NumPy or JAX.

    `row` [pieces, length] is the row of the log, −1 where padded; a place that is padded has outcome −1 and skills −1.
    `asks` marks rows that only ask, and leave no trace in any later prediction; it is None where there are none. `time`
    counts seconds from the student's first row. `extra` is whatever else a network wants to have computed beforehand.
    """

    row: Int[Any, "pieces length"]
    student: Int[Any, " pieces"]
    skill: Int[Any, "pieces length width"]
    item: Int[Any, "pieces length"]
    outcome: Int[Any, "pieces length"]
    time: Float[Any, "pieces length"]
    asks: Bool[Any, "pieces length"] | None = None
    extra: Any = ()


def rows_at(
    log: PracticeLog, row: Int[np.ndarray, "pieces length"], asks: Bool[np.ndarray, " rows"] | None = None
) -> Rows:
    """Return the rows of a log at given places."""
    used = row >= 0
    since = log.time - log.time[np.minimum(log.starts[log.student], len(log) - 1)]
    return Rows(
        row=row.astype(np.int32),
        student=log.student[row[:, 0]].astype(np.int32),
        skill=np.where(used[..., None], log.skill[row], -1).astype(np.int32),
        item=np.where(used, log.item[row], 0).astype(np.int32),
        outcome=np.where(used, log.outcome[row], UNGRADED).astype(np.int32),
        time=np.where(used, since[row], 0.0).astype(np.float32),
        asks=None if asks is None else used & asks[row],
    )


def pieces(log: PracticeLog, longest: int) -> list[Rows]:
    """Return all histories, cut into consecutive pieces of at most `longest` rows, in groups of similar length."""
    row = sequences(log, min(longest, int(np.diff(log.starts).max()))).row
    lengths = _rounded((row >= 0).sum(axis=1))
    groups = [which for which in similar(lengths, GROUPS) if len(which)]
    if sum(len(which) * lengths[which].max() for which in groups) > (1 - SAVING) * len(row) * lengths.max():
        groups = [np.arange(len(row))]
    return [rows_at(log, _fitted(row[which], int(lengths[which].max()))) for which in groups]


def _fitted(row: np.ndarray, length: int) -> np.ndarray:
    """Return rows padded or cut to a length."""
    out = np.full((len(row), length), -1, np.int64)
    width = min(row.shape[1], length)
    out[:, :width] = row[:, :width]
    return out


def _rounded(length: Any) -> Any:
    return -(-length // ROUND) * ROUND


def windows(
    log: PracticeLog, longest: int, asks: Bool[np.ndarray, " rows"] | None = None
) -> tuple[Rows, Bool[np.ndarray, "windows length"]]:
    """Return windows in which every row of a log is wanted once, and which places are wanted.

    Histories that are short enough are one window. Of longer ones, a window wants half of `longest` rows, and has as its
    context the last ones before them that leave a trace.
    """
    sizes = np.diff(log.starts)
    short = int(sizes.max()) <= longest
    length = _rounded(int(sizes.max())) if short else longest
    fresh = length if short else max(1, longest // 2)
    blocks = -(-sizes // fresh)
    student = np.repeat(np.arange(len(sizes)), blocks)
    number = np.arange(len(student)) - np.repeat(np.cumsum(blocks) - blocks, blocks)
    first = log.starts[student] + number * fresh
    wanted = np.minimum(fresh, log.starts[student + 1] - first)
    traces = np.arange(len(log)) if asks is None else np.flatnonzero(~asks)
    upto, begun = np.searchsorted(traces, first), np.searchsorted(traces, log.starts[student])
    context = np.minimum(upto - begun, length - fresh)
    place = np.arange(length)
    earlier = traces[np.clip((upto - context)[:, None] + place, 0, max(len(traces) - 1, 0))] if len(traces) else place
    row = np.where(place < context[:, None], earlier, (first - context)[:, None] + place)
    row = np.where(place < (context + wanted)[:, None], row, -1)
    return rows_at(log, row, asks), (row >= 0) & (place >= context[:, None])
