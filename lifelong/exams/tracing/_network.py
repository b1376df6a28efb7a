"""What a network must do to trace students."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._rows import Rows


class Network(eqx.Module):
    """A network that follows students: from rows to the logit of every row being right, given those before it."""

    def logits(self, rows: Rows) -> Float[Array, "pieces length"]:
        """Return logits; that of a place depends on the earlier rows of its piece that leave a trace, and on its question."""
        raise NotImplementedError

    def loss(self, rows: Rows, *, key: PRNGKeyArray) -> Float[Array, " pieces"]:
        """Return what is minimised, in sum over the rows of every piece: −ln P(answers) unless a subclass says otherwise."""
        return surprise(self.logits(rows), rows)


def surprise(logits: Float[Array, "pieces length"], rows: Rows) -> Float[Array, " pieces"]:
    """Return −Σ ln P(answer) over the graded rows of every piece, in nats."""
    turned = jnp.where(jnp.asarray(rows.outcome) == 1, logits, -logits)
    return jnp.where(jnp.asarray(rows.outcome) >= 0, jax.nn.softplus(-turned), 0.0).sum(axis=1)
