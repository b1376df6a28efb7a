"""The walker against mechanics: what falls, what is kept, and what a stump stops."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import UnknownName
from lifelong.worlds import Walker
from lifelong.worlds._walker_body import GRAVITY, PARTS, SECONDS, Moving, Track, ground, moved, plan_of

FLAT = Track(jnp.asarray([100.0]), jnp.asarray([0.5]), jnp.asarray([0.0]))
STEPS = 50


@partial(jax.jit, static_argnums=0)
def lived(name, place, speed, twist):
    """Return where the points of a body are, and how fast, at every step under constant motors, before one stump."""
    world, plan = Walker(name), plan_of(name)
    track = Track(jnp.asarray([2.0]), jnp.asarray([0.5]), jnp.asarray([0.8]))
    still = Moving(place, speed, jnp.zeros(len(place), bool))

    def step(body, _):
        body = moved(plan, track, body, world._forces(body, twist))
        return body, body

    return jax.lax.scan(step, still, None, length=STEPS)[1]


def start(name, height=0.0, **where):
    plan = plan_of(name)
    place = jnp.asarray(plan.rest) + jnp.asarray([where.get("x", 0.0), height])
    return plan, place, jnp.zeros_like(place), jnp.zeros(2 * len(plan.feet))


def test_in_the_air_the_middle_of_the_mass_falls_as_it_must_and_motors_turn_nothing():
    plan, place, speed, twist = start("normal", height=22.0)
    body = lived("normal", place, speed, twist + jnp.asarray([1.0, -0.5, -1.0, 0.7]))
    mass = plan.mass[:, None] / plan.mass.sum()
    middle = (np.asarray(body.place, np.float64) * mass).sum(1)
    seconds = SECONDS * np.arange(1, STEPS + 1)
    first = (np.asarray(place, np.float64) * mass).sum(0)
    fallen = GRAVITY / 2 * seconds * (seconds + SECONDS / PARTS)
    np.testing.assert_allclose(middle[:, 1], first[1] - fallen, atol=0.02)
    np.testing.assert_allclose(middle[:, 0], first[0], atol=0.02)
    away = np.asarray(body.place) - middle[:, None]
    turned = away[..., 0] * np.asarray(body.speed)[..., 1] - away[..., 1] * np.asarray(body.speed)[..., 0]
    momentum, largest = (turned * plan.mass).sum(1), (np.abs(turned) * plan.mass).sum(1).max()
    assert largest > 5 and np.abs(momentum).max() < 0.05 * largest, "motors move the legs but turn nothing as a whole"


@pytest.mark.parametrize("name", ["short", "normal", "quadrupedal"])
def test_rods_keep_their_lengths_and_nothing_sinks_into_the_ground(name):
    plan, place, speed, twist = start(name, height=0.5)
    body = lived(name, place, speed, twist + 0.3)
    a, b = np.array(plan.rods).T
    lengths = np.linalg.norm(np.asarray(body.place)[:, a] - np.asarray(body.place)[:, b], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(plan.lengths, lengths.shape), rtol=0.05)
    assert (np.asarray(body.place)[..., 1] >= -1e-4).all() and np.asarray(body.touching).any()
    assert np.isfinite(body.speed).all()


def test_a_stump_stops_what_comes_from_the_side_and_carries_what_comes_from_above():
    _, place, speed, twist = start("normal")
    body = lived("normal", place + jnp.asarray([0.6, 0.0]), speed.at[:, 0].set(4.0), twist)
    x, y = np.asarray(body.place)[..., 0], np.asarray(body.place)[..., 1]
    inside = (x > 2.0 + 1e-4) & (x < 2.5 - 1e-4) & (y < 0.8 - 1e-4)
    assert not inside.any() and x[:, 3:].max() > 1.9
    _, place, speed, twist = start("short", height=0.9, x=2.25)
    body = lived("short", place, speed, twist)
    feet = np.asarray(body.place)[:5, np.array(plan_of("short").feet)]
    assert (feet[..., 1] >= 0.8 - 1e-4).all() and np.asarray(body.touching)[:5].any()


def test_tracks_are_as_the_task_says():
    world = Walker(levels=[[1.0, 2.0], [0.0, 2.0]])
    tracks = [eqx.filter_jit(world.start)(world.level(i), key=jax.random.key(0)).track for i in range(2)]
    heights = np.asarray(tracks[0].height)[np.asarray(tracks[0].place) < 40]
    np.testing.assert_allclose(heights, 1.0, atol=0.1 + 1e-6)
    np.testing.assert_allclose(np.diff(tracks[0].place), 2.5, rtol=1e-5)
    assert not np.asarray(tracks[1].height).any()
    seen = ground(tracks[0], tracks[0].place[:2] + jnp.asarray([0.25, -0.25]))
    np.testing.assert_allclose(seen, [tracks[0].height[0], 0.0])


def test_bodies_have_names():
    with pytest.raises(UnknownName, match="did you mean 'quadrupedal'"):
        Walker("quadruped")
