"""A runner on rough ground, over pits and blocks."""

from math import inf
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ._environment import Box, Vectors, checked_limit

CELL, CELLS, SITE, SITES = 0.5, 128, 16, 7
"""The length of a cell of ground in metres, the cells of a track and of a site, and the sites, which fill the track's end."""

LENGTH = CELL * CELLS
"""Where a track ends, in metres."""

SECONDS, GRAVITY, PUSH, DRAG, JUMP = 0.1, 10.0, 6.0, 0.6, 6.0
"""The seconds of a step, what pulls and the strongest push (m/s²), how speed is lost (1/s), and the highest jump (m/s)."""

CLEAR, SLOW = 0.1, 2.0
"""How high an edge the runner steps over, in metres, and how fast it may run against a higher one, in m/s."""

PIT, FALLEN, BLOCK = -3.0, -1.0, 2
"""How deep pits are, how deep a fall is the last, both in metres; and the cells of a block."""

SIGHT = np.array([0.5, 1.0, 1.5, 2.5, 4.0, 6.0], np.float32)
"""Where ahead the height of the ground is seen, in metres."""


class Runner(NamedTuple):
    """Where the runner is and how fast, whether it stands, and the ground, cell by cell."""

    x: Float[Array, ""]
    y: Float[Array, ""]
    forward: Float[Array, ""]
    upward: Float[Array, ""]
    stands: Bool[Array, ""]
    ground: Float[Array, " cells"]


class Leap(Vectors):
    """Run 64 m in ten seconds, over what the task puts in the way, and leap in time.

    A miniature of the obstacle courses of POET (Wang et al. 2019, section 4.1): a task says how rough the ground is, how wide
    pits are and how high blocks (each half of that to all of it), and how many of the track's seven sites have one or the
    other, by chance. The runner is a point. It is pushed while it stands, jumps where it stands, and steps over edges of up
    to 0.1 m; a higher one stops it, and ends the episode if it runs faster than 2 m/s, as a fall into a pit does, at a cost
    of 1. The reward of a step is 300/64 for every metre forward: a track is worth 300.

    Actions are the push, −1 … 1, and the jump, none below 0. What is seen: the ground at six places up to 6 m ahead, relative
    to the runner; both speeds; its height over the ground, and whether it stands.

    Args:
        levels: rows of roughness, width of pits, height of blocks, and density.
        limit: steps of 0.1 s after which the time is up.

    Raises BadInput for levels of another shape and limits below 1.
    """

    levels: Float[Array, "tasks 4"]
    limit: int = eqx.field(static=True)

    def __init__(self, levels: Any = None, limit: int = 100):
        self.levels, self.limit = self._as_levels(levels), checked_limit(limit)

    @property
    def parameters(self) -> dict[str, tuple[float, float, float]]:
        """Roughness, width of pits and height of blocks, in m, and the share of sites with one of them."""
        return {
            "roughness": (0.0, 0.0, 1.0),
            "pit": (0.0, 0.0, 8.0),
            "block": (0.0, 0.0, 2.0),
            "density": (0.0, 0.0, 1.0),
        }

    @property
    def actions(self) -> Box:
        """A push and a jump."""
        return Box(-1.0, 1.0, (2,))

    @property
    def observations(self) -> Box:
        """The ground ahead, and the runner."""
        return Box(-inf, inf, (len(SIGHT) + 4,))

    def start(self, task: Float[Array, "4"], *, key: PRNGKeyArray) -> Runner:
        """Return a runner at rest before a new track."""
        roughness, pit, block, density = task
        chance = jax.random.uniform(key, (CELLS // 2 + 3 * SITES,))
        there, kind, size = chance[CELLS // 2 :].reshape(3, SITES, 1)
        cell = jnp.arange(SITE)
        high = jnp.where(cell < BLOCK, block * (0.5 + 0.5 * size), 0.0)
        deep = jnp.where(cell * CELL < pit * (0.5 + 0.5 * size), PIT, 0.0)
        site = jnp.where(there < density, jnp.where(kind < 0.5, deep, high), 0.0)
        ground = roughness * (jnp.repeat(chance[: CELLS // 2], 2) - 0.5)
        ground = ground.at[: CELLS - SITE * SITES].multiply(0.0).at[CELLS - SITE * SITES :].add(site.reshape(-1))
        none = jnp.float32(0.0)
        return Runner(none, none, none, none, jnp.bool_(True), ground)

    def move(
        self, task: Float[Array, "4"], body: Runner, action: Float[Array, "2"], *, key: PRNGKeyArray
    ) -> tuple[Runner, Float[Array, ""], Bool[Array, ""]]:
        """Push and jump, then move for 0.1 s (an Euler step)."""
        push, jump = jnp.clip(action, -1.0, 1.0)
        forward = body.forward + SECONDS * jnp.where(body.stands, PUSH * push - DRAG * body.forward, 0.0)
        upward = jnp.where(body.stands & (jump > 0), JUMP * jump, body.upward) - SECONDS * GRAVITY
        x = jnp.clip(body.x + SECONDS * forward, 0.0, LENGTH)
        y = body.y + SECONDS * upward
        floor = _height(body.ground, x)
        stopped = floor > jnp.maximum(y, body.y) + CLEAR
        crashed = stopped & (jnp.abs(forward) > SLOW)
        x = jnp.where(stopped, body.x, x)
        forward = jnp.where(stopped, 0.0, forward)
        floor = jnp.where(stopped, _height(body.ground, body.x), floor)
        stands = y <= floor
        y, upward = jnp.where(stands, floor, y), jnp.where(stands, 0.0, upward)
        fallen = crashed | (y < FALLEN)
        reward = 300.0 / LENGTH * (x - body.x) - fallen
        return Runner(x, y, forward, upward, stands, body.ground), reward, fallen | (x >= LENGTH)

    def observe(self, task: Float[Array, "4"], body: Runner) -> Float[Array, " numbers"]:
        """Return the ground ahead, and the runner."""
        below = body.y - _height(body.ground, body.x)
        own = jnp.stack([body.forward / 10, body.upward / JUMP, below, body.stands.astype(jnp.float32)])
        return jnp.concatenate([_height(body.ground, body.x + SIGHT) - body.y, own])


def _height(ground: Float[Array, " cells"], x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return the height of the ground; beyond the end it is that of the last cell."""
    return ground[jnp.clip((x / CELL).astype(jnp.int32), 0, CELLS - 1)]
