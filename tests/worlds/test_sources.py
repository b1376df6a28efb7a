import ast
import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lifelong.errors import BadFile, BadInput, UnknownName
from lifelong.worlds import dataset
from lifelong.worlds._registry import locate

DIGITS = tuple("0123456789")


def toy(rows=50, classes=5, seed=0):
    random = np.random.default_rng(seed)
    return random.random((rows, 3)), random.permutation(np.arange(rows) % classes)


def write_idx(path, array):
    shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize("module", ["_readers", "_tables", "_registry", "_data_sources", "_dataset", "_sources"])
def test_arrays_come_without_jax(module):
    spec = find_spec(f"lifelong.worlds.{module}")
    assert spec and spec.origin
    nodes = ast.walk(ast.parse(Path(spec.origin).read_text()))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in imported if name.split(".")[0] in ("jax", "equinox", "optax")}


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits, data = load_digits(), dataset("digits")
    assert data.shape == (8, 8) and data.classes == DIGITS and data.name == "digits"
    assert len(data.x_train) + len(data.x_test) == 1797
    known = {
        image.astype(np.float32).tobytes(): label for image, label in zip(digits.images, digits.target, strict=True)
    }
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        assert [known[(image * 16).tobytes()] for image in x] == y.tolist()
        assert x.min() == 0 and x.max() == 1
    for label in range(10):
        held, size = (data.y_test == label).sum(), (digits.target == label).sum()
        assert abs(held - 0.2 * size) <= 0.5


@pytest.mark.parametrize(("name", "images"), [("mnist", "mnist"), ("fashion-mnist", "clothes")])
def test_the_real_data_sets(name, images):
    try:
        locate(name)
    except BadFile as error:
        pytest.skip(str(error))
    data = dataset(name)
    assert data.x_train.shape == (60000, 28, 28) and data.x_test.shape == (10000, 28, 28)
    assert data.x_train.min() == 0 and data.x_train.max() == 1
    assert data.name == name
    if name == "mnist":  # first labels and class sizes as LeCun, Cortes and Burges published them
        assert data.classes == DIGITS and data.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
        assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        np.testing.assert_allclose([data.x_train.mean(), data.x_train.std()], [0.1307, 0.3081], atol=1e-4)
    else:
        assert data.classes[9] == "Ankle boot" and data.y_train[0] == 9
        assert np.bincount(data.y_train).tolist() == [6000] * 10
        np.testing.assert_allclose([data.x_train.mean(), data.x_train.std()], [0.2860, 0.3530], atol=1e-4)


def test_arrays_are_split_by_class_in_their_order():
    x, y = toy()
    data = dataset((x, y))
    assert np.bincount(data.y_test).tolist() == [2] * 5 and np.bincount(data.y_train).tolist() == [8] * 5
    place = {row.tobytes(): i for i, row in enumerate(x.astype(np.float32))}
    train, held = ([place[row.tobytes()] for row in part] for part in (data.x_train, data.x_test))
    assert train == sorted(train) and held == sorted(held) and sorted(train + held) == list(range(50))
    np.testing.assert_array_equal(y[train], data.y_train)


def test_the_split_is_seeded():
    source = toy()
    assert dataset(source).fingerprint == dataset(source).fingerprint != dataset(source, seed=1).fingerprint


@pytest.mark.parametrize(("test", "held"), [(0.001, 1), (0.5, 5), (0.999, 9)])
def test_every_class_has_rows_in_both_parts(test, held):
    assert np.bincount(dataset(toy(), test=test).y_test).tolist() == [held] * 5


def test_labels_are_coded_and_bytes_scaled():
    x = np.array([[0, 255], [51, 102]] * 4, np.uint8)
    data = dataset((x, ["dog", "cat"] * 4), test=0.25)
    assert data.classes == ("cat", "dog")
    np.testing.assert_allclose(data.x_train, np.array([[0.2, 0.4], [0, 1]])[data.y_train])
    assert dataset((x.astype(int), [3, 7] * 4)).x_train.max() == 255


def test_a_test_part_that_is_given_is_kept():
    (x, y), (x_test, y_test) = toy(), toy(20, seed=1)
    data = dataset((x, y + 3, x_test, y_test + 3))
    np.testing.assert_array_equal(data.x_test, x_test.astype(np.float32))
    np.testing.assert_array_equal(data.y_test, y_test)
    assert data.classes == ("3", "4", "5", "6", "7")


def bad_row(value, row=11):
    x, y = toy()
    x[row, 1] = value
    return x, y


