"""Maximally interfered retrieval: what it selects against brute force, and its special cases."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy, PresentCrossEntropy
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import MIR, Nothing, Replay, Step
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Split

OUTPUTS, RATE = 4, 0.8
MODEL = MLP(inputs=3, outputs=OUTPUTS, width=5, depth=1, key=jax.random.key(0))


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=jax.random.key(0))[0]


def examples(n, seed, classes=OUTPUTS):
    for_x, for_y = jax.random.split(jax.random.key(seed))
    y = jax.random.randint(for_y, (n,), 0, classes)
    return Batch(jax.random.normal(for_x, (n, 3)), y, jnp.zeros(n, jnp.int32), jnp.ones(n))


NOW, PAST = examples(6, seed=1, classes=2), examples(12, seed=2)
PADDED = eqx.tree_at(lambda b: b.weight, PAST, jnp.ones(12).at[9:].set(0.0))


def losses(model, batch):
    logits = np.asarray(jax.vmap(model)(batch.x), np.float64)
    return -(logits - np.log(np.exp(logits).sum(1, keepdims=True)))[np.arange(len(batch)), np.asarray(batch.y)]


def held(memory):
    return memory.init(MODEL, PAST, key=jax.random.key(3))


def most_harmed(n, candidates):
    """Return which examples a step on the current batch harms most, one by one in NumPy."""
    slope = eqx.filter_grad(loss)(MODEL, NOW)
    virtual = jax.tree.map(lambda w, g: w - RATE * g, MODEL, slope)
    harm = losses(virtual, candidates) - losses(MODEL, candidates)
    real = np.flatnonzero(candidates.weight)
    return real[np.argsort(-harm[real])[:n]]


@pytest.mark.parametrize("candidates", [PAST, PADDED], ids=["full", "padded"])
def test_it_selects_what_brute_force_finds_and_learns_that(candidates):
    memory = MIR(12, 3, 12, rate=RATE, labels=0.7)
    chosen = most_harmed(3, candidates)
    assert sorted(chosen) != [0, 1, 2]
    selected = eqx.filter_jit(memory.select)(MODEL, NOW, candidates, loss)
    np.testing.assert_array_equal(selected.x, candidates.x[chosen])

    @eqx.filter_jit
    def slopes(model):
        expected = eqx.filter_grad(lambda model: 0.7 * loss(model, jax.tree.map(lambda leaf: leaf[chosen], candidates)))
        return eqx.filter_grad(lambda model: memory.penalty(held(memory), model, NOW, candidates, loss))(
            model
        ), expected(model)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), *slopes(MODEL))


def test_without_a_step_or_without_a_choice_it_is_replay():
    drawn = MIR(12, 3, 12, rate=0.0).select(MODEL, NOW, PAST, loss)
    np.testing.assert_array_equal(drawn.x, PAST.x[:3])
    whole = MIR(12, 12, 12, rate=RATE)
    all_of_them = whole.penalty(held(whole), MODEL, NOW, PAST, loss)
    np.testing.assert_allclose(all_of_them, loss(MODEL, PAST), rtol=1e-6)


def test_candidates_are_judged_and_learned_by_their_own_feedback():
    """Alone in a batch no class has a rival, so the asymmetric loss by itself could not tell candidates apart."""
    memory = MIR(12, 3, 12, rate=RATE, feedback=CrossEntropy())

    def asymmetric(model, batch, feedback=None):
        return loss(model, batch, feedback or PresentCrossEntropy())

    assert (MIR(12, 3, 12, rate=RATE).select(MODEL, NOW, PAST, asymmetric).x == PAST.x[:3]).all()
    selected = memory.select(MODEL, NOW, PAST, asymmetric)
    assert not (selected.x == PAST.x[:3]).all()
    np.testing.assert_allclose(
        memory.penalty(held(memory), MODEL, NOW, PAST, asymmetric), loss(MODEL, selected), rtol=1e-5
    )


def test_it_draws_candidates_as_replay_draws_its_batch():
    @jax.jit
    def met(key):
        drawn = []
        for memory in (MIR(20, 2, 8), Replay(20, 8)):
            m = memory.init(MODEL, PAST, key=key)
            m = memory.keep(m, Step(PAST, memory.recall(m, key=key), MODEL, MODEL, None), key=key)
            drawn.append(memory.recall(m, key=key))
        return drawn[0], drawn[1].labelled

    mine, theirs = met(jax.random.key(1))
    assert len(mine) == len(theirs) == 8
    rows = {tuple(row) for row in np.asarray(PAST.x)}
    assert {tuple(row) for row in np.asarray(mine.x)} < rows and len(np.unique(mine.x, axis=0)) == 8


def test_in_a_life_labels_of_weight_0_are_fine_tuning_and_others_remember(tiny):
    def life(memory, sweep):
        net, sgd = Recipe(MLP, inputs=8, outputs=6, width=16, depth=1), Recipe(optax.sgd, learning_rate=0.05)
        learner = GradientLearner(net, optimizer=sgd, memory=memory, batch=10)
        world, teacher = Split(tiny, tasks=3), OneByOne(tasks=3, steps=12)
        return live(learner, world, teacher, steps=36, seeds=3, sweep=sweep, progress=silent).exams["accuracy"]

    plain = life(Nothing(), {"optimizer.numbers.learning_rate": [0.05, 0.05]})
    ours = life(MIR(30, 5, 15), {"memory.labels": [0.0, 1.0]})
    np.testing.assert_array_equal(ours[0], plain[0])
    assert ours[1, :, -1].mean() > plain[1, :, -1].mean() + 0.2


@pytest.fixture
def unchecked():
    """Let wrong types through to the library's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": 60}, {"candidates": 501}, {"policy": "newest"}])
def test_sizes_and_names_are_checked(wrong, unchecked):
    with pytest.raises(BadInput):
        MIR(**wrong)
