"""The bodies of walkers, and the mechanics of points held together by rods."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from lifelong.errors import UnknownName

GRAVITY, SECONDS, PARTS, ROUNDS = 9.8, 0.04, 8, 10
"""What pulls; the seconds of a step, the parts it is cut into, and how often rods and ground set points right in each."""

FRICTION = 0.9
"""The share of its sliding that a point on the ground loses each time it is set right."""


class Plan(NamedTuple):
    """How a body is built: where its points are at rest and what they weigh, which are joined by rods, and its legs.

    Points 0 and 1 are the ends of the hull. A leg has a hip (a point of its own, or the middle of the hull: −1), a knee and
    a foot.
    """

    rest: Float[np.ndarray, "points 2"]
    mass: Float[np.ndarray, " points"]
    rods: tuple[tuple[int, int], ...]
    hips: tuple[int, ...]
    knees: tuple[int, ...]
    feet: tuple[int, ...]

    @property
    def lengths(self) -> Float[np.ndarray, " rods"]:
        """The lengths of the rods."""
        a, b = np.array(self.rods).T
        return np.linalg.norm(self.rest[a] - self.rest[b], axis=1)


BODIES = {"short": (0.6, (2, 2)), "normal": (1.1, (2, 2)), "quadrupedal": (1.1, (0, 0, 1, 1))}
"""The length of half a leg in metres, and the point at which each leg hangs: the middle of the hull, or one of its ends."""


def plan_of(name: str) -> Plan:
    """Return a body by its name; raise `UnknownName` for others.

    The hull is 2 m long and braced by a third point in its middle, below which two legs hang; a quadruped's hang at the ends.
    """
    if name not in BODIES:
        raise UnknownName("body", name, BODIES)
    half, hips = BODIES[name]
    points = [(-1.0, 0.25), (1.0, 0.25), (0.0, -0.15)]
    rods, knees, feet = [(0, 1), (0, 2), (1, 2)], [], []
    for number, hip in enumerate(hips):
        x, y = points[hip]
        lean = (0.3, 0.15)[number % 2]
        knees.append(len(points))
        feet.append(len(points) + 1)
        points += [(x + lean, y - np.sqrt(half**2 - lean**2)), (x, y - 2 * np.sqrt(half**2 - lean**2))]
        rods += [(hip, knees[-1]), (knees[-1], feet[-1])]
    rest = np.array(points, np.float32)
    rest[:, 1] -= rest[:, 1].min()
    mass = np.array([2.0, 2.0, 2.0] + [0.5, 0.5] * len(hips), np.float32)
    return Plan(rest, mass, tuple(rods), hips, tuple(knees), tuple(feet))


class Track(NamedTuple):
    """Stumps on flat ground: where each begins, how wide and how high it is."""

    place: Float[Array, " stumps"]
    width: Float[Array, " stumps"]
    height: Float[Array, " stumps"]


def ground(track: Track, x: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return the height of the ground."""
    on = (x[:, None] >= track.place) & (x[:, None] <= track.place + track.width)
    return jnp.where(on, track.height, 0.0).max(1)


class Moving(NamedTuple):
    """Where the points of a body are and how fast they move, and which of them touched the ground in the last step."""

    place: Float[Array, "points 2"]
    speed: Float[Array, "points 2"]
    touching: Bool[Array, " points"]


def moved(plan: Plan, track: Track, body: Moving, force: Float[Array, "points 2"]) -> Moving:
    """Return a body after one step under forces, its weight included.

    Positions are predicted and then set right, rod by rod and against the ground, and velocities are what the positions have
    become (Müller et al. 2007, "Position Based Dynamics", section 3).
    """
    seconds = SECONDS / PARTS
    weight = jnp.asarray([0.0, -GRAVITY])
    ease = jnp.asarray(1.0 / plan.mass)[:, None]

    def part(body: Moving, _: None) -> tuple[Moving, None]:
        def set_right(_: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
            there, touched = _on_ground(track, body.place, _held(plan, now[0]))
            return there, now[1] | touched

        speed = body.speed + seconds * (weight + force * ease)
        now = (body.place + seconds * speed, body.touching)
        there, touching = jax.lax.fori_loop(0, ROUNDS, set_right, now)
        return Moving(there, (there - body.place) / seconds, touching), None

    body = body._replace(touching=jnp.zeros(len(plan.mass), bool))
    return jax.lax.scan(part, body, None, length=PARTS)[0]


def _held(plan: Plan, place: Float[Array, "points 2"]) -> Float[Array, "points 2"]:
    """Return points after each rod has pulled its ends towards its length, in proportion to how light they are."""
    for (a, b), length in zip(plan.rods, plan.lengths, strict=True):
        away = place[b] - place[a]
        far = jnp.sqrt((away**2).sum() + 1e-9)
        light = np.array([1 / plan.mass[a], 1 / plan.mass[b]])
        pull = (far - length) / far * away / light.sum()
        place = place.at[np.array([a, b])].add(jnp.stack([light[0] * pull, -light[1] * pull]))
    return place


def _on_ground(
    track: Track, before: Float[Array, "points 2"], there: Float[Array, "points 2"]
) -> tuple[Float[Array, "points 2"], Bool[Array, " points"]]:
    """Return points that are nowhere below the ground, and which of them touch it.

    A point that has come into a stump from the side stays beside it, and one that touches anything slides less.
    """
    x, y = there[:, 0], there[:, 1]
    left, right = track.place, track.place + track.width
    inside = (x[:, None] > left) & (x[:, None] < right) & (y[:, None] < track.height)
    was_above = before[:, 1, None] >= track.height - 1e-4
    beside = inside & ~was_above
    nearer_left = before[:, 0, None] <= (left + right) / 2
    wall = jnp.where(nearer_left, left, right)
    x = jnp.where(beside.any(1), (jnp.where(beside, wall, 0.0)).sum(1), x)
    floor = jnp.where(inside & was_above, track.height, 0.0).max(1)
    touching = (y <= floor) | beside.any(1)
    x = jnp.where(y <= floor, x - FRICTION * (x - before[:, 0]), x)
    return jnp.stack([x, jnp.maximum(y, floor)], 1), touching
