"""Marks for predictions: how well they rank, how probable they made what happened, whether they mean what they say."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

BINS = 10
"""Bins of predicted probability, equally wide, in which calibration is looked at."""

FLOOR = 1e-6
"""Probabilities are kept this far from 0 and 1 when their logarithm is taken."""


@dataclass(frozen=True)
class Marks:
    """How good predictions are over `attempts` graded rows.

    `auc` is the probability that a right attempt was given more than a wrong one (of the same fit, where predictions are
    of several), ties counted half; NaN where there is no such pair. `accuracy` counts predictions on the right side of ½.
    `log_likelihood` is the mean of y·ln p + (1 − y)·ln(1 − p) in nats, `brier` the mean of (p − y)².
    `calibration_error` is Σ nᵦ/n · |mean p − mean y|
    over bins b of p.
    """

    auc: float
    accuracy: float
    log_likelihood: float
    brier: float
    calibration_error: float
    attempts: int


@dataclass(frozen=True, eq=False)
class Reliability:
    """Calibration bin by bin: predicted and observed means and the number of attempts, NaN where there is none."""

    predicted: Float[np.ndarray, " bins"]
    observed: Float[np.ndarray, " bins"]
    attempts: Int[np.ndarray, " bins"]


def mark(
    p: Float[np.ndarray, " rows"],
    log: PracticeLog,
    rows: Bool[np.ndarray, " rows"] | None = None,
    fit: Int[np.ndarray, " rows"] | None = None,
) -> Marks:
    """Return the marks of predictions for the graded rows of a log, or for those of them that are marked.

    `fit` numbers the fits that the predictions are of, where there are several. Raises BadInput where no row is left or a
    prediction is no probability.
    """
    chosen = log.graded if rows is None else log.graded & rows
    if not chosen.any():
        raise BadInput(f"{log.name}: no graded attempt to mark predictions by")
    return marks_of(p[chosen], log.outcome[chosen].astype(np.float64), None if fit is None else fit[chosen])


def marks_of(
    p: Float[np.ndarray, " rows"], y: Float[np.ndarray, " rows"], fit: Int[np.ndarray, " rows"] | None = None
) -> Marks:
    """Return the marks of probabilities p for outcomes y in {0, 1}; raises BadInput where a p is outside [0, 1]."""
    if not np.all((p >= 0) & (p <= 1)):
        raise BadInput(f"{np.sum(~((p >= 0) & (p <= 1)))} of {len(p)} predictions are no probabilities")
    p, y = p.astype(np.float64), y.astype(np.float64)
    safe = np.clip(p, FLOOR, 1 - FLOOR)
    bins = reliability(p, y)
    seen = bins.attempts > 0
    gaps = np.abs(bins.predicted - bins.observed)[seen]
    return Marks(
        auc=auc(p, y) if fit is None else auc_within(p, y, fit),
        accuracy=float(np.mean((p >= 0.5) == (y > 0.5))),
        log_likelihood=float(np.mean(y * np.log(safe) + (1 - y) * np.log1p(-safe))),
        brier=float(np.mean((p - y) ** 2)),
        calibration_error=float(gaps @ bins.attempts[seen] / len(y)),
        attempts=len(y),
    )


def auc(p: Float[np.ndarray, " rows"], y: Float[np.ndarray, " rows"]) -> float:
    """Return the area under the ROC curve, by ranks (Mann and Whitney); NaN where all outcomes agree."""
    right = float(y.sum())
    wrong = len(y) - right
    if not right or not wrong:
        return float("nan")
    return float((rankdata(p) @ y - right * (right + 1) / 2) / (right * wrong))


def auc_within(p: Float[np.ndarray, " rows"], y: Float[np.ndarray, " rows"], fit: Int[np.ndarray, " rows"]) -> float:
    """Return the area under the ROC curve over pairs of the same fit, those of all fits together.

    A fold with many right answers leaves few to the fit that predicts it, so that between fits those with the lower
    predictions have the better outcomes: pairs of different fits would draw the area below what every fit has (Forman and
    Scholz 2010).
    """
    parts = [(p[of], y[of]) for of in (fit == one for one in np.unique(fit))]
    pairs = np.array([right.sum() * (1 - right).sum() for _, right in parts])
    areas = [auc(*part) for part, some in zip(parts, pairs, strict=True) if some]
    return float(areas @ pairs[pairs > 0] / pairs.sum()) if pairs.any() else float("nan")


def reliability(p: Float[np.ndarray, " rows"], y: Float[np.ndarray, " rows"], bins: int = BINS) -> Reliability:
    """Return mean prediction and share right in equally wide bins of the prediction."""
    of = np.minimum((p * bins).astype(int), bins - 1)
    attempts = np.bincount(of, minlength=bins)
    with np.errstate(invalid="ignore"):
        predicted, observed = (np.bincount(of, v, minlength=bins) / attempts for v in (p, y))
    return Reliability(predicted, observed, attempts)
