import gzip
import sys

import numpy as np
import pytest

from lifelong.errors import BadFile, BadInput, MissingExtra, UnknownName
from lifelong.worlds._tables import code_labels, read_csv, read_parquet

PETALS = "length,width,kind\n5.1,3.5,setosa\n6.2,2.9,virginica\n4.9,3.0,setosa\n"


def write(folder, text, name="some.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text", [PETALS, "\ufeff" + PETALS, PETALS.replace("\n", "\r\n"), PETALS[:-1], PETALS + "\n\n"]
)
def test_csv_gives_features_codes_and_names(tmp_path, text):
    table = read_csv(write(tmp_path, text))
    np.testing.assert_array_equal(table.x, [[5.1, 3.5], [6.2, 2.9], [4.9, 3.0]])
    np.testing.assert_array_equal(table.y, [0, 1, 0])
    assert table.classes == ("setosa", "virginica") and table.columns == ("length", "width")


def test_csv_may_be_gzip_and_tsv_is_split_at_tabs(tmp_path):
    (tmp_path / "some.csv.gz").write_bytes(gzip.compress(PETALS.encode()))
    assert read_csv(tmp_path / "some.csv.gz").x.shape == (3, 2)
    assert read_csv(write(tmp_path, PETALS.replace(",", "\t"), "some.tsv")).x.shape == (3, 2)


def test_csv_target_is_any_column(tmp_path):
    table = read_csv(write(tmp_path, "kind,length,width\nb,1,2\na,3,4\n"), target="kind")
    np.testing.assert_array_equal(table.x, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(table.y, [1, 0])


def test_csv_of_numbers_round_trips_exactly(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)) * 10.0 ** np.arange(-150, 151, 150)
    lines = [",".join(repr(float(value)) for value in row) + f",{i % 3}" for i, row in enumerate(x)]
    table = read_csv(write(tmp_path, "\n".join(["a,b,c,label", *lines])))
    np.testing.assert_array_equal(table.x, x)
    np.testing.assert_array_equal(table.y, np.arange(40) % 3)


def test_target_that_is_not_there_suggests_the_nearest(tmp_path):
    with pytest.raises(UnknownName, match=r"no column of .*some.csv named 'kinds'; did you mean 'kind'\?"):
        read_csv(write(tmp_path, PETALS), target="kinds")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PETALS + "5.0,3.1\n", "some.csv, row 5: it has 2 fields, where the header has 3"),
        (PETALS + "\n1,2,3,4\n", "some.csv, row 6: it has 4 fields, where the header has 3"),
        (PETALS + "5.0,wide,setosa\n", "row 5, column 'width': 'wide' is not a finite number"),
        (PETALS + ",3.1,setosa\n", "row 5, column 'length': '' is not a finite number"),
        (PETALS + "nan,3.1,setosa\n", "row 5, column 'length': 'nan' is not a finite number"),
        (PETALS + "1,-inf,setosa\n", "row 5, column 'width': '-inf' is not a finite number"),
        (PETALS + "1,2, \n", "row 5, column 'kind': the class is missing"),
        (PETALS + '1,2,"seto', "row 5: it cannot be read"),
        ("", "some.csv is empty"),
        ("length,width,kind\n", "has no rows below its header"),
        ("kind\na\nb\n", "row 1: one column"),
        ("5.1,3.5,setosa\n6.2,2.9,virginica\n", "row 1: each column's own name was expected, but it reads 5.1, 3.5"),
        ("0,5,3,1\n0,5,3,2\n", "row 1: each column's own name was expected"),
        ("a,a,kind\n1,2,x\n", "row 1: each column's own name was expected"),
    ],
)
def test_csv_flaws_are_named_by_row_and_column(tmp_path, text, message):
    with pytest.raises(BadFile, match=message):
        read_csv(write(tmp_path, text))


def test_columns_may_be_numbered(tmp_path):
    assert read_csv(write(tmp_path, "0,1,2,label\n7,8,9,a\n7,8,9,b\n")).columns == ("0", "1", "2")
    assert read_csv(write(tmp_path, "1,2,label\n7,8,a\n7,8,b\n")).columns == ("1", "2")


