"""Feedback for models that take a batch as a whole."""

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.worlds import Batch

from ._labels import Info, cross_entropy_of


class BatchCrossEntropy(eqx.Module):
    """Cross-entropy as in `CrossEntropy`, of a model that takes a batch as a whole, such as `NormedMLP`."""

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of a batch, its value and the accuracy."""
        return cross_entropy_of(model(experience.x), experience)
