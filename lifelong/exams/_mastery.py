"""How much of a space of skills is mastered."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.recipe import Number, number
from lifelong.worlds import World

from ._exam import Exam


class Mastery(Exam):
    """The share of a `CubeLearner`'s cells whose competence is above a threshold.

    `mastered` = |{cells: competence > threshold·most}| / cells (Portelas et al. 2019: above 75 of 100).
    """

    threshold: Number = number(0.75)

    def sit(self, state: Float[Array, "*cells"], learner, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return the share mastered."""
        return {"mastered": jnp.mean(state > self.threshold * learner.most)}
