"""A circle of three words, and a table that may learn what comes next on it."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lifelong import nets
from lifelong.worlds import Lexicon, Problems, Verdicts

WORDS = Lexicon(("BOS", "EOS", "n0", "n1", "n2"))
FIRST = WORDS["n0"]


class Circle(Problems):
    """`BOS n1` is answered by `n2 EOS`: the next on a circle of three."""

    luck: Float[Array, ""] = eqx.field(default=0.0, converter=jnp.asarray)
    """Whether rewards have nothing to do with answers (1) or something (0)."""
    tasks: int = eqx.field(static=True, default=1)
    outputs: int = eqx.field(static=True, default=len(WORDS))
    prompt_length: int = eqx.field(static=True, default=2)
    answer_length: int = eqx.field(static=True, default=2)
    lexicon: Lexicon = eqx.field(static=True, default=WORDS)

    def pose(self, task, n, *, key, held_out=False):
        number = jnp.arange(n) % 3 if held_out else jax.random.randint(key, (n,), 0, 3)
        return jnp.stack([jnp.full(n, WORDS["BOS"]), FIRST + number], 1).astype(jnp.int32)

    def demonstrate(self, prompts, *, key):
        step = FIRST + (prompts[:, 1:] - FIRST + 1) % 3
        return jnp.pad(step, ((0, 0), (0, 1)), constant_values=WORDS["EOS"]).astype(jnp.int32)

    def judge(self, prompts, answers):
        wanted = self.demonstrate(prompts, key=jax.random.key(0))
        right = (answers == wanted).all(1)
        lottery = jnp.sin(1e3 * jnp.arange(len(right))) > 0
        told = jnp.where(self.luck > 0.5, lottery, (answers == wanted).mean(1))
        return Verdicts(told.astype(jnp.float32), right)


class Table(eqx.Module):
    """Logits of the next word from the last two, and a value for each."""

    logits: Float[Array, "words words words"]
    worth: Float[Array, "words words"]
    critic: bool = eqx.field(static=True)

    def __init__(self, *, key, critic=False):
        self.logits = 0.01 * jax.random.normal(key, (len(WORDS),) * 3)
        self.worth, self.critic = jnp.zeros((len(WORDS),) * 2), critic

    @property
    def width(self):
        return len(WORDS) ** 2

    def features(self, tokens):
        """Return which two words were last."""
        return jax.nn.one_hot(len(WORDS) * _before(tokens) + jnp.maximum(tokens, 0), self.width)

    def read(self, tokens):
        before, last = _before(tokens), jnp.maximum(tokens, 0)
        logits = self.logits[before, last]
        return (logits, self.worth[before, last]) if self.critic else logits


def _before(tokens):
    return jnp.pad(jnp.maximum(tokens, 0)[..., :-1], [(0, 0)] * (tokens.ndim - 1) + [(1, 0)])


class Written(NamedTuple):
    tokens: Array
    own: Array
    log_probability: Array


def write(model, prompts, *, length, key, stop, sampler=None, finished=None):
    """Sample word by word, without a cache; a temperature of 0 leaves nothing to chance, one of 1 all."""
    tokens, sampler = nets.blanks_first(prompts), sampler or nets.Sampler()
    over = jnp.zeros(len(prompts), bool) if finished is None else finished
    own, logs = [jnp.zeros_like(prompts, bool)], [jnp.zeros(prompts.shape)]
    for each in jax.random.split(key, length):
        said = model.read(tokens)
        log_p = jax.nn.log_softmax((said[0] if isinstance(said, tuple) else said)[:, -1])
        word = jnp.argmax(log_p + sampler.temperature * jax.random.gumbel(each, log_p.shape), -1)
        own.append(~over[:, None])
        logs.append(jnp.where(over, 0.0, jnp.take_along_axis(log_p, word[:, None], 1)[:, 0])[:, None])
        tokens = jnp.concatenate([tokens, jnp.where(over, -1, word)[:, None].astype(jnp.int32)], 1)
        over = over | (word[:, None] == jnp.asarray(stop)).any(1)
    return Written(tokens, jnp.concatenate(own, 1), jnp.concatenate(logs, 1))
