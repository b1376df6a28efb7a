"""Learning to say what comes next."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.worlds import Batch

from ._labels import Info, weighted_mean


def token_log_probabilities(model: PyTree, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t"]:
    """Return log p(token | all tokens before it) of every token; 0 for the first one and for blanks."""
    return log_probabilities_of(model.read(tokens[..., :-1]), tokens)


def log_probabilities_of(
    logits: Float[Array, "*n before vocabulary"], tokens: Int[Array, "*n t"]
) -> Float[Array, "*n t"]:
    """Return log p of every token from the logits after each but the last; 0 for the first one and for blanks."""
    following = tokens[..., 1:]
    picked = (logits * jax.nn.one_hot(following, logits.shape[-1])).sum(-1)
    logs = jnp.where(following >= 0, picked - jax.nn.logsumexp(logits, axis=-1), 0.0)
    return jnp.pad(logs, [(0, 0)] * (tokens.ndim - 1) + [(1, 0)])


class NextToken(eqx.Module):
    """Cross-entropy of the tokens that count, L = −Σ_i w_i Σ_t c_it·log p(x_it | x_i,<t) / Σ_i w_i Σ_t c_it.

    Inputs are transcripts: x[:, 0] are tokens, x[:, 1] is c (1: this token is the learner's to say), and w weighs examples.
    The model has `read`, from tokens to the logits after each.
    """

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of the tokens that count, its value and how many of them are the likeliest."""
        tokens, counts = experience.x[:, 0], experience.x[:, 1] * experience.weight[:, None]
        logits = model.read(tokens[:, :-1])
        loss = weighted_mean(-log_probabilities_of(logits, tokens).ravel(), counts.ravel())
        right = (logits.argmax(-1) == tokens[:, 1:]).astype(jnp.float32)
        return loss, {"loss": loss, "accuracy": weighted_mean(right.ravel(), counts[:, 1:].ravel())}
