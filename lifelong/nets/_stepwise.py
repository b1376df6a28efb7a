"""A language model that decides step by step, each time from a fresh prompt that says how things stand."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.recipe import Number, number

from ._sampling import Sampled, Sampler
from ._transformer import LanguageModel

FORBIDDEN = -1e9
"""The logit of a word that is not allowed."""

After = Callable[[Int[Array, "n prompt"], Int[Array, " n"]], Int[Array, "n prompt"]]
Allowed = Callable[[Int[Array, "n prompt"]], Bool[Array, "n words"]]


class Exploring(Sampler):
    """Sample as a `Sampler`, but with probability ε take any word that is allowed, each as likely as the others.

    Args:
        epsilon: ε, 0.
    """

    epsilon: Number = number(0.0)

    def probabilities(self, logits: Float[Array, "*n words"]) -> Float[Array, "*n words"]:
        """Return (1 − ε)·softmax(logits/T) + ε/(number of allowed words)."""
        allowed = logits > 0.5 * FORBIDDEN
        anything = allowed / allowed.sum(-1, keepdims=True)
        return (1 - self.epsilon) * super().probabilities(logits) + self.epsilon * anything


class Stepwise(eqx.Module):
    """A policy over words of which only some are allowed: π(a|s) = softmax of the logits after prompt s, over those allowed.

    Rows of tokens are a prompt and the words chosen so far, as anywhere else; but the model never sees the words. It reads the
    prompt of the state that they lead to, so the policy is Markov: what comes next depends on the state alone.

    Args:
        net: called with `key=` it returns the language model.
        after: from prompts and words to the prompts of the next states.
        allowed: from prompts to the words allowed there.
        prompt_length: tokens of every prompt.
    """

    policy: LanguageModel
    after: After = eqx.field(static=True)
    allowed: Allowed = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)

    def __init__(
        self,
        net: Callable[..., LanguageModel],
        after: After,
        allowed: Allowed,
        prompt_length: int,
        *,
        key: PRNGKeyArray,
    ):
        self.policy, self.after, self.allowed, self.prompt_length = net(key=key), after, allowed, prompt_length

    def decide(self, prompts: Int[Array, "n prompt"]) -> Float[Array, "n words"]:
        """Return the logits of the words allowed in states, and `FORBIDDEN` for all others."""
        logits = self.policy.logits(self.policy.features(prompts)[:, -1])
        return jnp.where(self.allowed(prompts), logits, FORBIDDEN)

    def read(self, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t words"]:
        """Return the logits of the word that comes next, from the end of the prompt on; zeros within the prompt."""
        rows = tokens.reshape(-1, tokens.shape[-1])
        states = [rows[:, : self.prompt_length]]
        for place in range(self.prompt_length, rows.shape[1]):
            states.append(self.after(states[-1], rows[:, place]))
        logits = self.decide(jnp.concatenate(states)).reshape(len(states), len(rows), -1)
        within = jnp.zeros((len(rows), self.prompt_length - 1, logits.shape[-1]))
        said = jnp.concatenate([within, jnp.moveaxis(logits, 0, 1)], 1)
        return said.reshape(*tokens.shape, -1)

    def __call__(self, x: Int[Array, "2 t"]) -> Float[Array, " words"]:
        """Return the logits of the first word of an answer to a transcript, as `Completion` does."""
        return self.decide(x[None, 0, : self.prompt_length])[0]


def decided(
    model: Stepwise,
    prompts: Int[Array, "n prompt"],
    *,
    length: int,
    key: PRNGKeyArray,
    stop: tuple[int, ...] = (),
    sampler: Sampler | None = None,
) -> Sampled:
    """Return answers of `length` words, chosen step by step: what `sample` is for other models. None ends before."""
    sampler = sampler or Sampler()

    def step(prompt: Array, chance: Array) -> tuple[Array, tuple[Array, Array]]:
        logits = model.decide(prompt)
        word = sampler.choose(logits, chance)
        log_p = (jax.nn.log_softmax(logits) * jax.nn.one_hot(word, logits.shape[-1])).sum(-1)
        return model.after(prompt, word), (word, log_p)

    n = len(prompts)
    end, (words, logs) = jax.lax.scan(step, prompts, jax.random.uniform(key, (length, n)))
    blank = jnp.zeros_like(prompts)
    return Sampled(
        tokens=jnp.concatenate([prompts, words.T], 1),
        own=jnp.concatenate([blank > 0, words.T >= 0], 1),
        log_probability=jnp.concatenate([blank.astype(logs.dtype), logs.T], 1),
        finished=jnp.ones(n, bool),
        state=end,
    )
