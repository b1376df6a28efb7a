"""Answers one by one: the exam of those who are traced."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import World

from ._exam import Exam


class Answers(Exam):
    """Ask the first test questions of every task, the same ones at every sitting, and say which were answered rightly.

    answers[i, j] = [argmax logits = y] for question j of task i, with the classes allowed by the scenario. What
    `lifelong.exams.tracing.practice_of` makes a practice log of.

    Args:
        questions: how many of each task.
        page: questions read at a time.

    Raises `BadInput` for sizes below 1.
    """

    questions: int = eqx.field(static=True, default=20)
    page: int = eqx.field(static=True, default=500)

    def __check_init__(self):
        if min(self.questions, self.page) < 1:
            raise BadInput(f"answers need at least one question: questions={self.questions}, page={self.page}")

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'answers': [tasks, questions]} of 0 and 1, NaN where a task has fewer questions."""
        papers = world.papers(self.page)

        def mark(
            carry: tuple[Int[Array, " tasks"], Float[Array, "tasks questions"]], i: Int[Array, ""]
        ) -> tuple[tuple[Array, Array], None]:
            met, answers = carry
            asked = papers.page(i)
            right = learner.answer(state, asked.x, asked.allowed).argmax(-1) == asked.y
            of_task = jax.nn.one_hot(asked.task, world.tasks, dtype=jnp.int32) * (asked.weight[:, None] > 0)
            place = ((met + jnp.cumsum(of_task, axis=0)) * of_task).sum(1) - 1
            place = jnp.where(asked.weight > 0, place, self.questions)
            answers = answers.at[asked.task, place].set(right.astype(jnp.float32), mode="drop")
            return (met + of_task.sum(0), answers), None

        start = (jnp.zeros(world.tasks, jnp.int32), jnp.full((world.tasks, self.questions), jnp.nan))
        return {"answers": jax.lax.scan(mark, start, jnp.arange(papers.count))[0][1]}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One row a task, one column a question."""
        return {"answers": ("task", "question")}

    @property
    def whole(self) -> bool:
        """It looks at answers alone."""
        return False
