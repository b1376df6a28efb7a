"""Where arrays come from: a known name, a file, a folder or arrays at hand become one checked `Dataset`."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int32

from lifelong.errors import BadFile, BadInput, UnknownName

from ._dataset import Dataset as Dataset
from ._dataset import check_examples, draw, generator
from ._omniglot import omniglot
from ._readers import parse_idx, read_idx, read_npz
from ._registry import SOURCES, find_source, read
from ._tables import Table, code_labels, read_csv, read_parquet

LABELLED = tuple(name for name, source in SOURCES.items() if source.classes)
IDX_NAME = re.compile(r"(?P<part>.*?)[-_.]?(?P<kind>images|labels)[-_.]idx\d-ubyte(\.gz)?")


def dataset(source: Any, *, test: float = 0.2, seed: int = 0, target: str | None = None) -> Dataset:
    """Make a `Dataset` of a known name, a file, a folder or arrays.

    `source` is "digits", "mnist", "fashion-mnist" or "omniglot" (its 964 background characters); or the path of an NPZ,
    CSV (first row: names of columns) or Parquet file, or of a folder with a pair of idx files or the usual four; or
    arrays: `(X, y)` or `(X_train, y_train, X_test, y_test)`. `target` names the labels in a table (the last column by
    default) or NPZ.

    Where no test part comes with the data, `test` of each class, rounded but never none and never all, is held out by a
    generator seeded with `seed`; rows keep their order. Labels become codes 0..K-1 in sorted order. Values are taken as
    they are, except that uint8 is divided by 255 (and "digits" by 16), to lie in [0, 1]; nothing is normalised.

    Raises UnknownName, BadFile (a file missing, truncated, foreign), BadInput (NaN, lengths that differ, a label
    outside the classes, fewer than 2 classes, a class without test rows) and MissingExtra.
    """
    if isinstance(source, str | os.PathLike) and source not in SOURCES:
        return _from_path(Path(source), test, seed, target)
    if target is not None:
        raise BadInput(f"target='{target}' names the labels within a file, and the source is not one")
    if isinstance(source, str):
        return _known(source, test, seed)
    if not isinstance(source, Sequence) or len(source) not in (2, 4):
        raise BadInput("a name, a path, (X, y) or (X_train, y_train, X_test, y_test) was expected as source of data")
    return _from_arrays("arrays", source, test, seed)


def _known(name: str, test: float, seed: int) -> Dataset:
    if name not in LABELLED:
        raise BadInput(f"{name} is not a set of labelled arrays; these are: {', '.join(LABELLED)}")
    if name == "digits":
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        return _from_arrays(name, (np.reshape(pixels, (-1, 8, 8)) / 16, labels), test, seed)
    if name == "omniglot":
        drawings = omniglot("background")
        labels = np.repeat(np.arange(len(drawings)), drawings.shape[1])
        return _from_arrays(name, (drawings.reshape(-1, *drawings.shape[2:]), labels), test, seed)
    arrays = [parse_idx(content, file) for file, content in read(name).items()]
    return replace(_from_arrays(name, arrays, test, seed), classes=find_source(name).classes)


def _from_path(path: Path, test: float, seed: int, target: str | None) -> Dataset:
    name = path.name.split(".")[0] or "arrays"
    if not path.exists():
        if path.suffix:
            raise BadFile(f"{path}: there is no such file or folder")
        raise UnknownName("data set, file or folder", str(path), LABELLED)
    if path.is_dir():
        return _from_arrays(name, _idx_folder(path), test, seed)
    kind = next((suffix for suffix in reversed(path.suffixes) if suffix not in (".gz", ".xz")), "")
    if kind == ".npz":
        return _from_arrays(name, read_npz(path, y=target), test, seed)
    if kind in (".csv", ".tsv"):
        return _from_table(name, read_csv(path, target), test, seed)
    if kind in (".parquet", ".pq"):
        return _from_table(name, read_parquet(path, target), test, seed)
    raise BadFile(f"{path} is no known kind of file: .npz, .csv, .tsv, .parquet or a folder of idx files was expected")


def _idx_folder(folder: Path) -> list[np.ndarray]:
    """Read a pair of idx files, images and labels, or two pairs, named `train` and `t10k` (or `test`)."""
    files = {}
    for path in sorted(folder.iterdir()):
        if match := IDX_NAME.fullmatch(path.name):
            files.setdefault((match["part"], match["kind"]), path)
    parts = {part for part, _ in files}
    if len(parts) != 1:
        parts = ("train", "test" if "test" in parts else "t10k")
    wanted = [(part, kind) for part in parts for kind in ("images", "labels")]
    if missing := [f"{part}-{kind}" for part, kind in wanted if (part, kind) not in files]:
        raise BadFile(f"{folder} has no {', '.join(missing)}: idx files such as train-images-idx3-ubyte were expected")
    return [read_idx(files[key]) for key in wanted]


def _from_table(name: str, table: Table, test: float, seed: int) -> Dataset:
    return _hold_out(name, _values(table.x, "X"), table.y, table.classes, test, seed)


def _from_arrays(name: str, arrays: Sequence[Any], test: float, seed: int) -> Dataset:
    if len(arrays) == 2:
        x, y = _array(arrays[0], "X"), _array(arrays[1], "y")
        return _hold_out(name, _values(x, "X"), *code_labels(y, "y"), test, seed)
    parts = ("X_train", "y_train", "X_test", "y_test")
    x_train, y_train, x_test, y_test = (_array(values, what) for values, what in zip(arrays, parts, strict=True))
    if x_train.dtype != x_test.dtype:
        raise BadInput(f"X_train is {x_train.dtype} and X_test {x_test.dtype}: one type, so one scale, was expected")
    y_train, classes = code_labels(y_train, "y_train")
    y_test = _code_as(classes, y_test, "y_test")
    return Dataset(_values(x_train, "X_train"), y_train, _values(x_test, "X_test"), y_test, classes, name)


def _array(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise BadInput(f"{what} is not an array: its rows differ in length") from error


def _values(x: np.ndarray, what: str) -> Float[np.ndarray, "rows *shape"]:
    """Copy values as floats, uint8 divided by 255."""
    if x.dtype.kind not in "biuf" or x.ndim < 2:
        raise BadInput(f"{what} is {x.dtype} of shape {x.shape}: numbers of shape [rows, …] were expected")
    if x.dtype == np.uint8:
        return x / np.float32(255)
    return x.astype(x.dtype if x.dtype.kind == "f" else np.float64)


def _code_as(classes: tuple[str, ...], labels: np.ndarray, what: str) -> Int32[np.ndarray, " rows"]:
    """Code labels by given classes; raises BadInput where one is outside them."""
    codes, names = code_labels(labels, what)
    code = {name: number for number, name in enumerate(classes)}
    if outside := [name for name in names if name not in code]:
        row = int(np.argmax(codes == names.index(outside[0])))
        raise BadInput(f"{what}, row {row}: label '{outside[0]}' is outside the classes of the training part")
    return np.array([code[name] for name in names], np.int32)[codes]


def _hold_out(name: str, x: np.ndarray, y: np.ndarray, classes: tuple[str, ...], test: float, seed: int) -> Dataset:
    """Split each class by chance."""
    if not 0 < test < 1:
        raise BadInput(f"the part to hold out for tests is {test}: a number between 0 and 1 was expected")
    x = check_examples(x, "X")
    if len(x) != len(y):
        raise BadInput(f"X has {len(x)} rows, but y has {len(y)} labels")
    sizes = np.bincount(y, minlength=len(classes))
    if sizes.min() < 2:
        raise BadInput(
            f"class '{classes[int(np.argmin(sizes))]}' has a single row: 2 are needed, one of them for tests"
        )
    held = np.zeros(len(y), bool)
    held[draw(y, np.clip(np.rint(test * sizes).astype(int), 1, sizes - 1), generator(seed, "held out"))] = True
    return Dataset(x[~held], y[~held], x[held], y[held], classes, name)
