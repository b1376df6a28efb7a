"""Runs as tidy tables: one row an observation, one column for each thing that tells it from the others.

    measures.csv      arm, seed, measure, value           what the verdict rests on
    VARIABLE.csv      arm, seed, exam, task, VARIABLE …   one file for each raw variable, with its own dimensions

Numbers are written so that they read back exactly; what is not a number is `nan`.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from ._export import StoredRun


def files(run: "StoredRun") -> tuple[dict[str, str], dict[str, str]]:
    """Return the tables of a run by their names; no arm is left out."""
    tables = {"measures.csv": _measures(run)}
    for name in dict.fromkeys(str(name) for life in run.lives.values() for name in life.data_vars):
        tables[f"{name}.csv"] = _variable(name, {arm: life[name] for arm, life in run.lives.items() if name in life})
    return tables, {}


def _measures(run: "StoredRun") -> str:
    some = next(iter(run.lives.values()))
    rows = (
        (arm, seed, measure, value)
        for arm, measures in run.study.measured(run.lives).items()
        for measure, values in measures.items()
        for seed, value in zip(run.lives.get(arm, some).seed.values, values, strict=True)
    )
    return _table(("arm", "seed", "measure", "value"), rows)


def _variable(name: str, arms: dict[str, xr.DataArray]) -> str:
    """Return the table of one variable over all arms; a dimension that an arm lacks is left empty there."""
    dims = list(dict.fromkeys(str(dim) for values in arms.values() for dim in values.dims))
    rows = (
        (arm, *(place.get(dim, "") for dim in dims), value)
        for arm, values in arms.items()
        for place, value in _observations(values)
    )
    return _table(("arm", *dims, name), rows)


def _observations(values: xr.DataArray) -> Iterable[tuple[dict[str, Any], Any]]:
    """Yield every number of an array with its coordinates."""
    dims = [str(dim) for dim in values.dims]
    coordinates = [(values[dim].values if dim in values.coords else np.arange(values.sizes[dim])) for dim in dims]
    for place, value in zip(product(*coordinates), values.values.ravel(), strict=True):
        yield dict(zip(dims, place, strict=True)), value


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
