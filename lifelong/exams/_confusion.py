"""Which classes are taken for which, and how close they lie."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.feedback import class_means, unit_length
from lifelong.worlds import World

from ._exam import Exam


class Confusion(Exam):
    """Ask all test questions, and count what is answered to each class.

    confusion[i, j] = share of the questions of class i that are answered with class j; the diagonal is accuracy by class.

    Args:
        page: questions at a time.
    """

    page: int = eqx.field(static=True, default=500)

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'confusion': [outputs, outputs]}; a class without questions has NaN."""
        papers = world.papers(self.page)

        def tally(i: Array) -> Float[Array, "outputs outputs"]:
            asked = papers.page(i)
            answered = learner.answer(state, asked.x, asked.allowed).argmax(-1)
            of_class = jax.nn.one_hot(asked.y, world.outputs) * asked.weight[:, None]
            return of_class.T @ jax.nn.one_hot(answered, world.outputs)

        counts = jax.lax.map(tally, jnp.arange(papers.count)).sum(0)
        return {"confusion": counts / counts.sum(1, keepdims=True)}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """A row a class asked, a column a class answered."""
        return {"confusion": ("asked", "answered")}

    @property
    def whole(self) -> bool:
        """It looks at answers alone."""
        return False


class Closeness(Exam):
    """Look at all test examples where the learner compares them, and how close the means of classes lie.

    closeness[i, j] = cos(p_i, p_j) with p_i the mean over the examples of class i of the model's projections, or of its
    features scaled to length 1 where it has no `project`. For learners whose state holds a `model`.

    Args:
        page: examples at a time.
    """

    page: int = eqx.field(static=True, default=500)

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'closeness': [outputs, outputs]}."""
        papers, model = world.papers(self.page), state.model

        def total(i: Array) -> tuple[Array, Array]:
            seen = papers.page(i)
            z = jax.vmap(model.project if hasattr(model, "project") else model.features)(seen.x)
            means, counts = class_means(unit_length(z), seen.y, seen.weight, world.outputs)
            return means * counts[:, None], counts

        sums, _ = jax.lax.map(total, jnp.arange(papers.count))
        prototypes = unit_length(sums.sum(0))
        return {"closeness": prototypes @ prototypes.T}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value for every two classes."""
        return {"closeness": ("class", "other")}

    @property
    def whole(self) -> bool:
        """It looks at the model alone."""
        return False
