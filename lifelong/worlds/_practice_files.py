"""Files of practice, piece by piece: CSV, Parquet, and EdNet's folder of one file a student."""

import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lifelong.errors import BadFile, MissingExtra

from ._practice_columns import plain_name

PIECE = 50_000
"""Rows that are read at a time."""

DELIMITERS = (",", "\t", ";", "|")
WINDOWS = "cp1252"
LIST = "~~"
"""What separates the skills of one cell in DataShop; lists in Parquet files are joined by it."""

NONE = np.zeros(0, np.int64)


class Piece(NamedTuple):
    """Some rows: the columns asked for as text, the number of each row from 0, and rows of a wrong number of fields."""

    columns: dict[str, list[str]]
    row: np.ndarray
    uneven: np.ndarray


class PracticeFile:
    """A file of practice with named columns, read in pieces; `encoding` and `remarks` say how."""

    def __init__(self, path: Path, encoding: str | None = None):
        self.path, self.encoding, self.remarks = path, encoding, []
        if not path.exists():
            raise BadFile(f"{path}: there is no such file or folder")

    def names(self) -> list[str]:
        """Return the names of its columns."""
        raise NotImplementedError

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield the columns of some thousand rows at a time."""
        raise NotImplementedError


class CSVFile(PracticeFile):
    """Text separated by commas, tabs, semicolons or bars, plain, gzip or xz; the first row names the columns.

    It is read as UTF-8 (or UTF-16 where a byte-order mark says so); where that fails, the reader opens it anew
    as Windows-1252.
    """

    def __init__(self, path: Path, encoding: str | None = None):
        super().__init__(path, encoding)
        self.encoding = encoding or self._guess_encoding()
        if self.encoding == WINDOWS:
            self.remarks.append("read as Windows-1252, for it is not UTF-8; unreadable characters became �")
        with self._reading() as text:
            self.delimiter = max(DELIMITERS, key=text.readline().count)

    def names(self) -> list[str]:
        """Return the first row; raises BadFile where it cannot name columns."""
        with self._reading() as text:
            names = [name.strip() for name in next(csv.reader(text, delimiter=self.delimiter), [])]
        if not names:
            raise BadFile(f"{self.path} is empty: a row of column names was expected")
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise BadFile(f"{self.path}, row 1: two columns are named '{repeated[0]}'")
        return names

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield pieces; rows with more or fewer fields than the header has are named, not read."""
        names = self.names()
        places = [names.index(column) for column in columns]
        with self._reading() as text:
            blank = _Blank()
            rows = filter(blank.passes, csv.reader(text, delimiter=self.delimiter))
            next(rows)
            for first in count(0, PIECE):
                block = list(islice(rows, PIECE))
                if not block:
                    if blank.lines:
                        self.remarks.append(str(blank))
                    return
                even = np.array([len(fields) == len(names) for fields in block])
                whole = block if even.all() else [fields for fields in block if len(fields) == len(names)]
                turned = {names[place]: [fields[place] for fields in whole] for place in places}
                yield Piece(turned, first + np.flatnonzero(even), first + np.flatnonzero(~even))

    @contextmanager
    def _reading(self) -> Iterator[io.TextIOWrapper]:
        """Open the file as text, and name what is wrong with it."""
        try:
            with (
                _plain(self.path) as raw,
                io.TextIOWrapper(raw, encoding=self.encoding, errors=self._errors, newline="") as text,
            ):
                yield text
        except csv.Error as error:
            raise BadFile(f"{self.path} cannot be read as text separated by '{self.delimiter}': {error}") from error
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise BadFile(
                f"{self.path} is not whole: its compressed data break off or are corrupt ({error})"
            ) from error
        except LookupError as error:
            raise BadFile(f"{self.path}: there is no encoding '{self.encoding}'") from error
        except OSError as error:
            if isinstance(error, BadFile):
                raise
            raise BadFile(f"{self.path} cannot be read: {error.strerror or error}") from error

    @property
    def _errors(self) -> str:
        return "replace" if self.encoding == WINDOWS else "strict"

    def _guess_encoding(self) -> str:
        try:
            with _plain(self.path) as file:
                mark = file.read(4)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise BadFile(f"{self.path} cannot be read: {error}") from error
        if mark.startswith((b"\xff\xfe", b"\xfe\xff")):
            self.remarks.append("read as UTF-16, by its byte-order mark")
            return "utf-16"
        if mark.startswith(b"\xef\xbb\xbf"):
            self.remarks.append("its byte-order mark was passed over")
        return "utf-8-sig"


