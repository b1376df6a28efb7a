"""Teachers and students: perceptrons that label random inputs, one teacher a task."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number

from ._batch import Batch, Lesson, Mixture
from ._passes import Passes
from ._world import Pages


class TeacherStudent(Passes):
    """Binary perceptrons teach random inputs: y = 1 where Σ W_i x_i ≥ 0, else 0, with x_i and W_i = ±1 by chance.

    Each teacher keeps every weight of the one before with probability (1 + ρ)/2 and turns it around otherwise, so ρ is the
    correlation of successive tasks (Li et al. 2022, "Statistical mechanics of continual learning"). A task has P = α N
    examples. Inputs are independent, so passes go through them in their order; a batch that is longer than what is left
    of a pass is filled with weight 0, and one as long as the task is all of it.

    Args:
        features: N.
        tasks: how many teachers.
        load: α, one number or one for each task.
        correlation: ρ.
        room: the largest load there is room for, where loads are swept; larger ones are cut. The largest load unless
            stated.
        questions: inputs that every teacher is asked about in exams.

    Raises BadInput for sizes below 1, loads that are not positive, one load for each of another number of tasks, and
    correlations outside −1 … 1.
    """

    load: Float[Array, " tasks"]
    correlation: Number
    teachers: Float[Array, "tasks features"]
    x: Float[Array, "rows features"]
    y: Int[Array, " rows"]
    x_test: Float[Array, "questions features"]
    tasks: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    longest: int = eqx.field(static=True)

    def __init__(
        self,
        features: int,
        tasks: int = 2,
        load: float | tuple[float, ...] = 1.0,
        correlation: Number = 0.0,
        room: float | None = None,
        questions: int = 200,
    ):
        loads = np.atleast_1d(np.asarray(load, np.float32))
        if min(features, tasks, questions) < 1 or len(loads) not in (1, tasks) or not (loads > 0).all():
            raise BadInput(
                f"teachers need features, tasks and questions of at least 1 and a positive load, one or one a task: "
                f"{features=}, {tasks=}, {questions=}, {load=}"
            )
        if not isinstance(correlation, Tracer) and not -1 <= correlation <= 1:
            raise BadInput(f"the correlation of tasks lies between −1 and 1, and it is {correlation}")
        self.load = jnp.asarray(np.broadcast_to(loads, (tasks,)))
        self.correlation = jnp.asarray(correlation, jnp.float32)
        self.tasks, self.outputs = tasks, 2
        self.longest = max(1, round(float(max(loads.max(), room or 0)) * features))
        self.seed = jnp.uint32(0)
        self.teachers = jnp.ones((tasks, features))
        self.x, self.x_test = jnp.ones((tasks * self.longest, features)), jnp.ones((questions, features))
        self.y = jnp.ones(len(self.x), jnp.int32)

    def open(self, *, key: PRNGKeyArray) -> "TeacherStudent":
        """Draw this lifetime's teachers and inputs."""
        for_teachers, for_inputs = jax.random.split(key)
        (tasks, features), rows = self.teachers.shape, len(self.x)
        first, kept = jax.random.uniform(for_teachers, (2, tasks, features))
        turns = jnp.where(kept < (1 + self.correlation) / 2, 1.0, -1.0).at[0].set(_sign(first[0]))
        inputs = jax.random.bits(for_inputs, (rows + len(self.x_test), features), jnp.uint8)
        inputs = jnp.where(inputs < 128, -1.0, 1.0)
        teachers, x = jnp.cumprod(turns, axis=0), inputs[:rows]
        y = labels(x, jnp.repeat(teachers, self.longest, axis=0))
        new = (teachers, x, y, inputs[rows:])
        return eqx.tree_at(lambda world: (world.teachers, world.x, world.y, world.x_test), self, new)

    def size(self, task: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Return how many examples a task has: round(α N), at least 1 and at most what there is room for."""
        wanted = jnp.round(self.load[task] * self.teachers.shape[1]).astype(jnp.int32)
        return jnp.clip(wanted, 1, self.longest)

    def show(self, task: Int[Array, "*n"], place: Int[Array, " n"], weight: Float[Array, " n"]) -> Batch:
        """Return examples of a task with the labels that its teacher gives them."""
        row = task * self.longest + place
        return Batch(self.x[row], self.y[row], jnp.broadcast_to(task, place.shape), weight)

    def draw(self, lesson: Lesson | Mixture, n: int, *, key: PRNGKeyArray) -> Batch:
        """Return the next `n` examples of a pass through a task, or a mixture of tasks."""
        if isinstance(lesson, Mixture):
            return super().draw(lesson, n, key=key)
        size = self.size(lesson.task)
        place = lesson.turn % -(-size // n) * n + jnp.arange(n)
        return self.show(lesson.task, jnp.minimum(place, size - 1), (place < size).astype(jnp.float32))

    def papers(self, n: int) -> Pages:
        """Return the questions once for every teacher, in pages of `n`."""
        return Quizzes(world=self, size=n, count=self.tasks * -(-len(self.x_test) // n))


class Quizzes(Pages):
    """The same questions to every teacher, task after task."""

    world: TeacherStudent
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return one page of one task's questions; rows past the end have weight 0."""
        world, pages = self.world, self.count // self.world.tasks
        place = (i % pages) * self.size + jnp.arange(self.size)
        task = jnp.broadcast_to(jnp.asarray(i // pages, jnp.int32), (self.size,))
        x = world.x_test[jnp.minimum(place, len(world.x_test) - 1)]
        return Batch(x, labels(x, world.teachers[task]), task, (place < len(world.x_test)).astype(jnp.float32))


def labels(x: Float[Array, "n features"], teacher: Float[Array, "n features"]) -> Int[Array, " n"]:
    """Return what a teacher says of each input, 1 or 0."""
    return ((x * teacher).sum(-1) >= 0).astype(jnp.int32)


def _sign(chance: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(chance < 0.5, -1.0, 1.0)
