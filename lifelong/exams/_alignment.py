"""How alike a network and its mirror have become."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.nets import DualNetwork, alignment
from lifelong.worlds import World

from ._exam import Exam


class Alignment(Exam):
    """Compare what the hidden layers of a `DualNetwork` make of questions with what its mirror makes of their classes.

    alignment[l] is linear CKA between A_l(x) and B_l(y), l = 1 … L−1 from the bottom up, over questions; 0 for networks of
    other kinds.

    Args:
        questions: how many are looked at.
    """

    questions: int = eqx.field(static=True, default=500)

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'alignment': [levels]}."""
        model = state.model
        if not isinstance(model, DualNetwork):
            return {"alignment": jnp.zeros(1)}
        asked = world.papers(self.questions).page(0)
        answers = jax.vmap(model.ascent)(asked.x)
        codes = jax.vmap(model.descent)(jax.nn.one_hot(asked.y, world.outputs))
        pairs = zip(answers[1:-1], codes[1:-1], strict=True)
        return {"alignment": jnp.stack([alignment(a, b) for a, b in pairs])}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a hidden layer."""
        return {"alignment": ("level",)}

    @property
    def whole(self) -> bool:
        """It looks at the model alone."""
        return False
