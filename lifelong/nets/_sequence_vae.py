"""A recurrent variational autoencoder of sequences of words."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.keys import key_for

from ._lookup import lookup
from ._lstm import LSTM, _step
from ._vae import divergence_from_prior


class SequenceVAE(eqx.Module):
    """q(z|words) from an LSTM in both directions, p(words|z) from one that is told z at every step.

    z is squashed to b·tanh(z) before it is decoded. The last word of the vocabulary is the end, which fills a sequence up.
    After Bowman et al. 2016, "Generating Sentences from a Continuous Space"; z squashed with b = 4 and told at
    every step as in the code of Azad et al. 2022, "CLUTR".

    Args:
        vocabulary: how many words there are, with the end.
        length: words in a sequence.
        latent: how many numbers z has.
        width: of each LSTM's state.
        embedding: numbers of a word.
        squash: b.
        key: draws the weights.

    Raises BadInput for sizes below 1.
    """

    words: Float[Array, "vocabulary_and_start embedding"]
    forwards: LSTM
    backwards: LSTM
    posterior: eqx.nn.Linear
    decoder: LSTM
    output: eqx.nn.Linear
    length: int = eqx.field(static=True)
    squash: float = eqx.field(static=True)

    def __init__(
        self,
        vocabulary: int,
        length: int,
        latent: int = 8,
        width: int = 48,
        embedding: int = 16,
        squash: float = 4.0,
        *,
        key: PRNGKeyArray,
    ):
        if min(vocabulary, length, latent, width, embedding) < 1 or squash <= 0:
            raise BadInput(
                "an autoencoder of sequences needs positive sizes: "
                f"{vocabulary=}, {length=}, {latent=}, {width=}, {embedding=}, {squash=}"
            )
        keys = jax.random.split(key, 6)
        self.words = 0.1 * jax.random.normal(keys[0], (vocabulary + 1, embedding))
        self.forwards, self.backwards = (LSTM(embedding, width, key=key) for key in keys[1:3])
        self.posterior = eqx.nn.Linear(2 * width, 2 * latent, key=keys[3])
        self.decoder = LSTM(embedding + latent, width, key=keys[4])
        self.output = eqx.nn.Linear(width, vocabulary, key=keys[5])
        self.length, self.squash = length, squash

    @property
    def latent(self) -> int:
        """How many numbers z has."""
        return self.posterior.out_features // 2  # pyright: ignore[reportOperatorIssue]

    @property
    def end(self) -> int:
        """The word for the end; the one after it stands before the first, and for words left out."""
        return len(self.words) - 2

    def encode(self, words: Int[Array, "n length"]) -> tuple[Float[Array, "n latent"], Float[Array, "n latent"]]:
        """Return the mean of q(z|words) and the logarithm of its variance for each sequence."""
        x = lookup(self.words, words.T)
        last = jnp.concatenate([self.forwards(x)[0][-1], self.backwards(x[::-1])[0][-1]], -1)
        mean, log_variance = jnp.split(jax.vmap(self.posterior)(last), 2, axis=-1)
        return mean, log_variance

    def logits(self, z: Float[Array, "n latent"], words: Int[Array, "n length"]) -> Float[Array, "n length words"]:
        """Return what is expected at every place, given z and the words before it."""
        before = jnp.concatenate([jnp.full_like(words[:, :1], self.end + 1), words[:, :-1]], 1).T
        told = jnp.broadcast_to(self._squashed(z), (self.length, *z.shape))
        states, _ = self.decoder(jnp.concatenate([lookup(self.words, before), told], -1))
        return jax.vmap(jax.vmap(self.output))(jnp.swapaxes(states, 0, 1))

    def spell(self, z: Float[Array, " latent"]) -> Int[Array, " length"]:
        """Return the words that z stands for: at every place the likeliest after those before it."""
        told, width = self._squashed(z)[None], len(self.decoder.recurrent)

        def write(carry: tuple, _: None) -> tuple[tuple, Array]:
            state, word = carry
            x = jnp.concatenate([self.words[word], told], -1)
            state = _step(state, x @ self.decoder.inputs + self.decoder.bias, self.decoder.recurrent)[0]
            word = jnp.argmax(jax.vmap(self.output)(state[0]), -1).astype(jnp.int32)
            return (state, word), word[0]

        none = jnp.zeros((1, width))
        return jax.lax.scan(write, ((none, none), jnp.full(1, self.end + 1, jnp.int32)), None, self.length)[1]

    def _squashed(self, z: Array) -> Array:
        return self.squash * jnp.tanh(z)


def sequence_loss(
    vae: SequenceVAE,
    words: Int[Array, "n length"],
    weight: Float[Array, ""] | float = 1.0,
    drop: float = 0.3,
    scale: float = 79.0,
    *,
    key: PRNGKeyArray,
) -> Float[Array, " n"]:
    """Return scale · mean_t −log p(word_t | z, words before) + weight · KL(q(z|words) ‖ N(0, 1)) of each sequence.

    The mean is over the words up to and with the first end; z is drawn from q, and each word told to the decoder is left out
    with a probability of `drop` (Bowman et al. 2016). Scale and `drop` are those of Azad et al. 2022 ("CLUTR", their code).
    """
    for_latent, for_drop = jax.random.split(key)
    mean, log_variance = vae.encode(words)
    z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(for_latent, mean.shape)
    told = jnp.where(jax.random.bernoulli(for_drop, drop, words.shape), vae.end + 1, words)
    error = optax.softmax_cross_entropy_with_integer_labels(vae.logits(z, told), words)
    counted = jnp.cumsum(words == vae.end, 1) - (words == vae.end) == 0
    return scale * (error * counted).sum(1) / counted.sum(1) + weight * divergence_from_prior(mean, log_variance)


@eqx.filter_jit
def trained_on_sequences(
    vae: SequenceVAE,
    draw: Callable[..., Int[Array, "n length"]],
    steps: int,
    learning_rate: float = 1e-3,
    *,
    key: PRNGKeyArray,
) -> tuple[SequenceVAE, Float[Array, " steps"]]:
    """Return an autoencoder after so many steps of Adam, each on sequences that `draw(key=…)` makes anew, and its losses.

    The divergence counts w(i) = ½·(tanh((i − steps/3) / (steps/10)) + 1) in step i; in the code of Azad et al. 2022 ("CLUTR")
    it is ½·(tanh((i − 3500) / 1000) + 1), of a million steps.
    """
    optimizer = optax.adam(learning_rate)
    arrays, static = eqx.partition(vae, eqx.is_array)

    def descend(carry: tuple, i: Array) -> tuple[tuple, Array]:
        arrays, state = carry
        weight = 0.5 * (jnp.tanh((i - steps / 3) / (steps / 10)) + 1)
        words, loss_key = draw(key=key_for(key, "draw", i)), key_for(key, "loss", i)
        loss, gradient = jax.value_and_grad(partial(_mean_loss, static, words, weight, key=loss_key))(arrays)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(arrays, updates), state), loss

    (arrays, _), losses = jax.lax.scan(descend, (arrays, optimizer.init(arrays)), jnp.arange(steps))
    return eqx.combine(arrays, static), losses


def _mean_loss(static: SequenceVAE, words: Array, weight: Array, arrays: SequenceVAE, *, key: PRNGKeyArray) -> Array:
    return sequence_loss(eqx.combine(arrays, static), words, weight, key=key).mean()
