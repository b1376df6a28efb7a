"""Losses on labels: against scikit-learn, with classes that may not be named, and with padding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss
from sklearn.metrics.pairwise import cosine_distances

from lifelong.feedback import (
    AngleCrossEntropy,
    CrossEntropy,
    PresentCrossEntropy,
    cosines,
    permitted,
    weighted_mean,
)
from lifelong.nets import MLP
from lifelong.worlds import Batch

N, OUTPUTS = 30, 4
KEY = jax.random.key(0)
MODEL = MLP(inputs=3, outputs=OUTPUTS, width=6, depth=1, head_bias=False, key=KEY)
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((N, 3)).astype(np.float32)
Y = RANDOM.integers(0, OUTPUTS, N).astype(np.int32)
WEIGHT = RANDOM.random(N).astype(np.float32)


def batch(y=Y, weight=None, allowed=None):
    weight = np.ones(N, np.float32) if weight is None else weight
    return Batch(*map(jnp.asarray, (X, y, np.zeros(N, np.int32), weight)), allowed)


@eqx.filter_jit
def judged(feedback, examples, model=MODEL):
    return feedback(model, examples, key=KEY)


def probabilities(among=None):
    logits = np.asarray(jax.vmap(MODEL)(X), np.float64)
    scores = np.exp(logits) * (1.0 if among is None else among)
    return scores / scores.sum(1, keepdims=True)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
def test_cross_entropy_and_accuracy_are_those_of_scikit_learn(weight):
    loss, info = judged(CrossEntropy(), batch(weight=weight))
    expected = log_loss(Y, probabilities(), labels=range(OUTPUTS), sample_weight=weight)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(info["loss"], expected, rtol=1e-5)
    right = accuracy_score(Y, probabilities().argmax(1), sample_weight=weight)
    np.testing.assert_allclose(info["accuracy"], right, rtol=1e-5)


def test_only_allowed_classes_share_the_probability():
    among = RANDOM.random((N, OUTPUTS)) < 0.6
    among[np.arange(N), Y] = True
    loss, info = judged(CrossEntropy(), batch(allowed=jnp.asarray(among)))
    np.testing.assert_allclose(loss, log_loss(Y, probabilities(among), labels=range(OUTPUTS)), rtol=1e-5)
    np.testing.assert_allclose(info["accuracy"], accuracy_score(Y, probabilities(among).argmax(1)), rtol=1e-5)


def test_the_gradient_does_not_reach_classes_that_may_not_be_named():
    allowed = jnp.asarray([True, True, False, False])
    examples = batch(y=Y % 2, allowed=jnp.broadcast_to(allowed, (N, OUTPUTS)))
    slope = eqx.filter_grad(lambda model: CrossEntropy()(model, examples, key=KEY)[0])(MODEL).head.weight
    assert (np.abs(slope[:2]).max(1) > 1e-3).all()
    np.testing.assert_array_equal(slope[2:], 0.0)


def test_examples_of_weight_zero_change_nothing():
    weight = (np.arange(N) < 20).astype(np.float32)
    padded, fewer = batch(weight=weight), jax.tree.map(lambda leaf: leaf[:20], batch())
    for feedback in (CrossEntropy(), AngleCrossEntropy()):
        np.testing.assert_allclose(judged(feedback, padded)[0], judged(feedback, fewer)[0], rtol=1e-5)
    loss, info = judged(CrossEntropy(), batch(weight=np.zeros(N, np.float32)))
    assert float(loss) == float(info["accuracy"]) == 0.0


def test_a_mean_of_no_weight_is_zero_and_so_is_its_gradient():
    value, slope = jax.value_and_grad(weighted_mean)(jnp.ones(3), jnp.zeros(3))
    assert float(value) == 0.0
    np.testing.assert_array_equal(slope, 0.0)
    np.testing.assert_allclose(weighted_mean(jnp.asarray([1.0, 4.0]), jnp.asarray([3.0, 1.0])), 1.75)


def test_without_a_rule_every_class_is_permitted():
    logits = jnp.ones((N, OUTPUTS))
    assert permitted(logits, batch()) is logits


def test_cosines_are_those_of_the_angles_and_forget_lengths():
    features, weights = jnp.asarray(X[:5]), jnp.asarray(RANDOM.standard_normal((OUTPUTS, 3)), jnp.float32)
    expected = 1 - cosine_distances(features, weights)
    np.testing.assert_allclose(cosines(features, weights), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cosines(7 * features, 0.1 * weights), expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(jax.grad(lambda w: cosines(features, w).sum())(jnp.zeros((OUTPUTS, 3)))).all()


def test_the_angle_loss_is_cross_entropy_of_scaled_cosines():
    features = jax.vmap(MODEL.features)(X)
    scores = np.exp(5.0 * np.asarray(cosines(features, MODEL.head.weight), np.float64))
    expected = log_loss(Y, scores / scores.sum(1, keepdims=True), labels=range(OUTPUTS))
    np.testing.assert_allclose(judged(AngleCrossEntropy(scale=5.0), batch())[0], expected, rtol=1e-5)
    longer = eqx.tree_at(lambda m: m.head.weight, MODEL, 9 * MODEL.head.weight)
    np.testing.assert_allclose(judged(AngleCrossEntropy(scale=5.0), batch(), longer)[0], expected, rtol=1e-5)


def test_asymmetric_cross_entropy_leaves_absent_classes_alone():
    """Its gradient on the logits of classes not in the batch is 0, unlike that of plain cross-entropy; padding is absent."""
    y = np.where(Y == 3, 1, Y)
    weight = np.where(y == 2, 0.0, WEIGHT).astype(np.float32)
    examples = batch(y=y, weight=weight)

    def slope(feedback):
        return eqx.filter_grad(lambda model: feedback(model, examples, key=KEY)[0])(MODEL).head.weight

    present, plain = slope(PresentCrossEntropy()), slope(CrossEntropy())
    assert (np.abs(present).max(1) > 1e-6).tolist() == [True, True, False, False]
    assert (np.abs(present[2:]) == 0).all() and (np.abs(plain).max(1) > 1e-6).all()
    loss, info = judged(PresentCrossEntropy(), examples)
    among = np.asarray([1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(
        loss, log_loss(y, probabilities(among), labels=range(OUTPUTS), sample_weight=weight), rtol=1e-5
    )
    right = accuracy_score(y, probabilities().argmax(1), sample_weight=weight)
    np.testing.assert_allclose(info["accuracy"], right, rtol=1e-5)


def test_where_every_class_is_present_it_is_plain_cross_entropy():
    np.testing.assert_allclose(judged(PresentCrossEntropy(), batch())[0], judged(CrossEntropy(), batch())[0], rtol=1e-6)
