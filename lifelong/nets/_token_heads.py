"""One number for every token beside, or in place of, what a language model says."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree


class TokenScorer(eqx.Module):
    """A judge: a language model whose head gives one number for every token, w·features + b, 0 when it is new.

    Args:
        net: called with `key=` it returns a language model; give one that can speak, to begin with what it knows.
    """

    net: PyTree
    weight: Float[Array, " width"]
    bias: Float[Array, ""]

    def __init__(self, net: Callable[..., PyTree], *, key: PRNGKeyArray):
        self.net = net(key=key)
        self.weight, self.bias = jnp.zeros(self.net.width), jnp.zeros(())

    def read(self, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t"]:
        """Return a number for every token, given those before it."""
        return self.net.features(tokens) @ self.weight + self.bias


class ValuedLanguageModel(eqx.Module):
    """An actor with a critic: a language model that says besides what it expects, a linear function of its features."""

    net: PyTree
    weight: Float[Array, " width"]
    bias: Float[Array, ""]

    def __init__(self, net: Callable[..., PyTree], *, key: PRNGKeyArray):
        self.net = net(key=key)
        self.weight, self.bias = jnp.zeros(self.net.width), jnp.zeros(())

    def read(self, tokens: Int[Array, "*n t"]) -> tuple[Float[Array, "*n t vocabulary"], Float[Array, "*n t"]]:
        """Return the logits of the next token after every token, and what is expected there."""
        features = self.net.features(tokens)
        return self.net.logits(features), features @ self.weight + self.bias
