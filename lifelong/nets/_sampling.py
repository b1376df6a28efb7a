"""Letting a language model write: compiled, with a cache, alone or in turns with an environment."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.recipe import Number, number

from ._transformer import BLANK, LanguageModel

Surroundings = Callable[[PyTree, Int[Array, ""]], tuple[PyTree, Int[Array, ""]]]
"""`environment(state, token) -> (state, forced)`: told of every token that one answer gets, it says which token comes next, or
−1 where the model is to choose."""

FEW = 512
"""In vocabularies of at most so many tokens, probabilities are summed up by a product with ones and zeros."""


class Sampler(eqx.Module):
    """How the next token is chosen: softmax(logits / temperature) over the likeliest `top_k`, and of these over the fewest
    whose probabilities sum to at least `top_p` (Holtzman et al. 2020). Tokens that are equally likely stay or go together.

    All numbers can be swept; None leaves a rule out, and spares sorting. A temperature of 0 takes the likeliest token.
    """

    temperature: Number = number(1.0)
    top_k: Int[Array, ""] | int | None = eqx.field(
        converter=lambda k: None if k is None else jnp.asarray(k, jnp.int32), default=None
    )
    top_p: Number | None = eqx.field(
        converter=lambda p: None if p is None else jnp.asarray(p, jnp.float32), default=None
    )

    def probabilities(self, logits: Float[Array, "*n vocabulary"]) -> Float[Array, "*n vocabulary"]:
        """Return with which probability each token is chosen where the temperature is above 0."""
        logits = logits / jnp.maximum(self.temperature, 1e-6)
        if self.top_k is None and self.top_p is None:
            return jax.nn.softmax(logits)
        ordered = jnp.flip(jnp.sort(logits), -1)
        kept = jnp.arange(logits.shape[-1]) < (logits.shape[-1] if self.top_k is None else self.top_k)
        ordered = jnp.where(kept, ordered, -jnp.inf)
        if self.top_p is not None:
            likely = jax.nn.softmax(ordered)
            ordered = jnp.where(jnp.cumsum(likely, -1) - likely < self.top_p, ordered, -jnp.inf)
        last = jnp.where(jnp.isfinite(ordered), ordered, jnp.inf).min(-1, keepdims=True)
        return jax.nn.softmax(jnp.where(logits >= last, logits, -jnp.inf))

    def choose(self, logits: Float[Array, "*n vocabulary"], chance: Float[Array, "*n"]) -> Int[Array, "*n"]:
        """Return the token that `chance`, uniform in 0 … 1, falls on: the first whose cumulative probability is above it."""
        upto = _cumulative(self.probabilities(logits))
        drawn = (upto <= chance[..., None] * upto[..., -1:]).sum(-1)
        return jnp.where(self.temperature > 0, drawn, logits.argmax(-1)).astype(jnp.int32)


def _cumulative(p: Array) -> Array:
    count = p.shape[-1]
    return p @ jnp.tri(count, dtype=p.dtype).T if count <= FEW else jnp.cumsum(p, -1)


class Sampled(eqx.Module):
    """Prompts and the answers that a language model wrote to them, in rows of one length.

    Blanks come before the prompt and after the end of the answer.

    Args:
        tokens: prompt, then answer.
        own: the tokens that the model chose itself, the one that ended its answer included.
        log_probability: log p of own tokens as the model has it, whatever the sampler made of that; 0 elsewhere.
        finished: whether the answer came to its end.
        state: the environment's, after the last token.
    """

    tokens: Int[Array, "n length"]
    own: Bool[Array, "n length"]
    log_probability: Float[Array, "n length"]
    finished: Bool[Array, " n"]
    state: PyTree = None


class _Writing(eqx.Module):
    """Where writing stands: what comes next is in `logits`, unless the environment has said it."""

    cache: PyTree
    logits: Float[Array, "n vocabulary"]
    finished: Bool[Array, " n"]
    forced: Int[Array, " n"]
    state: PyTree


@eqx.filter_jit
def sample(
    model: LanguageModel,
    prompts: Int[Array, "n t"],
    *,
    length: int,
    key: PRNGKeyArray,
    stop: tuple[int, ...] | Int[Array, " k"] = (),
    sampler: Sampler | None = None,
    environment: Surroundings | None = None,
    state: PyTree = None,
    finished: Bool[Array, " n"] | None = None,
) -> Sampled:
    """Return answers of at most `length` tokens to prompts of any length up to t, whose blanks may lie on either side.

    One compiled scan; memory is that of the cache, 2·layers·kv_heads·head_width numbers for each of n·(t + length) slots.
    What a row gets depends on its prompt, the key and its place alone, not on other rows.

    Args:
        model: the language model.
        prompts: their tokens; every prompt has one at least.
        length: the most tokens of an answer.
        key: draws one number for every token.
        stop: tokens that end an answer, whoever writes them.
        sampler: how tokens are chosen; with their probabilities unless stated.
        environment: what may write in the model's place: told of every token, it may say the next.
        state: its states, one for each row, before the first token of an answer.
        finished: rows to which nothing is written.

    Raises BadInput where there is nothing to write or nothing to begin with.
    """
    n, before = prompts.shape
    if min(n, before, length) < 1:
        raise BadInput(f"writing needs a prompt, a token in it, and one to write: {n}×{before} tokens, length={length}")
    prompts = blanks_first(prompts)
    cache, features = model.continued(model.blank_cache(n, before + length), prompts)
    finished = jnp.zeros(n, bool) if finished is None else finished
    start = _Writing(cache, model.logits(features[:, -1]), finished, jnp.full(n, BLANK), state)
    each = jax.vmap(lambda row: jax.random.uniform(jax.random.fold_in(key, row), (length,)))(jnp.arange(n))
    step = _step(model, sampler or Sampler(), jnp.asarray(stop, jnp.int32), environment)
    end, (tokens, own, logs) = jax.lax.scan(step, start, each.T)
    blank = jnp.zeros_like(prompts)
    return Sampled(
        tokens=jnp.concatenate([prompts, tokens.T], 1),
        own=jnp.concatenate([blank > 0, own.T], 1),
        log_probability=jnp.concatenate([blank.astype(logs.dtype), logs.T], 1),
        finished=end.finished,
        state=end.state,
    )


def blanks_first(tokens: Int[Array, "n t"]) -> Int[Array, "n t"]:
    """Return rows with all their blanks moved to the front."""
    return jnp.take_along_axis(tokens, jnp.argsort(tokens >= 0, axis=1, stable=True), 1)


def _step(model: LanguageModel, sampler: Sampler, stop: Array, environment: Surroundings | None) -> Callable:
    """Return the writing of one token in every row, as a step of a scan."""

    def step(now: _Writing, chance: Array) -> tuple[_Writing, tuple[Array, Array, Array]]:
        own = (now.forced < 0) & ~now.finished
        token = jnp.where(own, sampler.choose(now.logits, chance), now.forced)
        token = jnp.where(now.finished, BLANK, token)
        picked = (now.logits * jax.nn.one_hot(token, model.vocabulary)).sum(-1)
        logs = jnp.where(own, picked - jax.nn.logsumexp(now.logits, axis=-1), 0.0)
        finished = now.finished | (token[:, None] == stop).any(-1)
        state, forced = _answered(environment, now, token)
        cache, features = model.continued(now.cache, token[:, None])
        return _Writing(cache, model.logits(features[:, 0]), finished, forced, state), (token, own, logs)

    return step


def _answered(environment: Surroundings | None, now: _Writing, token: Array) -> tuple[PyTree, Array]:
    """Return the environment's states, and what it writes next; where an answer has ended, it is not told of anything."""
    if environment is None:
        return now.state, now.forced

    def row(state: PyTree, token: Array, over: Array) -> tuple[PyTree, Array]:
        after, forced = environment(state, token)
        return jax.tree.map(lambda old, new: jnp.where(over, old, new), state, after), jnp.asarray(forced, jnp.int32)

    return jax.vmap(row)(now.state, token, now.finished)
