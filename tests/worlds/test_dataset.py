import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds._dataset import Dataset, check_examples


def made(n=40, m=20, shape=(6, 6), classes=4, seed=0):
    random = np.random.default_rng(seed)
    y_train, y_test = (random.permutation(np.arange(size) % classes).astype(np.int32) for size in (n, m))
    x_train, x_test = (random.random((size, *shape), np.float32) for size in (n, m))
    return Dataset(x_train, y_train, x_test, y_test, tuple("abcdefgh"[:classes]), "made")


def changed(**arrays):
    data = made()
    return Dataset(**{"x_train": data.x_train, "y_train": data.y_train, "x_test": data.x_test, "y_test": data.y_test}
        | {"classes": data.classes} | arrays)  # fmt: skip


def spoiled(value, row=7):
    x = made().x_train.copy()
    x[row, 2, 3] = value
    return x


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": spoiled(np.nan)}, "x_train has NaN, infinite or huge values in 1 rows, first in row 7"),
        ({"x_train": spoiled(-np.inf, 39)}, "first in row 39"),
        ({"x_train": spoiled(0).astype(float) + 1e300}, "x_train has .* huge values in 40 rows, first in row 0"),
        ({"x_train": made().x_train[:, 0, 0]}, r"x_train is float32 of shape \(40,\): floats of shape \[rows, …\]"),
        ({"x_test": np.zeros((20, 0), np.float32)}, r"x_test is empty: its shape is \(20, 0\)"),
        ({"x_test": np.zeros((20, 5, 6), np.float32)}, r"shape \(6, 6\) in x_train, but \(5, 6\) in x_test"),
        ({"y_train": made().y_train[:39]}, "x_train has 40 rows, but y_train has 39 labels"),
        ({"y_test": np.eye(20, dtype=int)}, r"y_test is int64 of shape \(20, 20\): integers of shape \[rows\]"),
        ({"y_test": np.where(np.arange(20) == 3, 4, made().y_test).astype(np.int32)},
         r"y_test, row 3: label 4 is outside the classes 0\.\.3"),
        ({"y_train": made().y_train - np.int32(1)}, "label -1 is outside"),
        ({"y_test": np.minimum(made().y_test, 2)}, "class 'd' has 0 test rows, where 1 or more are needed"),
        ({"classes": ("a",)}, "arrays has 1 classes"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_dataset_is_said(arrays, message):
    with pytest.raises(BadInput, match=message):
        changed(**arrays)


def test_numbers_of_any_size_are_kept_as_32_bits():
    data = changed(x_train=made().x_train.astype(float), y_train=made().y_train.astype(np.uint8))
    assert data.x_train.dtype == np.float32 and data.y_train.dtype == np.int32
    assert data.fingerprint == made().fingerprint


@pytest.mark.parametrize("dtype", [np.uint8, bool, str])
def test_only_floats_are_examples(dtype):
    with pytest.raises(BadInput, match=r"x is .* of shape \(2, 2\): floats of shape"):
        check_examples(np.ones((2, 2), dtype), "x")


def test_arrays_are_read_only_but_those_handed_in_are_not_touched():
    x = made().x_train.copy()
    data = changed(x_train=x)
    with pytest.raises(ValueError, match="read-only"):
        data.x_train[0] = 0
    assert x.flags.writeable


def test_fingerprint_tells_contents_apart_and_ignores_the_name():
    data = made()
    same = Dataset(data.x_train.copy(), data.y_train, data.x_test, data.y_test, data.classes, "other name")
    assert data.fingerprint == same.fingerprint and len(data.fingerprint) == 12
    swapped = Dataset(data.x_test, data.y_test, data.x_train, data.y_train, data.classes)
    renamed = changed(classes=tuple("wxyz"))
    touched = changed(x_train=spoiled(0.5))
    flat = changed(x_train=data.x_train.reshape(40, 36), x_test=data.x_test.reshape(20, 36))
    assert len({d.fingerprint for d in (data, swapped, renamed, touched, flat)}) == 5


def test_take_draws_so_many_of_each_class_in_their_order():
    data = made(200, 80)
    part = data.take(per_class=5, test_per_class=3)
    assert np.bincount(part.y_train).tolist() == [5] * 4 and np.bincount(part.y_test).tolist() == [3] * 4
    places = [int(np.flatnonzero((data.x_train == row).all(axis=(1, 2)))[0]) for row in part.x_train]
    assert places == sorted(places) and len(set(places)) == 20
    np.testing.assert_array_equal(data.y_train[places], part.y_train)


def test_take_is_seeded_nested_and_separate_for_each_part():
    data = made(200, 80)
    rows = lambda d: {row.tobytes() for row in d.x_train}  # noqa: E731
    assert data.take(5, 3).fingerprint == data.take(5, 3).fingerprint != data.take(5, 3, seed=1).fingerprint
    assert rows(data.take(3)) < rows(data.take(8))
    np.testing.assert_array_equal(data.take(5, 3).x_test, data.take(9, 3).x_test)
    assert data.take().fingerprint == data.fingerprint


def test_take_draws_each_part_by_its_own_chance():
    data = made(200)
    twin = Dataset(data.x_train, data.y_train, data.x_train, data.y_train, data.classes).take(5, 5)
    assert {row.tobytes() for row in twin.x_train} != {row.tobytes() for row in twin.x_test}


def test_take_draws_every_row_equally_often():
    data = made(40, 20)
    counts = np.zeros(40)
    for seed in range(300):
        chosen = {row.tobytes() for row in data.take(5, seed=seed).x_train}
        counts += [row.tobytes() in chosen for row in data.x_train]
    assert np.abs(counts - 150).max() < 5 * np.sqrt(300 / 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((11,), "has 10 train rows, where 11 or more are needed"),
        ((None, 6), "has 5 test rows, where 6 or more are needed"),
        ((0,), "0 rows of each class are too few"),
        ((1, 1, -1), "the seed is -1"),
    ],
)
def test_take_says_what_cannot_be_taken(arguments, message):
    with pytest.raises(BadInput, match=message):
        made().take(*arguments)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_resize_by_a_whole_factor_is_the_mean_of_blocks(channels):
    data = made(shape=(28, 28, *channels))
    blocks = data.x_train.reshape(40, 14, 2, 14, 2, *channels).mean(axis=(2, 4))
    small = data.resize(14)
    np.testing.assert_allclose(small.x_train, blocks, rtol=1e-5)
    assert small.shape == (14, 14, *channels) and small.x_train.dtype == np.float32


