"""The same exam again and again, on questions that are harder and harder to make out."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import World

from ._accuracy import Accuracy
from ._exam import Exam


class Corrupted(Exam):
    """Sit an exam once for every kind of corruption: each result gets a first dimension `level`.

    For worlds that corrupt their questions, such as `Episodes` with a `corruption`, behind an encoder or not.

    Args:
        levels: pairs of occlusion and noise, as in `Corruption`.
        exam: what is sat; accuracy unless stated.
    """

    levels: tuple[tuple[float, float], ...] = eqx.field(static=True, default=((0.0, 0.0),))
    exam: Exam = Accuracy()

    def __check_init__(self):
        if not self.levels:
            raise BadInput("an exam under corruption needs at least one level; ((0.0, 0.0),) corrupts nothing")

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return the exam's results, level by level."""

        def under(level: Array) -> dict[str, Array]:
            return self.exam.sit(state, learner, world.corrupted(*level), key=key)  # pyright: ignore[reportAttributeAccessIssue]

        return jax.lax.map(under, jnp.asarray(self.levels, jnp.float32))

    @property
    def whole(self) -> bool:
        """Whether the exam that is sat looks at more than answers and model."""
        return self.exam.whole

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Those of the exam, after the level."""
        return {name: ("level", *dims) for name, dims in self.exam.dims.items()}
