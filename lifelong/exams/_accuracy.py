"""Accuracy on every task: the exam of classifiers."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import World

from ._exam import Exam


class Accuracy(Exam):
    """Ask all test questions of all tasks; return the share answered correctly, task by task.

    accuracy[i] = Σ w·[argmax logits = y] / Σ w over the questions of task i, with the classes allowed by the scenario.

    Args:
        page: questions at a time; more is faster, fewer needs less memory.
    """

    page: int = eqx.field(static=True, default=500)

    def __check_init__(self):
        if self.page < 1:
            raise BadInput(f"a page of an exam has at least one question, not {self.page}")

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'accuracy': [tasks]}; a task without questions has accuracy NaN."""
        papers = world.papers(self.page)

        def mark(i: Array) -> tuple[Float[Array, " tasks"], Float[Array, " tasks"]]:
            asked = papers.page(i)
            right = learner.answer(state, asked.x, asked.allowed).argmax(-1) == asked.y
            of_task = jax.nn.one_hot(asked.task, world.tasks) * asked.weight[:, None]
            return right.astype(jnp.float32) @ of_task, of_task.sum(0)

        right, asked = jax.lax.map(mark, jnp.arange(papers.count))
        return {"accuracy": right.sum(0) / asked.sum(0)}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Accuracy has one value a task."""
        return {"accuracy": ("task",)}

    @property
    def whole(self) -> bool:
        """Answers and model are enough."""
        return False
