"""What was learned, kept and passed on, from the accuracies of exams sat during a life.

Two records are read, both with any number of leading axes (seeds, arms), each of which is treated on its own:

- an accuracy *matrix* a[..., k, i]: the accuracy on task i of T in the exam sat right after task k was learned;
- a dense *curve* a[..., n, i]: the accuracy on task i in the exam sat at `times[n]`.

An exam that was not sat is NaN, never 0: a NaN that enters a value makes that value NaN, and only for its own seed.
Results are float64 arrays of the leading shape (of no dimension where there is none).
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Real

from lifelong.errors import BadInput

Values = Float[np.ndarray, "..."]


def average_accuracy(matrix: Float[np.ndarray, "... exams tasks"]) -> Values:
    """Return the accuracy over all tasks in the last exam: ACC = mean_i a[T−1, i] (Lopez-Paz and Ranzato 2017).

    Raises `BadInput` where the last two axes are not as many exams as tasks.
    """
    return _mean(_square(matrix)[..., -1, :])


def average_incremental_accuracy(matrix: Float[np.ndarray, "... exams tasks"]) -> Values:
    """Return the accuracy over the tasks met so far, averaged over exams: AIA = mean_k mean_{i ≤ k} a[k, i].

    The definition is that of the survey of Wang et al. 2023. Tasks not yet learned (i > k) are not read and may be NaN.
    Raises `BadInput` where the last two axes are not as many exams as tasks.
    """
    matrix = _square(matrix)
    return _mean(np.tril(matrix).sum(-1) / np.arange(1, matrix.shape[-1] + 1))


def learning_accuracy(matrix: Float[np.ndarray, "... exams tasks"]) -> Values:
    """Return the accuracy on each task right after it was learned: LA = mean_i a[i, i] (Riemer et al. 2019).

    Raises `BadInput` where the last two axes are not as many exams as tasks.
    """
    return _mean(_diagonal(_square(matrix)))


def forgetting(matrix: Float[np.ndarray, "... exams tasks"]) -> Values:
    """Return how far accuracies end below their earlier best: F = mean_{i < T−1} (max_{k < T−1} a[k, i] − a[T−1, i]).

    The best is sought in every exam but the last, those before the task was learned included (Chaudhry et al. 2018,
    RWalk); it is therefore not −`backward_transfer`. Negative where tasks end better than they ever were. NaN for one
    task, which nothing can overwrite. Raises `BadInput` where the last two axes are not as many exams as tasks.
    """
    matrix = _square(matrix)
    best = matrix[..., :-1, :-1].max(-2, initial=-np.inf)
    return _mean(best - matrix[..., -1, :-1])


def backward_transfer(matrix: Float[np.ndarray, "... exams tasks"]) -> Values:
    """Return what later tasks did to earlier ones: BWT = mean_{i < T−1} (a[T−1, i] − a[i, i]).

    The definition is that of Lopez-Paz and Ranzato 2017 (GEM). NaN for one task.
    Raises `BadInput` where the last two axes are not as many exams as tasks.
    """
    matrix = _square(matrix)
    return _mean((matrix[..., -1, :] - _diagonal(matrix))[..., :-1])


def forward_transfer(
    matrix: Float[np.ndarray, "... exams tasks"], baseline: Float[np.ndarray, "... tasks"] | None = None
) -> Values:
    """Return what earlier tasks did for later ones: FWT = mean_{i > 0} (a[i−1, i] − b[i]) (Lopez-Paz and Ranzato 2017).

    `baseline` b is the accuracy on each task before any learning, with the leading axes of the matrix or without them;
    without a baseline nothing can be said and the value is NaN, as it is for one task. This is accuracy *before* a task
    is learned: the surveys' comparison of a[i, i] with a learner trained on task i alone is another quantity.

    Raises `BadInput` where the last two axes are not as many exams as tasks or where the baseline fits neither shape.
    """
    matrix = _square(matrix)
    if baseline is None:
        return np.full(matrix.shape[:-2], np.nan)
    before = _numbers(baseline, "a baseline")
    if before.shape not in (matrix.shape[:-2] + matrix.shape[-1:], matrix.shape[-1:]):
        raise BadInput(
            f"a baseline holds one accuracy per task, and its shape {before.shape} does not fit an accuracy matrix "
            f"of shape {matrix.shape}; give (..., tasks)"
        )
    return _mean(np.diagonal(matrix, 1, -2, -1) - before[..., 1:])


def min_accuracy(
    curve: Float[np.ndarray, "... times tasks"],
    times: Real[np.ndarray, " times"],
    boundaries: Real[np.ndarray, " tasks"],
) -> Values:
    """Return how low earlier tasks fell since they were learned: min-ACC = mean_{i < T−1} min_{n > b_i} a[n, i].

    The definition is that of De Lange et al. 2023, with their iterations replaced by the exams on record: dips between
    two exams are not seen. `times` are the steps at which exams were sat, increasing; `boundaries` b_i the
    steps at which the learning of each task ended. Only exams strictly after a boundary count. NaN for one task.

    Raises `BadInput` where shapes do not fit, times do not increase, or a task has no exam between the boundary before
    it and its own.
    """
    curve, times, boundaries = _dense(curve, times, boundaries)
    return _mean(_lowest_afterwards(curve, times, boundaries))


def worst_case_accuracy(
    curve: Float[np.ndarray, "... times tasks"],
    times: Real[np.ndarray, " times"],
    boundaries: Real[np.ndarray, " tasks"],
) -> Values:
    """Return WC-ACC = a[last, T−1] / T + (1 − 1/T) min-ACC: what is known now, and the worst of what was known before.

    The definition is that of De Lange et al. 2023, at the time of the last exam. Arguments and errors are
    those of `min_accuracy`; for one task it is the accuracy on that task.
    """
    curve, times, boundaries = _dense(curve, times, boundaries)
    worst = _lowest_afterwards(curve, times, boundaries)
    return _mean(np.concatenate([worst, curve[..., -1, -1:]], axis=-1))


def stability_gap(
    curve: Float[np.ndarray, "... times tasks"],
    times: Real[np.ndarray, " times"],
    boundaries: Real[np.ndarray, " tasks"],
) -> Values:
    """Return how deep earlier tasks fell at their worst: mean_{i < T−1} (a[b_i, i] − min_{n > b_i} a[n, i]).

    a[b_i, i] is the accuracy of task i in the last exam at or before its boundary b_i. The value puts a number on the
    phenomenon that De Lange et al. 2023 show in figures; it counts a fall that stays as well as one that recovers, and
    is negative where a task only improved. Arguments and errors are those of `min_accuracy`; NaN for one task.
    """
    curve, times, boundaries = _dense(curve, times, boundaries)
    at_boundary = np.searchsorted(times, boundaries, side="right") - 1
    learned = curve[..., at_boundary, np.arange(len(boundaries))]
    return _mean(learned[..., :-1] - _lowest_afterwards(curve, times, boundaries))


def _lowest_afterwards(curve: np.ndarray, times: np.ndarray, boundaries: np.ndarray) -> np.ndarray:
    """Return the minimum of each task but the last over the exams after its boundary, of shape (..., tasks − 1)."""
    afterwards = times[:, None] > boundaries[:-1]
    return np.where(afterwards, curve[..., :-1], np.inf).min(-2)


def _diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis as an array, NaN where that axis is empty."""
    return np.asarray(values.mean(-1)) if values.shape[-1] else np.full(values.shape[:-1], np.nan)


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(
            f"{what} must be one rectangular array of numbers; write NaN for an exam that was not sat"
        ) from None


