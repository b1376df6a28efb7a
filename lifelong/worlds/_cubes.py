"""The hypercube space of competence: a world of tasks that unlock each other, small enough to compare teachers exactly."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lifelong.errors import BadInput

from ._tasks import TaskBox
from ._world import World


class Cubes(World):
    """The unit cube cut into cubesᵈⁱᵐˢ cells, each a skill (Portelas et al. 2019, `toy_env.py`).

    A task is a point; the skill it asks for is that of the cell it lies in. What can be learned when is the business of
    `CubeLearner`. Dimensions beyond `dims` mean nothing, and are there to distract.

    Args:
        cubes: cells along each dimension; 10 in the original.
        dims: dimensions that matter; 2 in the original.
        irrelevant: further dimensions that do not.
    """

    cubes: int = eqx.field(static=True, default=10)
    dims: int = eqx.field(static=True, default=2)
    irrelevant: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if min(self.cubes, self.dims) < 1 or self.irrelevant < 0:
            raise BadInput(
                f"a space of cubes needs cells and dimensions: cubes={self.cubes}, dims={self.dims}, "
                f"irrelevant={self.irrelevant}"
            )

    @property
    def tasks(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How many cells there are."""
        return self.cubes**self.dims

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One: how well it went."""
        return 1

    @property
    def space(self) -> TaskBox:
        """The unit cube, with its irrelevant dimensions."""
        dims = self.dims + self.irrelevant
        return TaskBox(jnp.zeros(dims), jnp.ones(dims))

    def cell(self, task: Float[Array, " all"]) -> Int[Array, " dims"]:
        """Return the cell a task lies in; the upper faces of the unit cube belong to the last ones."""
        return jnp.clip((task[: self.dims] * self.cubes).astype(jnp.int32), 0, self.cubes - 1)
