"""The exam of agents against episodes lived one by one in Python."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.exams import Returns
from lifelong.learners import Agent
from lifelong.nets import Categorical
from lifelong.worlds import CartPole, Corridor


class Leaning(Agent):
    """Pushes to where the pole leans; its mind counts the steps."""

    def rest(self, state):
        return jnp.zeros(1)

    def consider(self, state, x, mind):
        return Categorical(jnp.where(x[2] + x[3] > 0, 1.0, -1.0) * jnp.asarray([-30.0, 30.0])), mind + 1


class Recalling(Agent):
    """Does what the first sign said."""

    def rest(self, state):
        return jnp.zeros(1)

    def consider(self, state, x, mind):
        mind = mind + x[:1]
        return Categorical(mind * jnp.asarray([-1.0, 1.0])), mind


def lived_by_hand(world, level, key):
    situation, seen = world.reset(world.level(level), key=key)
    step = eqx.filter_jit(world.step)
    total = 0.0
    for _ in range(world.limit):
        action = Leaning().consider(None, seen, jnp.zeros(1))[0].best()
        situation, outcome = step(situation, action, key=key)
        total, seen = total + float(outcome.reward), outcome.observation
        if outcome.terminated or outcome.truncated:
            break
    return total, float(outcome.terminated)


def test_returns_are_those_of_episodes_lived_one_by_one():
    """A weak cart falls and a standard one holds out until the time is up."""
    standard = CartPole().levels[0]
    world = CartPole([standard, standard.at[4].set(0.5)], limit=60)
    sit = eqx.filter_jit(lambda greedy: Returns(3, greedy=greedy).sit(None, Leaning(), world, key=jax.random.key(0)))
    found, drawn = sit(True), sit(False)
    by_hand = np.array([lived_by_hand(world, level, jax.random.key(5)) for level in range(2)])
    np.testing.assert_array_equal(found["return"][0], 60.0)
    np.testing.assert_array_equal(found["terminated"], by_hand[:, 1])
    np.testing.assert_allclose(found["return"], by_hand[:, 0], rtol=0.2)
    np.testing.assert_array_equal(found["return"], found["length"])
    np.testing.assert_array_equal(found["return"], drawn["return"])


def test_an_agent_keeps_its_mind_during_an_episode():
    found = eqx.filter_jit(Returns(20).sit)(None, Recalling(), Corridor([[0.0], [4.0]]), key=jax.random.key(0))
    np.testing.assert_array_equal(found["return"], [1.0, 1.0])
    np.testing.assert_array_equal(found["length"], [2.0, 6.0])


def test_an_exam_has_episodes():
    with pytest.raises(BadInput, match="at least one episode"):
        Returns(0)
