"""Holding and letting go of what a hypernetwork writes, against the equations worked out in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import Mismatch
from lifelong.feedback import CrossEntropy
from lifelong.memory import NoiseAlignment, OutputPreservation
from lifelong.nets import MLP, Hypernetwork
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Pages

KEY = jax.random.key(0)
NETWORK = Recipe(MLP, inputs=4, outputs=2, width=6, depth=1)
BORN, GROWN = (Hypernetwork(NETWORK, tasks=4, chunks=3, key=jax.random.key(seed)) for seed in (1, 2))


def batch(task, weight=1.0):
    x = jax.random.normal(KEY, (5, 4))
    return Batch(x, jnp.zeros(5, jnp.int32), jnp.full(5, task, jnp.int32), jnp.full(5, weight))


def loss(model, batch):
    return CrossEntropy()(model, batch, key=KEY)[0]


class Sheet(Pages):
    only: Batch
    count: int = eqx.field(static=True, default=1)

    def page(self, i):
        return self.only


def ended(memory, m, model, task, weight=1.0):
    return memory.consolidate(m, model, Sheet(only=batch(task, weight)), loss, key=KEY)[1]


def apart(a, b, scaled=False):
    difference = np.asarray(a.written() - b.written(), np.float64) * (np.asarray(a.scale()) if scaled else 1.0)
    return (difference**2).sum(1)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_networks_of_finished_tasks_but_the_current_one_are_held(scaled):
    memory = OutputPreservation(0.3, scaled=scaled)
    m = memory.init(BORN, batch(0), key=KEY)
    assert memory.penalty(m, GROWN, batch(0), None, loss) == 0
    for task in (0, 2):
        m = ended(memory, m, BORN, task)
    moved = apart(GROWN, BORN, scaled)
    np.testing.assert_allclose(
        memory.penalty(m, GROWN, batch(1), None, loss), 0.3 * (moved[0] + moved[2]) / 2, rtol=1e-5
    )
    np.testing.assert_allclose(memory.penalty(m, GROWN, batch(2), None, loss), 0.3 * moved[0], rtol=1e-5)
    assert memory.penalty(m, BORN, batch(1), None, loss) == 0


@pytest.mark.parametrize("held", [1.0, 0.0])
def test_an_unlearned_task_is_held_as_much_as_is_asked_for(held):
    memory = OutputPreservation(1.0, forgotten=held)
    m = ended(memory, memory.init(BORN, batch(0), key=KEY), BORN, 0)
    m = ended(memory, ended(memory, m, BORN, 1), BORN, 0, weight=0.0)
    moved = apart(GROWN, BORN)
    expected = (held * moved[0] + moved[1]) / (held + 1)
    np.testing.assert_allclose(memory.penalty(m, GROWN, batch(3), None, loss), expected, rtol=1e-5)


def test_codes_of_finished_tasks_and_then_those_of_chunks_are_not_learned():
    memory, gradient = OutputPreservation(), eqx.filter(GROWN, eqx.is_inexact_array)
    m = memory.init(BORN, batch(0), key=KEY)
    free = memory.shape(m, gradient, GROWN, None, loss)
    assert eqx.tree_equal(free, gradient)
    shaped = memory.shape(ended(memory, m, BORN, 1), gradient, GROWN, None, loss)
    assert (shaped.codes[1] == 0).all() and (shaped.chunks == 0).all()
    np.testing.assert_array_equal(shaped.codes[jnp.array([0, 2, 3])], gradient.codes[jnp.array([0, 2, 3])])
    assert eqx.tree_equal(shaped.layers, gradient.layers)


def slope(function):
    return np.asarray(eqx.filter_grad(function)(GROWN).layers[-1].weight)


def test_the_mean_distance_from_noise_is_the_distance_from_the_mean_noise_but_for_a_constant():
    noise = jax.random.normal(KEY, (3, GROWN.size))
    one_by_one = slope(lambda net: ((net.written()[2] - noise) ** 2).sum(-1).mean())
    from_mean = slope(lambda net: ((net.written()[2] - noise.mean(0)) ** 2).sum())
    np.testing.assert_allclose(one_by_one, from_mean, rtol=1e-4, atol=1e-4)


def test_more_samples_leave_less_noise_around_the_pull_to_zero():
    """The noise of the mean of n samples is 1/√n of one's; of infinitely many, γ‖h‖² is left."""

    def pull(samples):
        unlearner = NoiseAlignment(0.5, samples=samples)
        return slope(lambda net: unlearner.objective(net, BORN, batch(2), loss, key=KEY))

    to_zero = slope(lambda net: 0.5 * (net.written()[2] ** 2).sum())
    np.testing.assert_allclose(pull(np.inf), to_zero, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pull(4.0) - to_zero, (pull(1.0) - to_zero) / 2, rtol=1e-3, atol=1e-4)
    assert abs(pull(1.0) - to_zero).max() > 0.1


@eqx.filter_jit
def forgotten(unlearner, forget):
    return unlearner.forget(BORN, forget, None, loss, key=KEY)


FAST = {"steps": 200, "optimizer": Recipe(optax.adam, learning_rate=3e-3)}


def test_it_writes_noise_for_the_forgotten_task_and_the_same_for_the_others():
    after = forgotten(NoiseAlignment(0.1, **FAST), batch(2))
    size, moved = float((after.written()[2] ** 2).mean()), np.delete(apart(after, BORN), 2) / BORN.size
    assert size < 0.3 * float((BORN.written()[2] ** 2).mean())
    unprotected = forgotten(NoiseAlignment(0.1, protected=0.0, **FAST), batch(2))
    assert moved.mean() < 0.1 * np.delete(apart(unprotected, BORN), 2).mean() / BORN.size
    np.testing.assert_array_equal(after.codes, BORN.codes)
    np.testing.assert_array_equal(after.chunks, BORN.chunks)


def test_without_strength_nothing_is_forgotten():
    after = forgotten(NoiseAlignment(0.0, **FAST), batch(2))
    assert apart(after, BORN).max() < 1e-6 * BORN.size


def test_no_example_is_looked_at():
    one, poisoned = batch(2), eqx.tree_at(lambda b: b.x, batch(2), jnp.full((5, 4), jnp.nan))
    unlearner = NoiseAlignment(0.1, **FAST)
    assert not unlearner.needs_data
    assert eqx.tree_equal(forgotten(unlearner, one), forgotten(unlearner, poisoned))


def test_both_refuse_another_network():
    other = NETWORK(key=KEY)
    with pytest.raises(Mismatch, match="the model is a MLP"):
        OutputPreservation().init(other, batch(0), key=KEY)
    with pytest.raises(Mismatch, match="the model is a MLP"):
        NoiseAlignment().forget(other, batch(0), None, loss, key=KEY)
