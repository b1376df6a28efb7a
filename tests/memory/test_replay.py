"""Rehearsal: its losses by hand, its special cases, and what it stores."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.feedback import AngleCrossEntropy, CrossEntropy
from lifelong.learners import GradientLearner, GradientState
from lifelong.memory import Memory, Replay, Step, chain
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Pages

OUTPUTS, ROWS = 4, 12


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=jax.random.key(0))[0]


def net(seed=0):
    return MLP(inputs=3, outputs=OUTPUTS, width=5, depth=1, head_bias=False, key=jax.random.key(seed))


def examples(n=ROWS, seed=1):
    for_x, for_y = jax.random.split(jax.random.key(seed))
    y = jax.random.randint(for_y, (n,), 0, OUTPUTS)
    return Batch(jax.random.normal(for_x, (n, 3)), y, jnp.zeros(n, jnp.int32), jnp.ones(n))


MODEL, OLD, PAST, NOW = net(0), net(7), examples(), examples(seed=2)


@eqx.filter_jit
def rehearsing(memory):
    """Return the memory's state after it met the past once, under an older model."""
    m = memory.init(MODEL, PAST, key=jax.random.key(3))
    return memory.keep(m, Step(PAST, memory.recall(m, key=jax.random.key(4)), OLD, OLD, None), key=jax.random.key(5))


@eqx.filter_jit
def gradients(memory, m, expected):
    """Return the gradient of all that a step descends, and of what it should be."""
    recalled = memory.recall(m, key=jax.random.key(6))

    def objective(model):
        return memory.weigh(m, NOW, recalled) * loss(model, NOW) + memory.penalty(m, model, NOW, recalled, loss)

    return eqx.filter_grad(objective)(MODEL), eqx.filter_grad(expected)(MODEL)


def check(memory, m, expected):
    step, hoped = gradients(memory, m, expected)
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-6), step, hoped)


def stored_distance(model):
    """Return the mean squared distance between a model's logits and the older model's, on the whole past."""
    return ((jax.vmap(model)(PAST.x) - jax.vmap(OLD)(PAST.x)) ** 2).mean()


WHOLE = {"capacity": ROWS, "batch": ROWS}
BOTH = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), NOW, PAST)


def test_with_everything_in_the_buffer_the_penalty_is_the_joint_loss():
    memory = Replay(**WHOLE)
    check(memory, rehearsing(memory), lambda model: loss(model, NOW) + loss(model, PAST))


@pytest.mark.parametrize("capacity", [ROWS, 2 * ROWS])
def test_concatenated_it_is_the_gradient_of_one_large_batch(capacity):
    """Also where the buffer, and so the replayed batch, is only half full."""
    memory = Replay(capacity, capacity, mix="concatenate")
    check(memory, rehearsing(memory), lambda model: loss(model, BOTH))


def test_mixed_by_task_the_present_weighs_one_part_in_the_number_of_tasks():
    memory = Replay(**WHOLE, mix="by_task")
    m = rehearsing(memory)
    for finished in (0, 1, 3):
        now = jnp.float32(1 / (finished + 1))
        m = m._replace(finished=jnp.int32(finished))
        check(memory, m, eqx.Partial(by_task, now))
    assert memory.consolidates and not Replay().consolidates
    assert memory.consolidate(m, MODEL, NoPages(), loss, key=jax.random.key(0))[1].finished == 4


def by_task(now, model):
    return now * loss(model, NOW) + (1 - now) * loss(model, PAST)


def test_der_plus_plus_is_a_sum_of_labels_and_logits():
    """β = 0 is DER and α = 0 is ER."""
    m = rehearsing(Replay(**WHOLE, logits=0.0))
    for labels, logits in ((0.7, 0.3), (0.0, 0.3), (0.7, 0.0)):
        memory = Replay(**WHOLE, labels=labels, logits=logits)
        check(memory, m, eqx.Partial(der_plus_plus, jnp.float32(labels), jnp.float32(logits)))


def der_plus_plus(labels, logits, model):
    return loss(model, NOW) + labels * loss(model, PAST) + logits * stored_distance(model)


def test_er_is_der_plus_plus_with_logits_of_weight_0():
    er = Replay(**WHOLE, labels=0.7)
    check(er, rehearsing(er), eqx.Partial(der_plus_plus, jnp.float32(0.7), jnp.float32(0.0)))


def test_labels_and_logits_are_rehearsed_on_independent_draws():
    memory = Replay(**WHOLE, logits=1.0)
    recalled = memory.recall(rehearsing(memory), key=jax.random.key(0))
    assert not np.array_equal(recalled.labelled.x, recalled.answered.x)
    met = (recalled.answered.x[:, None] == PAST.x).all(-1).argmax(1)
    np.testing.assert_array_equal(PAST.x[met], recalled.answered.x)
    np.testing.assert_allclose(recalled.logits, jax.jit(lambda x: jax.vmap(OLD)(x))(PAST.x)[met], rtol=1e-6)


def test_an_empty_buffer_adds_nothing():
    memory = Replay(**WHOLE)
    empty = jax.tree.map(jnp.zeros_like, rehearsing(memory))
    check(memory, empty, lambda model: loss(model, NOW))


def test_replayed_labels_can_have_a_feedback_of_their_own():
    cosine, plain = Replay(**WHOLE, feedback=AngleCrossEntropy()), Replay(**WHOLE)
    m = rehearsing(plain)
    penalty = cosine.penalty(m, MODEL, NOW, cosine.recall(m, key=jax.random.key(0)), loss)
    np.testing.assert_allclose(penalty, loss(MODEL, PAST, AngleCrossEntropy()), rtol=1e-5)


class NoPages(Pages):
    """An empty review."""

    count: int = eqx.field(static=True, default=0)


class Shift(Memory):
    """Take the gradient with every weight a little larger, and apply the update there."""

    def perturb(self, m, model, batch, recalled, loss, objective=None, *, key):
        moved = jax.tree.map(lambda leaf: leaf + 0.3, model)
        return moved, moved


def test_the_logits_stored_are_those_of_the_model_at_which_the_gradient_was_taken():
    learner = GradientLearner(
        Recipe(net),
        optimizer=Recipe(optax.sgd, learning_rate=0.5),
        memory=chain(Replay(**WHOLE, logits=1.0), Shift()),
        active="all",
    )

    @jax.jit
    def one_step(model):
        m = learner.memory.init(model, PAST, key=jax.random.key(1))
        state = GradientState(model, optax.sgd(0.5).init(model), m, jnp.ones(OUTPUTS, bool))
        return learner.learn(state, PAST, key=jax.random.key(2))[0]

    after = one_step(MODEL)
    buffer = after.memory[0].buffer
    asked = buffer.examples.x
    shifted = jax.tree.map(lambda leaf: leaf + 0.3, MODEL)
    np.testing.assert_allclose(buffer.extra, jax.vmap(shifted)(asked), rtol=1e-5)
    assert not np.allclose(buffer.extra, jax.vmap(MODEL)(asked), atol=1e-3)
    assert not np.allclose(buffer.extra, jax.vmap(after.model)(asked), atol=1e-3)


@pytest.fixture
def unchecked():
    """Let wrong types through to the library's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    "wrong", [{"capacity": 0}, {"batch": 0}, {"capacity": 5, "batch": 6}, {"policy": "newest"}, {"mix": "mean"}]
)
def test_sizes_and_names_are_checked(wrong, unchecked):
    with pytest.raises(BadInput):
        Replay(**wrong)
