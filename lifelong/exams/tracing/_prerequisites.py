"""Which skills seem to prepare for which: an estimate from who does better than expected at a first attempt."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from lifelong.worlds import PracticeLog

from .._statistics import benjamini_hochberg
from ._past import before, earlier, entries

FEWEST = 20
"""Students that a pair of skills needs."""


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
    x, residual, met = _first_attempts(log, p, skills)
    there = np.isfinite(x)
    x = np.where(there, x, 0.0)
    score = np.einsum("ski,sk->ik", x, residual)
    spread = np.sqrt(np.einsum("ski,sk->ik", x**2, residual**2))
    students = (there & met[:, :, None]).sum(axis=0).T
    z = np.where((students >= FEWEST) & (spread > 0), score / np.maximum(spread, 1e-12), np.nan)
    np.fill_diagonal(z, np.nan)
    slope = score / np.maximum(np.einsum("ski,sk->ik", x**2, met.astype(float)), 1e-12)
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


def _first_attempts(
    log: PracticeLog, p: Float[np.ndarray, " rows"], skills: np.ndarray
) -> tuple[Float[np.ndarray, "students skills others"], np.ndarray, np.ndarray]:
    """Return x (NaN where the other skill was not met before), residuals, and which skills each student met."""
    at, place = entries(log), np.full(log.skill_codes, -1)
    place[skills] = np.arange(len(skills))
    right, graded = (log.outcome == 1).astype(float), log.graded.astype(float)
    overall = (earlier(right, log) + 1) / (earlier(graded, log) + 2)
    first = (before(graded, at) == 0) & log.graded[at.row]
    k = place[log.skill[at.row, at.slot]]
    first &= k >= 0
    row, k = at.row[first], k[first]
    shape = (len(log.students), len(skills))
    residual, met = np.zeros(shape), np.zeros(shape, bool)
    residual[log.student[row], k] = log.outcome[row] - p[row]
    met[log.student[row], k] = True
    x = np.full((*shape, len(skills)), np.nan)
    for other in range(len(skills)):
        won, tried = _upto(log, int(skills[other]), row, right), _upto(log, int(skills[other]), row, graded)
        share = np.where(tried > 0, (won + 1) / (tried + 2) - overall[row], np.nan)
        x[log.student[row], k, other] = share
    return x, residual, met


def _upto(log: PracticeLog, skill: int, row: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sum of a value over a student's rows of one skill before given rows."""
    own = np.any(log.skill == skill, axis=1) * values
    return earlier(own, log)[row]
