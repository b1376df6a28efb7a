"""The posterior as a prior: the divergence over all weights there are, its pull, and when it is taken."""

from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.exams import GeneralizationError
from lifelong.feedback import FieldEnergy
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import Nothing, PosteriorAnchor, Step, field_divergence
from lifelong.nets import BinaryPerceptron
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import TeacherStudent

KEY = jax.random.key(0)
FIELDS, PRIOR = (np.random.default_rng(s).normal(size=6) for s in (0, 1))


def distribution(fields):
    weights = np.array(list(product([-1.0, 1.0], repeat=len(fields))))
    odds = np.exp(weights @ fields)
    return odds / odds.sum()


def test_the_divergence_is_that_over_all_weights():
    q, p = distribution(FIELDS), distribution(PRIOR)
    exact = (q * np.log(q / p)).sum()
    np.testing.assert_allclose(field_divergence(jnp.asarray(FIELDS), jnp.asarray(PRIOR)), exact, rtol=1e-4)
    np.testing.assert_allclose(field_divergence(jnp.asarray(PRIOR), jnp.asarray(PRIOR)), 0, atol=1e-5)
    assert np.isfinite(field_divergence(jnp.full(3, 300.0), jnp.full(3, -300.0)))


def net(fields):
    return eqx.tree_at(lambda net: net.fields, BinaryPerceptron(6, key=KEY), jnp.asarray(fields, jnp.float32))


def pull(memory, m, fields):
    penalty = lambda net: memory.penalty(m, net, None, None, None)  # noqa: E731
    return np.asarray(eqx.filter_grad(penalty)(net(fields)).fields)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", ["own", "mean"])
def test_the_pull_is_modulated_by_uncertainty_or_by_its_mean(kind):
    memory = PosteriorAnchor(0.7, pull=kind)
    m = memory.init(net(FIELDS), None, key=KEY)
    np.testing.assert_array_equal(pull(memory, m, FIELDS), np.zeros(6))
    _, m = memory.consolidate(m, net(PRIOR), None, None, key=KEY)
    variance = 1 - np.tanh(FIELDS) ** 2
    variance = variance if kind == "own" else variance.mean()
    np.testing.assert_allclose(pull(memory, m, FIELDS), 0.7 * variance * (FIELDS - PRIOR), rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_the_reference_is_the_last_task_or_the_step_before():
    task, step = PosteriorAnchor(), PosteriorAnchor(reference="step")
    assert task.consolidates and not step.consolidates
    born = task.init(net(FIELDS), None, key=KEY)
    after = Step(None, None, net(PRIOR), net(FIELDS), None)
    assert task.keep(born, after, key=KEY) is born
    np.testing.assert_allclose(step.keep(born, after, key=KEY).fields.fields, PRIOR, rtol=1e-6)
    assert step.consolidate(born, net(PRIOR), None, None, key=KEY)[1] is born


def lived(memory, **options):
    learner = GradientLearner(
        Recipe(BinaryPerceptron, inputs=40),
        FieldEnergy(),
        Recipe(optax.adam, learning_rate=0.02),
        memory,
        batch=80,
        active="all",
    )
    world = TeacherStudent(40, 2, load=(2.0, 1.0))
    exam = {"seeds": 4, "progress": silent} | options
    return live(learner, world, OneByOne(2, 150), GeneralizationError(), steps=300, **exam)


def test_without_strength_it_is_fine_tuning_and_with_it_the_first_task_stays():
    plain = lived(Nothing()).exams["error"]
    held = lived(PosteriorAnchor(), sweep={"memory.strength": [0.0, 1.0]}).exams["error"]
    np.testing.assert_array_equal(held[0], plain)
    assert (held[1, :, -1, 0] < held[0, :, -1, 0] - 0.05).all()
    assert (plain[:, 1, 0] < 0.2).all() and (np.abs(plain[:, 0] - 0.5) < 0.3).all()


@pytest.mark.usefixtures("unchecked")
def test_what_it_may_not_be():
    with pytest.raises(BadInput, match="the reference must be 'task' or 'step' and the pull 'own' or 'mean'"):
        PosteriorAnchor(reference="epoch")  # pyright: ignore[reportArgumentType]
