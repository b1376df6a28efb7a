"""A language model as gradient learners know models: from one input to one array of logits."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._transformer import LanguageModel


class Completion(eqx.Module):
    """A language model that answers a transcript with the logits of the token that comes next.

    A transcript [2, t] has tokens in its first row; the second, which of them count in a loss, is for feedback alone. So a
    `GradientLearner`, every memory and `Accuracy` take a language model for a classifier of next tokens, and feedback that
    knows better reads the whole transcript.

    Args:
        net: called with `key=` it returns the language model; `Recipe(language_model, preset="micro", vocabulary=64)` is one.
    """

    net: LanguageModel

    def __init__(self, net: Callable[..., LanguageModel], *, key: PRNGKeyArray):
        self.net = net(key=key)

    def read(self, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t vocabulary"]:
        """Return the logits of the next token after every token."""
        return self.net.read(tokens)

    def __call__(self, x: Int[Array, "2 t"]) -> Float[Array, " vocabulary"]:
        """Return the logits of what comes after the last token that is no blank."""
        last = jnp.where(x[0] >= 0, jnp.arange(x.shape[1]), 0).max()
        return self.net.logits(self.net.features(x[0])[last])
