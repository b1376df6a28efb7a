"""Networks normalised over the batch, against NumPy, and networks of views."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.nets import NormedConvNet, NormedMLP, ViewNetwork
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


IMAGES = np.random.default_rng(1).normal(size=(5, 7, 6, 2)).astype(np.float32)


def convolution_by_hand(x, weight):
    """Return what a 3×3 convolution with a stride of 2 and zeros around gives, pixel by pixel."""
    n, height, width, _ = x.shape
    made = np.zeros((n, -(-height // 2), -(-width // 2), len(weight)))
    for i, j, m in np.ndindex(made.shape[1:]):
        for di, dj in np.ndindex(3, 3):
            row, column = 2 * i + di - 1, 2 * j + dj - 1
            if 0 <= row < height and 0 <= column < width:
                made[:, i, j, m] += x[:, row, column] @ weight[m, :, di, dj]
    return made


def network_by_hand(net, x):
    h = x.astype(np.float64)
    for layer, scale, shift in zip(net.convolutions, net.scales, net.shifts, strict=True):
        h = convolution_by_hand(h, np.asarray(layer.weight, np.float64))
        mean, variance = h.mean((0, 1, 2)), h.var((0, 1, 2))
        h = np.maximum(np.asarray(scale) * (h - mean) / np.sqrt(variance + net.epsilon) + np.asarray(shift), 0)
    return h.mean((1, 2)) @ np.asarray(net.head.weight).T + np.asarray(net.head.bias)


def convolutional(**options):
    net = NormedConvNet((7, 6, 2), 3, (4, 3), key=jax.random.key(0), **options)
    scales, shifts = (jnp.asarray([0.5, 2.0, 1.5, 1.0]), jnp.ones(3)), (jnp.zeros(4), jnp.asarray([0.3, -0.2, 0.1]))
    return eqx.tree_at(lambda n: [*n.scales, *n.shifts], net, [*scales, *shifts])


@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_maps_are_normalised_over_images_and_pixels(epsilon):
    net = convolutional(epsilon=epsilon)
    np.testing.assert_allclose(eqx.filter_jit(net)(IMAGES), network_by_hand(net, IMAGES), atol=1e-4)


def test_who_else_is_in_the_batch_matters_to_it():
    net = convolutional()
    assert np.abs(network_by_hand(net, IMAGES[:2]) - network_by_hand(net, IMAGES)[:2]).max() > 0.05
    np.testing.assert_allclose(eqx.filter_jit(net)(IMAGES[:2]), network_by_hand(net, IMAGES[:2]), atol=1e-4)


def test_a_perceptron_has_the_epsilon_it_is_given():
    flat = NormedMLP(4, 3, (6, 5), epsilon=1e9, key=jax.random.key(0))
    np.testing.assert_allclose(flat(X), jnp.broadcast_to(flat.layers[-1].bias, (9, 3)), atol=1e-3)


def test_images_without_a_shape_are_refused(unchecked):
    for shape, channels in (((7,), (4,)), ((7, 6), ()), ((7, 6), (0,))):
        with pytest.raises(BadInput, match="needs images given as"):
            NormedConvNet(shape, 3, channels, key=jax.random.key(0))
