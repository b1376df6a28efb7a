"""Which skills seem to prepare for which: an estimate from who does better than expected at a first attempt."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr

from lifelong.worlds import PracticeLog

from .._statistics import benjamini_hochberg
from ._past import before, earlier, entries

FEWEST_STUDENTS = 20
"""Students that a pair of skills needs."""

Scores = tuple[Float[np.ndarray, " skills"], Float[np.ndarray, " skills"], Int[np.ndarray, " skills"]]
"""z, the slope and the number of students, of one skill with every other."""


@dataclass(frozen=True)
class Prerequisite:
    """An edge: students who had done better at `before` did better at their first attempt at `after` than predicted.

    `effect` is how much the chance of a right first attempt rises, in probability, when the share right at `before` rises
    by 1 over the student's share in all; `p` is one-sided and adjusted for all pairs.
    """

    before: str
    after: str
    effect: float
    p: float
    students: int


def prerequisites(
    log: PracticeLog, p: Float[np.ndarray, " rows"], rate: float = 0.05, most: int = 60
) -> list[Prerequisite]:
    """Return the pairs of skills in which the one seems to prepare for the other, strongest first.

    For every student and skill k, the residual y − p of the first attempt is set against x, the student's share right at
    skill i before it minus the share right in all before it (each with one right and one wrong attempt more). The score
    z = Σ x·(y − p) / √Σ x²(y − p)² is standard normal where i says nothing about k that the predictions `p` do not know.
    Pairs are reported at a false discovery rate `rate`, in one direction only: that of the larger z. Only the `most`
    practised skills are looked at. Association is not cause: skills that are always practised in one order look alike.
    """
    counts = np.bincount(log.skill[log.skill >= 0], minlength=log.skill_codes)[: len(log.vocabulary.skills)]
    skills = np.argsort(-counts, kind="stable")[:most]
    z, slope, students = (np.stack(values) for values in zip(*_scores(log, p, skills), strict=True))
    np.fill_diagonal(z, np.nan)
    return _edges(log, skills, z, slope, students, rate)


def _edges(
    log: PracticeLog, skills: np.ndarray, z: np.ndarray, slope: np.ndarray, students: np.ndarray, rate: float
) -> list[Prerequisite]:
    tested = np.isfinite(z)
    if not tested.any():
        return []
    adjusted = np.ones_like(z)
    adjusted[tested] = benjamini_hochberg(1 - ndtr(z[tested]))
    stronger = np.where(tested, z, -np.inf) >= np.where(tested.T, z.T, -np.inf)
    found = [tuple(map(int, pair)) for pair in np.argwhere((adjusted < rate) & stronger)]
    found.sort(key=lambda pair: -z[pair])
    names = [log.skills[k] for k in skills]
    return [
        Prerequisite(names[i], names[k], float(slope[i, k]), float(adjusted[i, k]), int(students[i, k]))
        for i, k in found
    ]


def _scores(log: PracticeLog, p: Float[np.ndarray, " rows"], skills: np.ndarray) -> Iterator[Scores]:
    """Yield what each skill says of all others, with one number at a time for every first attempt of a student."""
    at, place = entries(log), np.full(log.skill_codes, -1)
    place[skills] = np.arange(len(skills))
    right, graded = (log.outcome == 1).astype(float), log.graded.astype(float)
    overall = (earlier(right, log) + 1) / (earlier(graded, log) + 2)
    skill = place[log.skill[at.row, at.slot]]
    first = (before(graded, at) == 0) & log.graded[at.row] & (skill >= 0)
    row, skill = at.row[first], skill[first]
    residual = log.outcome[row] - p[row]

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(skill, values, minlength=len(skills))

    for other in skills.tolist():
        won, tried = _upto(log, other, row, right), _upto(log, other, row, graded)
        x = np.where(tried > 0, (won + 1) / (tried + 2) - overall[row], 0.0)
        score, spread = summed(x * residual), np.sqrt(summed((x * residual) ** 2))
        students = summed(tried > 0).astype(np.int64)
        told = (students >= FEWEST_STUDENTS) & (spread > 0)
        z = np.where(told, score / np.maximum(spread, 1e-12), np.nan)
        yield z, score / np.maximum(summed(x**2), 1e-12), students


def _upto(log: PracticeLog, skill: int, row: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sum of a value over a student's rows of one skill before given rows."""
    own = np.any(log.skill == skill, axis=1) * values
    return earlier(own, log)[row]
