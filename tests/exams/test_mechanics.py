"""The mechanics of training against closed forms, SciPy, dense Hessians and NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

from lifelong.errors import BadInput
from lifelong.exams.mechanics import (
    Widths,
    conserved,
    descend,
    fit_power_law,
    half_time,
    linearised,
    mode_strength,
    neural_collapse,
    scaled_by_leaf,
    sharpness,
)
from lifelong.exams.mechanics._descent import dense, outputs
from lifelong.nets import alignment


def loss(weights, x, y):
    return 0.5 * jnp.mean((outputs(weights, x, jnp.tanh)[:, 0] - y) ** 2)


@pytest.fixture(scope="module")
def job():
    keys = jax.random.split(jax.random.key(0), 3)
    return dense((3, 4, 1), key=keys[0]), jax.random.normal(keys[1], (20, 3)), jax.random.normal(keys[2], (20,))


def test_sharpness_is_the_largest_eigenvalue_of_the_dense_hessian(job):
    weights, x, y = job
    flat, restore = ravel_pytree(weights)
    dense_values = np.linalg.eigvalsh(jax.hessian(lambda w: loss(restore(w), x, y))(flat))
    found, v = sharpness(loss, weights, jnp.ones_like(flat), x, y, iterations=300)
    np.testing.assert_allclose(found, dense_values[np.abs(dense_values).argmax()], rtol=1e-3)
    np.testing.assert_allclose(jnp.linalg.norm(v), 1.0, rtol=1e-5)


def test_modes_solve_their_differential_equation():
    s, start, times = 1.5, 1e-3, np.linspace(0, 6, 20)
    solved = solve_ivp(lambda _, a: 2 * a * (s - a), (0, 6), [start], t_eval=times, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mode_strength(times, s, start), solved.y[0], rtol=1e-4)
    np.testing.assert_allclose(mode_strength(half_time(s, start), s, start), s / 2, rtol=1e-5)


def test_balance_is_conserved_up_to_the_step():
    """Halving the step at equal time halves the drift, for weights that start anywhere."""
    first, second, target = np.random.default_rng(0).normal(size=(3, 3, 3)) * 0.5
    drifts = []
    for rate, steps in ((0.02, 50), (0.01, 100)):
        a, b = first, second
        for _ in range(steps):
            wrong = target - b @ a
            a, b = a + rate * b.T @ wrong, b + rate * wrong @ a.T
        drifts.append(np.abs(conserved(a, b) - conserved(first, second)).max())
    np.testing.assert_allclose(drifts[0] / drifts[1], 2.0, rtol=0.1)


def test_the_linearised_network_is_tangent(job):
    weights, x, _ = job
    f = lambda w: outputs(w, x, jnp.tanh)  # noqa: E731
    tangent = linearised(f, weights)
    np.testing.assert_allclose(tangent(weights), f(weights), rtol=1e-6)
    gaps = []
    for size in (0.1, 0.05):
        near = [w + size for w in weights]
        gaps.append(float(jnp.abs(tangent(near) - f(near)).max()))
    assert gaps[0] / gaps[1] > 3  # second order: 4


def test_power_laws_are_found_and_extrapolated():
    n = np.array([16, 32, 64, 128, 256, 512])
    law = fit_power_law(n[:4], 3 * n[:4] ** -0.7)
    np.testing.assert_allclose(law(n[4:]), 3 * n[4:] ** -0.7, rtol=1e-10)
    for bad in ([1.0, 0.0], [1.0, -1.0]):
        with pytest.raises(BadInput, match="positive"):
            fit_power_law(n[:2], np.array(bad))
    with pytest.raises(BadInput, match="two sizes"):
        fit_power_law(n[:1], np.ones(1))


def test_maximal_update_at_the_base_width_is_the_standard_one(job):
    assert Widths.maximal_update(1.0) == Widths.standard()
    weights, x, y = job
    rates = Widths.maximal_update(1.0).rates(weights)
    ends = [descend(loss, weights, o, 5, x, y)[0] for o in (optax.adam(0.1), scaled_by_leaf(optax.adam(0.1), rates))]
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_leaf_has_a_rate_of_its_own():
    optimizer, weights = scaled_by_leaf(optax.sgd(1.0), [1.0, 0.25]), [jnp.ones(2), jnp.ones(3)]
    updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
    np.testing.assert_allclose(updates[0], -1.0)
    np.testing.assert_allclose(updates[1], -0.25)


def test_collapse_is_that_of_numpy_and_of_a_simplex():
    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    features = random.normal(size=(60, 5)) + 3 * np.eye(5)[y]
    found = neural_collapse(jnp.asarray(features), jnp.asarray(y), 3)
    means = np.stack([features[y == k].mean(0) for k in range(3)])
    centred = means - means.mean(0)
    lengths = np.linalg.norm(centred, axis=1)
    within = sum(((features[y == k] - means[k]) ** 2).sum() for k in range(3)) / 60
    np.testing.assert_allclose(found.within, within / (lengths**2).mean(), rtol=1e-4)
    np.testing.assert_allclose(found.norms, lengths.std() / lengths.mean(), rtol=1e-3)
    cosines = [centred[i] @ centred[j] / lengths[i] / lengths[j] for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(found.cosines, cosines, rtol=1e-3)
    exact = neural_collapse(jnp.eye(4)[jnp.arange(8) % 4], jnp.arange(8) % 4, 4)
    np.testing.assert_allclose(exact.cosines, -1 / 3, rtol=1e-5)
    np.testing.assert_allclose([exact.within, exact.norms], 0.0, atol=1e-6)


def test_cka_is_that_of_centred_kernels():
    a, b = (np.random.default_rng(i).normal(size=(30, n)) for i, n in ((0, 4), (1, 6)))
    h = np.eye(30) - 1 / 30
    k, m = h @ a @ a.T @ h, h @ b @ b.T @ h
    expected = (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())
    np.testing.assert_allclose(alignment(jnp.asarray(a), jnp.asarray(b)), expected, rtol=1e-4)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    np.testing.assert_allclose(alignment(jnp.asarray(a), jnp.asarray(3 * a @ rotation)), 1.0, rtol=1e-5)
