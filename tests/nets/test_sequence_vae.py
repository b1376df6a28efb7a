"""The autoencoder of sequences: its loss by hand, spelling beside its own expectations, and learning."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.nets import SequenceVAE, WideActorCritic, sequence_loss, trained_on_sequences

KEY = jax.random.key(0)
VAE = SequenceVAE(5, 4, latent=2, width=6, embedding=3, key=KEY)
WORDS = jnp.asarray([[0, 1, 2, 3], [3, 4, 4, 4], [2, 2, 4, 4]])
"""Words 0 … 3, and 4 for the end."""


def test_the_loss_is_that_of_the_words_up_to_the_first_end():
    for_latent, _ = jax.random.split(KEY)
    mean, log_variance = map(np.asarray, VAE.encode(WORDS))
    z = mean + np.exp(log_variance / 2) * np.asarray(jax.random.normal(for_latent, mean.shape))
    logs = np.asarray(jax.nn.log_softmax(VAE.logits(jnp.asarray(z), WORDS)))
    expected = []
    for i, counted in enumerate([4, 2, 3]):
        error = -np.mean([logs[i, t, WORDS[i, t]] for t in range(counted)])
        divergence = 0.5 * (mean[i] ** 2 + np.exp(log_variance[i]) - 1 - log_variance[i]).sum()
        expected.append(7 * error + 0.25 * divergence)
    found = eqx.filter_jit(sequence_loss)(VAE, WORDS, 0.25, drop=0.0, scale=7.0, key=KEY)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_an_expectation_depends_on_z_and_on_words_before_it_alone():
    z = jnp.asarray([[0.3, -1.0]])
    one, other = VAE.logits(z, WORDS[:1]), VAE.logits(z, WORDS[:1].at[0, 2].set(0))
    np.testing.assert_array_equal(one[0, :3], other[0, :3])
    assert not np.allclose(one[0, 3], other[0, 3])
    assert not np.allclose(one, VAE.logits(-z, WORDS[:1]))
    np.testing.assert_allclose(VAE.logits(z + 50, WORDS[:1]), VAE.logits(z + 90, WORDS[:1]), atol=1e-5)


def test_words_dropped_are_told_to_nobody():
    """Dropping all words leaves the loss of what z alone says."""
    blank = jnp.full_like(WORDS, VAE.end + 1)
    found = sequence_loss(VAE, WORDS, 0.0, drop=1.0, key=KEY)
    mean, log_variance = VAE.encode(WORDS)
    z = mean + jnp.exp(log_variance / 2) * jax.random.normal(jax.random.split(KEY)[0], mean.shape)
    logs = np.asarray(jax.nn.log_softmax(VAE.logits(z, blank)))
    np.testing.assert_allclose(found[0], -79 * logs[0, np.arange(4), WORDS[0]].mean(), rtol=1e-4)


@pytest.fixture(scope="module")
def trained():
    """An autoencoder of three sequences, after some hundred steps."""
    return trained_on_sequences(VAE, lambda *, key: WORDS, 400, 0.02, key=KEY)


def test_what_is_spelled_is_expected_at_every_place(trained):
    z = 2 * jax.random.normal(KEY, (50, 2))
    for vae in (VAE, trained[0]):
        spelled = jax.jit(jax.vmap(vae.spell))(z)
        np.testing.assert_array_equal(spelled, vae.logits(z, spelled).argmax(-1))


def test_training_brings_sequences_back_from_their_vectors(trained):
    vae, losses = trained
    assert losses[-20:].mean() < 0.3 * losses[:20].mean()
    np.testing.assert_array_equal(jax.vmap(vae.spell)(vae.encode(WORDS)[0]), WORDS)
    assert (jax.vmap(VAE.spell)(VAE.encode(WORDS)[0]) != WORDS).any(1).all(), "untrained, none comes back"


def test_the_spread_of_a_wide_actor_has_a_floor_that_nobody_learns():
    model = WideActorCritic(3, 2, width=4, floor=0.3, key=KEY)
    narrow = eqx.tree_at(lambda m: m.log_spread, model, jnp.asarray([-50.0, 0.0]))
    np.testing.assert_allclose(jnp.exp(narrow(jnp.ones(3), None)[0].log_spread), [0.3, 1.3], rtol=1e-5)
    slope = eqx.filter_grad(lambda m: m(jnp.ones(3), None)[0].log_spread.sum())(model)
    assert slope.floor == 0 and (slope.log_spread > 0).all()


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(BadInput, match="length=0"):
        SequenceVAE(5, 0, key=KEY)
