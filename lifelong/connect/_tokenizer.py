"""Tokenizers of the Hugging Face format: the file tokenizer.json."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Array, Int, Integer

from lifelong.errors import BadFile, BadInput, MissingExtra, UnknownName
from lifelong.life import write_atomically
from lifelong.worlds import Lexicon

try:
    import tokenizers
except ImportError as error:
    raise MissingExtra("a tokenizer", "tokenizers", "text") from error


class Tokenizer:
    """Texts as numbers and back, as a tokenizer.json says, with the four verbs of `lifelong.worlds.Lexicon`.

    Nothing is added to a text that it does not hold (but by `begun`), and no chat template is known.

    Args:
        inner: the tokenizer of the package `tokenizers`.
    """

    def __init__(self, inner: tokenizers.Tokenizer):
        self.inner = inner

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Return the tokenizer of a file, or of a folder with a tokenizer.json; raise BadFile where it is none."""
        path = Path(path)
        path = path / "tokenizer.json" if path.is_dir() else path
        if not path.exists():
            raise BadFile(f"there is no '{path}': the file tokenizer.json of a tokenizer was expected there")
        try:
            return cls(tokenizers.Tokenizer.from_file(str(path)))
        except Exception as error:  # the package raises nothing more definite
            raise BadFile(f"'{path}' is not a readable tokenizer ({error}); it was left as it is") from error

    @classmethod
    def train(cls, texts: Iterable[str], size: int, special: Sequence[str] = ()) -> "Tokenizer":
        """Return a tokenizer of at most `size` tokens learned from texts: pairs of bytes merged by how often they occur
        (byte-level BPE, Radford et al. 2019), so that any text has numbers. `special` tokens come first.

        Raises BadInput where the size does not even hold the bytes and special tokens.
        """
        if size < 256 + len(special):
            raise BadInput(f"a byte-level tokenizer has 256 + {len(special)} tokens at least, not {size}")
        inner = tokenizers.Tokenizer(tokenizers.models.BPE())
        inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = tokenizers.decoders.ByteLevel()
        alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
        )
        inner.train_from_iterator(texts, trainer)
        return cls(inner)

    @classmethod
    def of_words(cls, lexicon: Lexicon, begin: str = "BOS", end: str = "EOS") -> "Tokenizer":
        """Return a tokenizer whose tokens are a lexicon's words, with the same numbers; `begun` texts get `begin` before them.

        Raises UnknownName where the lexicon lacks one of the two.
        """
        inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(lexicon.numbers))
        inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
        pairs = [(word, lexicon[word]) for word in (begin, end)]
        inner.post_processor = tokenizers.processors.TemplateProcessing(single=f"{begin} $A", special_tokens=pairs)
        return cls(inner)

    def __len__(self) -> int:
        return self.inner.get_vocab_size()

    def __getitem__(self, token: str) -> int:
        """Return the number of a token; raise UnknownName where there is none."""
        number = self.inner.token_to_id(token)
        if number is None:
            raise UnknownName("token", token, self.inner.get_vocab())
        return number

    def encode(self, text: str) -> Int[np.ndarray, " t"]:
        """Return the numbers of a text."""
        return np.asarray(self.inner.encode(text, add_special_tokens=False).ids, np.int32)

    def begun(self, text: str) -> Int[np.ndarray, " t"]:
        """Return the numbers of a text that is to be continued, after what the tokenizer itself puts before it."""
        return np.asarray(self.inner.encode(text).ids, np.int32)

    def decode(self, numbers: Iterable[int] | Integer[Array | np.ndarray, " t"]) -> str:
        """Return the text of numbers, special tokens included; blanks are left out. Raises BadInput for one that is none."""
        given = [int(number) for number in np.asarray(numbers) if number >= 0]
        if odd := [number for number in given if number >= len(self)]:
            raise BadInput(f"tokens are numbered 0 … {len(self) - 1}, and one of these is {odd[0]}")
        return self.inner.decode(given, skip_special_tokens=False)

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as a file; raise BadFile where that cannot be."""
        write_atomically(Path(path), self.to_json().encode())

    def to_json(self) -> str:
        """Return the content of tokenizer.json, as `save_language_model(…, texts={"tokenizer.json": …})` takes it."""
        return self.inner.to_str(pretty=True)
