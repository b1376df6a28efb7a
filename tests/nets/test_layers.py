"""Networks whose layers can be taken apart: local losses reach one layer each, and errors come back through fixed wires."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import Mismatch
from lifelong.feedback import CounterCurrent, CrossEntropy
from lifelong.nets import ConvNet, DualNetwork, FeedbackAligned, Stack, alignment
from lifelong.recipe import Recipe
from lifelong.worlds import Batch

KEY = jax.random.key(0)
STACK = Recipe(Stack, inputs=6, outputs=3, width=5, depth=2)
BATCH = Batch(jax.random.normal(KEY, (4, 6)), jnp.array([0, 1, 2, 0]), jnp.zeros(4, jnp.int32), jnp.ones(4))


def test_every_loss_reaches_one_layer_of_either_network_and_no_other():
    """Level l trains W_l (none at l = 0, the input) and V_l; the top trains the last layer alone: all else is exactly 0."""

    @eqx.filter_jit
    def slopes(model):
        def loss(model, level):
            top, local, _ = CounterCurrent().losses(model, BATCH)
            return [*local, top][level]

        return [eqx.filter_grad(loss)(model, level) for level in range(4)]

    for level, slope in enumerate(slopes(DualNetwork(STACK, key=KEY))):
        forward = [bool((layer.weight != 0).any()) for layer in slope.forward.layers]
        feedback = [bool((layer.weight != 0).any()) for layer in slope.feedback[::-1]]
        assert forward == [level == i + 1 for i in range(3)]
        assert feedback == [level == i for i in range(3)]


def test_errors_come_back_through_the_fixed_weights():
    """With the transposed weights in their place feedback alignment is backpropagation, and they never learn."""
    model = FeedbackAligned(STACK, key=KEY)
    loss = eqx.filter_jit(eqx.filter_grad(lambda model: CrossEntropy()(model, BATCH, key=KEY)[0]))
    other, exact = loss(model), loss(model.forward)
    same = loss(eqx.tree_at(lambda m: m.back, model, model.forward.layers))
    np.testing.assert_allclose(same.forward.layers[0].weight, exact.layers[0].weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(other.forward.layers[-1].weight, exact.layers[-1].weight, rtol=1e-4, atol=1e-6)
    assert not np.allclose(other.forward.layers[0].weight, exact.layers[0].weight, rtol=1e-2)
    assert all((layer.weight == 0).all() for layer in other.back)


def test_alignment_is_one_up_to_rotation_and_scale():
    a = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
    assert alignment(jnp.asarray(a), jnp.asarray(3 * a @ rotation, jnp.float32)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", [DualNetwork, FeedbackAligned])
def test_a_network_that_cannot_be_split_is_refused_when_built(kind):
    with pytest.raises(Mismatch, match="needs a chain of linear layers, and ConvNet cannot be split"):
        kind(Recipe(ConvNet, shape=(8, 8), outputs=3, channels=(2,), width=4), key=KEY)
