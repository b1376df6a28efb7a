"""Common measures of classification lives, one value a seed, from the raw record (dims: …, exam, task)."""

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


def _over_matrix(life: xr.Dataset, measure) -> xr.DataArray:
    """Apply a measure of task matrices; NaN where the life had no announced ends of tasks."""
    if not np.size(life.attrs["ends"]):
        return final_accuracy(life) * np.nan
    return xr.apply_ufunc(measure, matrix(life), input_core_dims=[["exam", "task"]])