def test_resize_by_any_factor_is_the_mean_over_the_area():
    data = made(shape=(6, 6))
    fine = data.x_train.repeat(5, axis=1).repeat(5, axis=2)  # a grid that 6 and 5 both divide
    expected = fine.reshape(40, 5, 6, 5, 6).mean(axis=(2, 4))
    np.testing.assert_allclose(data.resize(5).x_train, expected, rtol=1e-5)


def test_resize_larger_centres_the_image_in_zeros():
    data = made(shape=(28, 28))
    large = data.resize(32)
    np.testing.assert_array_equal(large.x_train[:, 2:30, 2:30], data.x_train)
    assert large.x_train.sum() == pytest.approx(data.x_train.sum())
    odd = data.resize(31).x_test
    np.testing.assert_array_equal(odd[:, 1:29, 1:29], data.x_test)
    assert data.resize(28).fingerprint == data.fingerprint


@pytest.mark.parametrize("shape", [(36,), (6, 5), (3, 6, 6), (6, 6, 5)])
def test_only_square_images_are_resized(shape):
    with pytest.raises(BadInput, match="only square images"):
        made(shape=shape).resize(4)


def test_images_keep_at_least_one_pixel():
    with pytest.raises(BadInput, match="to 0 pixels"):
        made().resize(0)
