"""Files of practice, piece by piece: CSV and Parquet."""

import atexit
import csv
import gzip
import io
import lzma
import math
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from lifelong.errors import BadFile, MissingExtra

PIECE = 50_000
"""Rows that are read at a time."""

DELIMITERS = (",", "\t", ";", "|")
WINDOWS = "cp1252"
WIDE = {"utf-16-le": 1, "utf-16-be": 0}
"""Encodings of two bytes a letter, and which byte of the first letters is 0 where no byte-order mark tells them."""

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

    repeated: frozenset[str] = frozenset()
    """Names that several columns share: their cells are read as lists."""

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

    It is read as UTF-8 (or UTF-16 where its first bytes say so); where that fails, the reader opens it anew as
    Windows-1252.
    """

    def __init__(self, path: Path, encoding: str | None = None):
        super().__init__(path, encoding)
        self.encoding = encoding or self._guess_encoding()
        if self.encoding == WINDOWS:
            self.remarks.append("read as Windows-1252, for it is not UTF-8; unreadable characters became �")
        with self._reading() as text:
            self.delimiter = max(DELIMITERS, key=text.readline().count)

    def names(self) -> list[str]:
        """Return the names in the first row, each once; raises BadFile where it has none."""
        header = self._header()
        self.repeated = frozenset(name for name in header if header.count(name) > 1)
        return list(dict.fromkeys(header))

    def _header(self) -> list[str]:
        with self._reading() as text:
            names = [name.strip() for name in next(csv.reader(text, delimiter=self.delimiter), [])]
        if not names:
            raise BadFile(f"{self.path} is empty: a row of column names was expected")
        return names

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield pieces; rows with more or fewer fields than the header has are named, not read."""
        names = self._header()
        places = {column: [i for i, name in enumerate(names) if name == column] for column in columns}
        with self._reading() as text:
            blank = _Blank()
            rows = filter(blank.passes, self._rows(text))
            next(rows)
            for first in count(0, PIECE):
                block = list(islice(rows, PIECE))
                if not block:
                    if blank.lines:
                        self.remarks.append(str(blank))
                    return
                even = np.array([len(fields) == len(names) for fields in block])
                whole = block if even.all() else [fields for fields in block if len(fields) == len(names)]
                turned = {column: _cells(whole, own) for column, own in places.items()}
                yield Piece(turned, first + np.flatnonzero(even), first + np.flatnonzero(~even))

    def _rows(self, text: io.TextIOWrapper) -> Iterator[list[str]]:
        """Yield the fields of every row; raises BadFile where quotes do not match, for what they swallow is lost."""
        row = 1
        try:
            for row, fields in enumerate(csv.reader(text, delimiter=self.delimiter, strict=True), 2):  # noqa: B007
                yield fields
        except csv.Error as error:
            raise BadFile(
                f"{self.path}, row {row:,}: a quotation mark opens there, or on a line after it, and is not closed where a "
                f"field ends ({error}): mend it, or double it within quotes"
            ) from error

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
        if wide := next((name for name, zero in WIDE.items() if len(mark) == 4 and mark[zero::2] == b"\0\0"), ""):
            self.remarks.append(f"read as {wide}, for every second byte is 0")
            return wide
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


def copied(pipe: Path) -> Path:
    """Return a file with what comes through a pipe, which can be read once only; it is gone when Python ends."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    file = Path(folder.name) / pipe.name
    with pipe.open("rb") as source, file.open("wb") as target:
        shutil.copyfileobj(source, target)
    return file


def is_parquet(path: Path) -> bool:
    """Return whether a file is called or begins like one of Parquet."""
    with path.open("rb") as file:
        return path.suffix.lower() in (".parquet", ".pq") or file.read(4) == b"PAR1"


def _cells(rows: Sequence[list[str]], places: Sequence[int]) -> list[str]:
    """Return one cell a row: that of a place, or what those of several hold."""
    if len(places) == 1:
        return [fields[places[0]] for fields in rows]
    return [LIST.join(filter(None, (fields[place].strip() for place in places))) for fields in rows]


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
    if isinstance(cell, float):
        return "" if math.isnan(cell) else str(int(cell)) if cell.is_integer() else str(cell)
    return LIST.join(map(str, cell)) if isinstance(cell, list | tuple) else str(cell)
