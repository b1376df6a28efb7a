"""What stored runs and lives left behind, as practice logs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from lifelong.errors import BadFile, BadInput
from lifelong.exams.tracing import practice_of
from lifelong.worlds import PracticeLog

from ._folders import recorded
from ._store import Store


def practice_of_run(path: Path, exam: str | None = None, **how: Any) -> PracticeLog:
    """Return the practice log of a stored run, given its folder, or of one arm, given its file; `how` as `practice_of`.

    Every arm and seed is a student. Arms without the exam (the one named, else `answers` or `accuracy`) are left out, and
    the log's account says so. Raises BadFile where the run cannot be read, and BadInput where no arm has the exam.
    """
    if path.is_dir():
        recorded(path)
    files = sorted(path.glob("[!.]*.nc")) if path.is_dir() else [path]
    lives = {file.stem: _loaded(file) for file in files}
    able = {arm: life for arm, life in lives.items() if any(name in life for name in _readable(exam))}
    if not able:
        there = {str(name) for life in lives.values() for name, values in life.items() if "exam" in values.dims}
        raise BadInput(
            f"no arm of '{path}' has an exam named {' or '.join(_readable(exam))} that could be traced; exam results there: "
            f"{', '.join(sorted(there)) or 'none'}"
        )
    log = practice_of(able, exam, name=path.parent.name if path.is_dir() else path.stem, **how)
    if len(able) == len(lives) or log.account is None:
        return log
    remark = f"left out, for they have no such exam: {', '.join(arm for arm in lives if arm not in able)}"
    return replace(log, account=replace(log.account, remarks=(*log.account.remarks, remark)))


def _readable(exam: str | None) -> tuple[str, ...]:
    return (exam,) if exam else ("answers", "accuracy")


def _loaded(file: Path) -> xr.Dataset:
    life = Store(file.parent).load(file.stem)
    if life is None:
        raise BadFile(f"'{file}': there is no such file")
    return life
