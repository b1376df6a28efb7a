"""The LSTM beside plain NumPy, its gradient beside that of a plain scan, and lookups beside indexing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from lifelong.nets import LSTM, lookup, recur, recur_held

random = np.random.default_rng(0)
GIVEN = jnp.asarray(random.normal(size=(7, 3, 20)), jnp.float32)
WEIGHT = jnp.asarray(random.normal(size=(5, 20)), jnp.float32)


def by_hand(given, weight, hold=None):
    given, weight = np.asarray(given), np.asarray(weight)
    h = c = np.zeros((given.shape[1], len(weight)))
    states = []
    for t, now in enumerate(given):
        i, f, g, o = np.split(now + h @ weight, 4, axis=1)
        new_c = expit(f) * c + expit(i) * np.tanh(g)
        new_h = expit(o) * np.tanh(new_c)
        keep = np.zeros(len(h), bool) if hold is None else hold[t]
        h, c = np.where(keep[:, None], h, new_h), np.where(keep[:, None], c, new_c)
        states.append(h)
    return np.array(states)


def test_states_are_those_of_plain_numpy():
    before = recur(GIVEN, WEIGHT)
    np.testing.assert_array_equal(before[0], 0.0)
    np.testing.assert_allclose(before[1:], by_hand(GIVEN, WEIGHT)[:-1], atol=1e-5)


def test_what_is_held_leaves_no_trace():
    hold = random.random((7, 3)) < 0.4
    kept, fresh = recur_held(GIVEN, WEIGHT, jnp.asarray(hold))
    np.testing.assert_allclose(kept, by_hand(GIVEN, WEIGHT, hold), atol=1e-5)
    np.testing.assert_allclose(np.asarray(fresh)[~hold], np.asarray(kept)[~hold])
    alone = by_hand(GIVEN[~hold[:, 1]][:, 1:2], WEIGHT)
    np.testing.assert_allclose(np.asarray(kept)[~hold[:, 1], 1], alone[:, 0], atol=1e-5)


def test_the_gradient_is_that_of_a_plain_scan():
    nothing, wanted = jnp.zeros((7, 3), bool), jnp.arange(1.0, 8.0)[:, None, None]

    def of_ours(given, weight):
        return (wanted * recur(given, weight) ** 3).sum()

    def of_theirs(given, weight):
        return (wanted[1:] * recur_held(given, weight, nothing)[0][:-1] ** 3).sum()

    ours, theirs = (jax.grad(one, argnums=(0, 1))(GIVEN, WEIGHT) for one in (of_ours, of_theirs))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_one_step_has_the_state_before_it():
    np.testing.assert_array_equal(recur(GIVEN[:1], WEIGHT), np.zeros((1, 3, 5)))
    to_given = jax.grad(lambda given: recur(given, WEIGHT).sum())(GIVEN[:1])
    np.testing.assert_array_equal(to_given, np.zeros_like(GIVEN[:1]))


def test_a_layer_adds_inputs_and_bias():
    layer = LSTM(4, 5, key=jax.random.key(0))
    x = jnp.asarray(random.normal(size=(7, 3, 4)), jnp.float32)
    expected = by_hand(x @ layer.inputs + layer.bias, layer.recurrent)
    np.testing.assert_allclose(layer(x)[0], expected, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(layer.bias)[5:10], 1.0)


@pytest.mark.parametrize("rows", [6, 600])
def test_lookups_have_the_gradient_of_indexing(rows):
    table = jnp.asarray(random.normal(size=(rows, 3)), jnp.float32)
    index = jnp.asarray(random.integers(0, rows, (4, 5)))
    wanted = random.normal(size=(4, 5, 3)).astype(np.float32)
    ours = jax.grad(lambda t: (lookup(t, index) * wanted).sum())(table)
    expected = np.zeros((rows, 3))
    np.add.at(expected, np.asarray(index), wanted)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    np.testing.assert_array_equal(lookup(table, index), table[index])
