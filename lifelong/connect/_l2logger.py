"""Lives as logs of l2logger, TSV format 1.1, from which l2metrics computes the lifelong-learning metrics.

    SCENARIO/logger_info.json, scenario_info.json
    SCENARIO/worker-default/BLOCK-train|test/data-log.tsv

There is one scenario for each life (arm, seed, swept values). Blocks alternate: an exam of all tasks at birth (one row a
task), the learning up to the next exam (one row a recorded step, its performance that on the batch before it was
learned), that exam, and so on. Steps whose performance is not a number are marked `incomplete`, and l2metrics passes
them over. The time stamp of all rows is when the arm was lived: single steps are not clocked.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lifelong import __version__

if TYPE_CHECKING:
    from ._export import StoredRun

VERSION = "1.1"

COLUMNS = (
    "block_num",
    "exp_num",
    "worker_id",
    "block_type",
    "block_subtype",
    "task_name",
    "task_params",
    "exp_status",
    "timestamp",
)

WORKER = "worker-default"

Row = dict[str, Any]


def files(run: "StoredRun") -> tuple[dict[str, str], dict[str, str]]:
    """Return the log files of all lives by their paths, and why an arm's lives cannot be told as blocks of tasks."""
    found, left_out = {}, {}
    for arm, life in run.lives.items():
        if why := _untold(run.study.curve, life):
            left_out[arm] = why
            continue
        for lane, record in run.lanes(life):
            folder = "-".join([arm, *(f"{name}{_number(value)}" for name, value in lane.items())])
            about = {"study": run.record.study, "arm": arm, "settings": run.record.settings, **lane}
            scenario = _scenario(record, run.study.curve, run.record.study, about)
            found |= {f"{_plain(folder)}/{name}": content for name, content in scenario.items()}
    return found, left_out


def _untold(measure: str, life: xr.Dataset) -> str:
    """Return why a life cannot be told as blocks, each of one task; nothing where it can."""
    if measure not in life or "task" not in life[measure].dims:
        return f"it has no '{measure}' of tasks"
    if f"learning_{measure}" not in life:
        return f"it has no '{measure}' while learning"
    if "taught" not in life:
        return "it does not say what was taught; lifelong run --force lives it again with that"
    if (life.taught < 0).any():
        return "it was taught mixtures of tasks"
    return ""


def _scenario(life: xr.Dataset, measure: str, study: str, about: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of one life."""
    label = re.sub("[^0-9a-zA-Z]", "", study)
    rows = list(_rows(life, measure, label, _stamp(life)))
    trained = {row["task_name"] for row in rows if row["block_type"] == "train"}
    kind = "ste" if len(trained) == 1 else "custom"
    logger = {"metrics_columns": [measure], "log_format_version": VERSION}
    scenario = {"author": f"lifelong {__version__}", "scenario_type": kind, **about}
    blocks: dict[str, list[Row]] = {}
    for row in rows:
        blocks.setdefault(f"{WORKER}/{row['block_num']}-{row['block_type']}/data-log.tsv", []).append(row)
    tables = {path: _table(own, (*COLUMNS, measure)) for path, own in blocks.items()}
    return {
        "logger_info.json": json.dumps(logger, indent=2),
        "scenario_info.json": json.dumps(scenario, indent=2),
    } | tables


def _rows(life: xr.Dataset, measure: str, label: str, stamp: str) -> Iterator[Row]:
    """Yield the experiences of one life in the order lived."""
    exams, steps = life.exam.values, life.step.values
    learned, examined = life[f"learning_{measure}"].values, life[measure].transpose("exam", "task").values
    number = 0
    for k, exam in enumerate(exams):
        since = exams[k - 1] if k else 0
        lived = learned[(steps > since) & (steps <= exam)]
        taught = [(2 * k - 1, "train", int(life.taught.values[k]), value) for value in lived]
        sat = [(2 * k, "test", task, value) for task, value in enumerate(examined[k])]
        for block, kind, task, value in (*taught, *sat):
            status = "complete" if np.isfinite(value) else "incomplete"
            fixed = (block, number, WORKER, kind, "wake", f"{label}_{task}", "{}", status, stamp)
            yield dict(zip((*COLUMNS, measure), (*fixed, float(value)), strict=True))
            number += 1


def _stamp(life: xr.Dataset) -> str:
    """Return when a life was lived, as l2logger writes times."""
    when = str(life.attrs.get("when", "1970-01-01T00:00:00+00:00"))
    return datetime.fromisoformat(when).strftime("%Y%m%dT%H%M%S.%f")


def _table(rows: list[Row], columns: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter="\t", quotechar='"', lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(text: str) -> str:
    """Return a text without what l2logger, or a file system, could stumble over."""
    return re.sub(r"[^0-9a-zA-Z_.+-]", "_", text)
