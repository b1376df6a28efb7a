"""From a file of practice to a `PracticeLog` that accounts for every row."""

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lifelong.errors import BadFile, BadInput, UnknownName

from ._account import Account, Fate, Fates, counted
from ._practice import UNGRADED, PracticeLog, code_names
from ._practice_codes import Codes, draw, in_use
from ._practice_columns import Columns, Given, find_columns
from ._practice_ednet import EdNetFolder
from ._practice_files import LIST, WINDOWS, CSVFile, ParquetFile, Piece, PracticeFile, copied, is_parquet
from ._practice_join import SEPARATORS, Cells, Joined, Rows, Told, joined, split_cells, told_apart
from ._practice_values import PARTIAL, UNITS, UNREADABLE, Times, number_of, outcome_of
from ._registry import check

KNOWN = ("lkt",)
NO_OUTCOME = "with an outcome that cannot be read"
NO_SKILL = "(no skill named)"
"""The skill under which rows without one are kept."""


def practice_log(
    source: str | os.PathLike[str],
    columns: Given | None = None,
    *,
    layout: str | None = None,
    most: int | None = None,
    seed: int = 0,
    encoding: str | None = None,
    time_unit: str | None = None,
    separator: str | None = None,
) -> PracticeLog:
    """Read a practice log: "lkt", a CSV file (plain, gzip, xz), a Parquet file, or a folder of EdNet KT1.

    Public layouts are recognised by their columns, others guessed by name; `columns` maps roles (student, skill, item,
    outcome, time, attempt, label) to columns and overrides both; several columns may name skills. Where there is no skill the
    item counts as one, and the other way round. What became of every row is in the log's `account`.

    Outcomes are 1/0, right/wrong, true/false and the like; empty ones and `study` are ungraded. Times are numbers or
    dates; without times the attempt's number gives the order, else the file. Rows of one attempt are joined: those that
    share student, attempt and item, or, without an attempt's number, student, item, time and outcome, unless times are
    too coarse to tell attempts apart. What is left to doubt is among the account's remarks.

    Args:
        source: where the rows are. Files are read in pieces of 50,000 rows.
        columns: role → column or columns.
        layout: the name of a public layout, where it is not to be recognised.
        most: keep at most about so many rows, all rows of a random choice of students; none is read into memory beyond.
        seed: which students those are.
        encoding: that of a CSV file, where neither UTF-8 nor Windows-1252.
        time_unit: the unit of numeric times, where their size misleads: s, ms, us, ns, min, h, d.
        separator: what stands between the skills in a cell; '' for nothing.

    Raises BadFile (missing, not readable, a column missing, or no row that can be used), UnknownName, BadInput,
    MissingExtra for Parquet without pyarrow.
    """
    if time_unit is not None and time_unit not in UNITS:
        raise UnknownName("unit of time", time_unit, UNITS)
    if most is not None and most < 1:
        raise BadInput(f"most={most}: at least one row must be kept")
    source = copied(Path(source)) if Path(source).is_fifo() else source
    how = _How(columns or {}, layout, most, seed, time_unit, separator)
    try:
        return _Gathered(_opened(source, encoding), how).read()
    except UnicodeDecodeError as error:
        if encoding:
            raise BadFile(f"{source} is not {encoding} text: byte {error.start} cannot be read") from error
        return _Gathered(_opened(source, WINDOWS), how).read()


def _opened(source: str | os.PathLike[str], encoding: str | None) -> PracticeFile:
    if source in KNOWN:
        return CSVFile(next(iter(check(str(source)).values())))
    path = Path(source)
    if not path.exists() and not path.suffix:
        raise UnknownName("practice log, file or folder", str(source), KNOWN)
    if path.is_dir():
        return EdNetFolder(path)
    return (ParquetFile if path.exists() and is_parquet(path) else CSVFile)(path, encoding)


class _How(NamedTuple):
    """How a file is to be read: the arguments of `practice_log`."""

    columns: Given
    layout: str | None
    most: int | None
    seed: int
    time_unit: str | None
    separator: str | None


