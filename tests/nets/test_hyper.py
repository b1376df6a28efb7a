"""Hypernetworks: what is written becomes parameters, whatever the network; nothing else of it is learned."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.nets import MLP, ConvNet, Hypernetwork
from lifelong.recipe import Recipe

KEY, X = jax.random.key(0), jnp.linspace(-1.0, 1.0, 6)
PERCEPTRON = Recipe(MLP, inputs=6, outputs=3, width=5, depth=1)


class Normed(eqx.Module):
    """A network with a layer whose weights begin at one, and a count that is no parameter."""

    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear
    count: jax.Array

    def __init__(self, *, key):
        self.norm, self.head, self.count = eqx.nn.LayerNorm(6), eqx.nn.Linear(6, 3, key=key), jnp.int32(7)

    def __call__(self, x):
        return self.head(self.norm(x))


@pytest.fixture(scope="module")
def hyper():
    return eqx.filter_jit(Hypernetwork)(PERCEPTRON, tasks=3, chunks=4, key=KEY)


def test_what_is_written_is_scaled_into_parameters_tensor_by_tensor(hyper):
    """Matrices by √(2/fan_in); biases by 0.01, from where they began."""
    h = jnp.arange(hyper.size, dtype=jnp.float32)
    net, born = hyper.network(h), PERCEPTRON(key=jax.random.split(KEY, 3)[0])
    assert hyper.size == 6 * 5 + 5 + 5 * 3 + 3
    np.testing.assert_allclose(net.hidden[0].weight, np.sqrt(2 / 6) * np.arange(30).reshape(5, 6), rtol=1e-6)
    np.testing.assert_allclose(net.hidden[0].bias, born.hidden[0].bias + 0.01 * np.arange(30, 35), rtol=1e-6)
    np.testing.assert_allclose(net.head.weight, np.sqrt(2 / 5) * np.arange(35, 50).reshape(3, 5), rtol=1e-6)
    np.testing.assert_allclose(net.head.bias, born.head.bias + 0.01 * np.arange(50, 53), rtol=1e-6)
    assert net.activation is born.activation
    np.testing.assert_allclose(hyper.scale(), [np.sqrt(2 / 6)] * 30 + [0.01] * 5 + [np.sqrt(2 / 5)] * 15 + [0.01] * 3)


def test_it_answers_with_the_network_of_every_task(hyper):
    logits = hyper(X)
    assert logits.shape == (9,)
    for task in range(3):
        np.testing.assert_allclose(logits[3 * task : 3 * task + 3], hyper.of(task)(X), rtol=1e-5)
    assert len(np.unique(np.asarray(logits).round(5))) == 9


def test_at_birth_what_it_writes_has_mean_zero_and_variance_one():
    """And so the networks it writes look untrained: weights of variance 2/fan_in."""
    recipe = Recipe(Hypernetwork, network=PERCEPTRON, tasks=8)
    written = eqx.filter_vmap(lambda k: recipe(key=k).written())(jax.random.split(KEY, 40))
    assert abs(float(written.mean())) < 0.1
    assert 0.85 < float((written**2).mean()) < 1.15


@pytest.mark.parametrize("chunks", [1, 7, 53])
def test_any_number_of_chunks_writes_every_number_once(chunks):
    hyper = Hypernetwork(PERCEPTRON, tasks=2, chunks=chunks, key=KEY)
    assert len(hyper.chunks) == chunks
    assert hyper.written().shape == (2, 53)
    assert hyper.layers[-1].out_features == -(-53 // chunks)


@pytest.mark.parametrize(
    ("network", "x"),
    [(Recipe(ConvNet, shape=(8, 8), outputs=3, channels=(2,), width=4), jnp.ones((8, 8))), (Normed, X)],
    ids=["convolutions", "layer norm"],
)
def test_it_writes_any_equinox_module(network, x):
    hyper = Hypernetwork(network, tasks=2, key=KEY)
    born = network(key=KEY)
    assert hyper.size == sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(born, eqx.is_inexact_array)))
    one = hyper.of(1)
    shapes = [jax.tree.map(jnp.shape, eqx.filter(net, eqx.is_array)) for net in (one, born)]
    assert eqx.tree_equal(*shapes)
    assert hyper(x).shape == (6,) and np.isfinite(hyper(x)).all()
    if isinstance(one, Normed):
        np.testing.assert_allclose(one.norm.weight, 1.0, atol=0.05)
        assert one.count == 7


def test_only_weights_and_codes_of_the_task_are_learned(hyper):
    gradient = eqx.filter_grad(lambda net: (net.of(1)(X) ** 2).sum())(hyper)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(gradient.vectors))
    assert (gradient.codes[1] != 0).all() and (gradient.codes[jnp.array([0, 2])] == 0).all()
    assert (gradient.chunks != 0).any(1).all()


@pytest.mark.parametrize("odd", [{"tasks": 0}, {"tasks": 2, "chunks": 0}, {"tasks": 2, "depth": -1}])
def test_sizes_that_make_no_sense_are_refused(odd):
    with pytest.raises(BadInput, match="positive sizes"):
        Hypernetwork(PERCEPTRON, key=KEY, **odd)
