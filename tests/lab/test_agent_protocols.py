"""Protocols of published numbers of agents: what they are built of, and what counts of a life."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.lab._agent_protocols import agent_protocol, recent_returns
from lifelong.lab._anchors import chosen
from lifelong.lab._reproduce import reproduce
from lifelong.learners import Fortunes, falling
from lifelong.life import silent


def row(name):
    return chosen([name])[0]


def test_lives_are_as_long_as_the_scripts():
    """ppo.py: 500,000 // 512 rounds of 16 updates. dqn.py: a step of the optimizer every 10 steps."""
    assert agent_protocol(row("cleanrl/ppo/acrobot")).steps == 976
    assert agent_protocol(row("cleanrl/dqn-jax/cart-pole")).steps == 50_000


def test_numbers_are_those_of_the_scripts():
    ppo = agent_protocol(row("cleanrl/ppo/cart-pole")).learner
    assert (ppo.bodies, ppo.steps, ppo.epochs, ppo.parts, ppo.bootstrap) == (4, 128, 4, 4, False)
    numbers = (ppo.discount, ppo.trace, ppo.feedback.clip, ppo.feedback.value_weight, ppo.feedback.entropy_weight)
    np.testing.assert_allclose(numbers, (0.99, 0.95, 0.2, 0.5, 0.01), rtol=1e-6)
    rate = ppo.optimizer.numbers["learning_rate"]
    assert rate.make is falling
    np.testing.assert_allclose(
        [rate(jnp.int32(i)) for i in (0, 15, 16, 975 * 16)], 2.5e-4 * np.array([1, 1, 975 / 976, 1 / 976]), rtol=1e-3
    )
    dqn = agent_protocol(row("cleanrl/dqn-jax/cart-pole")).learner
    assert (dqn.capacity, dqn.batch, dqn.bodies, dqn.steps, dqn.patience, dqn.renew) == (
        10_000,
        128,
        1,
        10,
        10_000,
        500,
    )
    np.testing.assert_allclose((dqn.discount, dqn.start, dqn.end, dqn.fall), (0.99, 1.0, 0.05, 250_000.0), rtol=1e-6)


def test_a_value_is_the_mean_return_of_the_last_episodes():
    """Of 120 episodes in a lane the last hundred count, of 4 in another these."""
    fortunes = jax.vmap(Fortunes)(jnp.arange(200.0).reshape(2, 100), jnp.zeros((2, 100)), jnp.asarray([120, 4]))
    learner = SimpleNamespace(crew=SimpleNamespace(fortunes=fortunes))
    found = recent_returns(SimpleNamespace(state=SimpleNamespace(learner=learner)))  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(found, [49.5, 101.5])


def test_rows_of_classifiers_ask_for_their_digits(tmp_path):
    with pytest.raises(BadInput, match="is lived on mnist, and nothing was given"):
        reproduce(row("hsu-2018/adam/class"), None, [0], tmp_path, progress=silent)
