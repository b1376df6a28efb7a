"""Labelled arrays, checked once: what every data world is built on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32, Int, Integer

from lifelong.errors import BadInput

PARTS = ("train", "test")
PURPOSES = (*PARTS, "held out", "shuffled labels", "noisy labels")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled examples, in a part to learn from and a part to be examined on.

    `x_train` [n, *shape] and `x_test` [m, *shape] are finite numbers, kept as float32; `y_train` [n] and `y_test` [m]
    are codes 0..K-1 of the K ≥ 2 names in `classes`, kept as int32; every class has rows in both parts. Images are
    [height, width] or [height, width, channels]. The arrays are read-only. Raises BadInput where any of this does not
    hold; rows are counted from 0.
    """

    x_train: Float[np.ndarray, "..."]
    y_train: Integer[np.ndarray, "..."]
    x_test: Float[np.ndarray, "..."]
    y_test: Integer[np.ndarray, "..."]
    classes: tuple[str, ...]
    name: str = "arrays"

    def __post_init__(self):
        if len(self.classes) < 2:
            raise BadInput(f"{self.name} has {len(self.classes)} classes: at least 2 are needed, to tell them apart")
        for part in PARTS:
            x, y = self._part(part)
            x = check_examples(x, f"x_{part}")
            _check_labels(y, self.classes, len(x), part)
            object.__setattr__(self, f"x_{part}", _read_only(x))
            object.__setattr__(self, f"y_{part}", _read_only(y.astype(np.int32, copy=False)))
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise BadInput(f"examples have shape {self.shape} in x_train, but {self.x_test.shape[1:]} in x_test")

    def _part(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        return getattr(self, f"x_{part}"), getattr(self, f"y_{part}")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.x_train.shape[1:]

    @property
    def features(self) -> int:
        """How many numbers one example has."""
        return int(np.prod(self.shape))

    @cached_property
    def fingerprint(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of classes, shapes and values; the name does not count."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for part in PARTS:
            for array in self._part(part):
                digest.update(f"{array.shape} {array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:12]

    def take(self, per_class: int | None = None, test_per_class: int | None = None, seed: int = 0) -> "Dataset":
        """Return a random subset with so many rows of each class, in their order; None keeps a part whole.

        With one seed, a smaller subset lies within a larger one, and neither part depends on how much of the other is
        taken. Raises BadInput where a class has fewer rows.
        """
        arrays = {}
        for part, count in zip(PARTS, (per_class, test_per_class), strict=True):
            x, y = self._part(part)
            if count is not None:
                sizes = np.bincount(y, minlength=len(self.classes))
                _check_enough(sizes, count, self.classes, part)
                chosen = draw(y, np.full(len(self.classes), count), generator(seed, part))
                x, y = x[chosen], y[chosen]
            arrays |= {f"x_{part}": x, f"y_{part}": y}
        return replace(self, **arrays)

    def standardized(self) -> "Dataset":
        """Return all examples shifted and scaled alike, to mean 0 and standard deviation 1 over the training numbers."""
        mean, spread = self.x_train.mean(dtype=np.float64), self.x_train.std(dtype=np.float64)
        scaled = [((x - mean) / (spread or 1.0)).astype(np.float32) for x in (self.x_train, self.x_test)]
        return replace(self, x_train=scaled[0], x_test=scaled[1])

    def shuffled_labels(self, seed: int = 0) -> "Dataset":
        """Return the same examples with labels that mean nothing, in either part: the negative control of any learner.

        Test labels are shuffled too: where only training labels were, whole classes would share what chance taught them,
        and accuracy would scatter widely around chance.
        """
        random = generator(seed, "shuffled labels")
        return replace(self, y_train=random.permutation(self.y_train), y_test=random.permutation(self.y_test))

    def noisy_labels(self, share: float, seed: int = 0) -> "Dataset":
        """Return the same examples, a share of the training labels replaced by another class each, drawn evenly.

        Test labels stay as they are. Raises BadInput for a share that does not lie between 0 and 1.
        """
        if not 0.0 <= share <= 1.0:
            raise BadInput(f"the share of noisy labels lies between 0 and 1, and is {share}")
        random, classes = generator(seed, "noisy labels"), len(self.classes)
        wrong = random.permutation(len(self.y_train)) < round(share * len(self.y_train))
        other = (self.y_train + random.integers(1, max(classes, 2), len(self.y_train))) % classes
        return replace(self, y_train=np.where(wrong, other, self.y_train).astype(self.y_train.dtype))

    def resize(self, side: int) -> "Dataset":
        """Return the images at side × side pixels: smaller by area average, larger by zeros around them.

        A pixel of the smaller image is the mean over the area it covers, with parts of pixels in proportion; an odd
        border is wider at the bottom and the right. Raises BadInput for examples that are not square images.
        """
        image = len(self.shape) == 2 or (len(self.shape) == 3 and self.shape[2] <= 4)
        if not image or self.shape[0] != self.shape[1]:
            raise BadInput(f"only square images, [side, side] or [side, side, channels], can be resized: {self.shape}")
        if side < 1:
            raise BadInput(f"images cannot be resized to {side} pixels: at least 1 is needed")
        fit = _shrink if side < self.shape[0] else _surround
        return replace(self, x_train=fit(self.x_train, side), x_test=fit(self.x_test, side))


def check_examples(x: np.ndarray, what: str) -> Float32[np.ndarray, "rows *shape"]:
    """Return `x` as float32; raise BadInput unless it holds finite numbers of shape [rows, …]; `what` names it."""
    if x.dtype.kind != "f" or x.ndim < 2:
        raise BadInput(f"{what} is {x.dtype} of shape {x.shape}: floats of shape [rows, …] were expected")
    if not x.size:
        raise BadInput(f"{what} is empty: its shape is {x.shape}")
    with np.errstate(over="ignore"):
        x = x.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))
    if len(bad):
        raise BadInput(f"{what} has NaN, infinite or huge values in {len(bad)} rows, first in row {bad[0]}")
    return x


def _check_labels(y: np.ndarray, classes: Sequence[str], rows: int, part: str) -> None:
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise BadInput(f"y_{part} is {y.dtype} of shape {y.shape}: integers of shape [rows] were expected")
    if len(y) != rows:
        raise BadInput(f"x_{part} has {rows} rows, but y_{part} has {len(y)} labels")
    outside = np.flatnonzero((y < 0) | (y >= len(classes)))
    if len(outside):
        row = outside[0]
        raise BadInput(f"y_{part}, row {row}: label {y[row]} is outside the classes 0..{len(classes) - 1}")
    _check_enough(np.bincount(y, minlength=len(classes)), 1, classes, part)


def _check_enough(sizes: Int[np.ndarray, " classes"], count: int, classes: Sequence[str], part: str) -> None:
    fewest = int(np.argmin(sizes))
    if count < 1:
        raise BadInput(f"{count} rows of each class are too few: at least 1 is needed")
    if sizes[fewest] < count:
        raise BadInput(f"class '{classes[fewest]}' has {sizes[fewest]} {part} rows, where {count} or more are needed")


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return random numbers that no other of the `PURPOSES` shares; raises BadInput for a negative seed."""
    if seed < 0:
        raise BadInput(f"the seed is {seed}: 0 or more was expected")
    return np.random.default_rng((seed, PURPOSES.index(purpose)))


def draw(
    y: Int[np.ndarray, " rows"], counts: Int[np.ndarray, " classes"], random: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """Draw `counts[k]` rows of each class k and return them in their order."""
    order = random.permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    sizes = np.bincount(y, minlength=len(counts))
    place_in_class = np.arange(len(y)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(by_class[place_in_class < np.repeat(counts, sizes)])


def _shrink(x: Float32[np.ndarray, "n *old"], side: int) -> Float32[np.ndarray, "n *new"]:
    old = x.shape[1]
    edges = np.linspace(0, old, side + 1)
    overlap = np.minimum(edges[1:, None], np.arange(1, old + 1)) - np.maximum(edges[:-1, None], np.arange(old))
    weights = (np.clip(overlap, 0, None) * side / old).astype(np.float32)
    return np.einsum("ah,nhw...,bw->nab...", weights, x, weights, optimize=True)


def _surround(x: Float32[np.ndarray, "n *old"], side: int) -> Float32[np.ndarray, "n *new"]:
    before = (side - x.shape[1]) // 2
    border = (before, side - x.shape[1] - before)
    return np.pad(x, ((0, 0), border, border, *[(0, 0)] * (x.ndim - 3)))
