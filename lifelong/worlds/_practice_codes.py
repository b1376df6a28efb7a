"""Codes for the labels of a file that is read in pieces, and which students are kept of a large one."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from ._practice import code_names


class Codes(dict[str, int]):
    """Gives every new label the next code; blanks around a label do not count."""

    def __init__(self):
        self.names: list[str] = []

    def __missing__(self, label: str) -> int:
        name = label.strip()
        if name != label:
            self[label] = code = self[name]
            return code
        self.names.append(name)
        self[name] = code = len(self.names) - 1
        return code

    def of(self, labels: Sequence[str]) -> np.ndarray:
        """Return the code of every label."""
        return np.fromiter(map(self.__getitem__, labels), np.int32, len(labels))


def draw(name: str, seed: int) -> float:
    """Return a number in [0, 1) that belongs to a student and a seed."""
    return int.from_bytes(blake2b(f"{seed} {name}".encode(), digest_size=6).digest()) / 2**48


def in_use(codes: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return codes in the order of the names that occur, and those names; −1 stays what it is."""
    used = np.unique(codes[codes >= 0])
    order, kept = code_names([names[code] for code in used.tolist()])
    table = np.full(len(names) + 1, -1)
    table[used] = order
    return table[codes], kept
