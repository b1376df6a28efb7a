"""Threads of practice: what one student did at one skill, in order, as padded arrays."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int8

from lifelong.worlds import PracticeLog

GROUPS = 2
"""Groups of threads, each padded to its own longest one; more waste less and compile longer."""

PADDED = -2
"""The outcome where a thread has ended."""


class Group(NamedTuple):
    """Threads of similar length: whose, at which skill, and the entry of the log at each step, −1 where padded."""

    student: Int[np.ndarray, " threads"]
    skill: Int[np.ndarray, " threads"]
    entry: Int[np.ndarray, "threads length"]
    outcome: Int8[np.ndarray, "threads length"]


class Threads:
    """All threads of a log. An entry is one skill of one row, so a row of two skills belongs to two threads."""

    def __init__(self, log: PracticeLog):
        row, slot = np.nonzero(log.skill >= 0)
        skill, student = log.skill[row, slot], log.student[row]
        order = np.lexsort((row, skill, student))
        self.row, self.shape = row, log.skill.shape
        self.place = row * log.skill.shape[1] + slot
        changed = np.diff(student[order], prepend=-1) + np.diff(skill[order], prepend=-1) != 0
        changed |= np.diff(student[order], prepend=-1) != 0
        starts = np.flatnonzero(changed)
        sizes = np.diff(np.append(starts, len(order)))
        self.groups = [
            self._group(log, order, starts[which], sizes[which], student, skill) for which in similar(sizes, GROUPS)
        ]

    def _group(
        self, log: PracticeLog, order: np.ndarray, starts: np.ndarray, sizes: np.ndarray, *of: np.ndarray
    ) -> Group:
        steps = np.arange(int(sizes.max()))
        inside = steps < sizes[:, None]
        entry = np.where(inside, order[np.where(inside, starts[:, None] + steps, 0)], -1)
        outcome = np.where(inside, log.outcome[self.row[entry]], PADDED).astype(np.int8)
        student, skill = (column[order[starts]] for column in of)
        return Group(student, skill, entry, outcome)

    def by_row(self, values: list[Any]) -> Float[np.ndarray, " rows"]:
        """Return the mean over a row's skills of one value for each step of each thread of each group."""
        flat, used = np.zeros(np.prod(self.shape)), np.zeros(np.prod(self.shape))
        for group, of in zip(self.groups, values, strict=True):
            inside = group.entry >= 0
            flat[self.place[group.entry[inside]]] = np.asarray(of)[inside]
        used[self.place] = 1
        return flat.reshape(self.shape).sum(axis=1) / used.reshape(self.shape).sum(axis=1)

    def by_skill(
        self, values: list[Any], out: Float[np.ndarray, "students skills"]
    ) -> Float[np.ndarray, "students skills"]:
        """Write one value for each thread of each group into a table of students and skills, and return that."""
        for group, of in zip(self.groups, values, strict=True):
            known = group.skill < out.shape[1]
            out[group.student[known], group.skill[known]] = np.asarray(of)[known]
        return out


class Patterns(NamedTuple):
    """What different threads of a group have in common: skill and outcomes; `of` [threads] is the pattern of each."""

    skill: Int[np.ndarray, " patterns"]
    outcome: Int8[np.ndarray, "patterns length"]
    of: Int[np.ndarray, " threads"]

    def weigh(self, weights: Float[np.ndarray, "lanes threads"]) -> Float[np.ndarray, "lanes patterns"]:
        """Return the weight of every pattern in every lane."""
        return np.stack([np.bincount(self.of, lane, minlength=len(self.skill)) for lane in weights])


def patterns(group: Group) -> Patterns:
    """Return the different patterns of a group, in order of skill: those that agree need to be computed once only."""
    keys = np.column_stack([group.skill.astype(">i4").view(np.uint8).reshape(len(group.skill), 4), group.outcome + 2])
    keys = np.ascontiguousarray(keys.astype(np.uint8))
    whole = keys.view(np.dtype((np.void, keys.shape[1])))[:, 0]
    _, first, of = np.unique(whole, return_index=True, return_inverse=True)
    return Patterns(group.skill[first], group.outcome[first], of)


def similar(sizes: Int[np.ndarray, " threads"], groups: int) -> list[np.ndarray]:
    """Split threads by length into at most so many groups, so that as little as possible is padded.

    The least Σ over groups of members × longest, found exactly by dynamic programming over the different lengths.
    """
    lengths, counts = np.unique(sizes, return_counts=True)
    upto = np.concatenate([[0], np.cumsum(counts)])
    area = (upto[None, 1:] - upto[:-1, None]) * lengths[None, :].astype(np.float64)
    area[np.tril_indices(len(lengths), -1)] = np.inf
    best, cuts = area[0], []
    for _ in range(min(groups, len(lengths)) - 1):
        through = best[:-1, None] + area[1:, :]
        cuts.append(np.concatenate([[0], through.argmin(axis=0)[1:] + 1]))
        best = np.concatenate([[best[0]], np.minimum(through.min(axis=0)[1:], np.inf)])
    ends = [len(lengths) - 1]
    for cut in reversed(cuts):
        if ends[0] > 0:
            ends.insert(0, int(cut[ends[0]]) - 1)
    limits = [0, *(int(lengths[end]) for end in ends if end >= 0)]
    return [np.flatnonzero((sizes > low) & (sizes <= high)) for low, high in pairwise(limits)]
