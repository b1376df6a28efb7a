"""Practice logs: who tried which item when, and whether it went well. Students may be people or networks."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from lifelong.errors import BadInput, UnknownName

from ._account import Account

UNGRADED = -1
"""The outcome of a row that shows no success and no failure: an item studied, or an outcome that is hidden."""

NEW = "(new)"
"""What the last code of an aligned log is called."""


class Vocabulary(NamedTuple):
    """The skills and items that a model knows by name, in the order of their codes."""

    skills: tuple[str, ...]
    items: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PracticeLog:
    """Attempts at items, in order of student, then time; rows of a student at the same time stay in the order given.

    `student` [rows] and `item` [rows] are codes of the names in `students` and `items`. `skill` [rows, width] holds the
    codes of all skills that a row exercises, padded with −1 on the right; every row has one at least, none twice.
    `outcome` [rows] is 1 (right), 0 (wrong) or −1 (ungraded: an item studied). `time` [rows] is in seconds from any
    origin; where `timed` is False it only counts a student's rows. `row` [rows] is the place of each row in the source,
    from 0; by default the order given. `account` says what became of every row of a source that was read. In an
    `aligned` log the last skill and the last item stand for all that the vocabulary lacks.

    The arrays are read-only. Raises BadInput where any of this does not hold, or where there are no rows.
    """

    student: Integer[np.ndarray, "..."]
    skill: Integer[np.ndarray, "..."]
    item: Integer[np.ndarray, "..."]
    outcome: Integer[np.ndarray, "..."]
    time: Float[np.ndarray, "..."]
    students: tuple[str, ...]
    skills: tuple[str, ...]
    items: tuple[str, ...]
    timed: bool = True
    name: str = "log"
    row: Integer[np.ndarray, "..."] = field(default_factory=lambda: np.zeros(0, np.int64))
    account: Account | None = field(default=None, repr=False)
    aligned: bool = False

    def __post_init__(self):
        row = self.row if len(self.row) else np.arange(len(self.student))
        columns = {"student": self.student, "skill": self.skill, "item": self.item, "outcome": self.outcome}
        columns |= {"time": self.time, "row": row}
        _check_shapes(columns)
        _check_codes(self)
        order = np.lexsort((np.arange(len(row)), self.time, self.student))
        kinds = {"outcome": np.int8, "time": np.float64, "row": np.int64}
        for name, values in columns.items():
            values = values[order].astype(kinds.get(name, np.int32))
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @classmethod
    def of(
        cls, student: Any, skill: Any, outcome: Any, item: Any = None, time: Any = None, name: str = "log"
    ) -> "PracticeLog":
        """Make a log of columns of labels, one entry a row.

        `skill` holds a label or a sequence of labels a row; `outcome` 1, 0, True, False, or −1 where there is no grade;
        without `item`, each combination of skills is an item; without `time`, rows are in the order lived.
        """
        several = [(one,) if isinstance(one, str) or not np.iterable(one) else tuple(one) for one in skill]
        codes, skills = code_names([s for row in several for s in row])
        padded = pad_skills(codes, np.array([len(row) for row in several]))
        items = [" + ".join(map(str, row)) for row in several] if item is None else item
        item_codes, item_names = code_names(items)
        student_codes, students = code_names(student)
        times = np.arange(len(item_codes), dtype=np.float64) if time is None else np.asarray(time, np.float64)
        graded = _grades(outcome)
        names = (students, skills, item_names)
        return cls(student_codes, padded, item_codes, graded, times, *names, time is not None, name)

    def __len__(self) -> int:
        return len(self.student)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names of skills and items, without what stands for new ones."""
        last = -1 if self.aligned else None
        return Vocabulary(self.skills[:last], self.items[:last])

    @property
    def skill_codes(self) -> int:
        """How many rows a table of skills needs: one for each name, and a last one for those that are new."""
        return len(self.vocabulary.skills) + 1

    @property
    def item_codes(self) -> int:
        """How many rows a table of items needs: one for each name, and a last one for those that are new."""
        return len(self.vocabulary.items) + 1

    @cached_property
    def graded(self) -> Bool[np.ndarray, " rows"]:
        """Whether each row has a grade."""
        return self.outcome >= 0

    @cached_property
    def starts(self) -> Int[np.ndarray, " bounds"]:
        """Where each student's rows begin; the last entry is the number of rows."""
        return np.searchsorted(self.student, np.arange(len(self.students) + 1))

    @cached_property
    def place(self) -> Int[np.ndarray, " rows"]:
        """How many rows the student has before each row."""
        return np.arange(len(self)) - self.starts[self.student]

    @cached_property
    def gap(self) -> Float[np.ndarray, " rows"]:
        """Seconds since the student's row before; 0 for the first."""
        return np.where(self.place == 0, 0.0, np.diff(self.time, prepend=self.time[0]))

    @cached_property
    def fingerprint(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of names and values; the log's own name does not count."""
        digest = hashlib.sha256(repr((self.students, self.skills, self.items, self.timed)).encode())
        for array in (self.student, self.skill, self.item, self.outcome, self.time):
            digest.update(f"{array.shape}".encode() + np.ascontiguousarray(array).data)
        return digest.hexdigest()[:12]

    def code_of(self, student: str) -> int:
        """Return the code of a student; raises UnknownName where there is none of that name."""
        name = str(student)
        if name not in self.students:
            raise UnknownName("student", name, self.students)
        return self.students.index(name)

    def only(self, chosen: Bool[np.ndarray, " students"]) -> "PracticeLog":
        """Return the log of some students, marked True; skills and items keep their codes."""
        rows = chosen[self.student]
        names = tuple(name for name, kept in zip(self.students, chosen, strict=True) if kept)
        codes = np.cumsum(chosen) - 1
        return self._of_rows(rows, student=codes[self.student[rows]], students=names)

    def rows(self, chosen: Bool[np.ndarray, " rows"]) -> "PracticeLog":
        """Return the log of some rows, marked True; all names and codes stay, also of students without rows."""
        return self._of_rows(chosen)

    def _of_rows(self, chosen: np.ndarray, **changes: Any) -> "PracticeLog":
        columns = {name: getattr(self, name)[chosen] for name in ("student", "skill", "item", "outcome", "time", "row")}
        return replace(self, **(columns | changes))

    def hide(self, rows: Bool[np.ndarray, " rows"]) -> "PracticeLog":
        """Return the log with the outcomes of some rows hidden: they become ungraded."""
        return self.with_outcomes(np.where(rows, UNGRADED, self.outcome))

    def with_outcomes(self, outcome: Integer[np.ndarray, " rows"]) -> "PracticeLog":
        """Return the log with other outcomes, in the order of its rows."""
        return replace(self, outcome=outcome)

    def coin_flips(self, seed: int = 0) -> "PracticeLog":
        """Return the log with every grade replaced by the toss of a fair coin: nobody can predict better than chance.

        The coins are a stream of their own: students simulated with the same seed know nothing of them.
        """
        tossed = np.random.default_rng((seed, *b"coin flips")).integers(0, 2, len(self))
        return self.with_outcomes(np.where(self.graded, tossed, UNGRADED))

    def align(self, known: Vocabulary) -> "PracticeLog":
        """Return the log in the codes of a vocabulary; names that it lacks share one further code, the last."""
        if self.aligned and self.vocabulary == known:
            return self
        changes: dict[str, Any] = {"aligned": True}
        for plural, column in (("skills", "skill"), ("items", "item")):
            names = getattr(known, plural)
            codes = {name: code for code, name in enumerate(names)}
            new = np.array([codes.get(name, len(names)) for name in getattr(self, plural)] + [-1])
            changes |= {plural: (*names, NEW), column: new[getattr(self, column)]}
        return replace(self, **(changes | {"skill": _without_repeats(changes["skill"])}))


def code_names(labels: Iterable[Any]) -> tuple[Int[np.ndarray, " rows"], tuple[str, ...]]:
    """Code labels by their names, in alphabetical order, but for the numbers in them: 2 comes before 10."""
    names, codes = np.unique(np.array([str(label) for label in labels]), return_inverse=True)
    order = sorted(range(len(names)), key=lambda i: _natural(str(names[i])))
    return np.argsort(order)[codes], tuple(names[order].tolist())


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return what a name is sorted by: numbers as numbers, before words."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def pad_skills(codes: Integer[np.ndarray, " entries"], counts: Integer[np.ndarray, " rows"]) -> np.ndarray:
    """Return [rows, width] codes padded with −1, of codes listed row after row; what a row names twice counts once."""
    width = int(counts.max(initial=1))
    padded = np.full((len(counts), max(width, 1)), -1, np.int32)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = codes
    return _without_repeats(padded)


def _without_repeats(skill: np.ndarray) -> np.ndarray:
    """Return [rows, width] codes in ascending order, each once, padded with −1 on the right."""
    if skill.shape[1] == 1:
        return skill
    ordered = -np.sort(-skill, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1
    ordered = np.where(ordered < 0, np.iinfo(np.int32).max, ordered)
    ordered.sort(axis=1)
    ordered = np.where(ordered == np.iinfo(np.int32).max, -1, ordered).astype(np.int32)
    return ordered[:, : max(1, int((ordered >= 0).sum(axis=1).max(initial=1)))]


def _grades(outcome: Any) -> Int[np.ndarray, " rows"]:
    given = np.asarray(outcome)
    grades = given.astype(np.int64) if given.dtype.kind in "bui" else np.full(given.shape, -2)
    if given.dtype.kind == "f":
        grades = np.where(np.isin(given, (-1.0, 0.0, 1.0)), given, -2).astype(np.int64)
    if (bad := ~np.isin(grades, (-1, 0, 1))).any():
        row = int(np.argmax(bad))
        raise BadInput(
            f"outcome, row {row}: 1, 0 or −1 (ungraded) was expected, not {given[row]!r}: round partial credit"
        )
    return grades


def _check_shapes(columns: dict[str, np.ndarray]) -> None:
    rows = len(columns["student"])
    if not rows:
        raise BadInput("a practice log needs one row at least, and it has none")
    for name, values in columns.items():
        flat = values.ndim == (2 if name == "skill" else 1)
        if not flat or len(values) != rows:
            form = "[rows, width]" if name == "skill" else "[rows]"
            raise BadInput(f"{name} has shape {values.shape}: {form} with {rows} rows was expected, as student has")
        if name != "time" and values.dtype.kind not in "iu":
            raise BadInput(f"{name} holds {values.dtype}: whole numbers were expected (`PracticeLog.of` takes labels)")
    if not np.isfinite(columns["time"]).all():
        row = int(np.argmin(np.isfinite(columns["time"])))
        raise BadInput(f"time has values that are not finite, first in row {row}; leave time out where there is none")


def _check_codes(log: PracticeLog) -> None:
    _check_range("student", log.student, 0, log.students)
    _check_range("item", log.item, 0, log.items)
    _check_range("skill", log.skill, -1, log.skills)
    _check_range("outcome", log.outcome, -1, ("wrong", "right"))
    used = log.skill >= 0
    if np.any(used[:, 1:] & ~used[:, :-1]) or not used[:, 0].all():
        raise BadInput("every row needs one skill at least, and −1 may only stand on the right of a row's skills")
    ordered = np.sort(log.skill, axis=1)
    if np.any((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)):
        raise BadInput("a row names a skill twice; name each once")


def _check_range(column: str, codes: np.ndarray, least: int, names: Sequence[str]) -> None:
    outside = (codes < least) | (codes >= len(names))
    if outside.any():
        row = int(np.argmax(outside.reshape(len(codes), -1).any(axis=1)))
        raise BadInput(f"{column}, row {row}: {codes[row]} is outside {least}..{len(names) - 1}")
