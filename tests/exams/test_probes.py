"""Probes of layers against scikit-learn, and the order of convergence against schemes whose order is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from lifelong.errors import BadInput
from lifelong.exams import fit_probe, refinement


def test_a_probe_is_ridge_regression_on_standardised_features():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(50, 4)) * [1, 10, 0.1, 1] + 3, random.normal(size=(50, 2))
    z = StandardScaler().fit_transform(x)
    expected = Ridge(alpha=0.1 * 50).fit(z, y).predict(z)
    found = fit_probe(jnp.asarray(x), jnp.asarray(y), ridge=0.1)
    np.testing.assert_allclose(found(jnp.asarray(x)), expected, atol=1e-3)


def test_examples_of_weight_0_and_features_that_do_not_vary_are_left_out():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 3)), random.normal(size=(30, 1))
    weight = jnp.asarray(np.arange(30) < 20, jnp.float32)
    x[:, 2] = 5.0
    found = fit_probe(jnp.asarray(x), jnp.asarray(y), weight)
    expected = fit_probe(jnp.asarray(x[:20, :2]), jnp.asarray(y[:20]))
    np.testing.assert_allclose(found(jnp.asarray(x)), expected(jnp.asarray(x[:, :2])), atol=1e-4)


def euler(steps: int, order: int) -> np.ndarray:
    """Return exp(−t) at 10 times, by a scheme of first or second order."""
    h = 1 / steps
    factor = 1 - h + (h**2 / 2 if order == 2 else 0)
    return factor ** (np.arange(1, 11) * steps // 10)


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_of_a_known_scheme_is_found(order):
    found = refinement(np.stack([euler(n, order) for n in (20, 40, 80, 160)]))
    np.testing.assert_allclose(found.order, order, atol=0.1)
    assert (np.diff(found.distances) < 0).all()


def test_noise_that_ignores_the_step_has_no_order():
    found = refinement(np.random.default_rng(0).normal(size=(50, 4, 100)))
    assert abs(found.order.mean()) < 0.1
    assert refinement(np.ones((4, 5))).order == np.inf
    with pytest.raises(BadInput, match="at least three"):
        refinement(np.ones((2, 5)))
