"""What every exam can do."""

import equinox as eqx
from jaxtyping import Array, PRNGKeyArray, PyTree

from lifelong.worlds import World


class Exam(eqx.Module):
    """A way of finding out what has been learned, without changing it."""

    def sit(self, state: PyTree, learner: PyTree, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return named results, each an array whose dimensions `dims` names."""
        raise NotImplementedError

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of each result, for labelled records."""
        return {}
