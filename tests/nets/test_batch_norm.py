"""Perceptrons normalised over the batch, against NumPy, and networks of views."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.nets import NormedMLP, ViewNetwork
from lifelong.recipe import Recipe

X = jnp.asarray(np.random.default_rng(0).normal(size=(9, 4)) + 2, jnp.float32)
NET = NormedMLP(4, 3, (6, 5), key=jax.random.key(0))


def by_hand(x, moments=None):
    h = np.asarray(x, np.float64)
    for i in range(2):
        h = h @ np.asarray(NET.layers[i].weight, np.float64).T
        mean, variance = (h.mean(0), h.var(0)) if moments is None else np.asarray(moments[i])
        h = np.maximum((h - mean) / np.sqrt(variance + 1e-5), 0)
    return h @ np.asarray(NET.layers[2].weight).T + np.asarray(NET.layers[2].bias)


def test_hidden_layers_are_normalised_over_the_batch():
    np.testing.assert_allclose(NET(X), by_hand(X), atol=1e-4)
    assert [layer.bias is None for layer in NET.layers] == [True, True, False]


def test_with_moments_kept_nobody_else_in_the_batch_matters():
    moments = NET.moments(X)
    np.testing.assert_allclose(NET(X, moments), NET(X), atol=1e-5)
    np.testing.assert_allclose(NET(X[:2], moments), NET(X)[:2], atol=1e-5)
    np.testing.assert_allclose(NET(X[:2] + 1, moments), by_hand(X[:2] + 1, moments), atol=1e-4)
    assert np.abs(NET(X[:2]) - NET(X)[:2]).max() > 0.1


def test_without_hidden_layers_it_is_linear():
    line = NormedMLP(4, 3, (), key=jax.random.key(0))
    np.testing.assert_allclose(line(X), X @ line.layers[0].weight.T + line.layers[0].bias, atol=1e-5)
    assert line.moments(X) == []


def test_sizes_and_layouts_that_do_not_exist_are_refused(unchecked):
    with pytest.raises(BadInput, match="positive sizes"):
        NormedMLP(4, 0, key=jax.random.key(0))
    with pytest.raises(BadInput, match="'cascaded', 'parallel' or 'shared'"):
        ViewNetwork(Recipe(NormedMLP, inputs=4, outputs=32), layout="stacked", key=jax.random.key(0))  # pyright: ignore[reportArgumentType]
