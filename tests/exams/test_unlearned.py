"""Unlearning watched on the way: the same steps as unlearning unwatched, on the right examples."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.exams import Unlearned, accuracy_on
from lifelong.feedback import CrossEntropy
from lifelong.learners import GradientLearner
from lifelong.memory import GradientAscent, losses
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Split

KEY = jax.random.key(0)
ASCENT = GradientAscent(steps=20, batch=16, optimizer=Recipe(optax.adam, learning_rate=1e-2))


def loss(model, batch):
    return CrossEntropy()(model, batch, key=KEY)[0]


@pytest.fixture(scope="module")
def at_work(tiny):
    """A world of two tasks with three of six classes each, and a learner that knows nothing yet."""
    world = Split(tiny, tasks=2, scenario="class").open(key=KEY)
    learner = GradientLearner(Recipe(MLP, inputs=8, outputs=6, width=16, depth=1))
    return world, learner, learner.init(world, key=KEY)


@eqx.filter_jit
def sat(exam, state, learner, world):
    return exam.sit(state, learner, world, key=KEY)


@pytest.fixture(scope="module")
def watched(at_work):
    world, learner, state = at_work
    exam = Unlearned(ASCENT, task=1, every=5, rows=180, few=40)
    return sat(exam, state, learner, world)


@eqx.filter_jit
def looked(model, forget, asked):
    """Return what a look should find: by the definitions, on batches chosen by hand."""
    right = [accuracy_on(model, own) for own in asked]
    chances = [jax.nn.softmax(jax.vmap(model)(own.x)) for own in asked]
    return {"loss": losses(loss, model, forget).mean(), "right": jnp.array(right), "outlook": jnp.concatenate(chances)}


def test_the_first_look_finds_the_model_as_it_is_and_the_last_one_as_it_is_unlearned(at_work, watched):
    world, _, state = at_work
    forget = world.review(jnp.int32(1), 180).page(jnp.int32(0))
    assert set(np.asarray(forget.y).tolist()) == {3, 4, 5}
    every = world.papers(120).page(jnp.int32(0))
    firsts = [np.flatnonzero(every.task == task)[:40] for task in (0, 1)]
    asked = [jax.tree.map(lambda leaf: leaf[rows], every) for rows in firsts]  # noqa: B023
    after = eqx.filter_jit(ASCENT.forget)(state.model, forget, None, loss, key=KEY)
    for look, model in {0: state.model, -1: after}.items():
        for name, expected in looked(model, forget, asked).items():
            np.testing.assert_allclose(watched[name][look], expected, rtol=1e-3, atol=1e-4)


def test_loss_rises_from_look_to_look(watched):
    assert watched["loss"].shape == (5,) and watched["right"].shape == (5, 2) and watched["outlook"].shape == (5, 80, 6)
    assert (np.diff(watched["loss"]) > 0).all()
    np.testing.assert_allclose(watched["outlook"].sum(-1), 1.0, rtol=1e-4)


def test_only_a_rule_that_is_handed_them_learns_what_is_to_be_retained(at_work, watched):
    world, learner, state = at_work
    handed = Unlearned(ASCENT, task=1, every=5, rows=180, few=40, retaining=True)
    handed = sat(handed, state, learner, world)
    assert handed["right"][-1, 0] > watched["right"][-1, 0] + 0.1
    others = eqx.tree_at(lambda w: w.x, world, jnp.where(world.y[:, None] < 3, 0.0, world.x))
    blind = sat(Unlearned(ASCENT, task=1, every=5, rows=180, few=40), state, learner, others)
    np.testing.assert_array_equal(blind["loss"], watched["loss"])


@pytest.mark.parametrize("wrong", [{"every": 0}, {"rows": 0}, {"few": 0}, {"task": -1}])
def test_sizes_below_one_are_refused(wrong):
    with pytest.raises(BadInput, match="looks need sizes of at least 1"):
        Unlearned(ASCENT, **wrong)
