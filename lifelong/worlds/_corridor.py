"""A corridor at whose end it matters what was seen at its beginning."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ._environment import Box, Discrete, Vectors, checked_limit


class Corridor(Vectors):
    """Remember a sign: seen in the first step alone, it says which way to turn at the end of a corridor.

    The agent walks by itself, a cell a step; only its action at the last cell counts, and is worth 1 if it is that of the
    sign and −1 if not (after the T-maze of Bakker 2002, "Reinforcement Learning with Long Short-Term Memory"). What is seen is
    the sign (−1 or 1; 0 after the first step) and whether this is the last cell. Without memory no policy is worth more than 0.

    Args:
        levels: rows of one number, the cells between the sign and the end.
        limit: steps after which the time is up.

    Raises BadInput for levels of another shape and limits below 1.
    """

    levels: Float[Array, "tasks 1"]
    limit: int = eqx.field(static=True)

    def __init__(self, levels: Any = None, limit: int = 100):
        self.levels, self.limit = self._as_levels(levels), checked_limit(limit)

    @property
    def parameters(self) -> dict[str, tuple[float, float, float]]:
        """Cells between the sign and the end."""
        return {"length": (5.0, 0.0, 50.0)}

    @property
    def actions(self) -> Discrete:
        """Left or right."""
        return Discrete(2)

    @property
    def observations(self) -> Box:
        """The sign, and whether the end is reached."""
        return Box((-1.0, 0.0), (1.0, 1.0), (2,))

    def start(self, task: Float[Array, "1"], *, key: PRNGKeyArray) -> Int[Array, "2"]:
        """Return the place, and the sign, drawn by chance."""
        return jnp.stack([jnp.int32(0), jax.random.bernoulli(key).astype(jnp.int32)])

    def move(
        self, task: Float[Array, "1"], body: Int[Array, "2"], action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Int[Array, "2"], Float[Array, ""], Bool[Array, ""]]:
        """Walk on, or turn."""
        last = body[0] >= jnp.round(task[0]) + 1
        reward = jnp.where(last, jnp.where(action == body[1], 1.0, -1.0), 0.0)
        return body + jnp.asarray([1, 0]), reward, last

    def observe(self, task: Float[Array, "1"], body: Int[Array, "2"]) -> Float[Array, "2"]:
        """Return the sign at the first cell, and whether this is the last one."""
        sign = jnp.where(body[0] == 0, 2.0 * body[1] - 1.0, 0.0)
        return jnp.stack([sign, (body[0] >= jnp.round(task[0]) + 1).astype(jnp.float32)])
