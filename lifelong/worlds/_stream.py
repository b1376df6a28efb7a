"""Incremental streams over any array data set: split by classes, or repeated under a transformation."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._batch import Batch
from ._passes import Passes
from ._sources import Dataset, dataset
from ._transforms import Transform, permutation
from ._world import Pages

Scenario = Literal["class", "domain", "task"]
"""What a learner must tell apart (van de Ven and Tolias 2019): the class among all tasks' classes, the class's place
within its task with the task unknown, or the class with the task known."""


class Stream(Passes):
    """A data set taught as a sequence of tasks.

    Training rows are kept sorted by class and stored once, whatever the number of lifetimes; `members` and `label`
    say which rows make up a task and what they are called there.
    """

    x: Float[Array, "rows *shape"]
    y: Int[Array, " rows"]
    x_test: Float[Array, "questions *shape"]
    y_test: Int[Array, " questions"]
    starts: Int[Array, " classes"]
    counts: Int[Array, " classes"]
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    scenario: Scenario = eqx.field(static=True)
    longest: int = eqx.field(static=True)

    def _load(self, source: Any, tasks: int, scenario: Scenario) -> tuple[Dataset, np.ndarray]:
        """Store the arrays of a data set, sorted by class, and return it with its class sizes."""
        data = source if isinstance(source, Dataset) else dataset(source)
        if tasks < 1:
            raise BadInput(f"a stream needs at least one task, and {tasks} were asked for")
        if scenario not in ("class", "domain", "task"):
            raise BadInput(f"the scenario must be 'class', 'domain' or 'task', not '{scenario}'")
        order = np.argsort(data.y_train, kind="stable")
        counts = np.bincount(data.y_train, minlength=len(data.classes))
        self.x, self.y = jnp.asarray(data.x_train[order]), jnp.asarray(data.y_train[order], jnp.int32)
        self.x_test, self.y_test = jnp.asarray(data.x_test), jnp.asarray(data.y_test, jnp.int32)
        self.counts = jnp.asarray(counts, jnp.int32)
        self.starts = jnp.asarray(np.cumsum(counts) - counts, jnp.int32)
        self.seed = jnp.uint32(0)
        self.tasks, self.scenario = tasks, scenario
        return data, counts

    def find(self, task: Int[Array, "*n"], place: Int[Array, " n"]) -> Int[Array, " n"]:
        """Return the row that stands at `place` (below `size(task)`) in a task's list of rows."""
        raise NotImplementedError

    def present(self, x: Array, y: Array, task: Array, weight: Array) -> Batch:
        """Return rows as the task shows them: transformed, labelled, with the classes an answer may name."""
        raise NotImplementedError

    def show(self, task: Int[Array, "*n"], place: Int[Array, " n"], weight: Float[Array, " n"]) -> Batch:
        """Return the rows that stand at `place` in a task's list, as the task presents them."""
        row = self.find(task, place)
        return self.present(self.x[row], self.y[row], jnp.broadcast_to(task, place.shape), weight)

    def papers(self, n: int) -> Pages:
        """Return the test examples of all tasks, in pages of `n`."""
        raise NotImplementedError


