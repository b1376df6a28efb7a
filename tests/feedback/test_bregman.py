"""Bregman divergences against their definition, their closed forms, and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import rel_entr

from lifelong.feedback import (
    bregman,
    half_square,
    kullback_leibler,
    negative_entropy,
    quadratic,
    squared_distance,
)

RANDOM = np.random.default_rng(0)
A, B = jnp.asarray(RANDOM.standard_normal((2, 3, 4)), jnp.float32)
P, Q = jnp.asarray(RANDOM.dirichlet(np.ones(5), (2, 6)), jnp.float32)
F = jnp.asarray(RANDOM.random((3, 4)), jnp.float32)
TREE_A, TREE_B = {"w": A, "b": A[0]}, {"w": B, "b": B[0]}


def test_the_square_has_half_the_squared_distance():
    np.testing.assert_allclose(bregman(half_square)(A, B), 0.5 * ((A - B) ** 2).sum(), rtol=1e-5)
    np.testing.assert_allclose(squared_distance(A, B), ((A - B) ** 2).sum(), rtol=1e-5)


def test_negative_entropy_has_the_kullback_leibler_divergence():
    np.testing.assert_allclose(bregman(negative_entropy)(P[0], Q[0]), rel_entr(P[0], Q[0]).sum(), rtol=1e-4)


def test_the_quadratic_has_the_penalty_of_ewc():
    expected = 0.5 * (F * (A - B) ** 2).sum()
    np.testing.assert_allclose(bregman(quadratic(F))(A, B), expected, rtol=1e-5)
    np.testing.assert_allclose(squared_distance(A, B, F), 2 * expected, rtol=1e-5)


@pytest.mark.parametrize("of", [lambda _: half_square, quadratic], ids=["square", "quadratic"])
def test_trees_are_summed_over_their_leaves(of):
    whole = bregman(of({"w": F, "b": F[0]}))(TREE_A, TREE_B)
    np.testing.assert_allclose(whole, bregman(of(F))(A, B) + bregman(of(F[0]))(A[0], B[0]), rtol=1e-5)


@pytest.mark.parametrize("generator", [half_square, negative_entropy, quadratic(P[1])])
def test_a_divergence_is_zero_where_both_agree_and_positive_elsewhere(generator):
    divergence = bregman(generator)
    np.testing.assert_allclose(divergence(P[0], P[0]), 0.0, atol=1e-6)
    assert all(divergence(p, q) > 1e-3 for p, q in zip(P, Q, strict=True))


def test_a_linear_generator_has_no_divergence():
    """Adding a linear function changes no Bregman divergence."""
    tilted = bregman(lambda v: half_square(v) + (3.0 * v).sum())
    np.testing.assert_allclose(tilted(A, B), bregman(half_square)(A, B), rtol=1e-4)


def test_kullback_leibler_of_logits_is_that_of_their_softmax_row_by_row():
    logits = jnp.asarray(3 * RANDOM.standard_normal((6, 5)), jnp.float32)
    expected = rel_entr(P, np.asarray(jax.nn.softmax(logits))).sum(1)
    np.testing.assert_allclose(kullback_leibler(P, logits), expected, rtol=1e-4, atol=1e-6)


def test_kullback_leibler_is_finite_for_certain_targets_and_far_logits():
    certain = jnp.eye(3)
    far = jnp.asarray([[0.0, 500.0, 0.0]] * 3)
    value, slope = jax.value_and_grad(lambda logits: kullback_leibler(certain, logits).sum())(far)
    np.testing.assert_allclose(value, 1000.0)
    assert np.isfinite(slope).all()
