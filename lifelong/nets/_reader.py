"""A recurrent reader of short sequences of symbols."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput


class Reader(eqx.Module):
    """Read symbols one after the other with a gated recurrent unit (Cho et al. 2014), and answer after the last.

    h ← GRU(h, embedding of the symbol), and h stays as it is at a blank; logits are linear in h. Reading is unrolled, for
    sequences of a few symbols.

    Args:
        symbols: how many symbols there are; the last one is the blank.
        outputs: number of logits.
        width: units, and the length of embeddings.
        key: draws the weights.
    """

    embedding: Float[Array, "symbols width"]
    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __init__(self, symbols: int, outputs: int, width: int = 64, *, key: PRNGKeyArray):
        if min(symbols, outputs, width) < 1:
            raise BadInput(f"a reader needs positive sizes: symbols={symbols}, outputs={outputs}, width={width}")
        for_embedding, for_cell, for_head = jax.random.split(key, 3)
        self.embedding = jax.random.normal(for_embedding, (symbols, width))
        self.cell = eqx.nn.GRUCell(width, width, key=for_cell)
        self.head = eqx.nn.Linear(width, outputs, key=for_head)

    def features(self, x: Int[Array, " length"]) -> Float[Array, " width"]:
        """Return the state after the last symbol."""
        h = jnp.zeros(self.embedding.shape[1])
        read = self.embedding @ self.cell.weight_ih.T + self.cell.bias  # pyright: ignore[reportOperatorIssue]
        for symbol in x:
            h = jnp.where(symbol == len(self.embedding) - 1, h, self._after(read[symbol], h))
        return h

    def _after(self, read: Float[Array, " gates"], h: Float[Array, " width"]) -> Float[Array, " width"]:
        """Return the cell's next state, given what its gates read: in a batch that is worked out once for every symbol."""
        reset, update, new = jnp.split(read, 3)
        for_reset, for_update, for_new = jnp.split(self.cell.weight_hh @ h, 3)
        new = jnp.tanh(new + jax.nn.sigmoid(reset + for_reset) * (for_new + self.cell.bias_n))  # pyright: ignore[reportOperatorIssue]
        return new + jax.nn.sigmoid(update + for_update) * (h - new)

    def __call__(self, x: Int[Array, " length"]) -> Float[Array, " outputs"]:
        """Return the logits of one sequence."""
        return self.head(self.features(x))
