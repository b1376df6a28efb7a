"""Which tasks a learner favours: the recency bias of class-incremental learning."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.worlds import Split

from ._exam import Exam


class Bias(Exam):
    """Ask all test questions, and look at which tasks the answers and the head's weights favour.

    answered[i] = share of all answers that name a class of task i (1/tasks each where nothing is favoured);
    head_norm[i] = mean ‖w_c‖₂ over the classes c of task i. For class-incremental worlds and models with a `head`.

    Args:
        page: questions at a time.
    """

    page: int = eqx.field(static=True, default=500)

    def sit(self, state: Any, learner: Any, world: Split, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'answered': [tasks], 'head_norm': [tasks]}."""
        papers, of_class = world.papers(self.page), jax.nn.one_hot(world.task_of_class(), world.tasks)

        def tally(i: Array) -> Float[Array, " tasks"]:
            asked = papers.page(i)
            return asked.weight @ of_class[learner.answer(state, asked.x, asked.allowed).argmax(-1)]

        counts = jax.lax.map(tally, jnp.arange(papers.count)).sum(0)
        norms = jnp.linalg.norm(state.model.head.weight, axis=-1)
        return {"answered": counts / counts.sum(), "head_norm": (norms @ of_class) / of_class.sum(0)}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Both have one value a task."""
        return {"answered": ("task",), "head_norm": ("task",)}

    @property
    def whole(self) -> bool:
        """Answers and model are enough."""
        return False
