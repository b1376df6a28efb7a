"""What every world to act in owes its agents: one contract, under jit, vmap and scan at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.worlds import (
    Acrobot,
    Box,
    CartPole,
    Corridor,
    Discrete,
    LatentMazes,
    Leap,
    Lesson,
    Maze,
    Mixture,
    MountainCar,
    PlacingMazes,
    TechTree,
    Vectors,
    Walker,
    drawn_mazes,
)

BODIES, STEPS, LIMIT = 3, 40, 15
KEYS = jax.random.split(jax.random.key(0), BODIES)
WORLDS = {
    "cart-pole": CartPole(limit=LIMIT),
    "acrobot": Acrobot(limit=LIMIT),
    "mountain car": MountainCar(limit=LIMIT),
    "maze": Maze(drawn_mazes("S.. .#. ..G", "S#. .#. ..G"), limit=LIMIT, view=1),
    "maze without a compass": Maze(Maze.random(2, 4, 3, key=jax.random.key(1)), limit=LIMIT, compass=False),
    "corridor": Corridor([[0.0], [3.0]], limit=LIMIT),
    "walker": Walker("normal", [[0.5, 1.0], [0.0, 6.0]], limit=LIMIT),
    "leap": Leap([[0.5, 2.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]], limit=LIMIT),
    "hasty maze": Maze(drawn_mazes("S.. .#. ..G"), limit=LIMIT, view=1, haste=0.9),
    "placing mazes": PlacingMazes(3, 2, noise=2),
    "latent mazes": LatentMazes(lambda z: jnp.argsort(z), 4, 3, noise=2),
    "tech tree": TechTree(repeats=(1, 1), dummies=3, side=7, view=1, limit=LIMIT),
}


def any_actions(world, chances):
    actions = world.actions
    if isinstance(actions, Discrete):
        return (chances[..., 0] * actions.count).astype(jnp.int32)
    return actions.low + chances * (actions.high - actions.low)


def lived(world, key):
    """Return where every episode stood before a step and after, and what the step led to; and what was seen at first."""
    tasks = world.level(jnp.arange(BODIES) % world.tasks)
    reset = jax.vmap(lambda task, key: world.reset(task, key=key))
    step_on = jax.vmap(lambda situation, action, task, key: world.step_on(situation, action, task, key=key))
    start = reset(tasks, jax.random.split(key, BODIES))

    def step(carry, chance):
        situation, _ = carry
        action, keys = chance
        after, outcome, now = step_on(situation, action, tasks, keys)
        return (after, now), (situation.clock, after.clock, outcome, now)

    actions = any_actions(world, jax.random.uniform(key, (STEPS, BODIES, world.outputs)))
    return start[1], jax.lax.scan(step, start, (actions, jax.random.split(key, (STEPS, BODIES))))[1]


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_keeps_the_contract(name):
    """Shapes and types last (or the scan fails), numbers are finite and within their bounds, episodes end in time and start
    again, and an outcome is that of the old episode.
    """
    world = WORLDS[name]
    first, (before, after, outcome, now) = eqx.filter_jit(lived)(world, jax.random.key(3))
    box = world.observations
    assert first.shape == (BODIES, *box.shape) and first.dtype == jnp.float32
    for seen in (first[None], outcome.observation, now):
        low, high = np.asarray(box.low) - 1e-6, np.asarray(box.high) + 1e-6
        assert np.isfinite(seen).all() and (seen >= low).all() and (seen <= high).all()
    assert outcome.reward.dtype == jnp.float32 and np.isfinite(outcome.reward).all()
    ended = np.asarray(outcome.terminated | outcome.truncated)
    assert not (outcome.terminated & outcome.truncated).any()
    assert ended.any(0).all() and (np.asarray(before) < LIMIT).all()
    np.testing.assert_array_equal(
        outcome.truncated, (np.asarray(before) + 1 == LIMIT) & ~np.asarray(outcome.terminated)
    )
    np.testing.assert_array_equal(after, np.where(ended, 0, np.asarray(before) + 1))
    np.testing.assert_array_equal(np.asarray(now)[~ended], np.asarray(outcome.observation)[~ended])


@pytest.mark.parametrize("name", ["maze", "corridor", "leap", "placing mazes", "tech tree"])
def test_bodies_side_by_side_do_what_each_does_alone(name):
    """Worlds that no oracle knows; the others are vmapped where they are compared with one."""
    world = WORLDS[name]
    actions = any_actions(world, jax.random.uniform(KEYS[0], (BODIES, world.outputs)))
    situation = jax.jit(jax.vmap(lambda key: world.reset(world.level(0), key=key)[0]))(KEYS)
    step = jax.jit(lambda situation, action: world.step(situation, action, key=KEYS[0]))
    together = jax.jit(jax.vmap(lambda situation, action: world.step(situation, action, key=KEYS[0])))
    for body in range(BODIES):
        alone = step(jax.tree.map(lambda leaf, body=body: leaf[body], situation), actions[body])
        for side_by_side, one in zip(
            jax.tree.leaves(together(situation, actions)), jax.tree.leaves(alone), strict=True
        ):
            np.testing.assert_allclose(side_by_side[body], one, rtol=1e-6)


@pytest.mark.parametrize("name", WORLDS)
def test_a_teacher_names_a_level_or_brings_its_own(name):
    world, key = WORLDS[name], jax.random.key(0)
    last = world.level(world.tasks - 1)
    for lesson in (Lesson(jnp.int32(world.tasks - 1), jnp.int32(0)), Mixture(jnp.eye(world.tasks)[-1]), last):
        asked = world.asked(lesson, 2, key=key)
        for leaf, wanted in zip(jax.tree.leaves(asked), jax.tree.leaves(last), strict=True):
            np.testing.assert_array_equal(leaf, np.stack([wanted, wanted]))
    if isinstance(world, Vectors):
        assert world.space.holds(world.level(0)) and isinstance(world.space, Box)


def test_a_corridor_shows_its_sign_once_and_judges_the_last_step():
    world = Corridor([[2.0]])
    situation, seen = eqx.filter_jit(world.reset)(world.level(0), key=jax.random.key(0))
    step = eqx.filter_jit(world.step)
    sign, rows = int(seen[0] > 0), []
    assert abs(seen[0]) == 1
    for _ in range(4):
        situation, outcome = step(situation, jnp.int32(sign), key=jax.random.key(0))
        rows.append((float(outcome.reward), bool(outcome.terminated), float(outcome.observation[0])))
    assert rows == [(0, False, 0), (0, False, 0), (0, False, 0), (1, True, 0)]
