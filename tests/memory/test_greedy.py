"""GDumb: the stream only fills the store, and the store alone is learned."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy
from lifelong.learners import GradientLearner, GradientState
from lifelong.memory import GDumb, Step
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Batch


def loss(model, batch, feedback=None):
    return CrossEntropy()(model, batch, key=jax.random.key(0))[0]


def net(key):
    return MLP(inputs=3, outputs=2, width=4, depth=1, key=key)


NEWBORN, GROWN = net(jax.random.key(0)), net(jax.random.key(1))
X = jax.random.normal(jax.random.key(2), (10, 3))
STREAM = Batch(X, (X[:, 0] > 0).astype(jnp.int32), jnp.zeros(10, jnp.int32), jnp.ones(10))
MEMORY = GDumb(capacity=12, batch=4, passes=5, highest=0.3, lowest=0.01)


def stored(memory=MEMORY):
    m = memory.init(NEWBORN, STREAM, key=jax.random.key(3))
    return memory.keep(m, Step(STREAM, None, GROWN, GROWN, None), key=jax.random.key(4))


def warm_restarts(passes, highest, lowest):
    """The rates of 'cosine annealing with warm restarts' (first cycle 1 pass, each twice the one before), counter by
    counter, after one pass at a tenth of the highest."""
    rates, position, cycle = [0.1 * highest], 0, 1
    for _ in range(passes - 1):
        rates.append(lowest + (highest - lowest) * (1 + np.cos(np.pi * position / cycle)) / 2)
        position += 1
        if position == cycle:
            position, cycle = 0, 2 * cycle
    return rates


def test_the_rate_restarts_ever_later():
    rates = jax.vmap(GDumb(highest=0.05, lowest=0.0005).rate)(jnp.arange(300))
    np.testing.assert_allclose(rates, warm_restarts(300, 0.05, 0.0005), rtol=1e-5)
    np.testing.assert_allclose(rates[jnp.asarray([1, 2, 4, 128])], 0.05, rtol=1e-6)


def test_every_pass_goes_once_through_what_is_stored():
    m = stored()
    orders = []
    for e in range(2):
        turns = [MEMORY._draw(m.buffer, jnp.int32(i), jnp.int32(e), jnp.uint32(9)) for i in range(3)]
        drawn = np.concatenate([np.asarray(t.x[:, 0])[np.asarray(t.weight) > 0] for t in turns])
        np.testing.assert_array_equal(np.sort(drawn), np.sort(X[:, 0]))
        orders.append(drawn)
    assert not np.array_equal(*orders)


@jax.jit
def retrained(m, model):
    return MEMORY.consolidate(m, model, None, loss, key=jax.random.key(5))[0]


def test_consolidation_trains_the_initial_weights_on_the_store_alone():
    """The same steps with Optax's own schedule-free pieces: clip, decay, momentum, and the rate by hand."""
    m, model = stored(), NEWBORN
    seed = jax.random.bits(jax.random.key(5), (), jnp.uint32)
    gradient = jax.jit(jax.grad(loss))
    velocity = jax.tree.map(jnp.zeros_like, model)
    rates = warm_restarts(5, 0.3, 0.01)
    for step in range(15):
        g = gradient(model, MEMORY._draw(m.buffer, jnp.int32(step % 3), jnp.int32(step // 3), seed))
        shrink = min(1.0, 10.0 / float(optax.global_norm(g)))
        g = jax.tree.map(lambda leaf, w, shrink=shrink: shrink * leaf + 1e-6 * w, g, model)
        velocity = jax.tree.map(lambda v, leaf: 0.9 * v + leaf, velocity, g)
        model = jax.tree.map(lambda w, v, rate=rates[step // 3]: w - rate * v, model, velocity)
    after = retrained(m, GROWN)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), after, model)
    assert float(loss(after, STREAM)) < float(loss(NEWBORN, STREAM))


def test_the_model_of_the_moment_does_not_matter_and_an_empty_store_gives_the_newborn():
    m = stored()
    jax.tree.map(np.testing.assert_array_equal, retrained(m, GROWN), retrained(m, NEWBORN))
    empty = MEMORY.init(NEWBORN, STREAM, key=jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, retrained(empty, GROWN), NEWBORN)


def test_another_optimizer_is_scaled_by_the_same_rates():
    memory = GDumb(
        capacity=12, batch=12, passes=2, highest=0.3, lowest=0.01, optimizer=Recipe(optax.sgd, learning_rate=1.0)
    )
    after, _ = memory.consolidate(stored(), GROWN, None, loss, key=jax.random.key(5))
    model = NEWBORN
    for rate in (0.03, 0.3):
        model = jax.tree.map(lambda w, g, rate=rate: w - rate * g, model, jax.grad(loss)(model, STREAM))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), after, model)


def test_the_stream_itself_is_not_learned():
    learner = GradientLearner(Recipe(net), optimizer=Recipe(optax.sgd, learning_rate=0.5), memory=MEMORY)
    state = GradientState(NEWBORN, optax.sgd(0.5).init(NEWBORN), stored(), jnp.ones(2, bool))
    after, _ = eqx.filter_jit(learner.learn)(state, STREAM, key=jax.random.key(6))
    jax.tree.map(np.testing.assert_array_equal, after.model, NEWBORN)
    assert int(after.memory.buffer.met) == 20


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"capacity": 3, "batch": 4}, {"passes": 0}])
def test_sizes_are_checked(wrong):
    with pytest.raises(BadInput):
        GDumb(**wrong)
