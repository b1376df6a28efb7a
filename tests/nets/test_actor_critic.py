"""Orthogonal weights, against LAPACK's decomposition in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.nets._actor_critic import _orthogonal


@pytest.mark.parametrize("shape", [(16, 40), (16, 16), (3, 16), (16, 3), (1, 5)])
def test_orthogonal_matrices_are_those_of_the_decomposition_with_a_positive_diagonal(shape):
    normal = jax.random.normal(jax.random.key(0), shape)
    tall = np.asarray(normal, np.float64).T if shape[0] < shape[1] else np.asarray(normal, np.float64)
    q, r = np.linalg.qr(tall)
    expected = q * np.sign(np.diag(r))
    found = np.asarray(jax.jit(_orthogonal)(normal))
    np.testing.assert_allclose(found.T if shape[0] < shape[1] else found, expected, atol=2e-6)


def test_no_lapack_is_called():
    """Two of its decompositions at once, in lives abreast, wait for each other's threads for ever."""
    program = jax.jit(jax.vmap(_orthogonal)).lower(jnp.zeros((2, 4, 4))).as_text()
    assert "custom_call" not in program