X, Y = toy()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (bad_row(np.nan), "X has NaN, infinite or huge values in 1 rows, first in row 11"),
        (bad_row(np.inf), "first in row 11"),
        (bad_row(1e300), "first in row 11"),
        ((X, Y[:-1]), "X has 50 rows, but y has 49 labels"),
        ((X, Y + 0.5), r"y holds \d\.5 at entry 0"),
        ((X, np.eye(5)[Y]), "one label a row"),
        ((X[:0], Y[:0]), "X is empty"),
        ((X, np.zeros(50)), "1 classes: at least 2"),
        ((X, np.arange(50)), "class '0' has a single row: 2 are needed"),
        ((X[:, 0], Y), r"X is float64 of shape \(50,\): numbers of shape \[rows, …\]"),
        ((X.astype(str), Y), "X is <U"),
        (([[1.0], [2.0, 3.0]], [0, 1]), "X is not an array: its rows differ in length"),
        ((X, Y, X, np.where(Y == 4, 9, Y)), r"y_test, row \d+: label '9' is outside the classes of the training part"),
        ((X, Y, X, np.minimum(Y, 3)), "class '4' has 0 test rows"),
        ((X, Y, X[:, :2], Y), r"\(3,\) in x_train, but \(2,\) in x_test"),
        ((X, Y, X, Y[:3]), "x_test has 50 rows, but y_test has 3 labels"),
        ((X, Y, X.astype(np.uint8), Y), "X_train is float64 and X_test uint8"),
        ((X, Y, X), "was expected as source of data"),
        (X, "was expected as source of data"),
        ("gsm8k", "gsm8k is not a set of labelled arrays; these are: digits, mnist, fashion-mnist"),
    ],
)
def test_bad_input_is_said_in_one_sentence(source, message):
    with pytest.raises(BadInput, match=message) as error:
        dataset(source)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("test", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_part_of_the_rows_is_held_out(test):
    with pytest.raises(BadInput, match="a number between 0 and 1 was expected"):
        dataset((X, Y), test=test)


def test_a_target_belongs_to_a_file():
    for source in ((X, Y), "digits"):
        with pytest.raises(BadInput, match="target='kind' names the labels within a file"):
            dataset(source, target="kind")


def test_names_and_paths_that_do_not_exist(tmp_path):
    with pytest.raises(UnknownName, match="no data set, file or folder named 'minst'; did you mean 'mnist'"):
        dataset("minst")
    with pytest.raises(BadFile, match=r"nowhere.csv: there is no such file or folder"):
        dataset(tmp_path / "nowhere.csv")
    (tmp_path / "some.json").write_text("{}")
    with pytest.raises(BadFile, match=r"some.json is no known kind of file"):
        dataset(tmp_path / "some.json")


def test_files_of_every_kind_give_the_same(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = np.array(list("abcde"))[Y]
    np.savez(tmp_path / "toy.npz", x=X, y=names)
    lines = [",".join(map(repr, row.tolist())) + f",{name}" for row, name in zip(X, names, strict=True)]
    (tmp_path / "toy.csv.gz").write_bytes(gzip.compress("\n".join(["p,q,r,kind", *lines]).encode()))
    columns = {"kind": names, "p": X[:, 0], "q": X[:, 1], "r": X[:, 2]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "toy.parquet")
    expected = dataset((X, names)).fingerprint
    assert dataset(tmp_path / "toy.npz").fingerprint == expected
    assert dataset(str(tmp_path / "toy.npz"), target="y").fingerprint == expected
    assert dataset(tmp_path / "toy.csv.gz").fingerprint == expected
    assert dataset(tmp_path / "toy.parquet", target="kind").fingerprint == expected
    assert dataset(tmp_path / "toy.csv.gz").name == "toy"


def images(rows):
    return np.random.default_rng(rows).integers(0, 256, (rows, 4, 4)), np.arange(rows) % 2


@pytest.mark.parametrize("form", ["{}-idx{}-ubyte", "{}.idx{}-ubyte"])
def test_a_folder_of_two_pairs_of_idx_files(tmp_path, form):
    for part, rows in (("train", 10), ("t10k", 6), ("extra", 4)):
        x, y = images(rows)
        write_idx(tmp_path / form.format(f"{part}-images", 3), x)
        write_idx(tmp_path / form.format(f"{part}-labels", 1), y)
    data = dataset(tmp_path)
    assert data.x_train.shape == (10, 4, 4) and data.y_test.tolist() == [0, 1] * 3
    np.testing.assert_allclose(data.x_test * 255, images(6)[0], atol=1e-4)


def test_a_folder_of_one_pair_is_split(tmp_path):
    x, y = images(20)
    write_idx(tmp_path / "emnist-images-idx3-ubyte", x)
    write_idx(tmp_path / "emnist-labels-idx1-ubyte", y)
    assert np.bincount(dataset(tmp_path).y_test).tolist() == [2, 2]


def test_a_folder_that_lacks_idx_files(tmp_path):
    with pytest.raises(BadFile, match="has no train-images, train-labels, t10k-images, t10k-labels"):
        dataset(tmp_path)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3"):
        write_idx(tmp_path / f"{name}-ubyte", images(4)[0 if "images" in name else 1])
    with pytest.raises(BadFile, match="has no t10k-labels: idx files"):
        dataset(tmp_path)