class Split(Stream):
    """The classes of a data set, dealt out over tasks: Split-MNIST and its relatives.

    Args:
        source: a `Dataset`, or anything `dataset` takes (a name, a path, arrays).
        tasks: how many tasks; the number of classes must be a multiple of it.
        scenario: 'class', 'domain' or 'task' incremental.
        shuffle: deal the classes in a random order of their own in every lifetime; else in their given order.
        order: a fixed order of the classes instead of 0, 1, 2 …
    """

    order: Int[Array, " classes"]
    shuffle: bool = eqx.field(static=True)

    def __init__(
        self,
        source: Any,
        tasks: int = 5,
        scenario: Scenario = "class",
        shuffle: bool = False,
        order: list[int] | None = None,
    ):
        data, counts = self._load(source, tasks, scenario)
        classes = len(data.classes)
        if classes % tasks:
            raise BadInput(
                f"{classes} classes cannot be dealt evenly over {tasks} tasks; choose a divisor of {classes}"
            )
        if order is not None and sorted(order) != list(range(classes)):
            raise BadInput(f"the class order must name each of 0 … {classes - 1} once, and it is {order}")
        self.order = jnp.asarray(range(classes) if order is None else order, jnp.int32)
        self.shuffle = shuffle
        self.outputs = classes // tasks if scenario == "domain" else classes
        self.longest = int(np.sort(counts)[-(classes // tasks) :].sum())

    def open(self, *, key: PRNGKeyArray) -> "Split":
        """Draw this lifetime's order of examples and, if shuffled, of classes."""
        for_order, for_seed = jax.random.split(key)
        order = jax.random.permutation(for_order, self.order) if self.shuffle else self.order
        return eqx.tree_at(lambda w: (w.order, w.seed), self, (order, jax.random.bits(for_seed, (), jnp.uint32)))

    def _groups(self) -> Int[Array, "tasks classes_per_task"]:
        return self.order.reshape(self.tasks, -1)

    def _ends(self) -> Int[Array, "tasks classes_per_task"]:
        return jnp.cumsum(self.counts[self._groups()], axis=1)

    def size(self, task: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Return how many training rows the task's classes have together."""
        return self._ends()[task, -1]

    def find(self, task: Int[Array, "*n"], place: Int[Array, " n"]) -> Int[Array, " n"]:
        """Return the row at `place`, counting through the task's classes one after the other."""
        groups, ends = self._groups(), self._ends()
        which = (place[:, None] >= ends[task]).sum(-1)
        return place + (self.starts[groups] + self.counts[groups] - ends)[task, which]

    def present(self, x: Array, y: Array, task: Array, weight: Array) -> Batch:
        """Label rows by their class, or by its place within the task where the scenario is 'domain'."""
        if self.scenario == "domain":
            return Batch(x, (jnp.argsort(self.order) % self.outputs)[y], task, weight)
        allowed = self.task_of_class()[None, :] == task[:, None] if self.scenario == "task" else None
        return Batch(x, y, task, weight, allowed)

    def task_of_class(self) -> Int[Array, " classes"]:
        """Return the task that each class of the data set belongs to."""
        return jnp.argsort(self.order) // self._groups().shape[1]

    def papers(self, n: int) -> Pages:
        """Return the test rows once; each belongs to the task of its class."""
        return SplitPapers(stream=self, size=n, count=-(-len(self.y_test) // n))


class SplitPapers(Pages):
    """All test rows of a split stream, each with its own task."""

    stream: Split
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Int[Array, ""]) -> Batch:
        """Return test rows i·size …; rows past the end have weight 0."""
        place = i * self.size + jnp.arange(self.size)
        row = jnp.minimum(place, len(self.stream.y_test) - 1)
        y = self.stream.y_test[row]
        weight = (place < len(self.stream.y_test)).astype(jnp.float32)
        return self.stream.present(self.stream.x_test[row], y, self.stream.task_of_class()[y], weight)


class Transformed(Stream):
    """The whole data set again and again, each task under a transformation of its own: Permuted- and Rotated-MNIST.

    Args:
        source: a `Dataset`, or anything `dataset` takes.
        tasks: how many transformations.
        scenario: 'domain' (one shared head), 'task' (a head a task, task known) or 'class' (all tasks' classes apart).
        transform: draws and applies the transformations; `permutation()` or `rotation(...)`.
        identity_first: leave the first task as it is.
    """

    transform: Transform
    drawn: Any

    def __init__(
        self,
        source: Any,
        tasks: int = 10,
        scenario: Scenario = "domain",
        transform: Transform | None = None,
        identity_first: bool = False,
    ):
        data, counts = self._load(source, tasks, scenario)
        self.transform = (transform or permutation()).fit(data.shape, tasks, identity_first)
        self.drawn = self.transform.draw(key=jax.random.key(0))
        self.outputs = len(data.classes) * (1 if scenario == "domain" else tasks)
        self.longest = int(counts.sum())

    def open(self, *, key: PRNGKeyArray) -> "Transformed":
        """Draw this lifetime's transformations and order of examples."""
        for_drawn, for_seed = jax.random.split(key)
        new = (self.transform.draw(key=for_drawn), jax.random.bits(for_seed, (), jnp.uint32))
        return eqx.tree_at(lambda w: (w.drawn, w.seed), self, new)

    def size(self, task: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Return the size of the data set, the same for every task."""
        return jnp.full_like(task, len(self.y))

    def find(self, task: Int[Array, "*n"], place: Int[Array, " n"]) -> Int[Array, " n"]:
        """Return the row at `place`: every task has all rows."""
        return place

    def present(self, x: Array, y: Array, task: Array, weight: Array) -> Batch:
        """Transform rows as their task does; in 'task' and 'class' scenarios each task has labels of its own."""
        x = self.transform.apply(self.drawn, x, task)
        if self.scenario == "domain":
            return Batch(x, y, task, weight)
        classes = self.outputs // self.tasks
        known = (jnp.arange(self.outputs) // classes)[None, :] == task[:, None]
        return Batch(x, task * classes + y, task, weight, known if self.scenario == "task" else None)

    def papers(self, n: int) -> Pages:
        """Return the test rows once for every task."""
        return TransformedPapers(stream=self, size=n, count=self.tasks * -(-len(self.y_test) // n))


class TransformedPapers(Pages):
    """All test rows under every transformation, task after task."""

    stream: Transformed
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Int[Array, ""]) -> Batch:
        """Return one page of one task's test rows; rows past the end have weight 0."""
        pages = self.count // self.stream.tasks
        place = (i % pages) * self.size + jnp.arange(self.size)
        row = jnp.minimum(place, len(self.stream.y_test) - 1)
        task = jnp.broadcast_to(i // pages, (self.size,))
        weight = (place < len(self.stream.y_test)).astype(jnp.float32)
        return self.stream.present(self.stream.x_test[row], self.stream.y_test[row], task, weight)
