"""The mean-field theory: its integrals against SciPy, its limits, and lives that it predicts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import quad
from scipy.special import log_ndtr
from scipy.stats import norm

from lifelong.errors import BadInput
from lifelong.exams import BinaryPerceptronTheory, GeneralizationError
from lifelong.exams._mean_field import Order, fixed_point, interval_rule, normal_rule
from lifelong.feedback import FieldEnergy
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.nets import BinaryPerceptron
from lifelong.recipe import Recipe
from lifelong.teachers import Only
from lifelong.worlds import TeacherStudent

THEORY = BinaryPerceptronTheory()
ORDER = Order(jnp.float32(0.5), jnp.float32(0.4), jnp.float32(0.7))


@pytest.mark.parametrize("crowded", [False, True])
def test_expectations_over_a_normal_number(crowded):
    z, w = normal_rule(141, crowded)
    np.testing.assert_allclose([w.sum(), w @ z, w @ z**2, w @ z**4], [1, 0, 1, 3], atol=1e-4)
    np.testing.assert_allclose(w @ norm.cdf(2 * z + 1), norm.cdf(1 / np.sqrt(5)), atol=1e-5)
    if crowded:
        np.testing.assert_allclose(w @ norm.cdf(z / 0.02) ** 2, 0.5, atol=0.01)
    m, v = interval_rule(61)
    np.testing.assert_allclose([v.sum(), v @ m**2, v @ np.exp(m)], [2, 2 / 3, np.e - 1 / np.e], rtol=1e-5)


def test_the_energy_is_its_double_integral():
    q, r, own = 0.5, 0.4, 0.7

    def inner(z):
        value = quad(lambda x: norm.pdf(x) * np.exp(20 * log_ndtr(-g(x, z))), -8, 8, points=[0], limit=200)[0]
        return np.log(value)

    def g(x, z):
        return (np.sqrt(own - q) * x + np.sqrt(q) * z) / np.sqrt(1 - own)

    outer = quad(lambda z: norm.pdf(z) * norm.sf(z * r / np.sqrt(q - r**2)) * inner(z), -6, 6, limit=200)[0]
    np.testing.assert_allclose(THEORY.energy(ORDER), 2 * outer, rtol=2e-4)


def test_order_parameters_are_slopes_of_the_entropy():
    """q = −2 ∂S/∂q̂, r = ∂S/∂r̂, q* = ∂S/∂q̂* with S = ∫Dz ln ∫dm exp(…), by autodiff."""
    (z, w), (m, v) = THEORY.normal, THEORY.means

    def entropy(hat):
        exponent = (hat.own - hat.student / 2) * m**2 + (jnp.sqrt(hat.student) * z[:, None] + hat.teacher) * m
        return w @ jax.nn.logsumexp(exponent + jnp.log(v), axis=1)

    hat = Order(jnp.float32(1.3), jnp.float32(0.9), jnp.float32(0.4))
    slope, p = jax.grad(entropy)(hat), THEORY.weights(hat, z, 1.0)
    found = [w @ (p @ m) ** 2, w @ (p @ m), w @ (p @ m**2)]
    np.testing.assert_allclose(found, [-2 * slope.student, slope.teacher, slope.own], rtol=2e-3)


def test_a_fixed_point_is_found_or_its_distance_told():
    x, difference = fixed_point(jnp.cos, jnp.float32(0.2))
    np.testing.assert_allclose(x, 0.739085, atol=1e-4)
    assert difference <= 1e-9
    assert fixed_point(lambda x: x + 1, jnp.float32(0.0), most=10)[1] > 0.1


def test_nothing_is_learned_from_hardly_anything_and_everything_from_plenty():
    errors = [float(THEORY.first(load).errors[0]) for load in (0.01, 0.5, 1.0, 1.5, 2.0)]
    assert errors[0] > 0.47 and errors[-1] < 0.01 and (np.diff(errors) < 0).all()


def test_without_a_prior_the_second_task_is_learned_as_if_it_were_the_first():
    """And the first is then known as far as its teacher is like the second: cos πε₁ = ρ cos πε₂."""
    for correlation in (0.0, 0.5):
        old, new = THEORY.second(2.0, 1.0, correlation, strength=0.0).errors
        np.testing.assert_allclose(new, THEORY.first(1.0).errors[0], atol=2e-3)
        np.testing.assert_allclose(np.cos(np.pi * old), correlation * np.cos(np.pi * new), atol=5e-3)


def test_a_prior_trades_the_second_task_for_the_first_and_an_endless_one_keeps_it_all():
    errors = np.array([THEORY.second(1.0, 1.0, 0.0, strength).errors for strength in (0.1, 1.0, 100.0)])
    assert (np.diff(errors[:, 0]) < 0).all() and (np.diff(errors[:, 1]) > 0).all()
    np.testing.assert_allclose(errors[-1], [THEORY.first(1.0).errors[0], 0.5], atol=0.02)


def test_lives_end_where_the_theory_says():
    learner = GradientLearner(
        Recipe(BinaryPerceptron, inputs=400),
        FieldEnergy(),
        Recipe(optax.adamw, learning_rate=0.02, weight_decay=1e-3),
        batch=400,
        active="all",
    )
    world, options = TeacherStudent(400, 1, room=1.0), {"seeds": 6, "progress": silent}
    life = live(learner, world, Only(), GeneralizationError(), steps=300, sweep={"world.load": [0.5, 1.0]}, **options)
    found = life.exams["error"][:, :, -1, 0].mean(1)
    np.testing.assert_allclose(found, [THEORY.first(load).errors[0] for load in (0.5, 1.0)], atol=0.03)


def test_what_cannot_be_predicted():
    with pytest.raises(BadInput, match="a positive number, and load=0"):
        THEORY.first(0.0)
    with pytest.raises(BadInput, match="between −1 and 1 and the strength"):
        THEORY.second(1.0, 1.0, 2.0)
