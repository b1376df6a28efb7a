"""A learner of skills that unlock each other."""

from itertools import product
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import Mismatch
from lifelong.feedback import Info
from lifelong.recipe import Number, number
from lifelong.worlds import World

from ._learner import Learner

Competence = Float[Array, "*cells"]


class CubeLearner(Learner):
    """Practise the cells of `Cubes`: a cell that is unlocked gains one unit of competence each time it is met.

    The cell at the origin is always unlocked; another one is if a cell whose place is one lower in some of its dimensions
    has a competence of at least `unlocks` · `most`. Reported as `return` is competence / most after the visit, whether it
    rose or not: visits / most as long as the cell was unlocked, 0 before (Portelas et al. 2019, `toy_env.py`).

    Args:
        most: the competence at which a cell is full; 100 in the original.
        unlocks: the share of it that unlocks the cells behind; 3/4 in the original.
    """

    most: Number = number(100.0)
    unlocks: Number = number(0.75)

    def init(self, world: World, *, key: PRNGKeyArray) -> Competence:
        """Return a competence of nothing; raise `Mismatch` for another world."""
        dims, cubes = getattr(world, "dims", None), getattr(world, "cubes", None)
        if dims is None or cubes is None:
            raise Mismatch(f"{type(self).__name__} practises the cells of Cubes, and {type(world).__name__} has none")
        return jnp.zeros((cubes,) * dims)

    def meet(self, state: Competence, world: Any, lesson: Any, *, key: PRNGKeyArray) -> Int[Array, " dims"]:
        """Return the cell that the task lies in."""
        return world.cell(lesson.task)

    def learn(
        self, state: Competence, experience: Int[Array, " dims"], *, key: PRNGKeyArray
    ) -> tuple[Competence, Info]:
        """Return the competence after a visit to a cell, and the return."""
        cell = tuple(experience)
        lower = list(product((0, 1), repeat=state.ndim))[1:]
        before = jnp.stack([state[tuple(jnp.maximum(experience - jnp.asarray(step), 0))] for step in lower])
        other = jnp.stack([(jnp.minimum(experience, jnp.asarray(step)) > 0).any() for step in lower])
        unlocked = (other & (before >= self.unlocks * self.most)).any() | (experience == 0).all()
        reached = jnp.minimum(state[cell] + unlocked, self.most)
        return state.at[cell].set(reached), {"return": reached / self.most}
