"""Readers for tables, CSV and Parquet, and the coding of labels: a column of classes, all others numbers."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32

from lifelong.errors import BadFile, BadInput, MissingExtra, UnknownName

from ._readers import PathLike, read_bytes

EXACT_INTEGER = 2**53  # from here on a float no longer tells neighbouring integers apart


@dataclass(frozen=True, eq=False)
class Table:
    """Features and classes read from a file with named columns.

    `x` [rows, columns] holds the features, `y` [rows] the codes 0..K-1 of the target column, `classes` the K names that
    the codes stand for, and `columns` the names of the features.
    """

    x: Float64[np.ndarray, "rows columns"]
    y: Int32[np.ndarray, " rows"]
    classes: tuple[str, ...]
    columns: tuple[str, ...]


def read_csv(path: PathLike, target: str | None = None) -> Table:
    """Read a CSV file (`.tsv`: separated by tabs), plain, gzip or xz, whose first row names the columns.

    `target` names the column of classes, the last one by default; all others are numbers. Rows are counted from 1, the
    header included. A file cut within the last field of its last row cannot be told from a whole one. Raises BadFile
    where a row is too short or too long, or a field is not a finite number, naming row and column; UnknownName for the
    target; BadInput where it holds fractions.
    """
    rows = _csv_rows(path)
    names = next(rows, (0, []))[1]
    _check_header(names, path)
    place = _target_place(names, target, path)
    columns = (*names[:place], *names[place + 1 :])
    features, labels = [], []
    for number, fields in rows:
        if len(fields) != len(names):
            raise BadFile(f"{path}, row {number}: it has {len(fields)} fields, where the header has {len(names)}")
        label = fields.pop(place).strip()
        if not label:
            raise BadFile(f"{path}, row {number}, column '{names[place]}': the class is missing")
        labels.append(label)
        features.append(_csv_numbers(fields, columns, f"{path}, row {number}"))
    if not labels:
        raise BadFile(f"{path} has no rows below its header")
    codes, classes = code_labels(np.array(labels), f"column '{names[place]}' of {path}")
    return Table(np.stack(features), codes, classes, columns)


def _csv_rows(path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with its number, counted from 1."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text: byte {error.start} cannot be read") from error
    delimiter = "\t" if ".tsv" in Path(path).suffixes else ","
    rows, number = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 0
    try:
        for number, fields in enumerate(rows, 1):
            if fields:
                yield number, fields
    except csv.Error as error:
        raise BadFile(f"{path}, row {number + 1}: it cannot be read ({error})") from error


def _check_header(names: Sequence[str], path: PathLike) -> None:
    """Refuse a first row that is data: names may be numbers only where they count the columns from 0 or from 1."""
    if not names:
        raise BadFile(f"{path} is empty: a row of column names was expected")
    if len(names) < 2:
        raise BadFile(f"{path}, row 1: one column ('{names[0]}'), where features and a class were expected")
    numbers = [name for name in names if _is_number(name)]
    counts = ([str(i + first) for i in range(len(numbers))] for first in (0, 1))
    if (numbers and numbers not in counts) or len(set(names)) < len(names):
        raise BadFile(f"{path}, row 1: each column's own name was expected, but it reads {', '.join(names)[:60]}")


def _target_place(names: Sequence[str], target: str | None, path: PathLike) -> int:
    if target is None:
        return len(names) - 1
    if target not in names:
        raise UnknownName(f"column of {path}", target, names)
    return names.index(target)


def _csv_numbers(fields: Sequence[str], columns: Sequence[str], place: str) -> np.ndarray:
    try:
        numbers = np.array([float(field) for field in fields])
    except ValueError:
        numbers = np.array([float(field) if _is_number(field) else np.nan for field in fields])
    if not np.isfinite(numbers).all():
        bad = int(np.argmin(np.isfinite(numbers)))
        raise BadFile(f"{place}, column '{columns[bad]}': '{fields[bad]}' is not a finite number")
    return numbers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_parquet(path: PathLike, target: str | None = None) -> Table:
    """Read a Parquet file; `target` names the column of classes, the last one by default, all others are numbers.

    Rows are counted from 1. Raises MissingExtra without pyarrow; BadFile where the file is missing, truncated or
    something else, or a value is missing or not a finite number, naming row and column; UnknownName for the target;
    BadInput where it holds fractions.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("reading Parquet", "pyarrow", "parquet") from None
    raw = read_bytes(path)
    try:
        table = parquet.read_table(pyarrow.BufferReader(raw))
    except (pyarrow.ArrowException, OSError) as error:
        raise BadFile(f"{path} is not a whole Parquet file of {len(raw)} bytes: {error}") from error
    names = table.column_names
    if len(names) < 2 or not table.num_rows:
        raise BadFile(f"{path} has {len(names)} columns and {table.num_rows} rows: features, a class and rows expected")
    place = _target_place(names, target, path)
    columns = (*names[:place], *names[place + 1 :])
    labels = _parquet_column(table, names[place], path)
    codes, classes = code_labels(np.array(labels.to_pylist()), f"column '{names[place]}' of {path}")
    features = [_parquet_numbers(table, name, path) for name in columns]
    return Table(np.stack(features, axis=1), codes, classes, columns)


def _parquet_column(table: Any, name: str, path: PathLike) -> Any:
    column = table.column(name)
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy())) + 1
        raise BadFile(f"{path}, row {row}, column '{name}': the value is missing")
    return column


def _parquet_numbers(table: Any, name: str, path: PathLike) -> np.ndarray:
    values = _parquet_column(table, name, path).to_numpy()
    if values.dtype.kind not in "biuf":
        raise BadFile(f"{path}, column '{name}': numbers were expected, not {table.schema.field(name).type}")
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise BadFile(f"{path}, row {row + 1}, column '{name}': '{numbers[row]}' is not a finite number")
    return numbers


def code_labels(values: np.ndarray, what: str) -> tuple[Int32[np.ndarray, " rows"], tuple[str, ...]]:
    """Code labels as 0..K-1, in sorted order, and return the codes [rows] with the K names.

    `what` names the labels in errors. Labels are integers, whole floats, truth values or names; names that all read as
    integers are sorted as integers. Raises BadInput where a label is a fraction, NaN, missing or no label at all.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise BadInput(f"{what} has shape {values.shape}: one label a row was expected (of one-hot rows, the argmax)")
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    if values.dtype.kind not in "biufU":
        raise BadInput(f"{what} holds {values.dtype}: labels are integers or names")
    names, codes = np.unique(_whole_numbers(values, what), return_inverse=True)
    return codes.astype(np.int32), tuple(str(name) for name in names)


def _whole_numbers(values: np.ndarray, what: str) -> np.ndarray:
    """Turn labels that are numbers into integers, and leave names as they are."""
    if values.dtype.kind in "biu":
        return values
    try:
        numbers = values.astype(np.float64)
    except ValueError:
        return values
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
    if not whole.all():
        entry = int(np.argmin(whole))
        raise BadInput(
            f"{what} holds {values[entry]} at entry {entry} (counted from 0): a class is an integer or a name"
        )
    return values if (np.abs(numbers) >= EXACT_INTEGER).any() else numbers.astype(np.int64)
