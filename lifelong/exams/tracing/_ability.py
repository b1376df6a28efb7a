"""What a student's answers so far say about the student: an ability on a grid, followed row by row."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit, log_expit

from lifelong.worlds import PracticeLog

NODES = np.linspace(-4.0, 4.0, 41)
"""Abilities that are weighed, in standard deviations; the grid is finer than any student's posterior."""

ROWS = 100_000
"""Rows that are followed at a time, and the students that they end with."""


def followed(
    eta: Float[np.ndarray, " rows"], slope: Float[np.ndarray, " rows"], sd: float, log: PracticeLog
) -> Float[np.ndarray, " rows"]:
    """Return the probability that each row is right, P(right) = ∫ σ(η + a·θ) P(θ | earlier answers) dθ.

    θ is normal with mean 0 and standard deviation `sd` before the first answer (Bock and Mislevy 1982, "Adaptive EAP
    estimation of ability"); a is `slope`. Ungraded rows say nothing about it.
    """
    out = np.empty(len(eta))
    for rows in _pieces(log.starts):
        first = np.repeat(log.starts[:-1], np.diff(log.starts))[rows] - rows.start
        out[rows] = _followed(eta[rows], slope[rows], sd, log.outcome[rows], log.graded[rows], first)
    return out


def _followed(
    eta: Float[np.ndarray, " rows"],
    slope: Float[np.ndarray, " rows"],
    sd: float,
    outcome: Int[np.ndarray, " rows"],
    graded: Bool[np.ndarray, " rows"],
    first: Int[np.ndarray, " rows"],
) -> np.ndarray:
    logits = eta[:, None] + slope[:, None] * sd * NODES
    logs = np.where(graded[:, None], log_expit(np.where(outcome == 1, 1, -1)[:, None] * logits), 0.0)
    upto = np.concatenate([np.zeros((1, len(NODES))), np.cumsum(logs, axis=0)])
    weight = upto[:-1] - upto[first] - 0.5 * NODES**2
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    return (expit(logits) * weight).sum(axis=1) / weight.sum(axis=1)


def _pieces(starts: Int[np.ndarray, " bounds"]) -> list[slice]:
    """Cut the rows into pieces that end where students do."""
    ends, pieces = [0], []
    while ends[-1] < starts[-1]:
        after = starts[min(int(np.searchsorted(starts, ends[-1] + ROWS)), len(starts) - 1)]
        ends.append(int(after))
        pieces.append(slice(ends[-2], ends[-1]))
    return pieces
