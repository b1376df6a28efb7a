"""Learning curves: how often each skill goes right at its first, second … attempt, and what models make of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lifelong.worlds import PracticeLog

from ._past import before, entries

LEAST = 10
"""Attempts that a point of a curve rests on at least, where the log has as many."""


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """One skill: at attempt 1, 2 … the graded `attempts`, the share right, and the mean prediction of each model."""

    skill: str
    attempts: Int[np.ndarray, " opportunities"]
    observed: Float[np.ndarray, " opportunities"]
    predicted: dict[str, Float[np.ndarray, " opportunities"]]


def learning_curves(
    log: PracticeLog, predictions: Mapping[str, Float[np.ndarray, " rows"]], most: int = 30
) -> list[LearningCurve]:
    """Return the curve of every skill with a graded attempt, most practised first, up to the attempt numbered `most`.

    Predictions are compared on the rows that were observed. A curve ends where fewer than 10 attempts are left, but
    never before its fullest point.
    """
    at = entries(log)
    number = before(np.ones(len(log)), at).astype(np.int64)
    used = log.graded[at.row] & (number < most)
    skill, row, number = log.skill[at.row, at.slot][used], at.row[used], number[used]
    shape = (log.skill_codes, most)
    flat = skill * most + number

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(flat, values, minlength=shape[0] * most).reshape(shape)

    attempts = summed(np.ones(len(flat)))
    totals = {name: summed(p[row]) for name, p in {"": log.outcome == 1, **predictions}.items()}
    order = np.argsort(-attempts.sum(axis=1), kind="stable")
    return [
        _curve(log, k, attempts[k], {n: t[k] for n, t in totals.items()}) for k in order.tolist() if attempts[k].any()
    ]


def _curve(log: PracticeLog, skill: int, attempts: np.ndarray, totals: dict[str, np.ndarray]) -> LearningCurve:
    least = min(LEAST, attempts.max())
    length = int(np.flatnonzero(attempts >= least)[-1]) + 1
    counts = attempts[:length]
    with np.errstate(invalid="ignore"):
        means = {name: total[:length] / counts for name, total in totals.items()}
    observed = means.pop("")
    return LearningCurve(log.skills[skill], counts.astype(np.int64), observed, means)
