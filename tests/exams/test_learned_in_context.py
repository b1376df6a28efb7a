"""Exams of learning in context: measures on sequences made by hand, theory at its limits, and a short life."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.exams import AccuracyInContext, Induction, improvement, nested_learning_times, nested_loss, rise
from lifelong.feedback import EveryItem
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.nets import InContextLSTM, InductionHead, NearestExample
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import BurstySequences


def test_improvement_is_the_late_mean_less_the_early_one():
    assert improvement([0.0, 0.2, 9, 9, 0.5, 0.5, 0.5, 0.5, 1.0]) == pytest.approx(0.6 - 0.1)
    with pytest.raises(BadInput, match="places"):
        improvement([0.1] * 6)


def test_a_jump_is_abrupt_a_line_is_not_and_what_stays_never_rises():
    times = np.arange(101)
    jump, line, flat = np.where(times >= 80, 1.0, 0.1), times / 100, 0.3 + 0 * times
    found = rise(times, np.stack([jump, line, flat]))
    np.testing.assert_allclose(found.half, [80, 50, np.inf])
    np.testing.assert_allclose(found.abruptness, [0, 80 / 50, np.inf])
    with pytest.raises(BadInput, match="value for each"):
        rise([0, 1], [[1.0, 2.0, 3.0]])


def test_the_nested_loss_is_that_of_guessing_at_zero_gain_and_nothing_where_all_logits_are_large():
    for labels in (8, 20):
        assert float(nested_loss(jnp.array([3.0, 2.0, 0.0]), 8, labels)) == pytest.approx(np.log(labels), abs=1e-5)
    assert float(nested_loss(jnp.array([20.0, 20.0, 20.0]), 8, 20)) < 1e-5
    b, a, g = 0.7, 1.3, 2.1
    s1 = np.exp(b) / (np.exp(b) + 8)
    s2 = np.exp(a * s1) / (np.exp(a * s1) + 7)
    other = (1 - s2) / 7
    by_hand = -np.log(np.exp(g * s2) / (np.exp(g * s2) + 7 * np.exp(g * other) + 12))
    assert float(nested_loss(jnp.array([b, a, g]), 8, 20)) == pytest.approx(by_hand, abs=1e-5)


def test_theory_learns_faster_the_more_labels_there_are_and_not_always_where_they_are_as_many_as_items():
    starts = jnp.asarray(0.1 * np.random.default_rng(0).normal(size=(64, 3)), jnp.float32)
    times = np.asarray(nested_learning_times(starts, 8, jnp.array([8, 9, 16, 64])))
    assert 0.2 < np.isfinite(times[0]).mean() < 0.8
    assert np.isfinite(times[1:]).all() and (np.diff(np.median(times[1:], axis=1)) < 0).all()


def perfect_head(*, key):
    """Return a head whose logits are large."""
    numbers = tuple(jnp.float32(value) for value in (30.0, 30.0, 5.0, 50.0))
    made = InductionHead(16, 8, 4, key=key)
    return eqx.tree_at(lambda h: (h.previous, h.match, h.label, h.gain), made, numbers)


@pytest.fixture(scope="module")
def lived():
    """Return exams of a head with large logits, and of one that answers as the nearest example."""
    world = BurstySequences(4, 16, 32, 8, asked=64)
    still = Recipe(optax.set_to_zero)
    perfect = GradientLearner(Recipe(perfect_head), optimizer=still, batch=4, active="all")
    nearest = GradientLearner(Recipe(NearestExample, features=16, outputs=8), EveryItem(), still, batch=4, active="all")
    quiet = {"steps": 1, "seeds": 1, "progress": lambda _: None}
    return (
        live(perfect, world, OneByOne(1, 1), Induction(), **quiet).to_xarray().isel(seed=0, exam=-1),
        live(nearest, world, OneByOne(1, 1), AccuracyInContext(), **quiet).to_xarray().isel(seed=0, exam=-1),
    )


def test_a_perfect_head_answers_from_its_context_whatever_the_classes(lived):
    life = lived[0]
    assert (life.accuracy[[1, 3]] > 0.95).all() and life.accuracy[2] < 0.75
    np.testing.assert_allclose(life.to_item, 1, atol=1e-3)
    assert (life.to_answer[[1, 3]] > 0.9).all() and (life.to_answer <= life.to_labels + 1e-6).all()
    assert (life.among_shown > 0.99).all()


def test_the_nearest_example_is_right_only_where_the_context_holds_the_target(lived):
    accuracy = lived[1].accuracy.values
    assert accuracy.shape == (4, 5)
    assert accuracy[1, -1] > 0.95 and accuracy[3, -1] > 0.95 and accuracy[2, -1] < 0.75
    assert accuracy[1, 0] < 0.4


def test_a_recurrent_learner_learns_from_every_item():
    world = BurstySequences(2, 8, 4, 2, asked=16, burst=2, fresh=0.0, bursty=1.0, noise=0.0)
    net = Recipe(InContextLSTM, features=8, outputs=2, width=16)
    learner = GradientLearner(net, EveryItem(), Recipe(optax.adam, learning_rate=0.02), batch=32, active="all")
    exam, quiet = AccuracyInContext(), {"progress": lambda _: None}
    life = live(learner, world, OneByOne(1, 150), exam, steps=150, seeds=1, record=10, **quiet).to_xarray()
    assert life.accuracy[0, 0, 0].mean() < 0.8 < 0.9 < life.accuracy[0, -1, 0].mean()
