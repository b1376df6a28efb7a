"""Variational autoencoders against factor analysis, whose likelihood and posterior are known, and against SciPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy import integrate, stats

from lifelong.errors import BadInput
from lifelong.nets import VAE, divergence_from_prior, log_evidence, negative_elbo

KEY, RANDOM = jax.random.key(0), np.random.default_rng(0)
ROWS, FEATURES, LATENT = 6, 4, 2


def layered(layer, weight, bias):
    return eqx.tree_at(lambda line: (line.weight, line.bias), layer, (jnp.float32(weight), jnp.float32(bias)))


def factor_analysis():
    """Return a linear Gaussian autoencoder whose encoder is the true posterior, and x's true distribution.

    The loadings are orthogonal, so that the posterior's covariance is diagonal, as that of an encoder must be.
    """
    loadings = np.linalg.qr(RANDOM.standard_normal((FEATURES, LATENT)))[0] * [1.5, 0.7]
    offset = RANDOM.standard_normal(FEATURES)
    covariance = np.linalg.inv(loadings.T @ loadings + np.eye(LATENT))
    to_mean = covariance @ loadings.T
    vae = VAE((FEATURES,), LATENT, depth=0, likelihood="gaussian", key=KEY)
    encoder = np.concatenate([to_mean, np.zeros_like(to_mean)])
    constants = np.concatenate([-to_mean @ offset, np.log(np.diag(covariance))])
    vae = eqx.tree_at(lambda v: v.encoder[0], vae, layered(vae.encoder[0], encoder, constants))
    vae = eqx.tree_at(lambda v: v.decoder[0], vae, layered(vae.decoder[0], loadings, offset))
    return vae, stats.multivariate_normal(offset, loadings @ loadings.T + np.eye(FEATURES))


FACTORS, TRUTH = factor_analysis()
X = jnp.asarray(TRUTH.rvs(ROWS, random_state=1), jnp.float32)
CONSTANT = FEATURES / 2 * np.log(2 * np.pi)
bounds = jax.jit(jax.vmap(lambda vae, x, k: negative_elbo(vae, x, key=k), in_axes=(None, None, 0)))


def test_the_divergence_from_the_prior_is_the_integral_it_stands_for():
    mean, log_variance = RANDOM.standard_normal((2, 3))
    expected = 0.0
    for m, v in zip(mean, log_variance, strict=True):
        q, p = stats.norm(m, np.exp(v / 2)), stats.norm()
        expected += integrate.quad(lambda z, q=q, p=p: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -20, 20)[0]
    np.testing.assert_allclose(divergence_from_prior(jnp.float32(mean), jnp.float32(log_variance)), expected, rtol=1e-5)
    assert divergence_from_prior(jnp.zeros(3), jnp.zeros(3)) == 0.0


def test_with_the_true_posterior_the_bound_is_the_likelihood():
    draws = np.asarray(bounds(FACTORS, X, jax.random.split(KEY, 4000)))
    error = draws.std(0) / np.sqrt(len(draws))
    assert (abs(draws.mean(0) + TRUTH.logpdf(X) + CONSTANT) < 5 * error + 1e-3).all()


def test_with_the_true_posterior_importance_sampling_is_exact_with_any_draw():
    for samples in (1, 7):
        noise = jax.random.normal(jax.random.key(samples), (samples, LATENT))
        np.testing.assert_allclose(log_evidence(FACTORS, X, noise) - CONSTANT, TRUTH.logpdf(X), rtol=1e-4, atol=1e-4)


def test_with_another_encoder_the_bound_is_worse_and_importance_sampling_still_finds_the_likelihood():
    off = eqx.tree_at(
        lambda v: v.encoder[0].bias, FACTORS, FACTORS.encoder[0].bias + jnp.asarray([0.4, -0.3, 0.3, 0.2])
    )
    draws = np.asarray(bounds(off, X, jax.random.split(KEY, 2000)))
    truth = TRUTH.logpdf(X) + CONSTANT
    assert (draws.mean(0) > -truth + 0.02).all()
    found = log_evidence(off, X, jax.random.normal(jax.random.key(5), (20_000, LATENT)))
    np.testing.assert_allclose(found, truth, atol=0.03)


def test_a_bernoulli_density_is_that_of_scipy_and_its_means_are_probabilities():
    vae = VAE((2, 3), latent=LATENT, width=5, key=KEY)
    x, z = jnp.float32(RANDOM.integers(0, 2, (2, 3))), jnp.asarray([0.5, -1.0])
    np.testing.assert_allclose(vae.log_density(x, z), stats.bernoulli(vae.decode(z)).logpmf(x).sum(), rtol=1e-4)
    gaussian = stats.norm(vae.decode(z)).logpdf(x) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(vae.log_density(x, z, "gaussian"), gaussian.sum(), rtol=1e-4)
    made = np.asarray(vae.sample(50, key=KEY))
    assert made.shape == (50, 2, 3) and (made > 0).all() and (made < 1).all() and made.std(0).min() > 0


def test_layers_are_those_asked_for():
    vae = VAE((8, 8), latent=7, width=20, depth=3, key=KEY)
    assert [layer.weight.shape for layer in vae.encoder] == [(20, 64), (20, 20), (20, 20), (14, 20)]
    assert [layer.weight.shape for layer in vae.decoder] == [(20, 7), (20, 20), (20, 20), (64, 20)]
    assert vae.latent == 7 and vae.encode(jnp.zeros((8, 8)))[1].shape == (7,)


@pytest.fixture
def unchecked():
    """Let wrong types through to the library's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("wrong", [{"latent": 0}, {"width": 0}, {"depth": -1}, {"likelihood": "poisson"}])
def test_networks_that_cannot_be_are_refused(wrong, unchecked):
    with pytest.raises(BadInput):
        VAE((3,), **wrong, key=KEY)
