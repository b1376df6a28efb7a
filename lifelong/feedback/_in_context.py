"""Learning to learn from a sequence."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.worlds import Batch, answers

from ._labels import FORBIDDEN, Info, weighted_mean


class EveryItem(eqx.Module):
    """Cross-entropy of the label of every item of a sequence, each answered from those before it.

    L = −mean_i mean_j log p(y_ij | x_i,≤j, y_i,<j): learning within a sequence is the only way to lower it on tasks not
    known by heart (Kirsch et al. 2022, "General-Purpose In-Context Learning by Meta-Learning Transformers", eq. 1).
    Experience comes from an `InContext` world, and the model is an `InContextModel`. The accuracy reported is that of the
    last item.
    """

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of all items, its value and the accuracy at the last one."""
        logits = model.read(experience.x)
        if experience.allowed is not None:
            logits = jnp.where(experience.allowed[:, None], logits, FORBIDDEN)
        losses = -(jax.nn.log_softmax(logits) * answers(experience, logits.shape[-1])).sum(-1)
        loss = weighted_mean(losses.mean(-1), experience.weight)
        right = (logits[:, -1].argmax(-1) == experience.y).astype(jnp.float32)
        return loss, {"loss": loss, "accuracy": weighted_mean(right, experience.weight)}
