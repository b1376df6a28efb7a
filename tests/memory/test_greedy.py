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
from lifelong.memory._greedy import clipped_momentum
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Pages


def loss(model, batch, feedback=None):
    return CrossEntropy()(model, batch, key=jax.random.key(0))[0]


def net(key):
    return MLP(inputs=3, outputs=2, width=4, depth=1, key=key)


NEWBORN, GROWN = net(jax.random.key(0)), net(jax.random.key(1))
X = jax.random.normal(jax.random.key(2), (10, 3))
STREAM = Batch(X, (X[:, 0] > 0).astype(jnp.int32), jnp.zeros(10, jnp.int32), jnp.ones(10))
MEMORY = GDumb(
    capacity=12,
    batch=4,
    passes=5,
    highest=0.3,
    lowest=0.01,
    optimizer=Recipe(clipped_momentum, momentum=0.9, weight_decay=0.01, clip=0.5),
)


@pytest.fixture(scope="module")
def m():
    """The memory's state after it met the stream once."""

    @jax.jit
    def met():
        m = MEMORY.init(NEWBORN, STREAM, key=jax.random.key(3))
        return MEMORY.keep(m, Step(STREAM, None, GROWN, GROWN, None), key=jax.random.key(4))

    return met()


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


def drawn(m, turn, pass_number, seed):
    return MEMORY._draw(m.buffer, jnp.asarray(turn), jnp.asarray(pass_number), seed)


def test_every_pass_goes_once_through_what_is_stored(m):
    one = jax.vmap(drawn, (None, 0, None, None))
    passes = jax.jit(jax.vmap(one, (None, None, 0, None)))(m, jnp.arange(3), jnp.arange(2), jnp.uint32(9))
    orders = [np.asarray(x[..., 0])[np.asarray(w) > 0] for x, w in zip(passes.x, passes.weight, strict=True)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.sort(X[:, 0]))
    assert not np.array_equal(*orders)


class NoPages(Pages):
    """A review that nobody looks at."""

    count: int = eqx.field(static=True, default=0)


@jax.jit
def retrained(m, model):
    return MEMORY.consolidate(m, model, NoPages(), loss, key=jax.random.key(5))[0]


def test_consolidation_trains_the_initial_weights_on_the_store_alone(m):
    """The same steps by hand: clip, decay, momentum, and the rate of the pass."""
    seed = jax.random.bits(jax.random.key(5), (), jnp.uint32)

    @jax.jit
    def by_hand(model, velocity, turn, pass_number, rate):
        gradient = jax.grad(loss)(model, drawn(m, turn, pass_number, seed))
        length = jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient)))
        shrink = jnp.minimum(1.0, 0.5 / length)
        gradient = jax.tree.map(lambda g, w: shrink * g + 0.01 * w, gradient, model)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
        return jax.tree.map(lambda w, v: w - rate * v, model, velocity), velocity, length

    model, velocity, lengths = NEWBORN, jax.tree.map(jnp.zeros_like, NEWBORN), []
    for pass_number, rate in enumerate(warm_restarts(5, 0.3, 0.01)):
        for turn in range(3):
            model, velocity, length = by_hand(model, velocity, turn, pass_number, rate)
            lengths.append(float(length))
    assert min(lengths) < 0.5 < max(lengths), "the clipping is put to the test"
    after = retrained(m, GROWN)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), after, model)
    assert float(loss(after, STREAM)) < float(loss(NEWBORN, STREAM))


def test_the_model_of_the_moment_does_not_matter_and_an_empty_store_gives_the_newborn(m):
    jax.tree.map(np.testing.assert_array_equal, retrained(m, GROWN), retrained(m, NEWBORN))
    empty = eqx.tree_at(lambda m: m.buffer.filled, m, jnp.int32(0))
    jax.tree.map(np.testing.assert_array_equal, retrained(empty, GROWN), NEWBORN)


def test_the_authors_settings_are_the_default():
    memory = GDumb()
    numbers = {name: float(value) for name, value in memory.optimizer.numbers.items()}
    assert numbers == pytest.approx({"momentum": 0.9, "weight_decay": 1e-6, "clip": 10.0})
    assert (float(memory.highest), float(memory.lowest), memory.batch) == pytest.approx((0.05, 0.0005, 16))


def test_the_stream_itself_is_not_learned(m):
    learner = GradientLearner(Recipe(net), optimizer=Recipe(optax.sgd, learning_rate=0.5), memory=MEMORY)
    state = GradientState(NEWBORN, optax.sgd(0.5).init(NEWBORN), m, jnp.ones(2, bool))
    after, _ = eqx.filter_jit(learner.learn)(state, STREAM, key=jax.random.key(6))
    jax.tree.map(np.testing.assert_array_equal, after.model, NEWBORN)
    assert int(after.memory.buffer.met) == 20


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"capacity": 3, "batch": 4}, {"passes": 0}])
def test_sizes_are_checked(wrong):
    with pytest.raises(BadInput):
        GDumb(**wrong)
