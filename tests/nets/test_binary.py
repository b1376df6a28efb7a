"""Networks of binary weights against all weights they could have, one by one."""

from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.nets import BinaryMLP, BinaryPerceptron, field_moments

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


def every_weight(fields):
    """Return all weights ±1 and their probabilities under q(w) ∝ exp(θ w)."""
    weights = np.array(list(product([-1.0, 1.0], repeat=len(fields))))
    odds = np.exp(weights @ fields)
    return weights, odds / odds.sum()


def test_mean_and_variance_of_a_preactivation_are_those_over_all_weights():
    fields, x = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=8)
    mean, variance = field_moments(jnp.asarray(fields), jnp.asarray(x))
    for unit, m, v in zip(fields, mean, variance, strict=True):
        weights, chance = every_weight(unit)
        exact = chance @ (weights @ x)
        np.testing.assert_allclose(m, exact, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(v, chance @ (weights @ x - exact) ** 2, rtol=1e-4)


def test_a_perceptron_answers_with_its_likeliest_weights_and_zero_counts_as_one():
    net = BinaryPerceptron(8, key=KEY)
    x = jnp.asarray(RANDOM.choice([-1.0, 1.0], 8), jnp.float32)
    weights, chance = every_weight(np.asarray(net.fields, float))
    likeliest = weights[chance.argmax()] @ np.asarray(x)
    np.testing.assert_allclose(net(x), np.array([-1, 1]) * likeliest / np.sqrt(8), rtol=1e-5)
    mean, variance = net.moments(x)
    np.testing.assert_allclose(mean, chance @ (weights @ np.asarray(x)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(variance, chance @ (weights @ np.asarray(x) - float(mean)) ** 2, rtol=1e-4)
    zero = eqx.tree_at(lambda net: net.fields, net, jnp.zeros(8))
    np.testing.assert_allclose(zero(jnp.ones(8))[1], np.sqrt(8), rtol=1e-6)


@eqx.filter_jit
def draws(net, x, keys):
    return jax.vmap(lambda key: net(x, key=key))(keys)


def test_drawn_logits_scatter_as_those_of_drawn_weights_do():
    net = BinaryMLP(inputs=40, outputs=2, width=3, depth=0, spread=0.7, key=KEY)
    x = jnp.asarray(RANDOM.normal(size=(8, 5)), jnp.float32)
    drawn = np.asarray(draws(net, x, jax.random.split(KEY, 20_000)))
    up = 1 / (1 + np.exp(-2 * np.asarray(net.fields[0], float)))
    weights = np.where(RANDOM.random((20_000, 2, 40)) < up, 1.0, -1.0)
    sampled = weights @ np.asarray(x).ravel() / np.sqrt(40)
    np.testing.assert_allclose(drawn.mean(0), sampled.mean(0), atol=0.05)
    np.testing.assert_allclose(drawn.std(0), sampled.std(0), rtol=0.04)


@pytest.mark.parametrize("weights", ["fields", "straight"])
def test_without_a_key_signs_answer(weights):
    net = BinaryMLP(inputs=6, outputs=3, width=5, depth=2, weights=weights, key=KEY)
    x = jnp.asarray(RANDOM.normal(size=6), jnp.float32)
    h = np.asarray(x, float)
    for i, fields in enumerate(net.fields):
        h = np.maximum(h, 0) if i else h
        h = np.where(np.asarray(fields) >= 0, 1.0, -1.0) @ h / np.sqrt(len(h))
    np.testing.assert_allclose(net(x), h, rtol=1e-5, atol=1e-6)


def test_gradients_go_straight_through_signs():
    net = BinaryMLP(inputs=6, outputs=1, depth=0, weights="straight", key=KEY)
    x = jnp.asarray(RANDOM.normal(size=6), jnp.float32)
    slope = eqx.filter_grad(lambda net: net(x)[0])(net)
    np.testing.assert_allclose(slope.fields[0][0], x / np.sqrt(6), rtol=1e-5)
    np.testing.assert_array_equal(draws(net, x, jax.random.split(KEY, 3))[0], net(x))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BinaryPerceptron(0, key=KEY), "at least one input"),
        (lambda: BinaryMLP(3, 0, key=KEY), "positive sizes"),
        (lambda: BinaryMLP(3, 2, weights="real", key=KEY), "'fields' or 'straight', not 'real'"),
    ],
)
def test_nets_that_cannot_be(build, message):
    with pytest.raises(BadInput, match=message):
        build()
