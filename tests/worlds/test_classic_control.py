"""Classic control against Gymnasium's own, step by step."""

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import Acrobot, CartPole, MountainCar, Situation

STEPS = 1500
PAIRS = {"CartPole-v1": CartPole, "Acrobot-v1": Acrobot, "MountainCar-v0": MountainCar}


def swinging(name, random, t, observation):
    """Return an action that gets around in the world, now and then by chance."""
    if random.random() < (0.3 if t // 300 % 2 else 1.0):
        return int(random.integers(2 if name == "CartPole-v1" else 3))
    if name == "CartPole-v1":
        return int(observation[2] + 0.3 * observation[3] > 0)
    return 2 if observation[-1] > 0 else 0


def gymnasium_steps(name):
    """Return states before and after, actions, observations, rewards and both ends of many steps."""
    world, random, rows = gymnasium.make(name), np.random.default_rng(0), []
    observation, _ = world.reset(seed=0)
    for t in range(STEPS):
        before = np.asarray(world.unwrapped.state, np.float64)
        action = swinging(name, random, t, observation)
        clock = world._elapsed_steps
        observation, reward, terminated, truncated, _ = world.step(action)
        after = np.asarray(world.unwrapped.state, np.float64)
        rows.append((before, action, clock, after, observation, reward, terminated, truncated and not terminated))
        if terminated or truncated:
            observation, _ = world.reset()
    return [np.asarray(column) for column in zip(*rows, strict=True)]


@eqx.filter_jit
def ours(world, states, actions, clocks):
    def step(state, action, clock):
        situation = Situation(world.level(0), state, clock)
        situation, outcome = world.step(situation, action, key=jax.random.key(0))
        return situation.body, outcome

    return jax.vmap(step)(states, actions, clocks)


@pytest.mark.parametrize("name", PAIRS)
def test_every_step_is_gymnasiums(name):
    before, action, clock, after, observation, reward, terminated, truncated = gymnasium_steps(name)
    numbers = jnp.asarray(before, jnp.float32), jnp.asarray(action, jnp.int32), jnp.asarray(clock, jnp.int32)
    body, outcome = ours(PAIRS[name](), *numbers)
    apart = np.abs(np.asarray(body) - after)
    if name == "Acrobot-v1":
        apart[:, :2] = np.minimum(apart[:, :2], 2 * np.pi - apart[:, :2])
    assert apart.max() < 1e-5
    np.testing.assert_allclose(outcome.observation, observation, atol=1e-5)
    np.testing.assert_array_equal(outcome.reward, reward)
    np.testing.assert_array_equal(outcome.terminated, terminated)
    np.testing.assert_array_equal(outcome.truncated, truncated)
    assert terminated.any()
    assert truncated.any() or name != "MountainCar-v0"


@pytest.mark.parametrize("name", PAIRS)
def test_episodes_start_where_gymnasiums_do(name):
    world, theirs = PAIRS[name](), gymnasium.make(name)
    start = jax.jit(lambda keys: jax.vmap(lambda key: world.reset(world.level(0), key=key)[0].body)(keys))
    mine = np.asarray(start(jax.random.split(jax.random.key(0), 4000)))
    low, high = {"CartPole-v1": (-0.05, 0.05), "Acrobot-v1": (-0.1, 0.1), "MountainCar-v0": (-0.6, -0.4)}[name]
    for seed in range(50):
        theirs.reset(seed=seed)
        gym = np.asarray(theirs.unwrapped.state)
        assert (gym[:1] >= low).all() and (gym[:1] <= high).all()
    varied = mine[:, :1] if name == "MountainCar-v0" else mine
    assert varied.min() >= low and varied.max() <= high
    np.testing.assert_allclose(varied.mean(0), (low + high) / 2, atol=4 * (high - low) / np.sqrt(12 * 4000))
    assert name != "MountainCar-v0" or (mine[:, 1] == 0).all()


def test_levels_change_the_world():
    """With ten times the force the cart is ten times as fast."""
    standard = CartPole().levels[0]
    world = CartPole(levels=[standard, standard.at[4].set(100.0)])
    assert world.tasks == 2 and world.outputs == 2
    speeds = [
        world.step(Situation(world.level(i), jnp.zeros(4), jnp.int32(0)), jnp.int32(1), key=jax.random.key(0))[0].body[
            1
        ]
        for i in range(2)
    ]
    np.testing.assert_allclose(speeds[1], 10 * speeds[0], rtol=1e-5)


def test_bad_levels_and_limits_are_refused():
    with pytest.raises(BadInput, match=r"rows of 5 numbers \(gravity, cart_mass"):
        CartPole(levels=[[1.0, 2.0]])
    with pytest.raises(BadInput, match="at least one step"):
        MountainCar(limit=0)
