"""Many questions about one premise, none of which knows of the others."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ._lookup import lookup
from ._transformer import LanguageModel


class QuestionsApart(eqx.Module):
    """A language model that reads a premise once and every question after it as if it were the only one.

    A question is what follows a mark, up to the next mark. Token t attends to s where s ≤ t is no blank and stands in the
    premise or in t's own question, so no answer can be found in another one. Without positions (`theta=None`) the logits are
    those of the premise with that question alone; rotary positions tell later questions by their distance.

    Args:
        net: called with `key=` it returns the language model.
        mark: the token with which a question begins.
    """

    net: LanguageModel
    mark: int = eqx.field(static=True)

    def __init__(self, net: Callable[..., LanguageModel], mark: int, *, key: PRNGKeyArray):
        self.net, self.mark = net(key=key), mark

    def read(self, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t vocabulary"]:
        """Return the logits of the next token after every token."""
        return self.logits(self.features(tokens))

    def features(self, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t width"]:
        """Return what the last layer makes of every token, normed."""
        rows = tokens.reshape(-1, tokens.shape[-1])
        made, _ = self.net.transform(lookup(self.net.embedding, rows), self.visible(rows))
        return made.reshape(*tokens.shape, -1)

    def visible(self, tokens: Int[Array, "n t"]) -> Bool[Array, "n t t"]:
        """Return which tokens [n, :, s] every token [n, t, :] attends to."""
        part = jnp.cumsum(tokens == self.mark, 1)
        own = part[:, None, :] == part[:, :, None]
        premise = (part == 0)[:, None, :]
        return (own | premise) & (tokens >= 0)[:, None, :] & jnp.tri(tokens.shape[1], dtype=bool)

    def logits(self, features: Float[Array, "*n width"]) -> Float[Array, "*n vocabulary"]:
        """Return the logits that belong to features."""
        return self.net.logits(features)
