"""Words and their numbers, and transcripts made of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Array, Int, Integer

from lifelong.errors import BadInput, UnknownName

BLANK = -1
"""The number where there is no word; models attend to nothing there."""


@dataclass(frozen=True)
class Lexicon:
    """The words of a small language, numbered in their order; a text is words with spaces between them.

    Raises BadInput for words that repeat, are empty or hold spaces.
    """

    words: tuple[str, ...]

    def __post_init__(self):
        if odd := [word for word in self.words if not word or word.split() != [word]]:
            raise BadInput(f"a word is not empty and holds no space, and one of them is {odd[0]!r}")
        if len(self.numbers) < len(self.words):
            twice = next(word for i, word in enumerate(self.words) if word in self.words[:i])
            raise BadInput(f"the words of a lexicon differ from each other, and '{twice}' is there twice")

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of every word."""
        return {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, word: str) -> int:
        """Return the number of a word; raise UnknownName where it is not in the lexicon."""
        if word not in self.numbers:
            raise UnknownName("word", word, self.words)
        return self.numbers[word]

    def encode(self, text: str | Iterable[str]) -> Int[np.ndarray, " t"]:
        """Return the numbers of a text, or of words; raise UnknownName for a word that is not in the lexicon."""
        words = text.split() if isinstance(text, str) else text
        return np.asarray([self[word] for word in words], np.int32)

    def decode(self, numbers: Iterable[int] | Integer[Array | np.ndarray, " t"]) -> str:
        """Return the text of numbers; blanks are left out. Raises BadInput for a number that no word has."""
        given = [int(number) for number in np.asarray(numbers) if number >= 0]
        if odd := [number for number in given if number >= len(self)]:
            raise BadInput(f"words are numbered 0 … {len(self) - 1}, and one of these is {odd[0]}")
        return " ".join(self.words[number] for number in given)


def padded(
    texts: Sequence[Sequence[int] | Integer[np.ndarray, " _"]], length: int | None = None, *, left: bool = False
) -> Int[np.ndarray, "n length"]:
    """Return numbered texts in rows of one length, with blanks after them (or before them, `left`).

    The length is that of the longest unless stated. Raises BadInput where a text is longer.
    """
    longest = max(map(len, texts), default=0)
    length = longest if length is None else length
    if longest > length:
        raise BadInput(f"a text of {longest} tokens does not fit into {length}; give length={longest}")
    rows = np.full((len(texts), length), BLANK, np.int32)
    for row, text in zip(rows, texts, strict=True):
        start = length - len(text) if left else 0
        row[start : start + len(text)] = text
    return rows
