"""What unlearning a task does on the way, step by step."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy, permitted
from lifelong.memory import GradientUnlearner
from lifelong.worlds import Batch, World

from ._exam import Exam
from ._remains import accuracy_on
from ._traces import _loss, first_of


class Unlearned(Exam):
    """Unlearn one task from the state as it is, and look before and after every `every`-th step of the unlearner.

    Each look finds `loss`, the learner's mean loss on the examples to forget; `right`, the accuracy on questions about every
    task; and `outlook`, the probabilities of all answers to these questions, task after task. For learners whose state
    holds a `model`. Too long for every exam of a life: see `sit_afterwards`.

    Args:
        unlearner: what is done, and for how many steps.
        task: which task is unlearned.
        every: steps between two looks.
        rows: its training examples that are to be forgotten, and of every other task those to be retained.
        few: questions about each task.
        retaining: hand the other tasks' examples to the unlearner, which else sees those to forget alone.

    Raises `BadInput` for sizes below 1.
    """

    unlearner: GradientUnlearner
    task: int = eqx.field(static=True, default=0)
    every: int = eqx.field(static=True, default=10)
    rows: int = eqx.field(static=True, default=2000)
    few: int = eqx.field(static=True, default=50)
    retaining: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if min(self.every, self.rows, self.few) < 1 or self.task < 0:
            raise BadInput(
                f"looks need sizes of at least 1 and the number of a task: every={self.every}, rows={self.rows}, "
                f"few={self.few}, task={self.task}"
            )

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'loss': [look], 'right': [look, task], 'outlook': [look, question, answer]}."""
        loss, others = _loss(getattr(learner, "feedback", CrossEntropy())), self._others(world)
        gone = self._of(world, self.task)
        kept = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *others) if others else None
        papers = world.papers(self.few)
        questions = jax.vmap(lambda task: first_of(papers, task, self.few))(jnp.arange(world.tasks))

        def look(model: PyTree) -> dict[str, Array]:
            chances = jax.vmap(lambda asked: jax.nn.softmax(permitted(jax.vmap(model)(asked.x), asked)))(questions)
            right = jax.vmap(lambda asked: accuracy_on(model, asked))(questions)
            return {"loss": loss(model, gone), "right": right, "outlook": chances.reshape(-1, chances.shape[-1])}

        return self.unlearner.course(state.model, gone, kept, loss, look, self.every, key=key)

    def _others(self, world: World) -> list[Batch]:
        return [self._of(world, task) for task in range(world.tasks) if task != self.task and self.retaining]

    def _of(self, world: World, task: int) -> Batch:
        return world.review(jnp.int32(task), self.rows).page(jnp.int32(0))

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """All have one row a look."""
        return {"loss": ("look",), "right": ("look", "task"), "outlook": ("look", "question", "answer")}
