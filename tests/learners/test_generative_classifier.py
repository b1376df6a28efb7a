"""The generative classifier: each class's step by hand, no class touches another, and what it answers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.learners import GenerativeClassifier
from lifelong.life import live, silent
from lifelong.nets import VAE, log_evidence, negative_elbo
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Split

KEY = jax.random.key(0)
VAES = Recipe(VAE, latent=2, width=8, depth=1, likelihood="gaussian")
ADAM = Recipe(optax.adam, learning_rate=0.01)


def learner(**options):
    return GenerativeClassifier(VAES, ADAM, batch=12, **{"samples": 3, **options})


@eqx.filter_jit
def born(who, world):
    return who.init(world, key=KEY)


@eqx.filter_jit
def taught(who, state, batch, key=KEY):
    return who.learn(state, batch, key=key)


def examples(labels, weight=None):
    n = len(labels)
    x = jax.random.normal(jax.random.key(n), (n, 8))
    return Batch(
        x, jnp.asarray(labels), jnp.zeros(n, jnp.int32), jnp.ones(n) if weight is None else jnp.asarray(weight)
    )


MIXED = examples([1, 4, 1, 1, 4, 2], [1.0, 1.0, 1.0, 2.0, 1.0, 0.0])


def one(tree, c):
    return jax.tree.map(lambda leaf: leaf[c], tree)


def by_hand(state, batch, c):
    """Return the generator of class c after a step of Adam on its examples in the batch."""
    vae = one(state.vaes, c)
    weight = batch.weight * (batch.y == c)

    def bound(vae):
        return (weight * negative_elbo(vae, batch.x, key=KEY)).sum() / weight.sum() / 8

    updates, _ = optax.adam(0.01).update(eqx.filter_grad(bound)(vae), one(state.optimizer, c))
    return eqx.apply_updates(vae, updates)


def test_every_class_steps_on_its_own_examples_and_no_other_class_moves(tiny):
    who, world = learner(), Split(tiny, tasks=3)
    state = born(who, world)
    after, info = taught(who, state, MIXED)
    for c in (1, 4):
        expected = by_hand(state, MIXED, c)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one(after.vaes, c), expected)
    for c in (0, 2, 3, 5):
        before, now = (one((s.vaes, s.optimizer), c) for s in (state, after))
        jax.tree.map(np.testing.assert_array_equal, before, now)
    assert np.flatnonzero(after.seen).tolist() == [1, 4]
    assert info["learned"] == 1.0 and np.isfinite(info["loss"])


def test_a_class_ends_the_same_whatever_is_learned_around_it(tiny):
    who, world = learner(), Split(tiny, tasks=3)
    state, ones, fours = born(who, world), examples([1] * 5), examples([4] * 4)
    alone, _ = taught(who, state, ones)
    later, _ = taught(who, alone, fours)
    jax.tree.map(np.testing.assert_array_equal, one(alone.vaes, 1), one(later.vaes, 1))
    reverse, _ = taught(who, taught(who, state, fours)[0], ones)
    jax.tree.map(np.testing.assert_array_equal, later.vaes, reverse.vaes)


def test_of_more_classes_than_it_may_learn_at_once_the_largest_are_learned_and_it_says_how_much(tiny):
    world = Split(tiny, tasks=3)
    state = born(learner(), world)
    few, info = taught(learner(classes=1), state, MIXED)
    every, _ = taught(learner(), state, MIXED)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one(few.vaes, 1), one(every.vaes, 1))
    jax.tree.map(np.testing.assert_array_equal, one(few.vaes, 4), one(state.vaes, 4))
    np.testing.assert_allclose(info["learned"], 4 / 6)
    assert np.flatnonzero(few.seen).tolist() == [1]


def test_it_answers_with_the_likelihoods_of_the_classes_it_met(tiny):
    who, world = learner(likelihood="gaussian"), Split(tiny, tasks=3)
    state, _ = taught(who, born(who, world), MIXED)
    x = world.x_test[:9]
    logits = np.asarray(eqx.filter_jit(who.answer)(state, x))
    for c in (1, 4):
        np.testing.assert_allclose(logits[:, c], log_evidence(one(state.vaes, c), x, state.noise), rtol=1e-4)
    assert set(logits.argmax(1)) <= {1, 4}
    asked = jnp.broadcast_to(jnp.isin(jnp.arange(6), jnp.asarray([2, 4])), (9, 6))
    assert set(np.asarray(who.answer(state, x, asked)).argmax(1)) == {4}


def test_in_a_life_of_one_class_at_a_time_it_tells_all_of_them_apart(tiny):
    """No class is ever seen beside another, so a classifier trained by gradient across classes would end at chance."""
    life = live(learner(), Split(tiny, tasks=6, shuffle=True), OneByOne(6, 60), steps=360, seeds=2, progress=silent)
    assert life.final.mean() > 0.9
    assert (life.final > 0.7).all()


@pytest.fixture
def unchecked():
    """Let wrong types through to the library's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"classes": -1}, {"samples": 0}, {"likelihood": "poisson"}])
def test_settings_are_checked(wrong, unchecked):
    with pytest.raises(BadInput):
        GenerativeClassifier(**wrong)
