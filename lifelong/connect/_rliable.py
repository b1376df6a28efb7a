"""Final scores as rliable reads them: for each arm a matrix with one row a run (a seed) and one column a task.

    scores.npz     ARM → float64 [runs, tasks]: `dict(np.load("scores.npz"))` is rliable's `score_dict`
    scores.json    measure, and for each arm its seeds, those of them that diverged, and the number of tasks

A score is the study's exam result on a task after the last step, as it is: accuracies are not normalised. Rows of diverged
runs are NaN; rliable needs a decision on them before it can aggregate. Swept values are arms of their own.
"""

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from ._export import StoredRun


def files(run: "StoredRun") -> tuple[dict[str, str | bytes], dict[str, str]]:
    """Return the score matrices and what their rows and columns are, and why an arm has none."""
    measure, matrices, arms, left_out = run.study.curve, {}, {}, {}
    for arm, life in run.lives.items():
        if measure not in life or not {"exam", "task"} <= set(life[measure].dims):
            left_out[arm] = f"it has no '{measure}' of tasks"
            continue
        for name, rows in _runs(run, arm, life).items():
            matrices[name] = np.array(list(rows.values()), np.float64)
            diverged = [seed for seed, scores in rows.items() if not np.isfinite(scores).all()]
            arms[name] = {"seeds": list(rows), "diverged": diverged, "tasks": matrices[name].shape[1]}
    if not matrices:
        return {}, left_out
    about = {"measure": measure, "layout": "runs × tasks", "arms": arms}
    stream = io.BytesIO()
    np.savez(stream, **matrices)
    return {"scores.npz": stream.getvalue(), "scores.json": json.dumps(about, indent=1)}, left_out


def _runs(run: "StoredRun", arm: str, life: xr.Dataset) -> dict[str, dict[int, np.ndarray]]:
    """Return, for an arm or each swept value of it, the final scores on all tasks by seed."""
    runs: dict[str, dict[int, np.ndarray]] = {}
    for lane, record in run.lanes(life):
        swept = [f"{name}={value:g}" for name, value in lane.items() if name != "seed"]
        scores = record[run.study.curve].isel(exam=-1).values
        runs.setdefault(", ".join([arm, *swept]), {})[int(lane["seed"])] = scores
    return runs
