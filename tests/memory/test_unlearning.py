"""Unlearners: their equations by hand, what they do to what is forgotten and retained, and what they may not look at."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy
from lifelong.memory import NPO, GradientAscent, GradientUnlearner, RandomLabels, Retrain, SimNPO
from lifelong.memory._unlearning import losses, turn_of
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Batch

KEY = jax.random.key(0)
SGD = Recipe(optax.sgd, learning_rate=0.1)
FAST = {"steps": 100, "optimizer": Recipe(optax.adam, learning_rate=1e-2)}
OUTPUTS = 4


def loss(model, batch):
    return CrossEntropy()(model, batch, key=KEY)[0]


def linear(key=KEY):
    return MLP(inputs=3, outputs=OUTPUTS, depth=0, head_bias=False, key=key)


def deep(key):
    return MLP(inputs=3, outputs=OUTPUTS, width=16, depth=1, key=key)


def examples(n, seed=0, classes=(0, 1, 2, 3)):
    """Examples of separable classes: four corners of a plane, and noise."""
    random = np.random.default_rng(seed)
    y = random.choice(classes, n)
    x = random.normal(size=(n, 3)) * 0.3 + np.array([[2, 2, 0], [2, -2, 0], [-2, 2, 0], [-2, -2, 0]])[y]
    leaves = (x.astype(np.float32), y.astype(np.int32), np.zeros(n, np.int32), np.ones(n, np.float32))
    return Batch(*(jnp.asarray(leaf) for leaf in leaves))


FORGET, RETAIN = examples(30, 1, classes=(0,)), examples(60, 2, classes=(1, 2, 3))


@eqx.filter_jit
def carried_out(unlearner, model, forget, retain, key):
    return unlearner.forget(model, forget, retain, loss, key=key)


@pytest.fixture(scope="module")
def learned():
    whole = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), FORGET, RETAIN)
    return carried_out(Retrain(deep, Recipe(optax.adam, learning_rate=1e-2), steps=200), deep(KEY), FORGET, whole, KEY)


def accuracy(model, batch):
    return float((jax.vmap(model)(batch.x).argmax(-1) == batch.y).mean())


def by_hand(batch, weight):
    """Return softmax, losses and the gradient of the mean loss of a linear classifier, in plain NumPy."""
    logits = np.asarray(batch.x, np.float64) @ np.asarray(weight, np.float64).T
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    one_hot = np.eye(OUTPUTS)[np.asarray(batch.y)]
    return p, -np.log((p * one_hot).sum(1)), one_hot


def test_one_step_of_ascent_is_the_gradient_added():
    before = linear()
    p, _, one_hot = by_hand(FORGET, before.head.weight)
    gradient = (p - one_hot).T @ np.asarray(FORGET.x) / len(FORGET)
    after = carried_out(GradientAscent(steps=1, optimizer=SGD), before, FORGET, None, KEY)
    np.testing.assert_allclose(after.head.weight, before.head.weight + 0.1 * gradient, rtol=1e-5)


@pytest.mark.parametrize(("unlearner", "slope"), [(NPO(0.7), "reference"), (SimNPO(0.7, 0.2), "margin")])
def test_preference_losses_are_ascent_weighted_example_by_example(unlearner, slope):
    """d/dL of −2/β log σ(βL − c) is −2σ(c − βL)."""
    model, reference = linear(), linear(jax.random.key(3))
    p, now, one_hot = by_hand(FORGET, model.head.weight)
    c = 0.7 * by_hand(FORGET, reference.head.weight)[1] if slope == "reference" else 0.2
    value = np.mean(2 / 0.7 * np.log1p(np.exp(c - 0.7 * now)))
    pull = -2 / (1 + np.exp(0.7 * now - c))
    gradient = (pull[:, None] * (p - one_hot)).T @ np.asarray(FORGET.x) / len(FORGET)
    found, slopes = eqx.filter_value_and_grad(lambda m: unlearner.objective(m, reference, FORGET, loss, key=KEY))(model)
    np.testing.assert_allclose(found, value, rtol=1e-5)
    np.testing.assert_allclose(slopes.head.weight, gradient, rtol=1e-4, atol=1e-6)


def test_preference_optimisation_starts_as_ascent_and_then_slows_down(learned):
    before, one = linear(), {"steps": 1, "optimizer": SGD}
    first, ascent = (carried_out(u, before, FORGET, None, KEY) for u in (NPO(**one), GradientAscent(**one)))
    moves = [m.head.weight - before.head.weight for m in (first, ascent)]
    np.testing.assert_allclose(*moves, rtol=1e-4, atol=1e-7)
    assert abs(moves[0]).max() > 1e-3
    slowed, ascent = (carried_out(u, learned, FORGET, None, KEY) for u in (NPO(2.0, **FAST), GradientAscent(**FAST)))
    assert loss(learned, FORGET) < loss(slowed, FORGET) < loss(ascent, FORGET)


def test_a_ceiling_keeps_ascent_from_growing_without_bound():
    def climbed(ceiling):
        unlearner = GradientAscent(ceiling=ceiling, steps=100, optimizer=Recipe(optax.sgd, learning_rate=0.5))
        return loss(carried_out(unlearner, linear(), FORGET, None, KEY), FORGET)

    free, held = climbed(None), climbed(np.log(OUTPUTS))
    assert np.log(OUTPUTS) < held < free / 10


def test_random_labels_teach_to_guess_among_the_classes_that_may_be_named():
    allowed = jnp.broadcast_to(jnp.arange(OUTPUTS) < 2, (len(FORGET), OUTPUTS))
    batch = eqx.tree_at(lambda b: b.allowed, FORGET, allowed, is_leaf=lambda leaf: leaf is None)
    model, keys = linear(), jax.random.split(KEY, 4000)

    def gradient(objective):
        return eqx.filter_grad(objective)(model).head.weight

    drawn = jax.vmap(lambda k: gradient(lambda m: RandomLabels().objective(m, model, batch, loss, key=k)))(keys)
    both = [eqx.tree_at(lambda b: b.y, batch, jnp.full_like(batch.y, y)) for y in (0, 1)]
    expected = gradient(lambda m: (loss(m, both[0]) + loss(m, both[1])) / 2)
    np.testing.assert_allclose(drawn.mean(0), expected, atol=4 * float(drawn.std(0).max()) / np.sqrt(len(keys)))


@pytest.mark.parametrize(
    "unlearner", [GradientAscent(), NPO(), SimNPO(), RandomLabels()], ids=lambda u: type(u).__name__
)
def test_it_forgets_what_it_is_told_to_and_not_what_is_retained(unlearner, learned):
    """Starting from a model that knows both; rehearsing without an objective is the control that forgets nothing."""
    assert accuracy(learned, FORGET) == accuracy(learned, RETAIN) == 1.0
    rate = Recipe(optax.adam, learning_rate=1e-2)
    unlearner = eqx.tree_at(lambda u: u.optimizer, unlearner, rate)
    after = carried_out(unlearner, learned, FORGET, RETAIN, KEY)
    assert loss(after, FORGET) > 1.0
    assert accuracy(after, RETAIN) > 0.9
    control = carried_out(GradientUnlearner(optimizer=rate), learned, FORGET, RETAIN, KEY)
    assert accuracy(control, FORGET) == 1.0 and loss(control, FORGET) < 0.1


def test_nothing_to_forget_and_nothing_to_retain_changes_nothing():
    nothing, before = eqx.tree_at(lambda b: b.weight, FORGET, jnp.zeros(len(FORGET))), linear()

    @jax.jit
    def after_each():
        every = (GradientAscent(steps=2), NPO(steps=2), SimNPO(steps=2), RandomLabels(steps=2))
        return [unlearner.forget(before, nothing, None, loss, key=KEY).head.weight for unlearner in every]

    for weight in after_each():
        np.testing.assert_array_equal(weight, before.head.weight)


def test_padded_is_unpadded(learned):
    padding = eqx.tree_at(lambda b: b.weight, examples(10, 7), jnp.zeros(10))
    padded = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), FORGET, padding)
    unlearner = GradientAscent(steps=3, batch=64, optimizer=SGD)
    one, other = (carried_out(unlearner, learned, batch, None, KEY) for batch in (FORGET, padded))
    np.testing.assert_allclose(one.head.weight, other.head.weight, rtol=1e-5)


def test_vmapped_is_looped(learned):
    keys = jax.random.split(KEY, 3)
    unlearner = GradientAscent(steps=5, batch=8, optimizer=SGD)
    together = eqx.filter_vmap(lambda k: carried_out(unlearner, learned, FORGET, RETAIN, k))(keys)
    for i, k in enumerate(keys):
        alone = carried_out(unlearner, learned, FORGET, RETAIN, k)
        np.testing.assert_allclose(together.head.weight[i], alone.head.weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("unlearner", [NPO(steps=6, batch=8), SimNPO(steps=7, batch=8)], ids=["npo", "simnpo"])
def test_a_course_passes_where_shorter_courses_end(learned, unlearner):
    """Looks come before, and after every third step; a rest of steps without a look is not taken."""
    look = lambda model: model.head.weight  # noqa: E731
    course = eqx.filter_jit(unlearner.course)(learned, FORGET, RETAIN, loss, look, 3, key=KEY)
    assert len(course) == 3
    np.testing.assert_array_equal(course[0], learned.head.weight)
    for i in (1, 2):
        shorter = carried_out(replace(unlearner, steps=3 * i), learned, FORGET, RETAIN, KEY)
        np.testing.assert_allclose(course[i], shorter.head.weight, rtol=1e-5, atol=1e-6)


def test_every_example_comes_once_before_any_comes_twice():
    turns = [turn_of(RETAIN, jnp.int32(i), 20, jnp.uint32(5)).x for i in range(6)]
    passes = np.asarray(jnp.concatenate(turns)).reshape(2, 60, 3)
    for rows in passes:
        np.testing.assert_array_equal(np.unique(rows, axis=0), np.unique(RETAIN.x, axis=0))
    assert (passes[0] != passes[1]).any()


def test_losses_are_those_of_each_example_alone(learned):
    weighted = eqx.tree_at(lambda b: b.weight, FORGET, jnp.arange(len(FORGET)) % 2 * 1.0)
    found = losses(loss, learned, weighted)
    assert (found[::2] == 0).all()
    np.testing.assert_allclose(found[1::2].mean(), loss(learned, weighted), rtol=1e-5)


def test_retraining_looks_neither_at_the_model_nor_at_what_is_to_be_forgotten(learned):
    retrain = Retrain(deep, steps=20)
    poison = jax.tree.map(lambda leaf: leaf * jnp.nan if leaf.dtype == jnp.float32 else leaf, FORGET)
    one, other = (
        carried_out(retrain, learned, FORGET, RETAIN, KEY),
        carried_out(retrain, deep(KEY), poison, RETAIN, KEY),
    )
    np.testing.assert_array_equal(one.head.weight, other.head.weight)
    with pytest.raises(BadInput, match="needs the examples to retain"):
        retrain.forget(learned, FORGET, None, loss, key=KEY)


@pytest.mark.parametrize(
    "build", [lambda: GradientAscent(steps=0), lambda: NPO(batch=0), lambda: Retrain(deep, steps=0)]
)
def test_no_unlearner_of_no_steps(build):
    with pytest.raises(BadInput, match="at least one step"):
        build()
