"""Accuracy in other worlds than the one that was lived in."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import World

from ._accuracy import Accuracy
from ._exam import Exam


class Elsewhere(Exam):
    """Ask the test questions of worlds that the learner does not live in: does what it learned carry over?

    elsewhere[i] is the accuracy in the i-th world, the mean over its tasks. Questions may be longer than those at home, where
    the model can read them; every world is as it is given (`open` draws nothing for it).

    Args:
        worlds: where the exam is sat.
        page: questions at a time.

    Raises BadInput where there is no world.
    """

    worlds: tuple[World, ...]
    page: int = eqx.field(static=True)

    def __init__(self, *worlds: World, page: int = 500):
        if not worlds:
            raise BadInput("an exam elsewhere needs at least one world to sit it in")
        self.worlds, self.page = worlds, page

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'elsewhere': [worlds]}."""
        accuracy = Accuracy(self.page)
        there = [accuracy.sit(state, learner, other, key=key)["accuracy"] for other in self.worlds]
        return {"elsewhere": jnp.stack([jnp.nanmean(each) for each in there])}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a world."""
        return {"elsewhere": ("place",)}

    @property
    def whole(self) -> bool:
        """Answers are enough."""
        return False
