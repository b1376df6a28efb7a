"""The life of a network as a practice log: every lifetime is a student, every task a skill."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from lifelong.errors import BadInput, UnknownName
from lifelong.worlds import UNGRADED, Account, Fate, PracticeLog

if TYPE_CHECKING:
    import xarray as xr

FIRST = 5
"""Attempts of each fate that are named by their number."""

HOUR = 3600.0


class Lived(Protocol):
    """What a life leaves behind: `lifelong.life.Life`."""

    def to_xarray(self) -> "xr.Dataset":
        """Return exams and records as one labelled data set."""
        ...


class _Rows(NamedTuple):
    """Attempts of some lifetimes: their place among them, task, item ('' for a lesson), outcome (NaN: undefined), time."""

    student: np.ndarray
    task: np.ndarray
    question: np.ndarray
    outcome: np.ndarray
    time: np.ndarray


def practice_of(
    lives: "Lived | xr.Dataset | Mapping[str, Lived | xr.Dataset]",
    exam: str | None = None,
    *,
    attempts: str = "exams",
    pass_mark: float = 0.5,
    pace: float = HOUR,
    name: str = "life",
) -> PracticeLog:
    """Return what networks answered in their exams, and how their lessons went, as a practice log.

    A lifetime is a student, a task a skill, a step `pace` seconds. Of an exam with one answer a question (`Answers`) every
    answer is an attempt at that question; where an exam has only the share of right answers (`Accuracy`), each sitting
    of a task is one attempt, right from a share of `pass_mark` on. A lesson is an attempt at the task it was given in,
    right where the accuracy on its batch reaches `pass_mark`, ungraded where learning reported none; it comes before an
    exam of the same step. Attempts that are not finite (a life diverged, a task has fewer questions) and lessons of
    several tasks at once are set aside; the log's `account` counts them.

    Args:
        lives: what `live` returned, its `to_xarray()`, or several of them by name, such as the arms of a study.
        exam: the result to read; `answers` where there is one, else `accuracy`.
        attempts: exams, lessons, or both.
        pass_mark: the share of right answers that counts as right.
        pace: seconds that a step counts; models of practice measure forgetting in hours and days.
        name: what the log is called.

    Raises UnknownName for a result that is not there, BadInput for one that is no share of right answers by task, for
    lives without a record of their lessons where these are asked for, and where no attempt is left.
    """
    if attempts not in ("exams", "lessons", "both"):
        raise BadInput(f"attempts are 'exams', 'lessons' or 'both', not '{attempts}'")
    if not (0 < pass_mark <= 1 and pace > 0):
        raise BadInput(f"a pass mark lies in (0, 1] and a pace above 0: {pass_mark=}, {pace=}")
    by_name: Mapping[str, Any] = lives if isinstance(lives, Mapping) and not hasattr(lives, "dims") else {"": lives}  # type: ignore[assignment]
    students: list[str] = []
    parts: list[_Rows] = []
    for label, record in ((label, _record(life)) for label, life in by_name.items()):
        read = exam or ("answers" if "answers" in record else "accuracy")
        values = _results(record, read)
        lanes = _lanes(record, values, label)
        rows = [_lessons(record, values, pass_mark)] if attempts != "exams" else []
        rows += [_sittings(record, values, pass_mark)] if attempts != "lessons" else []
        parts += [one._replace(student=one.student + len(students)) for one in rows]
        students += lanes
    rows = _Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    remarks = (f"a share of right answers counts as right from {pass_mark:g} on", f"a step counts as {pace:g} seconds")
    return _log(rows, tuple(students), pace, name, remarks)


def _record(life: Any) -> "xr.Dataset":
    return life.to_xarray() if hasattr(life, "to_xarray") else life


def _results(record: "xr.Dataset", exam: str) -> "xr.DataArray":
    """Return an exam's results with the dimensions (lanes …, exam, task[, question])."""
    if exam not in record:
        raise UnknownName("exam result", exam, [str(name) for name, v in record.items() if "exam" in v.dims])
    values = record[exam]
    own = values.dims[values.dims.index("exam") :] if "exam" in values.dims else ()
    if own[:2] != ("exam", "task") or len(own) > 3:
        raise BadInput(f"'{exam}' has the dimensions {values.dims}, and (…, exam, task) or (…, exam, task, question) "
                       "are expected: one share of right answers, or one answer a question")  # fmt: skip
    found = values.values
    if np.any((found < 0) | (found > 1)):
        raise BadInput(f"'{exam}' holds numbers outside 0 … 1, so they are no shares of right answers")
    return values


