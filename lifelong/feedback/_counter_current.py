"""Learning layer by layer, from what a second network makes of the target."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import Mismatch
from lifelong.nets import DualNetwork
from lifelong.recipe import Number, number
from lifelong.worlds import Batch

from ._labels import Info, cross_entropy_of, weighted_mean


class CounterCurrent(eqx.Module):
    """Bring every layer's answer close to what the mirror network makes of the right class, and away from the others.

    With A_l of a batch and B_l of all C classes, and M the one-hot labels,

        loss_l = strength · scale · 256 / d_l · mean((A_l B_lᵀ − M)²),  l = 0 … L−1,   and cross-entropy of A_L,

    where d_l is the width of level l. Each loss trains W_l and V_l alone (Kao and Hariharan 2024, code: `utils/loss.py`,
    where `scale`, 0.5, is `loss_scale_C`). The mirror sees C different inputs only, so B_l is a table of class codes.

    Args:
        scale: the weight of the local losses.
        strength: 0 takes the local losses away: only the last layer learns then.
    """

    scale: Number = number(0.5)
    strength: Number = number(1.0)

    def __call__(self, model: DualNetwork, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the sum of all losses, and value and accuracy of the last; raise `Mismatch` for another network."""
        top, local, info = self.losses(model, experience)
        return top + sum(local), info

    def losses(self, model: DualNetwork, experience: Batch) -> tuple[Float[Array, ""], list[Float[Array, ""]], Info]:
        """Return the loss of the last layer, those of the levels below it from the bottom up, and what is recorded."""
        if not isinstance(model, DualNetwork):
            raise Mismatch(f"counter-current learning needs a DualNetwork, not a {type(model).__name__}")
        *answers, logits = jax.vmap(model.ascent)(experience.x)
        codes = jax.vmap(model.descent)(jnp.eye(logits.shape[-1]))[:-1]
        top, info = cross_entropy_of(logits, experience)
        target = jax.nn.one_hot(experience.y, logits.shape[-1])
        local = [self._local(a, b, target, experience.weight) for a, b in zip(answers, codes, strict=True)]
        return top, local, info

    def _local(self, a: Array, b: Array, target: Array, weight: Array) -> Float[Array, ""]:
        errors = ((a @ b.T - target) ** 2).mean(1)
        return self.strength * self.scale * 256 / a.shape[1] * weighted_mean(errors, weight)
