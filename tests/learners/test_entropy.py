"""Forward-only entropy learning: the rule against NumPy, its locality, its first step, and what it records."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.exams import LayerProbes
from lifelong.learners import EntropyLearner, knowledge_flow
from lifelong.learners._entropy import EntropyState
from lifelong.life import live
from lifelong.nets import SigmoidNet
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Dataset, Split

SIZES, ROWS, RATE = (6, 5, 4, 3), 12, 0.3


@pytest.fixture(scope="module")
def batch():
    x = np.random.default_rng(0).random((ROWS, 6), np.float32)
    return Batch(jnp.asarray(x), jnp.zeros(ROWS, int), jnp.zeros(ROWS, int), jnp.ones(ROWS))


@pytest.fixture(scope="module")
def start():
    model = SigmoidNet(SIZES, 1.0, key=jax.random.key(0))
    return EntropyState(model, model)


@pytest.fixture(scope="module")
def step():
    return jax.jit(lambda learner, state, batch: learner.learn(state, batch, key=jax.random.key(0)))


def learner(**changes):
    return EntropyLearner(Recipe(SigmoidNet, sizes=SIZES), **{"learning_rate": RATE, "batch": ROWS, **changes})


def by_hand(model, x, steps):
    """Return the weights after so many steps, as the paper's loop has them: decisions are stored, and come one step late."""
    w, b = ([np.array(p, np.float64) for p in part] for part in (model.weights, model.biases))
    stored = None
    for _ in range(steps):
        d, z = [np.asarray(x, np.float64)], []
        for weight, bias in zip(w, b, strict=True):
            z.append(d[-1] @ weight.T + bias)
            d.append(1 / (1 + np.exp(-z[-1])))
        old = d if stored is None else stored
        for i, k in enumerate(z):
            g = -(k * d[i + 1] * (1 - d[i + 1]) + d[i + 1] - old[i + 1]) / np.log(2)
            w[i] = w[i] - RATE * g.T @ old[i] / len(x)
            b[i] = b[i] - RATE * g.mean(0)
        stored = d
    return w, b