def _lanes(record: "xr.Dataset", values: "xr.DataArray", label: str) -> list[str]:
    """Return the name of every lifetime: the life's own, then swept values and the seed."""
    dims = values.dims[: values.dims.index("exam")]
    own = [[f"{dim} {record[dim].values[i]:g}" for dim, i in zip(dims, place, strict=True)]
           for place in np.ndindex(*(values.sizes[dim] for dim in dims))]  # fmt: skip
    return [", ".join([label, *parts] if label else parts) for parts in own]


def _sittings(record: "xr.Dataset", values: "xr.DataArray", pass_mark: float) -> _Rows:
    """Return every answer of every sitting, or every sitting of a task."""
    of = values.values.reshape(-1, *values.shape[values.dims.index("exam") :])
    of = of if of.ndim == 4 else of[..., None]
    student, sat, task, question = (index.ravel() for index in np.indices(of.shape))
    steps = np.asarray(record["exam"].values, np.float64)
    return _Rows(student, task, question, _passed(of.ravel(), pass_mark), steps[sat])


def _lessons(record: "xr.Dataset", values: "xr.DataArray", pass_mark: float) -> _Rows:
    """Return every lesson that was recorded."""
    if "learning_taught" not in record:
        raise BadInput("this life has no record of which task each lesson was of (`taught`), so lessons cannot be traced; "
                       "live it again, or trace its exams")  # fmt: skip
    steps = np.asarray(record["step"].values, np.float64)
    task = record["learning_taught"].values.reshape(-1, len(steps)).astype(np.int64)
    graded = "learning_accuracy" in record
    outcome = _passed(record["learning_accuracy"].values.reshape(task.shape), pass_mark) if graded else task * 0.0 - 1
    student, lived = np.indices(task.shape)
    columns = (student, task, np.full_like(task, -1), outcome, steps[lived])
    return _Rows(*(column.ravel() for column in columns))


def _passed(share: np.ndarray, pass_mark: float) -> np.ndarray:
    """Return 1 and 0, NaN where a share is not finite."""
    return np.where(np.isfinite(share), share >= pass_mark - 1e-6, np.nan)


def _log(rows: _Rows, students: tuple[str, ...], pace: float, name: str, remarks: tuple[str, ...]) -> PracticeLog:
    reasons = {
        "whose result is not finite (a life diverged, or there is no such question)": ~np.isfinite(rows.outcome),
        "of several tasks at once": rows.task < 0,
    }
    left, fates = np.ones(len(rows.task), bool), []
    for why, holds in reasons.items():
        places = np.flatnonzero(left & holds)
        left &= ~holds
        fates += [Fate(why, len(places), tuple((places[:FIRST] + 1).tolist()))] if len(places) else []
    if not left.any():
        raise BadInput(f"{name}: of {len(left)} attempts none can be used: {'; '.join(map(str, fates))}")
    kept = _Rows(*(column[left] for column in rows))
    items, item = np.unique(np.stack([kept.task, kept.question]), axis=1, return_inverse=True)
    several = bool(np.any(kept.question > 0))
    outcome = kept.outcome.astype(np.int64)
    return PracticeLog(
        student=kept.student,
        skill=kept.task[:, None],
        item=item.ravel(),
        outcome=outcome,
        time=kept.time * pace,
        students=students,
        skills=tuple(f"task {task}" for task in range(int(kept.task.max()) + 1)),
        items=tuple(_item(task, question, several) for task, question in items.T.tolist()),
        name=name,
        row=np.flatnonzero(left),
        account=Account(name, len(left), len(outcome), int(np.sum(outcome != UNGRADED)), (), tuple(fates), remarks),
    )


def _item(task: int, question: int, several: bool) -> str:
    kind = "lesson" if question < 0 else f"question {question}" if several else "exam"
    return f"task {task}, {kind}"
