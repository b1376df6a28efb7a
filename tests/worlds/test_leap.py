"""The runner against mechanics: what it runs, leaps over and falls into."""

import jax
import jax.numpy as jnp
import numpy as np

from lifelong.worlds import Leap
from lifelong.worlds._leap import CELL, CELLS, DRAG, GRAVITY, JUMP, LENGTH, PIT, PUSH, SECONDS, SITE, SITES, Runner

WORLD = Leap()
FLAT = jnp.zeros(CELLS)


def ran(ground, actions, speed=0.0):
    """Return where the runner is at each step, what it gets, and whether that was the end."""
    return jax.tree.map(np.asarray, running(ground, actions, speed))


@jax.jit
def running(ground, actions, speed):
    none = jnp.float32(0.0)
    body = Runner(none, none, jnp.float32(speed), none, jnp.bool_(True), ground)

    def step(body, action):
        body, reward, over = WORLD.move(jnp.zeros(4), body, action, key=jax.random.key(0))
        return body, (body, reward, over)

    return jax.lax.scan(step, body, actions)[1]


def always(push, jump, steps=100):
    return jnp.broadcast_to(jnp.asarray([push, jump], jnp.float32), (steps, 2))


def test_on_flat_ground_a_push_gives_the_speed_it_must_and_the_whole_track_is_worth_300():
    body, reward, over = ran(FLAT, always(1, -1))
    steps = np.arange(1, 101)
    expected = PUSH / DRAG * (1 - (1 - SECONDS * DRAG) ** steps)
    np.testing.assert_allclose(body.forward, expected, rtol=1e-4)
    end = int(np.argmax(over))
    assert body.x[end] == LENGTH and reward[: end + 1].sum() == np.float32(300.0) and over.any()
    np.testing.assert_allclose(body.x[:end], SECONDS * np.cumsum(expected)[:end], rtol=1e-4)


def test_a_leap_is_a_parabola_without_a_push_in_the_air():
    body, _, _ = ran(FLAT, always(1, 1, 8), speed=5.0)
    t = np.arange(1, 9)
    np.testing.assert_allclose(body.y, SECONDS * (JUMP * t - SECONDS * GRAVITY * t * (t + 1) / 2), atol=1e-4)
    assert (body.forward == body.forward[0]).all() and not body.stands.any()


def test_a_pit_ends_who_does_not_leap_and_a_leap_carries_over_it():
    ground = FLAT.at[20:28].set(PIT)
    body, reward, over = ran(ground, always(0.8, -1, 60))
    end = int(np.argmax(over))
    assert over.any() and 20 * CELL < body.x[end] < 28 * CELL
    assert reward[end] == np.float32(300 / LENGTH) * (body.x[end] - body.x[end - 1]) - 1
    near = int(np.argmax(body.x >= 18 * CELL))
    body, _, over = ran(ground, always(0.8, -1, 60).at[near + 1, 1].set(1.0))
    assert not over[: near + 13].any() and body.x[near + 13] > 28 * CELL and body.stands[near + 13]


def test_an_edge_stops_the_slow_and_ends_the_fast_and_a_low_one_is_stepped_over():
    wall = FLAT.at[10:].set(1.0)
    body, _, over = ran(wall, always(0.1, -1))
    assert not over.any() and body.x.max() <= 10 * CELL and (body.y == 0).all()
    assert ran(wall, always(1, -1))[2].any()
    body, _, over = ran(FLAT.at[10:].set(0.09), always(0.5, -1, 60))
    assert not over.any() and body.x[-1] > 10 * CELL and body.y[-1] == np.float32(0.09)


def test_ground_is_as_the_task_says():
    tasks = jnp.asarray([[0, 0, 0, 1], [0, 8, 0, 1], [0, 0, 2, 1], [0.6, 0, 0, 0], [0, 8, 2, 0.5]], jnp.float32)
    keys = jax.random.split(jax.random.key(0), 200)
    draw = jax.jit(jax.vmap(jax.vmap(lambda task, key: WORLD.start(task, key=key).ground, (None, 0)), (0, None)))
    nothing, pits, blocks, rough, mixed = np.asarray(draw(tasks, keys))
    start = CELLS - SITE * SITES
    assert (nothing == 0).all() and not any(g[:, :start].any() for g in (pits, blocks, rough, mixed))
    widths = (pits[:, start:].reshape(-1, SITE) == PIT).sum(1) * CELL
    assert set(np.unique(widths)) <= {0.0, *np.arange(4, 8.5, CELL)} and abs((widths > 0).mean() - 0.5) < 0.06
    heights = blocks[:, start:].reshape(-1, SITE).max(1)
    assert heights.max() <= 2 and heights[heights > 0].min() >= 1 and abs((heights > 0).mean() - 0.5) < 0.06
    assert np.abs(rough).max() <= 0.3 and rough[:, start:].std() > 0.15
    taken = np.abs(mixed[:, start:].reshape(-1, SITE)).max(1) > 0
    assert abs(taken.mean() - 0.5) < 0.06


def test_what_lies_ahead_is_seen_relative_to_the_runner():
    none = jnp.float32(0.0)
    ground = FLAT.at[12:].set(-1.0)
    seen = WORLD.observe(jnp.zeros(4), Runner(jnp.float32(5.0), jnp.float32(0.5), none, none, jnp.bool_(False), ground))
    np.testing.assert_allclose(seen[:6], [-0.5, -1.5, -1.5, -1.5, -1.5, -1.5])
    np.testing.assert_allclose(seen[6:], [0, 0, 0.5, 0])
