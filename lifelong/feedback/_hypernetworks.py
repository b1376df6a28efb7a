"""Learning from labels with the network that a hypernetwork writes for one task."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.worlds import Batch

from ._labels import Info, cross_entropy_of


class TaskCrossEntropy(eqx.Module):
    """Cross-entropy of the network that a `Hypernetwork` writes for the task of a batch.

    The same loss as `CrossEntropy` where every example of a batch is of one task and may be answered with the classes of
    that task alone, without writing the networks of all other tasks. The model needs `of(task)` and `codes`.
    """

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of a batch of one task, its value and the accuracy."""
        logits = jax.vmap(model.of(experience.task[0]))(experience.x)
        return cross_entropy_of(jnp.tile(logits, (1, len(model.codes))), experience)