def test_three_steps_are_those_of_the_loop_written_out(start, batch, step):
    state = start
    for _ in range(3):
        state, _ = step(learner(), state, batch)
    w, b = by_hand(start.model, batch.x, 3)
    for found, expected in zip((*state.model.weights, *state.model.biases), (*w, *b), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_change_of_decisions_counts_from_the_second_step_on(start, batch, step):
    first, second = ([], [])
    for change in (1.0, 0.0):
        state, _ = step(learner(change=change), start, batch)
        first.append(state.model)
        second.append(step(learner(change=change), state, batch)[0].model)
    assert eqx.tree_equal(*first)
    assert not eqx.tree_equal(*second)


def test_the_update_of_a_layer_depends_on_no_layer_above(start, batch):
    """Nor does a layer see more of those below than what they decided one step before."""

    def updates(now):
        new = learner().learn(EntropyState(now, start.model), batch, key=jax.random.key(0))[0].model
        return [(a - b).sum() for a, b in zip(new.weights, now.weights, strict=True)]

    slopes = jax.jacrev(lambda now: jnp.stack(updates(now)))(start.model)
    for layer in range(3):
        for other in range(layer + 1, 3):
            np.testing.assert_array_equal(slopes.weights[other][layer], 0.0)
            np.testing.assert_array_equal(slopes.biases[other][layer], 0.0)
        assert jnp.abs(slopes.weights[layer][layer]).max() > 0


def test_the_order_of_examples_does_not_matter(start, batch, step):
    state, _ = step(learner(), start, batch)
    turned = jax.tree.map(lambda leaf: leaf[::-1], batch)
    for a, b in zip(*(step(learner(), state, one)[0].model.weights for one in (batch, turned)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_padding_does_not_count(start, batch, step):
    filled = eqx.tree_at(lambda b: b.weight, batch, batch.weight.at[6:].set(0.0))
    half = jax.tree.map(lambda leaf: leaf[:6], batch)
    found, expected = step(learner(), start, filled)[0], learner().learn(start, half, key=jax.random.key(0))[0]
    np.testing.assert_allclose(found.model.weights[0], expected.model.weights[0], atol=1e-6)


def test_the_other_sign_climbs(start, batch, step):
    moved = [
        step(learner(sign=sign), start, batch)[0].model.weights[1] - start.model.weights[1] for sign in (1.0, -1.0)
    ]
    np.testing.assert_allclose(moved[0], -moved[1], atol=1e-6)


def test_flow_is_recorded_with_both_signs_of_the_tensor_net(start, batch):
    after = jax.tree.map(lambda w: 1.1 * w + 0.05, start.model)
    found = knowledge_flow(start.model, after, batch.x, jnp.float32(RATE))
    old, z = (np.asarray(jax.vmap(net.knowledge)(batch.x)[1], float) for net in (start.model, after))
    d, moved = 1 / (1 + np.exp(-z)), z - old
    change, slope = d - 1 / (1 + np.exp(-old)), -z * d * (1 - d) / np.log(2)
    expected = {
        "entropy": -(z * change).sum() / np.log(2),
        "alignment": (z * change).sum() / np.linalg.norm(z) / np.linalg.norm(change),
        "flow": np.linalg.norm(moved) / RATE,
        "tensor_net": (moved * (d - slope)).sum(),
        "tensor_net_flipped": (moved * (d + slope)).sum(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][1], value, rtol=1e-4)


def test_the_action_is_least_on_any_path():
    """L = −z σ'(z) ż has a Euler-Lagrange residual of 0 at any z and ż: least action singles out no rule."""
    z, speed = np.random.default_rng(0).normal(size=(2, 50))

    def lagrangian(z, speed):
        d = jax.nn.sigmoid(z)
        return -z * d * (1 - d) * speed

    by_speed = jax.grad(lagrangian, 1)
    for at, v in zip(z[:5], speed[:5], strict=True):
        along = jax.jvp(by_speed, (at, v), (v, 0.7))[1]
        np.testing.assert_allclose(along - jax.grad(lagrangian)(at, v), 0.0, atol=1e-6)


@pytest.mark.slow
def test_seeds_lived_together_live_as_they_do_alone_and_every_layer_is_probed():
    """With no time to learn, what a probe reads of the input is the same for all seeds, and deeper layers differ."""
    random = np.random.default_rng(0)
    y = np.arange(40) % 3
    x = (random.random((40, 6)) + np.eye(6)[y]).astype(np.float32)
    world = Split(Dataset(x, y, x, y, ("a", "b", "c")), tasks=1)
    lives = [
        live(
            learner(batch=40), world, OneByOne(1, 4), LayerProbes(), steps=4, seeds=seeds, progress=lambda moment: None
        )
        for seeds in ((0, 1), (1,))
    ]
    for name, values in lives[0].records.items():
        np.testing.assert_allclose(values[1], lives[1].records[name][0], rtol=1e-3, atol=1e-4, err_msg=name)
    probes = lives[0].exams["probe_accuracy"]
    assert probes.shape[2:] == (4,)
    np.testing.assert_array_equal(probes[..., 0], probes[0, 0, 0])
    assert probes[0, 0, 0] > 0.9
    assert lives[0].exams["effective_rank"][..., 0].max() <= 6


def test_mistakes_are_told():
    with pytest.raises(BadInput, match="at least one example"):
        learner(batch=0)
    with pytest.raises(BadInput, match="sizes"):
        SigmoidNet((4,), key=jax.random.key(0))
    x, y = np.random.default_rng(0).random((8, 5), np.float32), np.arange(8) % 2
    world = Split(Dataset(x, y, x, y, ("a", "b")), tasks=1)
    with pytest.raises(Mismatch, match="begin and end"):
        learner().init(world, key=jax.random.key(0))