class _Blank:
    """Passes over blank lines, and counts them."""

    def __init__(self):
        self.lines = 0

    def passes(self, fields: list[str]) -> bool:
        """Return whether a line holds anything."""
        self.lines += not fields
        return bool(fields)

    def __str__(self) -> str:
        return f"{self.lines:,} blank line{'s' if self.lines > 1 else ''} passed over; rows are numbered without them"


def _plain(path: Path) -> Any:
    """Open a file for its bytes, after gzip or xz are undone."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path, "rb")
    return lzma.open(path, "rb") if magic.startswith(b"\xfd7zXZ\x00") else path.open("rb")


class ParquetFile(PracticeFile):
    """A Parquet file, read batch by batch with pyarrow; cells that hold lists are several skills."""

    def __init__(self, path: Path, encoding: str | None = None):
        super().__init__(path)
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise MissingExtra("reading Parquet", "pyarrow", "parquet") from None
        try:
            self.file = parquet.ParquetFile(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise BadFile(f"{path} is not a whole Parquet file: {error}") from error

    def names(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.file.schema_arrow.names)

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield batches as text."""
        number = 0
        for batch in self.file.iter_batches(batch_size=PIECE, columns=list(columns)):
            turned = {name: [_text(cell) for cell in batch.column(name).to_pylist()] for name in columns}
            yield Piece(turned, np.arange(number, number + batch.num_rows), NONE)
            number += batch.num_rows


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return LIST.join(map(str, cell)) if isinstance(cell, list | tuple) else str(cell)


class EdNetFolder(PracticeFile):
    """EdNet KT1 as published: a folder with one `u….csv` a student, and `questions.csv` there or in `contents` beside.

    An answer is right where it equals the question's `correct_answer`; skills are the question's tags.
    """

    def __init__(self, path: Path, encoding: str | None = None):
        super().__init__(path)
        self.files = sorted(path.glob("u*.csv"), key=lambda file: (len(file.name), file.name))
        places = [
            folder / "questions.csv" for folder in (path, path / "contents", path.parent / "contents", path.parent)
        ]
        questions = next((place for place in places if place.is_file()), None)
        if not self.files or questions is None:
            lacking = "files u….csv" if not self.files else "questions.csv, there or in `contents` beside it"
            raise BadFile(f"{path} is no folder of EdNet KT1: it has no {lacking}")
        self.questions = _by_first(questions, ("question_id", "correct_answer", "tags"))

    def names(self) -> list[str]:
        """Return the columns that files and questions make together."""
        return ["user_id", "question_id", "timestamp", "correct", "tags"]

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield one piece for some students at a time."""
        rows: list[tuple[str, ...]] = []
        number = 0
        for last, file in enumerate(self.files, 1):
            rows += list(self._rows(file))
            if len(rows) >= PIECE or last == len(self.files):
                turned = dict(zip(self.names(), map(list, zip(*rows, strict=True)), strict=True))
                yield Piece({name: turned[name] for name in columns}, np.arange(number, number + len(rows)), NONE)
                number, rows = number + len(rows), []

    def _rows(self, file: Path) -> Iterator[tuple[str, ...]]:
        whole = CSVFile(file)
        for piece in whole.pieces(("timestamp", "question_id", "user_answer")):
            for moment, question, answer in zip(*piece.columns.values(), strict=True):
                correct, tags = self.questions.get(question, ("", ""))
                grade = str(int(answer == correct)) if correct else "no such question"
                yield file.stem, question, moment, grade, tags.replace(";", LIST)


def _by_first(path: Path, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return first column → the others, of a small CSV file."""
    file = CSVFile(path)
    missing = [column for column in columns if column not in map(plain_name, file.names())]
    if missing:
        raise BadFile(f"{path} has no column '{missing[0]}'; its columns are: {', '.join(file.names())}")
    table: dict[str, tuple[str, ...]] = {}
    for piece in file.pieces(columns):
        table |= {first: tuple(rest) for first, *rest in zip(*piece.columns.values(), strict=True)}
    return table
