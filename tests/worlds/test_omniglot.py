"""Omniglot as it lies packed on disk, drawing by drawing."""

import numpy as np
import pytest

from lifelong.errors import BadFile, BadInput
from lifelong.worlds import dataset, omniglot
from lifelong.worlds._registry import find_source, locate


@pytest.fixture(scope="module")
def packed():
    try:
        (path,) = locate("omniglot").values()
    except BadFile as error:
        pytest.skip(str(error))
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(("part", "characters"), [("background", 964), ("evaluation", 659)])
def test_both_parts_are_whole_and_their_bits_in_place(packed, part, characters):
    drawings = omniglot(part)
    assert drawings.shape == (characters, 20, 28, 28) and set(np.unique(drawings)) == {0.0, 1.0}
    row, column = 13, 9
    bit = row * 28 + column
    np.testing.assert_array_equal(drawings[:, :, row, column], packed[part][:, :, bit // 8] >> (7 - bit % 8) & 1)
    assert 0.08 < drawings.mean() < 0.15
    assert drawings.sum((2, 3)).min() > 0


def test_smaller_drawings_are_means_over_squares(packed):
    whole, half = omniglot("evaluation"), omniglot("evaluation", side=14)
    np.testing.assert_allclose(half[5, 3, 6, 7], whole[5, 3, 12:14, 14:16].mean())
    np.testing.assert_allclose(half.mean((2, 3)), whole.mean((2, 3)), atol=1e-6)


def test_the_background_is_a_labelled_data_set(packed):
    data, drawings = dataset("omniglot", test=0.1), omniglot()
    assert len(data.classes) == 964 and data.shape == (28, 28)
    assert (np.bincount(data.y_train) == 18).all() and (np.bincount(data.y_test) == 2).all()
    held = drawings[data.y_test[7]].reshape(20, -1)
    assert (held == data.x_test[7].reshape(-1)).all(1).any()


def test_what_is_registered():
    source = find_source("omniglot")
    assert source.licence == "MIT" and source.bytes == 861_019 and not source.downloadable


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("images",), "'background' and 'evaluation', not 'images'"),
        (("background", 10), "a side that divides 28, not to 10"),
    ],
)
def test_parts_and_sides_that_do_not_exist(arguments, message):
    with pytest.raises(BadInput, match=message):
        omniglot(*arguments)


def test_a_missing_file_is_named_with_the_ways_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path))
    with pytest.raises(BadFile, match=r"omniglot is not at hand: no omniglot28.npz"):
        omniglot()
