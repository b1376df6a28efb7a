"""How far answers are from the best there are."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.worlds import World

from ._exam import Exam


class ExcessRisk(Exam):
    """The mean squared distance E (f(x) − E[y|x])² of answers from the best, in worlds that know it (`world.best`).

    For squared errors it is exactly what f loses beyond the noise that nobody can predict; `naive_risk` is what the answer 0
    loses.

    Args:
        page: questions at a time.
    """

    page: int = eqx.field(static=True, default=500)

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'excess_risk': [], 'naive_risk': []}."""
        papers, best = world.papers(self.page), world.best  # pyright: ignore[reportAttributeAccessIssue]

        def lost(i: Array) -> Array:
            asked = papers.page(i)
            goal = best(asked.x)
            return jnp.stack(
                [asked.weight @ ((a - goal) ** 2).mean(-1) for a in (learner.answer(state, asked.x), 0.0 * goal)]
            )

        lost_each = jax.lax.map(lost, jnp.arange(papers.count)).sum(0)
        asked = jax.lax.map(lambda i: papers.page(i).weight.sum(), jnp.arange(papers.count)).sum()
        return dict(zip(("excess_risk", "naive_risk"), lost_each / asked, strict=True))

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Single numbers."""
        return {"excess_risk": (), "naive_risk": ()}

    @property
    def whole(self) -> bool:
        """Answers are enough."""
        return False
