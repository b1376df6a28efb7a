"""Metaplastic updates by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lifelong.learners import attenuated, metaplastic

WEIGHTS = {"a": jnp.asarray([0.5, -2.0, 0.0]), "b": jnp.asarray([[1.5]])}
UPDATES = {"a": jnp.asarray([-0.1, -0.1, 0.1]), "b": jnp.asarray([[-0.2]])}


def test_only_moves_towards_zero_are_weakened_the_more_the_farther_the_weight_is():
    weaken = attenuated(1.35)
    new, _ = weaken.update(UPDATES, weaken.init(WEIGHTS), WEIGHTS)
    kept = 1 - np.tanh(1.35 * np.array([0.5, 1.5])) ** 2
    np.testing.assert_allclose(new["a"], [-0.1 * kept[0], -0.1, 0.1], rtol=1e-5)
    np.testing.assert_allclose(new["b"], [[-0.2 * kept[1]]], rtol=1e-5)


def test_without_metaplasticity_it_is_adam():
    slopes = jax.tree.map(jnp.sin, WEIGHTS)
    ends = []
    for optimizer in (metaplastic(0.01, 0.0), optax.adam(0.01)):
        weights, state = WEIGHTS, optimizer.init(WEIGHTS)
        for _ in range(3):
            updates, state = optimizer.update(slopes, state, weights)
            weights = optax.apply_updates(weights, updates)
        ends.append(weights)
    jax.tree.map(np.testing.assert_array_equal, *ends)
