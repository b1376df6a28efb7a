"""Common measures of classification lives, one value a seed, from the raw record (dims: …, exam, task)."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

import lifelong.exams as exams


def final_accuracy(life: xr.Dataset) -> xr.DataArray:
    """Return the mean accuracy over all tasks after the last step."""
    return life.accuracy.isel(exam=-1).mean("task", skipna=False)


def matrix(life: xr.Dataset) -> xr.DataArray:
    """Return accuracy after each finished task (dim `exam`) on each task."""
    return life.accuracy.sel(exam=np.atleast_1d(life.attrs["ends"]))


def forgetting(life: xr.Dataset) -> xr.DataArray:
    """Return how far accuracy fell, on average, from each task's best to the end (Chaudhry et al. 2018)."""
    return _over_matrix(life, exams.forgetting)


def learning_accuracy(life: xr.Dataset) -> xr.DataArray:
    """Return the mean accuracy on each task right after learning it."""
    return _over_matrix(life, exams.learning_accuracy)


def retained_accuracy(life: xr.Dataset) -> xr.DataArray:
    """Return the mean accuracy at the end on tasks that were learned and not unlearned (of `life.attrs["requests"]`)."""
    return _after_requests(life, exams.retained_accuracy)


def spill(life: xr.Dataset) -> xr.DataArray:
    """Return how far a request to unlearn moved the accuracies of other tasks, in sum; 0 where there was none."""
    return _after_requests(life, exams.spill)


def relapse(life: xr.Dataset) -> xr.DataArray:
    """Return how far accuracy on unlearned tasks rose again at later requests; 0 where nothing was to be unlearned."""
    return _after_requests(life, exams.relapse)


def membership_auc(life: xr.Dataset) -> xr.DataArray:
    """Return how well losses tell examples learned from, from others (½: not at all); mean over the tasks of `Traces`."""

    def auc(member: np.ndarray, other: np.ndarray) -> float:
        return exams.membership_auc(member, other).value if np.isfinite([member, other]).all() else np.nan

    found = xr.apply_ufunc(auc, life.member, life.other, input_core_dims=[["few"], ["few"]], vectorize=True)
    return found.mean("asked", skipna=False)


def _after_requests(life: xr.Dataset, measure) -> xr.DataArray:
    """Apply a measure of what requests did to the accuracies after each of them."""
    requests = life.attrs["requests"]
    if "U" not in requests and measure is not exams.retained_accuracy:
        return final_accuracy(life) * 0.0
    return xr.apply_ufunc(lambda record: measure(record, requests), matrix(life), input_core_dims=[["exam", "task"]])


def _over_matrix(life: xr.Dataset, measure) -> xr.DataArray:
    """Apply a measure of task matrices; NaN where the life had no announced ends of tasks."""
    if not np.size(life.attrs["ends"]):
        return final_accuracy(life) * np.nan
    return xr.apply_ufunc(measure, matrix(life), input_core_dims=[["exam", "task"]])


def weakest(margins: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Return, of several margins per seed that must all be above 0, the one whose 95 % interval lies lowest.

    That its interval lies above 0 says that all of them do: a test of a claim of several parts that needs no correction
    for their number (intersection-union). Undefined values make a margin weakest of all.
    """

    def lowest(margin: xr.DataArray) -> float:
        values = margin.values.astype(float)
        return exams.mean_interval(values).low if np.isfinite(values).all() else -np.inf

    return min(margins.values(), key=lowest)