class _Gathered:
    """The rows of a file, taken in piece by piece."""

    def __init__(self, file: PracticeFile, how: _How):
        self.file, self.how = file, how
        self.columns: Columns = find_columns(file.names(), how.columns, how.layout, str(file.path))
        _check_repeated(file, self.columns)
        self.students, self.cells, self.items, self.words = Codes(), Codes(), Codes(), Codes()
        self.attempts, self.times, self.fates = Codes(), Times(how.time_unit), Fates()
        self.labels: dict[str, str] = {}
        self.parts: list[Rows] = []
        self.draws: list[float] = []
        self.share, self.read_rows, self.sampled_out, self.kept = 1.0, 0, 0, 0

    def read(self) -> PracticeLog:
        """Read all pieces and return the log."""
        wanted = list(dict.fromkeys(column for of in self.columns.of.values() for column in of))
        for piece in self.file.pieces(wanted):
            self._take(piece)
            while self.how.most is not None and self.kept > self.how.most and self.share > 1e-9:
                self._thin()
        if not self.kept:
            raise BadFile(f"{self._account(0, 0, (), ())}; no row can be used")
        self._check_outcomes()
        return self._log()

    def _check_outcomes(self) -> None:
        """Raise BadFile where outcomes are scores, of which 0 or 1 alone would be read."""
        grades = set(np.concatenate([rows.outcome for rows in self.parts]).tolist()) - {UNGRADED}
        scores = [word for word in self.words.names if number_of(word) > 1]
        if len(grades) == 1 and scores:
            raise BadFile(
                f"{self._account(self.kept, self.kept, (), ())}; outcomes are scores, such as {scores[0]}, and all others "
                f"are {grades.pop()}: write 1 where a score counts as right, and 0 where not"
            )

    def _take(self, piece: Piece) -> None:
        """Take in a piece: every row is kept, or set aside for the first reason that holds."""
        self.read_rows += len(piece.row) + len(piece.uneven)
        self.fates.add("with more or fewer fields than the header", piece.uneven)
        student = self.students.of(self._labels(piece, "student"))
        grades = self.words.of(self._labels(piece, "outcome"))
        outcome = np.array([outcome_of(word) for word in self.words.names], np.int8)[grades]
        timed = "time" in self.columns.of
        time = self.times.read(self._labels(piece, "time")) if timed else np.zeros(len(student))
        reasons = {
            "without a student": student == self.students.get("", -1),
            NO_OUTCOME: outcome == UNREADABLE,
            "with partial credit": outcome == PARTIAL,
            "with a time that cannot be read": np.isnan(time),
        }
        left = np.ones(len(student), bool)
        for why, holds in reasons.items():
            self.fates.add(why, piece.row[left & holds])
            left &= ~holds
        chosen = self._drawn(student, left)
        skills = self._labels(piece, "skill")
        if "label" in self.columns.of:
            skills = [self._named(*names) for names in zip(skills, self._labels(piece, "label"), strict=True)]
        items = self._labels(piece, "item") if "item" in self.columns.of else skills
        attempts = self._labels(piece, "attempt") if "attempt" in self.columns.of else None
        row = piece.row[chosen]
        self._keep(
            Rows(
                student=student[chosen],
                skill=self.cells.of(skills)[chosen],
                item=self.items.of(list(compress(items, chosen))),
                outcome=outcome[chosen],
                time=time[chosen],
                attempt=row if attempts is None else self._attempt_numbers(list(compress(attempts, chosen))),
                row=row,
            )
        )

    def _labels(self, piece: Piece, role: str) -> list[str]:
        """Return the text of a role's columns; several are joined."""
        columns = [piece.columns[name] for name in self.columns.of[role]]
        if len(columns) == 1:
            return columns[0]
        return [LIST.join(filter(None, map(str.strip, words))) for words in zip(*columns, strict=True)]

    def _named(self, skill: str, label: str) -> str:
        """Return a skill with what it was first said to be."""
        if not skill or not label or LIST in skill:
            return skill
        return self.labels.setdefault(skill, f"{skill} · {label.strip()}")

    def _attempt_numbers(self, words: Sequence[str]) -> np.ndarray:
        if not self.attempts:
            try:
                return np.array(list(map(int, words)), np.int64)
            except (ValueError, OverflowError):
                pass
        return self.attempts.of(words).astype(np.int64) - 2**62  # below every number read before

    def _drawn(self, student: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Mark those of the rows left whose students are kept, and count the others."""
        self.draws += [draw(name, self.how.seed) for name in self.students.names[len(self.draws) :]]
        chosen = left if self.share == 1 else left & (np.array(self.draws) < self.share)[student]
        self.sampled_out += int(np.count_nonzero(left) - np.count_nonzero(chosen))
        return chosen

    def _keep(self, rows: Rows) -> None:
        self.parts.append(rows)
        self.kept += len(rows.row)

    def _thin(self) -> None:
        """Halve the share of students that are kept; who was left out stays out."""
        self.share /= 2
        parts, self.parts, self.kept = self.parts, [], 0
        for rows in parts:
            self._keep(rows.take(self._drawn(rows.student, np.ones(len(rows.row), bool))))

    def _log(self) -> PracticeLog:
        rows = Rows(*(np.concatenate(columns) for columns in zip(*self.parts, strict=True)))
        cells, separator = split_cells([cell or NO_SKILL for cell in self.cells.names], self.how.separator)
        codes, skills = code_names([skill for cell in cells for skill in cell])
        told = told_apart(rows, self.columns.of)
        made = joined(rows, Cells(codes, np.array([len(cell) for cell in cells])), told)
        fates = Fates()
        fates.add("as a further skill of the same attempt", made.further)
        fates.add("as its duplicate", made.duplicate)
        kept = made.rows
        account = self._account(
            len(kept.row),
            int(np.count_nonzero(kept.outcome >= 0)),
            fates.all(),
            self._remarks(kept, separator, made, told),
        )
        student, students = in_use(kept.student, self.students.names)
        item, items = in_use(kept.item, [name or NO_SKILL for name in self.items.names])
        skill, skills = in_use(made.skill, list(skills))
        timed = "time" in self.columns.of
        order = (kept.row, kept.attempt) if told.ordered else (kept.row,)
        time = kept.time if timed else np.lexsort(order).argsort().astype(np.float64)
        name = self.file.path.name.split(".")[0]
        columns = (student, skill, item, kept.outcome, time, students, skills, items)
        return PracticeLog(*columns, timed=timed, name=name, row=kept.row, account=account)

    def _account(self, attempts: int, graded: int, fates: tuple[Fate, ...], remarks: tuple[str, ...]) -> Account:
        unread = [repr(word) for word in self.words.names if outcome_of(word) == UNREADABLE][:3]
        aside = tuple(
            replace(f, why=f"{f.why}, such as {', '.join(unread)}") if f.why == NO_OUTCOME else f
            for f in self.fates.all()
        )
        if self.sampled_out:
            chosen = sum(draw < self.share for draw in self.draws)
            remarks += (f"a random {chosen:,} of {len(self.draws):,} students were kept, with all their rows",)
        name = self.file.path.name
        return Account(name, self.read_rows, attempts, graded, fates, aside, remarks, self.sampled_out)

    def _remarks(self, kept: Rows, separator: str, made: Joined, told: Told) -> tuple[str, ...]:
        """Return how the file was understood."""
        roles = ", ".join(f"{role} = {' + '.join(of)}" for role, of in self.columns.of.items())
        unnamed = self.cells.get("", -1)
        bare = int(np.count_nonzero(kept.skill == unnamed))
        return (
            f"{self.columns.layout}: {roles}",
            *self.file.remarks,
            *([self.times.way] if self.times.way else ["no time: rows are in the order lived"]),
            *told.remarks,
            *([f"skills in one cell were split at '{separator}'"] if separator else []),
            *_unsplit(self.cells.names, separator, self.how.separator),
            *([f"{bare:,} attempts name no skill and are kept under '{NO_SKILL}'"] if bare else []),
            *([f"{made.disagreeing:,} joined rows have another outcome than the first"] if made.disagreeing else []),
        )


def _check_repeated(file: PracticeFile, columns: Columns) -> None:
    """Raise BadFile where several columns share the name of one that can only be one."""
    for role, of in columns.of.items():
        twice = [column for column in of if column in file.repeated]
        if twice and role != "skill":
            raise BadFile(f"{file.path}, row 1: two columns are named '{twice[0]}', and only skills may have several")


def _unsplit(cells: Sequence[str], used: str, given: str | None) -> list[str]:
    """Say which cells look like lists of skills and were left whole."""
    if given is not None:
        return []
    left = {mark: sum(mark in cell for cell in cells) for mark in SEPARATORS if mark != used}
    return [
        f"{counted(count, 'skill')} with '{mark}' {'was' if count == 1 else 'were'} left whole; if it separates skills, "
        f"say so (separator='{mark}', or --separator)"
        for mark, count in left.items()
        if count
    ]
