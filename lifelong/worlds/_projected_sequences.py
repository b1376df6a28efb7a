"""Sequences of projected examples: many tasks out of one data set, to be learned in context."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt

from lifelong.errors import BadInput, Mismatch
from lifelong.keys import key_for

from ._dataset import Dataset
from ._in_context import InContext
from ._projection import drawn_projection
from ._shuffle import shuffled
from ._sources import dataset


class ProjectedSequences(InContext):
    """Sequences of one task each, x′ = A x and y′ = π(y), with a random linear map A_ij ~ N(0, 1/features) and permutation π.

    A number tells a task from others; with few numbers a model can know all tasks by heart, with many it must learn from
    the sequence (Kirsch et al. 2022, "General-Purpose In-Context Learning by Meta-Learning Transformers", section 3).
    Items of a sequence are drawn without replacement. Parts, for lessons and exams alike:

    - 'training': tasks of the pool, training rows;
    - 'unpermuted': the same with labels as they are, which is an easier world to begin with;
    - 'unseen': tasks of no pool, test rows;
    - 'other data': tasks of no pool, test rows of another data set.

    Args:
        source, other: a `Dataset` each, or its name; both with as many features.
        pool: how many tasks there are for training, to be swept like any number; about 2³² of them unless stated.
        length: items in a sequence, the question included.
        classes: how many classes, the first ones, are kept of each data set.
        asked: sequences of each part in an exam.

    Raises Mismatch where examples differ in size, and BadInput where numbers do not fit the data.
    """

    x: Float[Array, "rows features"]
    y: Int[Array, " rows"]
    first: Int[Array, " parts"]
    count: Int[Array, " parts"]
    pool: UInt[Array, ""]
    seed: UInt[Array, ""]
    length: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    asked: int = eqx.field(static=True)
    parts: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        source: Any,
        other: Any,
        pool: int = 2**32 - 1,
        length: int = 32,
        classes: int | None = None,
        asked: int = 256,
    ):
        data, foreign = (part if isinstance(part, Dataset) else dataset(part) for part in (source, other))
        self.outputs = min(len(data.classes), len(foreign.classes)) if classes is None else classes
        _check(data, foreign, self.outputs, pool, length, asked)
        groups = [_rows(*where, self.outputs) for where in ((data, "train"), (data, "test"), (foreign, "test"))]
        self.x, self.y = (jnp.asarray(np.concatenate(column)) for column in zip(*groups, strict=True))
        sizes = np.array([len(y) for _, y in groups])
        if sizes.min() < length:
            raise BadInput(f"sequences of {length} items need as many rows, and one part of the data has {sizes.min()}")
        self.first, self.count = (jnp.asarray(v[[0, 0, 1, 2]], jnp.int32) for v in (np.cumsum(sizes) - sizes, sizes))
        self.pool, self.seed = jnp.uint32(pool), jnp.uint32(0)
        self.length, self.asked = length, asked
        self.parts = ("training", "unpermuted", "unseen", "other data")

    @property
    def features(self) -> int:
        """Numbers in an item."""
        return self.x.shape[1]

    def task(self, part: Int[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, "f f"], Int[Array, " outputs"]]:
        """Return the map and the new names of the labels of a task drawn from a part."""
        projection, order = drawn_projection(self.pool, part >= 2, self.features, self.outputs, key=key)
        return projection, jnp.where(part == 1, jnp.arange(self.outputs, dtype=jnp.int32), order)

    def sequence(
        self, part: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "length features"], Int[Array, " length"]]:
        """Return the items and labels of one sequence."""
        projection, names = self.task(part, key=key_for(key, "task"))
        place = jnp.arange(self.length)
        salt = jax.random.bits(key_for(key, "rows"), (), jnp.uint32)
        rows = self.first[part] + shuffled(place, self.count[part], jnp.zeros_like(place), salt)
        return self.x[rows] @ projection.T, names[self.y[rows]]


def _rows(data: Dataset, part: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return flat examples and labels of the first classes of one part."""
    x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
    return x.reshape(len(x), -1)[y < classes], y[y < classes]


def _check(data: Dataset, other: Dataset, classes: int, pool: int, length: int, asked: int) -> None:
    if data.features != other.features:
        raise Mismatch(
            f"{data.name} has {data.features} features and {other.name} {other.features}; resize one of them, as in "
            "data.resize(4)"
        )
    most = min(len(data.classes), len(other.classes))
    if not 2 <= classes <= most:
        raise BadInput(f"between 2 and {most} classes can be kept of these data sets, not {classes}")
    if not 1 <= pool < 2**32 or length < 2 or asked < 1:
        raise BadInput(
            "there are 1 to 2³²−1 tasks, 2 items in a sequence or more, and an exam asks at least once: "
            f"pool={pool}, length={length}, asked={asked}"
        )
