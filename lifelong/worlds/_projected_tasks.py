"""Many tasks out of one data set: its inputs projected at random, its labels permuted."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt

from lifelong.errors import BadInput
from lifelong.keys import key_for

from ._batch import Batch
from ._dataset import Dataset
from ._episodes import Episode
from ._few_shot import FewShot
from ._projection import drawn_projection
from ._shuffle import shuffled
from ._sources import dataset


class ProjectedTasks(FewShot):
    """A task is a random linear map of the inputs and a permutation of the labels: x′ = A x, y′ = π(y), A_ij ~ N(0, 1/d).

    There are `pool` tasks for training, told apart by number alone and computed when they are met: with few, a learner may
    know them by heart, with many it must learn from the examples of an episode (Kirsch et al. 2022, "General-Purpose
    In-Context Learning by Meta-Learning Transformers", section 3). Parts:

    - 'training': tasks of the pool on training rows;
    - 'new rows': tasks of the pool on test rows;
    - 'unseen': tasks that are in no pool, on test rows.

    Args:
        source: a `Dataset` or the name of one.
        pool: how many tasks there are for training, to be swept like any number; about 2³² of them unless stated.
        shots, queries: examples in the support set and in the questions, rows drawn without replacement.
        project, permute: whether inputs are projected and labels permuted.

    Raises BadInput where sizes do not fit, or neither is done: then all tasks are one.
    """

    x: Float[Array, "rows features"]
    y: Int[Array, " rows"]
    x_test: Float[Array, "questions features"]
    y_test: Int[Array, " questions"]
    pool: UInt[Array, ""]
    shots: int = eqx.field(static=True)
    queries: int = eqx.field(static=True)
    project: bool = eqx.field(static=True)
    permute: bool = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    parts: tuple[str, ...] = eqx.field(static=True, default=("training", "new rows", "unseen"))

    def __init__(
        self,
        source: Any,
        pool: int = 2**32 - 1,
        shots: int = 100,
        queries: int = 1,
        project: bool = True,
        permute: bool = True,
    ):
        data = source if isinstance(source, Dataset) else dataset(source)
        fewest = min(len(data.y_train), len(data.y_test))
        if min(shots, queries, pool) < 1 or pool >= 2**32:
            raise BadInput(f"tasks, at most 2³²−1, shots and queries must be at least 1: {pool}, {shots} and {queries}")
        if shots + queries > fewest:
            raise BadInput(
                f"{shots} shots and {queries} queries need {shots + queries} rows, and the data set has {fewest} in one of "
                "its parts: queries would overlap their support"
            )
        if not (project or permute):
            raise BadInput("a task must be projected or permuted, or all tasks are the same")
        self.x, self.y = jnp.asarray(_flat(data.x_train)), jnp.asarray(data.y_train, jnp.int32)
        self.x_test, self.y_test = jnp.asarray(_flat(data.x_test)), jnp.asarray(data.y_test, jnp.int32)
        self.pool = jnp.uint32(pool)
        self.shots, self.queries, self.project, self.permute = shots, queries, project, permute
        self.outputs, self.parts = len(data.classes), ("training", "new rows", "unseen")

    def task(self, part: Int[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, "f f"], Int[Array, " outputs"]]:
        """Return the projection and the new names of the labels of a task drawn from a part."""
        projection, order = drawn_projection(self.pool, part == 2, self.x.shape[1], self.outputs, key=key)
        plain = jnp.eye(len(projection)), jnp.arange(self.outputs, dtype=jnp.int32)
        return (projection if self.project else plain[0]), (order if self.permute else plain[1])

    def deal(self, part: Int[Array, ""], *, key: PRNGKeyArray) -> Episode:
        """Return one task's episode."""
        projection, labels = self.task(part, key=key_for(key, "task"))
        count, none = self.shots + self.queries, jnp.zeros(self.shots + self.queries, jnp.int32)
        place, bits = jnp.arange(count), jax.random.bits(key_for(key, "rows"), (), jnp.uint32)
        train, test = (shuffled(place, jnp.int32(size), none, bits) for size in (len(self.y), len(self.y_test)))
        x = jnp.where(part == 0, self.x[train], self.x_test[test]) @ projection.T
        y = labels[jnp.where(part == 0, self.y[train], self.y_test[test])]
        weight, of = jnp.ones(count), jnp.full(count, part)
        cut = self.shots
        return Episode(Batch(x[:cut], y[:cut], of[:cut], weight[:cut]), Batch(x[cut:], y[cut:], of[cut:], weight[cut:]))


def _flat(x: Any) -> Any:
    return x.reshape(len(x), -1)
