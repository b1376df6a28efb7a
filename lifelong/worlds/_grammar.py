"""Boolean concepts drawn from a probabilistic grammar, as trees in arrays."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt32

OR, AND, NOT, LITERAL = range(4)
CHANCES = (0.25, 0.25, 0.20, 0.30)
"""Of OR, AND, NOT and a literal wherever the tree may still grow (Gupta 2025, code: `pcfg.py`)."""


class Trees(NamedTuple):
    """Parse trees, one a row, laid out as heaps: the children of node i are 2i+1 and 2i+2; what is not reached is ignored.

    A literal holds where its feature has the value `wanted`; NOT has a left child alone.
    """

    kind: Int[np.ndarray, "concepts nodes"]
    feature: Int[np.ndarray, "concepts nodes"]
    wanted: Bool[np.ndarray, "concepts nodes"]

    def __getitem__(self, some) -> "Trees":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Trees(*(part[some] for part in tuple(self)))


def grow(random: np.random.Generator, count: int, features: int, depth: int) -> Trees:
    """Draw concepts over `features` from the grammar; at `depth` every branch ends in a literal."""
    shape = (count, 2 ** (depth + 1) - 1)
    kind = random.choice(4, shape, p=CHANCES)
    kind[:, 2**depth - 1 :] = LITERAL
    return Trees(kind, random.integers(features, size=shape), random.random(shape) < 0.5)


def bits(codes: UInt32[np.ndarray, " n"], features: int) -> Bool[np.ndarray, "n features"]:
    """Return the features of inputs that are written as numbers."""
    return (codes[:, None] >> np.arange(features, dtype=np.uint32) & 1).astype(bool)


def evaluate(trees: Trees, x: Bool[np.ndarray, "n features"]) -> Bool[np.ndarray, "concepts n"]:
    """Return for every concept which inputs belong to it, from the leaves up."""
    nodes = trees.kind.shape[1]
    value = x.T[trees.feature[:, nodes // 2 :]] == trees.wanted[:, nodes // 2 :, None]
    for first in (2**level - 1 for level in reversed(range((nodes + 1).bit_length() - 2))):
        here = slice(first, 2 * first + 1)
        left, right = value[:, ::2], value[:, 1::2]
        literal = x.T[trees.feature[:, here]] == trees.wanted[:, here, None]
        value = np.choose(trees.kind[:, here, None], [left | right, left & right, ~left, literal])
    return value[:, 0]


def relevant(trees: Trees, x: Bool[np.ndarray, "n features"]) -> Int[np.ndarray, " concepts"]:
    """Return on how many features each concept depends: those whose flip changes the answer for one of the inputs."""
    whole = evaluate(trees, x)
    flips = np.eye(x.shape[1], dtype=bool)
    return np.sum([(evaluate(trees, x ^ flip) != whole).any(1) for flip in flips], axis=0)


def nests(trees: Trees, outer: int, inner: int) -> Bool[np.ndarray, " concepts"]:
    """Return which concepts have an `inner` operation directly below an `outer` one."""
    nodes = trees.kind.shape[1]
    reached, found = np.zeros(trees.kind.shape, bool), np.zeros(len(trees.kind), bool)
    reached[:, 0] = True
    for node in range(nodes // 2):
        grows = reached[:, node] & (trees.kind[:, node] != LITERAL)
        reached[:, 2 * node + 1] = grows
        reached[:, 2 * node + 2] = grows & (trees.kind[:, node] != NOT)
        for child in (2 * node + 1, 2 * node + 2):
            found |= reached[:, child] & (trees.kind[:, node] == outer) & (trees.kind[:, child] == inner)
    return found
