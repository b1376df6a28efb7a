"""A language model small enough to work out by hand, and answers for it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lifelong.feedback import Rollouts, with_reference

V, P, S, T, PROMPT = 5, 3, 4, 7, 2
RANDOM = np.random.default_rng(0)
KEY = jax.random.key(0)


class Bigram(eqx.Module):
    """Logits of the next token depend on the last one alone: a table."""

    table: Float[Array, "symbols symbols"]

    def read(self, tokens):
        return self.table[tokens]


class Critic(Bigram):
    """The same, with a value for every token."""

    worth: Float[Array, " symbols"]

    def read(self, tokens):
        return self.table[tokens], self.worth[tokens]


def table(seed, scale=1.0):
    return jnp.asarray(scale * np.random.default_rng(seed).normal(size=(V, V)), jnp.float32)


MODEL, OTHER = Bigram(table(1)), Bigram(table(2))


def rollouts(samples=S, seed=3, **more):
    random = np.random.default_rng(seed)
    tokens = jnp.asarray(random.integers(0, V, (P, samples, T)), jnp.int32)
    length = random.integers(1, T - PROMPT + 1, (P, samples))
    place = np.arange(T)
    own = jnp.asarray((place >= PROMPT) & (place < PROMPT + length[..., None]))
    reward = jnp.asarray(random.integers(0, 2, (P, samples)), jnp.float32)
    return Rollouts(tokens, own, more.pop("reward", reward), **more)


def known(model=OTHER, reference=OTHER, **more):
    """Return rollouts that `model` has sampled, beside a reference."""
    bare = with_reference(rollouts(**more), reference)
    log_p = bare.scores(model).log_probability
    return eqx.tree_at(lambda r: r.log_probability, bare, log_p, is_leaf=lambda node: node is None)


def log_p(model, given):
    """Return log π of every token in NumPy, 0 for the first."""
    logits = np.asarray(model.table, np.float64)
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    tokens = np.asarray(given.tokens)
    found = np.zeros(tokens.shape)
    found[..., 1:] = log[tokens[..., :-1], tokens[..., 1:]]
    return found


def summed(model, given):
    """Return log π of whole answers in NumPy."""
    return (log_p(model, given) * np.asarray(given.own)).sum(-1)


@eqx.filter_jit
def judged(feedback, model, experience):
    return feedback(model, experience, key=KEY)


@eqx.filter_jit
def slope(feedback, model, experience):
    return eqx.filter_grad(lambda m: feedback(m, experience, key=KEY)[0])(model).table
