"""Traces of tasks in what a learner has become: how fast it learns them, and what its losses give away."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy, Feedback
from lifelong.memory import losses
from lifelong.worlds import Batch, Pages, World

from ._exam import Exam
from ._remains import relearning_curve


class Traces(Exam):
    """Learn some tasks (again), each from the state as it is, and look at losses on examples they were learned from.

    For each of the tasks: `relearning`, accuracy on test questions before and after every `every`-th step of learning
    from `rows` of its training examples; `member` and `other`, cross-entropy on `few` examples of its training and of its
    test part. `steps_to_reach` and `membership_auc` make sense of them. For learners whose state holds a `model`; they
    are relearned with the learner's own feedback. Too long for every exam of a life: see `sit_afterwards`.

    Args:
        tasks: which tasks.
        steps: how long each is learned.
        every: steps between two looks.
        rows: training examples to learn from.
        few: examples whose losses are taken, and questions asked at each look.

    Raises `BadInput` for no tasks, or sizes below 1.
    """

    asked: Int[Array, " asked"]
    steps: int = eqx.field(static=True)
    every: int = eqx.field(static=True)
    rows: int = eqx.field(static=True)
    few: int = eqx.field(static=True)

    def __init__(self, tasks: Sequence[int], steps: int = 100, every: int = 4, rows: int = 3200, few: int = 200):
        if not len(tasks) or min(steps, every, rows, few) < 1:
            raise BadInput(
                f"traces are of one or more tasks, in sizes of at least 1: {tasks}, {steps, every, rows, few}"
            )
        self.asked = jnp.asarray(tasks, jnp.int32)
        self.steps, self.every, self.rows, self.few = steps, every, rows, few

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'relearning': [asked, looks], 'member': [asked, few], 'other': [asked, few]}."""
        feedback, model = getattr(learner, "feedback", CrossEntropy()), state.model
        questions = world.papers(self.few)

        def of(task: Int[Array, ""]) -> dict[str, Array]:
            train, test = world.review(task, self.rows).page(jnp.int32(0)), first_of(questions, task, self.few)
            few = jax.tree.map(lambda leaf: leaf[: self.few], train)
            curve = relearning_curve(model, train, test, _loss(feedback), steps=self.steps, every=self.every, key=key)
            member, other = (losses(_loss(CrossEntropy()), model, batch) for batch in (few, test))
            return {"relearning": curve, "member": member, "other": other}

        return jax.lax.map(of, self.asked)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """All have one row a task."""
        return {"relearning": ("asked", "look"), "member": ("asked", "few"), "other": ("asked", "few")}


def first_of(papers: Pages, task: Int[Array, ""], n: int) -> Batch:
    """Return the first `n` questions on one task; where there are fewer the rest has weight 0."""
    pages = jax.lax.map(papers.page, jnp.arange(papers.count))
    every: Batch = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), pages)
    wanted = (every.task == task) & (every.weight > 0)
    first = jnp.argsort(~wanted)[:n]
    found: Batch = jax.tree.map(lambda leaf: leaf[first], every)
    return eqx.tree_at(lambda b: b.weight, found, found.weight * wanted[first])


def _loss(feedback: Feedback) -> Any:
    def loss(model: PyTree, batch: Batch) -> Float[Array, ""]:
        return feedback(model, batch, key=jax.random.key(0))[0]

    return loss
