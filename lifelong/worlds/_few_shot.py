"""Distributions of tasks: every lesson brings episodes nobody has met, a support set to learn from and questions about it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._batch import Batch, Lesson
from ._dataset import Dataset
from ._episodes import Episode, by_class
from ._shuffle import shuffled
from ._world import World


class Points(Batch):
    """Examples whose answers are numbers, not classes: `y` [n, outputs]."""

    y: Float[Array, "n outputs"]  # pyright: ignore[reportIncompatibleVariableOverride]


class FewShot(World):
    """A world of tasks that are met once each, for learners that learn to learn.

    What a teacher names as a task is a part of the distribution (`parts`, the first of which is for training): a lesson of
    it is a batch of episodes, drawn anew in every step. A world of this kind implements `deal`.
    """

    parts: eqx.AbstractVar[tuple[str, ...]]

    @property
    def tasks(self) -> int:
        """How many parts the distribution has."""
        return len(self.parts)

    def deal(self, part: Int[Array, ""], *, key: PRNGKeyArray) -> Episode:
        """Return one episode of a part; its `support` and `query` are batches that share no example."""
        raise NotImplementedError

    def draw(self, lesson: Lesson, n: int, *, key: PRNGKeyArray) -> Any:
        """Return `n` episodes of the part that the lesson names, along a leading axis."""
        return jax.vmap(lambda k: self.deal(lesson.task, key=k))(jax.random.split(key, n))


class FewShotClasses(FewShot):
    """Ways and shots: a few classes of a data set under new labels, a few examples of each, and questions about others.

    Classes, examples and labels are drawn anew for every episode. Parts share no class, so that 'unseen' asks about
    concepts that training never met.

    Args:
        source: a `Dataset`, of which the training part is taken, or an array [classes, examples, *shape].
        ways, shots: classes in an episode, examples of each in its support set; 5 and 1, the usual protocol.
        queries: questions about each class.
        unseen: how many classes, the last ones, are kept for the part 'unseen'; a second source brings them all.

    Raises BadInput where a part has fewer classes than ways, or a class fewer examples than shots and queries need: a
    question would be about an example of its own support set.
    """

    x: Float[Array, "classes examples *shape"]
    first: Int[Array, " parts"]
    count: Int[Array, " parts"]
    parts: tuple[str, ...] = eqx.field(static=True)
    ways: int = eqx.field(static=True)
    shots: int = eqx.field(static=True)
    queries: int = eqx.field(static=True)

    def __init__(self, source: Any, ways: int = 5, shots: int = 1, queries: int = 5, unseen: Any = 0):
        x = _examples(source)
        if not isinstance(unseen, int):
            x, unseen = _joined(x, _examples(unseen))
        counts = [len(x) - unseen] + ([unseen] if unseen else [])
        self.parts = ("training", "unseen")[: len(counts)]
        _check_episode(min(ways, shots, queries))
        for part, count in zip(self.parts, counts, strict=True):
            if ways > count:
                raise BadInput(f"{ways} ways need {ways} classes, and the part '{part}' has {count}")
        if shots + queries > x.shape[1]:
            raise BadInput(
                f"{shots} shots and {queries} queries need {shots + queries} examples of each class, and the source has "
                f"{x.shape[1]}: queries would overlap their support"
            )
        self.x = jnp.asarray(x)
        self.first = jnp.asarray(np.cumsum(counts) - counts, jnp.int32)
        self.count = jnp.asarray(counts, jnp.int32)
        self.ways, self.shots, self.queries = ways, shots, queries

    @property
    def outputs(self) -> int:
        """As many labels as ways."""
        return self.ways

    def pick(
        self, part: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Int[Array, " ways"], Int[Array, "ways examples"]]:
        """Return which classes of a part an episode is about, and which examples of each: its shots, then its queries."""
        for_classes, for_examples = jax.random.bits(key, (2,), jnp.uint32)
        way, place = jnp.arange(self.ways), jnp.arange(self.shots + self.queries)
        classes = self.first[part] + shuffled(way, self.count[part], jnp.zeros_like(way), for_classes)
        size = jnp.int32(self.x.shape[1])
        return classes, jax.vmap(lambda w: shuffled(place, size, jnp.full_like(place, w), for_examples))(way)

    def deal(self, part: Int[Array, ""], *, key: PRNGKeyArray) -> Episode:
        """Return one episode."""
        classes, rows = self.pick(part, key=key)
        x, y = self.x[classes[:, None], rows], jnp.broadcast_to(jnp.arange(self.ways)[:, None], rows.shape)
        return episode(x, y, self.shots, part)


def episode(x: Array, y: Array, shots: int, part: Int[Array, ""], kind: type[Batch] = Batch) -> Episode:
    """Return an episode of examples laid out [ways, shots + queries, …]; the first `shots` of each way are its support."""

    def batch(places: slice) -> Batch:
        some, answers = x[:, places].reshape(-1, *x.shape[2:]), y[:, places].reshape(-1, *y.shape[2:])
        return kind(some, answers, jnp.full(len(some), part), jnp.ones(len(some)))

    return Episode(batch(slice(shots)), batch(slice(shots, None)))


def _examples(source: Any) -> Float[np.ndarray, "classes examples *shape"]:
    return by_class(source) if isinstance(source, Dataset) else np.asarray(source, np.float32)


def _joined(x: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, int]:
    if x.shape[2:] != other.shape[2:]:
        raise BadInput(f"the unseen examples have the shape {other.shape[2:]}, and those for training {x.shape[2:]}")
    fewest = min(x.shape[1], other.shape[1])
    return np.concatenate([x[:, :fewest], other[:, :fewest]]), len(other)


def _check_episode(smallest: int) -> None:
    if smallest < 1:
        raise BadInput("an episode needs ways, shots and queries of at least 1")
