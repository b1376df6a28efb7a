"""Learning from numbers."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.worlds import Points

from ._labels import Info, weighted_mean


class MeanSquaredError(eqx.Module):
    """The mean squared error (f(x) − y)² of what the model answers, over outputs and examples."""

    def __call__(self, model: PyTree, experience: Points, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of a batch, and its value."""
        error = ((jax.vmap(model)(experience.x) - experience.y) ** 2).mean(-1)
        loss = weighted_mean(error, experience.weight)
        return loss, {"loss": loss}
