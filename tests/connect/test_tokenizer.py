"""Tokenizers: any text comes back, files are kept, and what is wrong is named."""

import sys

import numpy as np
import pytest

from lifelong.errors import BadFile, BadInput, MissingExtra, UnknownName
from lifelong.worlds import padded

TEXTS = ["a cat sat on a mat", "the cat ate the rat that sat", "नमस्ते दुनिया"] * 5


@pytest.fixture(scope="module")
def tokenizer():
    pytest.importorskip("tokenizers")
    from lifelong.connect import Tokenizer

    return Tokenizer.train(TEXTS, 280, special=("<end>",))


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[2], "never seen: ü€😀", ""])
def test_any_text_comes_back(tokenizer, text):
    numbers = tokenizer.encode(text)
    assert numbers.dtype == np.int32 and (numbers < len(tokenizer)).all()
    assert tokenizer.decode(numbers) == text
    assert tokenizer.decode(padded([numbers], 40, left=True)[0]) == text


def test_what_is_frequent_becomes_one_token_and_special_tokens_are_one(tokenizer):
    assert len(tokenizer) == 280 and tokenizer["<end>"] == 0
    assert len(tokenizer.encode(TEXTS[0])) < len(TEXTS[0]) / 2
    assert tokenizer.encode("<end>").tolist() == [0] and tokenizer.decode([0]) == "<end>"


def test_files_are_kept_and_damaged_ones_named(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    again = type(tokenizer).load(tmp_path)
    assert again.encode(TEXTS[1]).tolist() == tokenizer.encode(TEXTS[1]).tolist()
    (tmp_path / "half.json").write_text(tokenizer.to_json()[:100])
    with pytest.raises(BadFile, match=r"half\.json.*left as it is"):
        type(tokenizer).load(tmp_path / "half.json")
    with pytest.raises(BadFile, match="there is no"):
        type(tokenizer).load(tmp_path / "none.json")


def test_what_cannot_be_is_refused(tokenizer):
    with pytest.raises(UnknownName, match="no token named '<emd>'; did you mean '<end>'"):
        tokenizer["<emd>"]
    with pytest.raises(BadInput, match="numbered 0 … 279"):
        tokenizer.decode([280])
    with pytest.raises(BadInput, match="at least, not 100"):
        type(tokenizer).train(TEXTS, 100)


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.delitem(sys.modules, "lifelong.connect._tokenizer", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'lifelong\[text\]'"):
        from lifelong.connect import Tokenizer  # noqa: F401
