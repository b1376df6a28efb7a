"""A planar walker on tracks with stumps."""

from math import inf, pi
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ._environment import Box, Vectors, checked_limit
from ._walker_body import Moving, Track, ground, moved, plan_of

STUMPS, START, LENGTH = 16, 4.0, 40.0
"""Stumps of a track, where the first may stand, and where the track ends, in metres."""

TORQUE, DAMPING = 60.0, 2.0
HIP, KNEE = (-1.2, 1.2), (-1.8, -0.05)
"""How far hips and knees turn, in radians; beyond that springs push back."""

STIFF = 200.0
SIGHT = np.linspace(0.0, 4.0, 10)
"""Where ahead of the hull the height of the ground is seen."""


class Hike(NamedTuple):
    """A walker on its track."""

    body: Moving
    track: Track


class Walker(Vectors):
    """Walk along a track over stumps, with motors in hips and knees, towards its end 40 m away.

    Tracks are those of TeachMyAgent's and ALP-GMM's stump tracks in small: stumps as high as `height` (± 0.1) and `spacing`
    apart, both of the task, so that most of the space may be out of reach of a body (Portelas et al. 2019). A body is points
    held together by rods, not Box2D's rigid parts, so numbers measured here are this world's own. The reward of a step is
    130/40 for every metre forward, less 0.1 for each radian the hull leans and 0.02 for each full torque; a hull
    that touches anything costs 100 and ends the episode, and so does, for nothing, the end of the track.

    Actions are torques in −1 … 1, for hip and knee of each leg. What is seen: the hull's height over the ground, its lean,
    speeds and turning, angles and turning of all joints, which feet touch, and the ground ahead, relative to that below.

    Args:
        body: 'short', 'normal' or 'quadrupedal'.
        levels: rows of height and spacing, in metres.
        limit: steps of 0.04 s after which the time is up.

    Raises UnknownName for other bodies, BadInput for levels of another shape and limits below 1.
    """

    levels: Float[Array, "tasks 2"]
    body: str = eqx.field(static=True)
    limit: int = eqx.field(static=True)

    def __init__(self, body: str = "normal", levels: Any = None, limit: int = 500):
        plan_of(body)
        self.body, self.levels, self.limit = body, self._as_levels(levels), checked_limit(limit)

    @property
    def parameters(self) -> dict[str, tuple[float, float, float]]:
        """Height and spacing of stumps, in m."""
        return {"height": (0.0, 0.0, 3.0), "spacing": (6.0, 0.5, 6.0)}

    @property
    def actions(self) -> Box:
        """A torque for every joint."""
        return Box(-1.0, 1.0, (2 * len(plan_of(self.body).feet),))

    @property
    def observations(self) -> Box:
        """Hull, joints, feet and the ground ahead."""
        return Box(-inf, inf, (5 + 5 * len(plan_of(self.body).feet) + len(SIGHT),))

    def start(self, task: Float[Array, "2"], *, key: PRNGKeyArray) -> Hike:
        """Return a walker at rest before a new track; its push differs a little."""
        plan = plan_of(self.body)
        chance = jax.random.uniform(key, (STUMPS + 1,))
        height = jnp.maximum(task[0] + 0.1 * (2 * chance[:STUMPS] - 1), 0.0)
        place = START + jnp.arange(STUMPS) * (task[1] + 0.5)
        height = jnp.where((task[0] > 0) & (place < LENGTH), height, 0.0)
        still = Moving(jnp.asarray(plan.rest), jnp.zeros_like(plan.rest), jnp.zeros(len(plan.rest), bool))
        push = still.speed.at[:3, 0].set(0.2 * (chance[-1] - 0.5))
        return Hike(still._replace(speed=push), Track(place, jnp.full(STUMPS, 0.5), height))

    def move(
        self, task: Float[Array, "2"], body: Hike, action: Float[Array, " joints"], *, key: PRNGKeyArray
    ) -> tuple[Hike, Float[Array, ""], Bool[Array, ""]]:
        """Turn the joints for 0.04 s."""
        plan, action = plan_of(self.body), jnp.clip(action, -1.0, 1.0)
        after = moved(plan, body.track, body.body, self._forces(body.body, action))
        forward = after.place[:2, 0].mean() - body.body.place[:2, 0].mean()
        fallen = after.touching[:3].any()
        lean, _ = _turned(after.place[1] - after.place[0], after.speed[1] - after.speed[0])
        reward = 130.0 / LENGTH * forward - 0.1 * jnp.abs(lean) - 0.02 * jnp.abs(action).sum()
        arrived = after.place[2, 0] >= LENGTH
        return Hike(after, body.track), jnp.where(fallen, reward - 100.0, reward), fallen | arrived

    def _joints(self, body: Moving) -> tuple[Float[Array, " joints"], Float[Array, " joints"]]:
        """Return angles and turning of hips (against the hull) and knees (against the thigh)."""
        plan = plan_of(self.body)
        hips, knees, feet = (np.array(points) for points in (plan.hips, plan.knees, plan.feet))
        parts = [(np.zeros(len(hips), int), np.ones(len(hips), int)), (hips, knees), (knees, feet)]
        ways = [_turned(body.place[b] - body.place[a], body.speed[b] - body.speed[a]) for a, b in parts]
        hip, knee = (
            (b[0] - a[0] + turn, b[1] - a[1]) for a, b, turn in zip(ways, ways[1:], (pi / 2, 0.0), strict=False)
        )
        angle, turning = (jnp.stack([hip[i], knee[i]], 1).reshape(-1) for i in range(2))
        return (angle + pi) % (2 * pi) - pi, turning

    def _forces(self, body: Moving, action: Float[Array, " joints"]) -> Float[Array, "points 2"]:
        """Return what the motors, and the stops of the joints, do to the points: torques, each with its counter-torque."""
        plan = plan_of(self.body)
        angle, turning = self._joints(body)
        low, high = (jnp.asarray([hip, knee] * len(plan.feet)) for hip, knee in zip(HIP, KNEE, strict=True))
        beyond = jnp.maximum(low - angle, 0.0) - jnp.maximum(angle - high, 0.0)
        torque = TORQUE * action - DAMPING * turning + STIFF * beyond
        force = jnp.zeros_like(body.place)
        for leg, (hip, knee, foot) in enumerate(zip(plan.hips, plan.knees, plan.feet, strict=True)):
            at_hip, at_knee = torque[2 * leg], torque[2 * leg + 1]
            for a, b, twist in ((0, 1, -at_hip), (hip, knee, at_hip - at_knee), (knee, foot, at_knee)):
                away = body.place[b] - body.place[a]
                across = twist * jnp.stack([-away[1], away[0]]) / (away**2).sum()
                force = force.at[np.array([a, b])].add(jnp.stack([-across, across]))
        return force

    def observe(self, task: Float[Array, "2"], body: Hike) -> Float[Array, " numbers"]:
        """Return hull, joints, feet and the ground ahead."""
        plan, (moving, track) = plan_of(self.body), body
        middle, speed = moving.place[:2].mean(0), moving.speed[:2].mean(0)
        lean, turning = _turned(moving.place[1] - moving.place[0], moving.speed[1] - moving.speed[0])
        heights = ground(track, middle[0] + jnp.asarray(SIGHT, jnp.float32))
        angle, spin = self._joints(moving)
        hull = jnp.stack([middle[1] - heights[0], lean, speed[0] / 5, speed[1] / 5, turning / 5])
        feet = moving.touching[np.array(plan.feet)].astype(jnp.float32)
        return jnp.concatenate([hull, angle, spin / 10, feet, heights - heights[0]])


def _turned(away: Float[Array, "*n 2"], speed: Float[Array, "*n 2"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Return the angle of a rod, and how fast it turns."""
    x, y = away[..., 0], away[..., 1]
    return jnp.arctan2(y, x), (x * speed[..., 1] - y * speed[..., 0]) / (x**2 + y**2)
