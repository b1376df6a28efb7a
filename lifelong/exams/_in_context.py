"""What is learned within a sequence: accuracy by the place of an item."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from lifelong.errors import BadInput
from lifelong.worlds import InContext, answers

from ._exam import Exam


class AccuracyInContext(Exam):
    """Ask about every item of the sequences of all parts of a world: accuracy[part, place] is the share answered rightly.

    For learners whose model is an `InContextModel`. A curve that rises with the place shows learning in context; one that is
    high from the first place shows a task known by heart.

    Args:
        page: sequences at a time.
    """

    page: int = eqx.field(static=True, default=256)

    def sit(self, state: Any, learner: Any, world: InContext, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'accuracy': [parts, length]}."""
        papers = world.papers(self.page)

        def mark(i: Array) -> tuple[Array, Array]:
            asked = papers.page(i)
            logits = state.model.read(asked.x)
            right = logits.argmax(-1) == answers(asked, logits.shape[-1]).argmax(-1)
            of_part = jax.nn.one_hot(asked.task, world.tasks) * asked.weight[:, None]
            return of_part.T @ right.astype(jnp.float32), of_part.sum(0)

        right, count = jax.lax.map(mark, jnp.arange(papers.count))
        return {"accuracy": right.sum(0) / count.sum(0)[:, None]}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One row a part, one column a place."""
        return {"accuracy": ("part", "place")}

    @property
    def whole(self) -> bool:
        """The model is enough."""
        return False


def improvement(accuracy: ArrayLike, early: int = 2, late: int = 5) -> Float[np.ndarray, "..."]:
    """Return how much is learned within sequences: the mean of the last `late` places minus that of the first `early` ones.

    `accuracy` [..., places]. Raises BadInput where there are fewer places than both need.
    """
    values = np.asarray(accuracy, float)
    if min(early, late) < 1 or values.shape[-1] < early + late:
        raise BadInput(f"{early} early and {late} late places were asked for, and there are {values.shape[-1]}")
    return np.asarray(values[..., -late:].mean(-1) - values[..., :early].mean(-1))
