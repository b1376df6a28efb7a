"""Fixed orders: one task after the other, all at once, flowing into each other, or as written down."""

from itertools import accumulate, cycle, takewhile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray
from numpy.typing import ArrayLike

from lifelong.errors import BadInput
from lifelong.worlds import Lesson, Mixture

from ._teacher import Teacher

Clock = Int[Array, ""]


class OneByOne(Teacher):
    """Teach the tasks one after the other; the learner is told when one ends.

    Args:
        tasks: how many tasks.
        steps: lessons a task; a tuple gives the first, second … task taught a number of its own.
        shuffle: teach the tasks in a random order of its own in every lifetime.
    """

    tasks: int = eqx.field(static=True)
    steps: int | tuple[int, ...] = eqx.field(static=True)
    shuffle: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        _check_sizes(tasks=self.tasks, steps=min(self.lengths, default=1))
        if len(self.lengths) != self.tasks:
            raise BadInput(f"{self.tasks} tasks need {self.tasks} numbers of lessons, and steps={self.steps}")

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lessons of the first, second … task taught."""
        return self.steps if isinstance(self.steps, tuple) else (self.steps,) * self.tasks

    def init(self, *, key: PRNGKeyArray) -> tuple[Clock, Int[Array, " tasks"]]:
        """Return the clock and the order of tasks."""
        order = jnp.arange(self.tasks, dtype=jnp.int32)
        return jnp.int32(0), jax.random.permutation(key, order) if self.shuffle else order

    def ask(self, plan, *, key: PRNGKeyArray) -> tuple[Lesson, tuple[Clock, Int[Array, " tasks"]]]:
        """Return the next lesson of the current task; after the last task the order starts again."""
        clock, order = plan
        ends = jnp.asarray(list(accumulate(self.lengths)), jnp.int32)
        lengths = jnp.asarray(self.lengths, jnp.int32)
        visit = (clock % ends[-1] >= ends).sum()
        turn = clock % ends[-1] - (ends - lengths)[visit]
        return Lesson(order[visit], clock // ends[-1] * lengths[visit] + turn), (clock + 1, order)

    def boundaries(self, steps: int) -> tuple[int, ...]:
        """Return the ends of the tasks."""
        return tuple(takewhile(lambda end: end <= steps, accumulate(cycle(self.lengths))))


class AllAtOnce(Teacher):
    """Teach all tasks mixed from the first step: the joint upper bound of continual learning."""

    tasks: int = eqx.field(static=True)

    def __check_init__(self):
        _check_sizes(tasks=self.tasks)

    def init(self, *, key: PRNGKeyArray) -> None:
        """Return nothing: this teacher has no plan."""
        return None

    def ask(self, plan: None, *, key: PRNGKeyArray) -> tuple[Mixture, None]:
        """Return a mixture of all tasks in equal parts."""
        return Mixture(jnp.ones(self.tasks)), None


class Blend(Teacher):
    """Teach mixtures of tasks, one mixture after the other; no boundary is told, and after the last comes more of it.

    Args:
        weights: [phases, tasks], the share of every task in every phase, to be swept like any number.
        steps: lessons a phase.

    Raises BadInput for shapes or lengths that do not fit, and for a phase without a task.
    """

    weights: Float[Array, "phases tasks"] = eqx.field(converter=lambda w: jnp.asarray(w, jnp.float32))
    steps: int = eqx.field(static=True)

    def __check_init__(self):
        if self.weights.ndim != 2 or self.steps < 1:
            raise BadInput(
                f"a blend needs weights [phases, tasks] and at least 1 step a phase: {self.weights.shape=}, {self.steps=}"
            )
        if not isinstance(self.weights, Tracer) and not bool(
            jnp.all((self.weights >= 0) & (self.weights.sum(1, keepdims=True) > 0))
        ):
            raise BadInput(f"weights of a blend are at least 0, and some of each phase above: {self.weights}")

    @property
    def tasks(self) -> int:
        """How many tasks it knows."""
        return self.weights.shape[1]

    def init(self, *, key: PRNGKeyArray) -> Clock:
        """Return the clock."""
        return jnp.int32(0)

    def ask(self, plan: Clock, *, key: PRNGKeyArray) -> tuple[Mixture, Clock]:
        """Return the mixture of this phase."""
        phase = jnp.minimum(plan // self.steps, self.weights.shape[0] - 1)
        return Mixture(self.weights[phase]), plan + 1


class Blurred(Teacher):
    """Let each task flow into the next: no boundary exists, and none is told.

    At step t every example comes from task i with a weight of clip(½ + (½ − |t/steps − i − ½|) / blur, 0, 1): with
    blur → 0 tasks follow each other sharply, with blur = 1 every task overlaps its neighbours over its whole length.
    After the last task comes more of it.

    Args:
        tasks: how many tasks.
        steps: lessons a task, on average.
        blur: the share of a task's lessons in which it is mixed with its neighbours, 0 … 1.
    """

    tasks: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    blur: Float[Array, ""] = eqx.field(converter=lambda b: jnp.asarray(b, jnp.float32), default=0.5)

    def __check_init__(self):
        _check_sizes(tasks=self.tasks, steps=self.steps)
        if not isinstance(self.blur, Tracer) and not 0.0 <= self.blur <= 1.0:
            raise BadInput(f"the blur must lie between 0 and 1, and it is {self.blur}")

    def init(self, *, key: PRNGKeyArray) -> Clock:
        """Return the clock."""
        return jnp.int32(0)

    def ask(self, plan: Clock, *, key: PRNGKeyArray) -> tuple[Mixture, Clock]:
        """Return the mixture of tasks at this moment."""
        now = jnp.minimum(plan + 0.5, self.tasks * self.steps - 0.5) / self.steps
        inside = 0.5 - jnp.abs(now - (jnp.arange(self.tasks) + 0.5))
        weights = jnp.clip(0.5 + inside / jnp.maximum(self.blur, 1e-6), 0.0, 1.0)
        return Mixture(weights), plan + 1


class Timetable(Teacher):
    """Teach what is written down: the task of every lesson, one after the other; no ends are told.

    After the last lesson the timetable begins again, and the turns of every task go on. Timetables of equal length share
    a compiled program, so that an order of tasks can be compared with any shuffle of the very same lessons.

    Args:
        tasks: the task of each lesson.

    Raises `BadInput` for an empty timetable, and for numbers that are no tasks.
    """

    asked: Int[Array, " lessons"]
    turns: Int[Array, " lessons"]
    counts: Int[Array, " tasks"]
    tasks: int = eqx.field(static=True)

    def __init__(self, tasks: ArrayLike):
        asked = np.asarray(tasks)
        if asked.ndim != 1 or not asked.size or asked.dtype.kind not in "iu" or asked.min() < 0:
            raise BadInput(f"a timetable is a list of the numbers of tasks, as in [0, 0, 1, 1], and it is {tasks}")
        met = np.cumsum(asked[:, None] == np.arange(asked.max() + 1), axis=0)
        self.asked = jnp.asarray(asked, jnp.int32)
        self.turns = jnp.asarray(met[np.arange(len(asked)), asked] - 1, jnp.int32)
        self.counts = jnp.asarray(met[-1], jnp.int32)
        self.tasks = int(asked.max()) + 1

    def init(self, *, key: PRNGKeyArray) -> Clock:
        """Return the clock."""
        return jnp.int32(0)

    def ask(self, plan: Clock, *, key: PRNGKeyArray) -> tuple[Lesson, Clock]:
        """Return the next lesson of the timetable."""
        again, i = jnp.divmod(plan, len(self.asked))
        task = self.asked[i]
        return Lesson(task, self.turns[i] + again * self.counts[task]), plan + 1


def _check_sizes(**sizes: int) -> None:
    if min(sizes.values()) < 1:
        given = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise BadInput(f"a teacher needs tasks and steps of at least 1: {given}")
