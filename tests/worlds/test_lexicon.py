"""Words and numbers."""

import numpy as np
import pytest

from lifelong.errors import BadInput, UnknownName
from lifelong.worlds import Lexicon, padded

WORDS = Lexicon(("BOS", "=", "add1", "7"))


def test_texts_come_back():
    numbers = WORDS.encode("BOS 7 add1 =")
    assert numbers.tolist() == [0, 3, 2, 1] and numbers.dtype == np.int32
    assert WORDS.decode(numbers) == "BOS 7 add1 =" and WORDS.encode(["7", "="]).tolist() == [3, 1]
    assert len(WORDS) == 4 and WORDS["add1"] == 2


@pytest.mark.parametrize(("left", "rows"), [(False, [[1, 2, 3], [4, -1, -1]]), (True, [[1, 2, 3], [-1, -1, 4]])])
def test_rows_are_padded_on_either_side(left, rows):
    np.testing.assert_array_equal(padded([[1, 2, 3], [4]], left=left), rows)
    assert padded([[1], []], 3).shape == (2, 3)
    with pytest.raises(BadInput, match="length=3"):
        padded([[1, 2, 3]], 2)


def test_blanks_are_left_out_and_unknown_words_and_numbers_refused():
    assert WORDS.decode([-1, 0, -1]) == "BOS"
    with pytest.raises(UnknownName, match="did you mean 'add1'"):
        WORDS.encode("add2")
    with pytest.raises(BadInput, match="0 … 3, and one of these is 4"):
        WORDS.decode([4])


@pytest.mark.parametrize(
    ("words", "message"), [(("a", "b", "a"), "'a' is there twice"), (("a b",), "'a b'"), (("",), "''")]
)
def test_words_that_cannot_be_are_refused(words, message):
    with pytest.raises(BadInput, match=message):
        Lexicon(words)