def _square(matrix: Any) -> np.ndarray:
    matrix = _numbers(matrix, "an accuracy matrix")
    if matrix.ndim < 2 or matrix.shape[-2] != matrix.shape[-1] or not matrix.shape[-1]:
        raise BadInput(
            "an accuracy matrix has one exam per learned task, (..., exams, tasks) with as many exams as tasks, "
            f"and the shape {matrix.shape} came"
        )
    return matrix


def _dense(curve: Any, times: Any, boundaries: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a curve with its times and boundaries as arrays, after seeing that they fit."""
    curve, times, boundaries = _numbers(curve, "a curve"), _numbers(times, "times"), _numbers(boundaries, "boundaries")
    fits = times.ndim == boundaries.ndim == 1 and curve.shape[-2:] == times.shape + boundaries.shape
    if not (fits and boundaries.size):
        raise BadInput(
            "a curve has one row per time and one column per boundary (..., times, tasks), "
            f"and a curve of shape {curve.shape} came with times {times.shape} and boundaries {boundaries.shape}"
        )
    if not (np.all(np.isfinite(boundaries)) and np.all(np.isfinite(times)) and np.all(np.diff(times) > 0)):
        raise BadInput("times must increase strictly, and times and boundaries must be finite")
    if np.any(np.diff(np.searchsorted(times, boundaries, side="right"), prepend=0) < 1):
        raise BadInput(
            "every task needs an exam after the boundary before it and no later than its own; "
            "sort the boundaries, or sit exams more often"
        )
    return curve, times, boundaries
