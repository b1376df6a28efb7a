"""Losses of uncertain weights: tails against SciPy, and gradients against those written by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_ndtr
from scipy.stats import norm

from lifelong.feedback import CrossEntropy, FieldEnergy, SampledCrossEntropy, log_mills, log_tail
from lifelong.nets import BinaryMLP, BinaryPerceptron
from lifelong.worlds import Batch

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
FAR = np.array([-30.0, -8.0, -1.0, 0.0, 0.5, 3.0, 8.0, 30.0, 100.0])


def test_tails_and_mills_ratio_are_right_however_far_out():
    np.testing.assert_allclose(log_tail(jnp.asarray(FAR)), log_ndtr(-FAR), rtol=2e-5, atol=1e-30)
    np.testing.assert_allclose(log_mills(jnp.asarray(FAR)), norm.logpdf(FAR) - log_ndtr(-FAR), rtol=2e-4, atol=2e-3)
    slope = jax.vmap(jax.grad(log_tail))(jnp.asarray(FAR))
    np.testing.assert_allclose(slope, -np.exp(norm.logpdf(FAR) - log_ndtr(-FAR)), rtol=1e-3, atol=1e-30)
    np.testing.assert_allclose(-np.exp(np.asarray(log_mills(jnp.asarray(FAR[2:7])))), slope[2:7], rtol=1e-3)


def examples(n=12, inputs=9):
    x = jnp.asarray(RANDOM.choice([-1.0, 1.0], (n, inputs)), jnp.float32)
    y = jnp.asarray(RANDOM.integers(0, 2, n), jnp.int32)
    return Batch(x, y, jnp.zeros(n, jnp.int32), jnp.asarray(np.arange(n) < n - 3, jnp.float32))


def test_the_energy_and_its_gradient_are_those_written_by_hand():
    """∂E/∂θ_i = Σ_μ (φ(u)/H(u)) ∂u/∂θ_i with u = −y m·x/√S and ∂u/∂θ_i = −y σ_i (x_i S + m_i m·x) / S^1.5."""
    net, batch = BinaryPerceptron(9, key=KEY), examples()
    value, slope = eqx.filter_value_and_grad(lambda net: FieldEnergy()(net, batch, key=KEY)[0])(net)
    m = np.tanh(np.asarray(net.fields, float))
    sigma, x, y = 1 - m**2, np.asarray(batch.x, float)[:9], 2.0 * np.asarray(batch.y)[:9] - 1
    s, h = sigma.sum(), x @ m
    u = -y * h / np.sqrt(s)
    np.testing.assert_allclose(value, -log_ndtr(-u).sum(), rtol=1e-5)
    by_hand = np.exp(norm.logpdf(u) - log_ndtr(-u)) @ (-y[:, None] * sigma * (x * s + m * h[:, None]) / s**1.5)
    np.testing.assert_allclose(slope.fields, by_hand, rtol=1e-4, atol=1e-5)
    info = FieldEnergy()(net, batch, key=KEY)[1]
    np.testing.assert_allclose(info["loss"], value / 9, rtol=1e-5)
    np.testing.assert_allclose(info["accuracy"], (u < 0).mean(), rtol=1e-6)


def test_every_example_has_a_draw_of_its_own_and_certain_weights_need_none():
    batch = examples()
    net = BinaryMLP(inputs=9, outputs=2, width=6, key=KEY)
    losses = [float(SampledCrossEntropy()(net, batch, key=jax.random.key(k))[0]) for k in range(3)]
    assert len(set(losses)) == 3
    certain = eqx.tree_at(lambda net: net.fields, net, [40.0 * jnp.sign(f) for f in net.fields])
    drawn, plain = SampledCrossEntropy()(certain, batch, key=KEY)[0], CrossEntropy()(certain, batch, key=KEY)[0]
    np.testing.assert_allclose(drawn, plain, rtol=1e-3)
    same = Batch(jnp.broadcast_to(batch.x[:1], batch.x.shape), batch.y * 0, batch.task, batch.weight)
    keys = jax.random.split(KEY, len(same))
    logits = jax.vmap(lambda x, key: net(x, key=key))(same.x, keys)
    assert len(set(np.asarray(logits)[:, 0].tolist())) == len(same)
