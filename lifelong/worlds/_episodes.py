"""Few-shot episodes: a sequence of small support sets, then questions about everything in them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._batch import Batch
from ._corruption import Corruption
from ._dataset import Dataset
from ._passes import Passes
from ._world import Pages


class Plan(NamedTuple):
    """Which rows an episode shows, in which set, and what they are called there.

    `task` is the set that a question is about.
    """

    rows: Int[Array, "sets size"]
    labels: Int[Array, "sets size"]
    asked: Int[Array, " questions"]
    answers: Int[Array, " questions"]
    task: Int[Array, " questions"]


class Episode(NamedTuple):
    """A whole episode at once, as meta-learners take it: support sets with a leading `sets` axis, and the questions."""

    support: Batch
    query: Batch


class Episodes(Passes):
    """Continual few-shot episodes over the classes of a data set; a lifetime is an episode, a task one support set.

    `interval` support sets in a row hold the same `ways` classes, with `shots` new examples of each; then others come.
    Classes and examples are drawn without replacement, anew for every lifetime. Labels count the classes in the order
    they come in, so that there are sets/interval · ways of them; with `overwrite` each group of classes takes the labels
    0 … ways−1 again (Antoniou et al. 2020, "Defining Benchmarks for Continual Few-Shot Learning": NSS, CCI, ways,
    shots). The questions are `queries` further examples of every class, dealt over the sets that taught it.

    In the instance test (`instances`; Kowadlo et al. 2022, "Expanding continual few-shot learning benchmarks") every
    example is a class of its own among examples of the same `ways` classes, and the questions are the examples
    themselves, usually corrupted: to recognise what is identical among what is alike.

    Args:
        source: a `Dataset`, of which the training part is taken, or an array [classes, examples, *shape].
        sets: support sets in an episode (NSS).
        ways, shots: classes in a set, examples of each.
        interval: sets in a row with the same classes (CCI); it divides `sets`.
        queries: questions about each class.
        overwrite: whether labels start again with every group of classes.
        instances: the instance test; `interval`, `queries` and `overwrite` then have no meaning.
        corruption: what happens to the images that are asked about.

    Raises BadInput where the sizes do not fit each other or the source.
    """

    x: Float[Array, "rows *shape"]
    plan: Plan
    corruption: Corruption | None
    classes: int = eqx.field(static=True)
    examples: int = eqx.field(static=True)
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    longest: int = eqx.field(static=True)
    ways: int = eqx.field(static=True)
    shots: int = eqx.field(static=True)
    interval: int = eqx.field(static=True)
    queries: int = eqx.field(static=True)
    overwrite: bool = eqx.field(static=True)
    instances: bool = eqx.field(static=True)

    def __init__(
        self,
        source: Any,
        sets: int = 1,
        ways: int = 5,
        shots: int = 1,
        interval: int = 1,
        queries: int = 5,
        overwrite: bool = False,
        instances: bool = False,
        corruption: Corruption | None = None,
    ):
        x = by_class(source) if isinstance(source, Dataset) else np.asarray(source, np.float32)
        self.classes, self.examples = x.shape[:2]
        self.x, self.corruption = jnp.asarray(x.reshape(-1, *x.shape[2:])), corruption
        self.tasks, self.ways, self.shots, self.overwrite, self.instances = sets, ways, shots, overwrite, instances
        self.interval, self.queries = (sets, 0) if instances else (interval, queries)
        self._check(min(sets, ways, shots), x.shape)
        groups = 1 if overwrite else sets // self.interval
        self.longest = ways * shots
        self.outputs = sets * self.longest if instances else groups * ways
        blank = eqx.filter_eval_shape(self._deal, jax.random.key(0))
        self.seed, self.plan = jnp.uint32(0), jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), blank)

    @property
    def questions(self) -> int:
        """How many questions an episode asks."""
        return len(self.plan.asked)

    def _check(self, smallest: int, shape: tuple[int, ...]) -> None:
        if min(smallest, self.interval) < 1 or (self.queries < 1 and not self.instances):
            raise BadInput("an episode needs sets, ways, shots, an interval and queries of at least 1")
        if self.tasks % self.interval:
            raise BadInput(
                f"{self.tasks} support sets cannot change classes every {self.interval}: it must divide them"
            )
        wanted = (self.tasks // self.interval * self.ways, self.interval * self.shots + self.queries)
        if wanted[0] > shape[0] or wanted[1] > shape[1]:
            raise BadInput(
                f"such an episode takes {wanted[1]} examples of each of {wanted[0]} classes, and the source has "
                f"{shape[1]} of each of {shape[0]}"
            )
        if self.corruption is not None and len(shape) not in (4, 5):
            raise BadInput(f"only images can be corrupted, and the examples have the shape {shape[2:]}")

    def _deal(self, key: PRNGKeyArray) -> Plan:
        """Draw the classes and examples of an episode, and lay them out."""
        for_classes, for_examples = jax.random.split(key)
        groups, ways, interval, shots = self.tasks // self.interval, self.ways, self.interval, self.shots
        classes = jax.random.permutation(for_classes, self.classes)[: groups * ways]
        order = jnp.argsort(jax.random.uniform(for_examples, (groups * ways, self.examples)), axis=1)
        rows = (classes[:, None] * self.examples + order).astype(jnp.int32)
        support = rows[:, : interval * shots].reshape(groups, ways, interval, shots)
        support = support.transpose(0, 2, 1, 3).reshape(self.tasks, -1)
        if self.instances:
            labels = jnp.arange(self.outputs, dtype=jnp.int32)
            task = labels // self.longest
            return Plan(support, labels.reshape(support.shape), support.reshape(-1), labels, task)
        group, way = jnp.divmod(jnp.arange(groups * ways, dtype=jnp.int32), ways)
        label = way if self.overwrite else group * ways + way
        of_set = jnp.repeat(label.reshape(groups, ways), interval, axis=0)
        question = jnp.arange(self.queries, dtype=jnp.int32)
        task = group[:, None] * interval + question % interval
        asked = rows[:, interval * shots : interval * shots + self.queries]
        answers = jnp.broadcast_to(label[:, None], asked.shape)
        return Plan(
            support, jnp.repeat(of_set, shots, axis=1), asked.reshape(-1), answers.reshape(-1), task.reshape(-1)
        )

    def open(self, *, key: PRNGKeyArray) -> "Episodes":
        """Draw this lifetime's episode."""
        for_plan, for_seed = jax.random.split(key)
        new = (self._deal(for_plan), jax.random.bits(for_seed, (), jnp.uint32))
        return eqx.tree_at(lambda world: (world.plan, world.seed), self, new)

    def deal(self, *, key: PRNGKeyArray) -> Episode:
        """Return a whole episode, the one that a lifetime opened with this key lives through."""
        world, sets = self.open(key=key), jnp.arange(self.tasks)
        places, weight = jnp.arange(self.longest), jnp.ones(self.longest)
        support = jax.vmap(lambda task: world.show(task, places, weight))(sets)
        return Episode(support, world.papers(world.questions).page(0))

    def corrupted(self, occlusion: Any = 0.0, noise: Any = 0.0) -> "Episodes":
        """Return this world with other corruption of what is asked about; raise `BadInput` where it corrupts nothing."""
        if self.corruption is None:
            raise BadInput("this world corrupts nothing; build it with corruption=Corruption()")
        new = Corruption(occlusion, noise)
        return eqx.tree_at(lambda world: world.corruption, self, new)

    def size(self, task: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Return the size of a support set, the same for all."""
        return jnp.full_like(task, self.longest)

    def show(self, task: Int[Array, "*n"], place: Int[Array, " n"], weight: Float[Array, " n"]) -> Batch:
        """Return examples of a support set with their labels."""
        rows, labels = self.plan.rows[task, place], self.plan.labels[task, place]
        return Batch(self.x[rows], labels, jnp.broadcast_to(task, place.shape), weight)

    def taught_through(self, encoder: Callable[[Array], Array]) -> "Episodes":
        """Return this episode with every example of its support sets encoded, once; it has no questions worth asking."""
        x = jax.vmap(encoder)(self.x[self.plan.rows.reshape(-1)])
        rows = jnp.arange(len(x), dtype=jnp.int32).reshape(self.plan.rows.shape)
        new = (x, self.plan._replace(rows=rows), None)
        return eqx.tree_at(lambda w: (w.x, w.plan, w.corruption), self, new, is_leaf=lambda node: node is None)

    def papers(self, n: int) -> Pages:
        """Return the questions, in pages of `n`; each is corrupted in the same way however often it is asked."""
        return Questions(world=self, size=n, count=-(-self.questions // n))


class Questions(Pages):
    """What an episode asks."""

    world: Episodes
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return questions i·size …; those past the end have weight 0."""
        plan, place = self.world.plan, i * self.size + jnp.arange(self.size)
        number = jnp.minimum(place, len(plan.asked) - 1)
        x = self.world.x[plan.asked[number]]
        if (corruption := self.world.corruption) is not None:
            key = jax.random.key(self.world.seed)
            x = jax.vmap(lambda i, image: corruption(image, key=jax.random.fold_in(key, i)))(number, x)
        weight = (place < len(plan.asked)).astype(jnp.float32)
        return Batch(x, plan.answers[number], plan.task[number], weight)


def by_class(data: Dataset) -> Float[np.ndarray, "classes examples *shape"]:
    """Return the training examples class by class, as many of each as the smallest class has."""
    fewest = np.bincount(data.y_train, minlength=len(data.classes)).min()
    return np.stack([data.x_train[data.y_train == label][:fewest] for label in range(len(data.classes))])