@pytest.mark.parametrize("end", [*range(19, 27), *range(34, 42)])
def test_truncated_csv_is_named_with_its_row(tmp_path, end):
    row = PETALS[:end].count("\n") + 1
    with pytest.raises(BadFile, match=f"row {row}"):
        read_csv(write(tmp_path, PETALS[:end]))


def test_truncated_gzip_and_foreign_text_are_named_with_the_byte(tmp_path):
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(PETALS.encode())[:30])
    with pytest.raises(BadFile, match="not whole: its compressed data break off at byte 30"):
        read_csv(tmp_path / "cut.csv.gz")
    (tmp_path / "latin.csv").write_bytes("größe,art\n1,a\n".encode("latin-1"))
    with pytest.raises(BadFile, match="not UTF-8 text: byte 2 cannot be read"):
        read_csv(tmp_path / "latin.csv")


def test_a_target_of_measurements_is_not_a_class(tmp_path):
    with pytest.raises(BadInput, match=r"column 'price' of .* holds 2.5 at entry 1"):
        read_csv(write(tmp_path, "size,price\n1,2\n2,2.5\n"))


def test_parquet_round_trip(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"kind": ["b", "a", "b"], "length": [1.5, 2.5, 3.5], "count": [1, 2, 3], "wet": [True, False, True]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "some.parquet", row_group_size=2)
    table = read_parquet(tmp_path / "some.parquet", target="kind")
    np.testing.assert_array_equal(table.x, [[1.5, 1, 1], [2.5, 2, 0], [3.5, 3, 1]])
    np.testing.assert_array_equal(table.y, [1, 0, 1])
    assert table.classes == ("a", "b") and table.columns == ("length", "count", "wet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1, None], "k": [0, 1]}, "row 2, column 'a': the value is missing"),
        ({"a": [1, 2], "k": [None, "x"]}, "row 1, column 'k': the value is missing"),
        ({"a": [1.0, float("nan")], "k": [0, 1]}, "row 2, column 'a': 'nan' is not a finite number"),
        ({"a": ["p", "q"], "k": [0, 1]}, "column 'a': numbers were expected, not string"),
        ({"k": [0, 1]}, "has 1 columns and 2 rows"),
    ],
)
def test_parquet_flaws_are_named(tmp_path, columns, message):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), tmp_path / "some.parquet")
    with pytest.raises(BadFile, match=message):
        read_parquet(tmp_path / "some.parquet")


@pytest.mark.parametrize("end", [0, 3, 100, -1])
def test_truncated_parquet_is_named(tmp_path, end):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"a": [1, 2], "k": [0, 1]}), tmp_path / "some.parquet")
    cut = (tmp_path / "some.parquet").read_bytes()[:end]
    (tmp_path / "cut.parquet").write_bytes(cut)
    with pytest.raises(BadFile, match=f"cut.parquet is not a whole Parquet file of {len(cut)} bytes"):
        read_parquet(tmp_path / "cut.parquet")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"reading Parquet needs the package 'pyarrow': .*lifelong\[parquet\]"):
        read_parquet(tmp_path / "any.parquet")


@pytest.mark.parametrize(
    ("labels", "codes", "classes"),
    [
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        (["10", "9", "10"], [1, 0, 1], ("9", "10")),
        ([3, -1, 3], [1, 0, 1], ("-1", "3")),
        ([2.0, 0.0], [1, 0], ("0", "2")),
        ([True, False], [1, 0], ("False", "True")),
        ([[4], [5]], [0, 1], ("4", "5")),
        (["2", "x"], [0, 1], ("2", "x")),
        (["9007199254740993", "9007199254740992"], [1, 0], ("9007199254740992", "9007199254740993")),
    ],
)
def test_labels_are_coded_in_sorted_order(labels, codes, classes):
    got, names = code_labels(np.array(labels), "y")
    assert got.tolist() == codes and names == classes and got.dtype == np.int32


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, 0.5]), "y holds 0.5 at entry 1"),
        (np.array([0.0, np.nan]), "y holds nan at entry 1"),
        (np.eye(3), r"y has shape \(3, 3\): one label a row"),
        (np.array([None, "a"], dtype=object), "y holds object"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "y holds datetime64"),
    ],
)
def test_what_is_no_label(labels, message):
    with pytest.raises(BadInput, match=message):
        code_labels(labels, "y")
