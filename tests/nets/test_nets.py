"""Networks: forward passes by hand, the spread of their first weights, and sizes that cannot be."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d
from scipy.stats import kstest

from lifelong.errors import BadInput
from lifelong.nets import MLP, ConvNet, Projected
from lifelong.recipe import Recipe

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("depth", "head_bias"), [(0, True), (1, False), (3, True)])
def test_an_mlp_is_affine_maps_with_rectifiers_between(depth, head_bias):
    net = MLP(inputs=6, outputs=3, width=5, depth=depth, head_bias=head_bias, key=KEY)
    x = RANDOM.standard_normal((2, 3)).astype(np.float32)
    h = x.ravel()
    assert len(net.hidden) == depth
    for layer in net.hidden:
        h = np.maximum(np.asarray(layer.weight) @ h + layer.bias, 0)
    np.testing.assert_allclose(net.features(jnp.asarray(x)), h, rtol=1e-5, atol=1e-6)
    assert (net.head.bias is None) is not head_bias
    logits = np.asarray(net.head.weight) @ h + (net.head.bias if head_bias else 0)
    np.testing.assert_allclose(net(jnp.asarray(x)), logits, rtol=1e-5, atol=1e-6)


def test_another_activation_takes_the_place_of_the_rectifier():
    net = MLP(inputs=2, outputs=1, width=4, depth=1, activation=jnp.tanh, key=KEY)
    x = jnp.asarray([0.3, -2.0])
    np.testing.assert_allclose(net.features(x), np.tanh(net.hidden[0].weight @ x + net.hidden[0].bias), rtol=1e-5)


def test_first_weights_and_biases_are_uniform_within_one_over_root_fan_in():
    net = MLP(inputs=25, outputs=40, width=100, depth=2, key=KEY)
    for layer, fan_in in zip([*net.hidden, net.head], (25, 100, 100), strict=True):
        scaled = np.concatenate([np.ravel(layer.weight), layer.bias]) * np.sqrt(fan_in)
        assert kstest(scaled, "uniform", args=(-1, 2)).pvalue > 1e-3
        assert len(np.unique(scaled)) > 0.99 * len(scaled)


@pytest.mark.parametrize(
    "build", [lambda k: MLP(inputs=4, outputs=2, width=3, key=k), lambda k: ConvNet((8, 8), 2, key=k)]
)
def test_keys_decide_the_first_weights(build):
    one, again, other = (jax.tree.leaves(eqx.filter(build(jax.random.key(k)), eqx.is_array)) for k in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def convolved(planes, weight, bias):
    """Return 3×3 correlations with zeros around the image, one output plane after the other."""
    return np.stack([sum(correlate2d(p, w, "same") for p, w in zip(planes, ws, strict=True)) for ws in weight]) + bias


def halved(planes):
    """Return the maximum of each 2×2 block, an odd border cut off."""
    even = planes[:, : planes.shape[1] // 2 * 2, : planes.shape[2] // 2 * 2]
    return np.max([even[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)


@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (8, 10, 3)])
def test_a_convolutional_net_is_convolutions_maxima_and_two_dense_layers(shape):
    net = ConvNet(shape, outputs=3, channels=(4, 5), width=6, key=KEY)
    x = RANDOM.standard_normal(shape).astype(np.float32)
    planes = x[None] if x.ndim == 2 else np.moveaxis(x, -1, 0)
    for convolution in net.convolutions:
        planes = halved(np.maximum(convolved(planes, np.asarray(convolution.weight), np.asarray(convolution.bias)), 0))
    features = np.maximum(np.asarray(net.dense.weight) @ planes.ravel() + net.dense.bias, 0)
    np.testing.assert_allclose(net.features(jnp.asarray(x)), features, rtol=1e-4, atol=1e-5)
    logits = np.asarray(net.head.weight) @ features + net.head.bias
    np.testing.assert_allclose(net(jnp.asarray(x)), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", [{"inputs": 0}, {"outputs": 0}, {"width": 0}, {"depth": -1}])
def test_an_mlp_of_no_size_is_refused(sizes):
    with pytest.raises(BadInput, match=r"{}={}".format(*next(iter(sizes.items())))):
        MLP(**{"inputs": 4, "outputs": 2, **sizes}, key=KEY)


@pytest.mark.parametrize("shape", [(3, 8), (8,), (8, 8, 3, 1)])
def test_images_too_small_or_not_images_are_refused(shape):
    with pytest.raises(BadInput, match="at least 4 pixels a side"):
        ConvNet(shape, 2, key=KEY)


def test_a_projected_net_answers_as_its_net_and_projects_onto_the_sphere():
    net = Projected(Recipe(MLP, inputs=6, outputs=3, width=5, depth=2), width=4, key=KEY)
    x = jnp.asarray(RANDOM.standard_normal(6), jnp.float32)
    np.testing.assert_array_equal(net(x), net.net(x))
    np.testing.assert_array_equal(net.features(x), net.activations(x)[-1])
    raw = np.asarray(net.projection.weight) @ np.asarray(net.features(x)) + net.projection.bias
    np.testing.assert_allclose(net.project(x), raw / np.linalg.norm(raw), rtol=1e-5)
    assert net.head is net.net.head
    with pytest.raises(BadInput, match="width=0"):
        Projected(Recipe(MLP, inputs=6, outputs=3), width=0, key=KEY)
