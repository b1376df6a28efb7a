"""Classic control: a pole on a cart, two links to swing up, a car between hills. Equations and constants are Gymnasium's."""

from math import inf, pi
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ._environment import Box, Discrete, Vectors, checked_limit

Moved = tuple[Float[Array, " numbers"], Float[Array, ""], Bool[Array, ""]]


class CartPole(Vectors):
    """Keep a pole upright by pushing its cart left (0) or right (1); every step is worth 1.

    An episode ends when the pole leans by more than 12° or the cart is more than 2.4 m from the middle (Barto, Sutton and
    Anderson 1983; Gymnasium's CartPole-v1, step for step). What is seen is x, dx/dt, θ, dθ/dt.

    Args:
        levels: rows of gravity, cart mass, pole mass, half the pole's length, force.
        limit: steps after which the time is up.

    Raises BadInput for levels of another shape and limits below 1.
    """

    levels: Float[Array, "tasks 5"]
    limit: int = eqx.field(static=True)

    def __init__(self, levels: Any = None, limit: int = 500):
        self.levels, self.limit = self._as_levels(levels), checked_limit(limit)

    @property
    def parameters(self) -> dict[str, tuple[float, float, float]]:
        """Gravity in m/s², masses in kg, half the pole's length in m, force in N."""
        return {
            "gravity": (9.8, 1.0, 30.0),
            "cart_mass": (1.0, 0.1, 5.0),
            "pole_mass": (0.1, 0.01, 1.0),
            "half_length": (0.5, 0.05, 3.0),
            "force": (10.0, 1.0, 30.0),
        }

    @property
    def actions(self) -> Discrete:
        """Left or right."""
        return Discrete(2)

    @property
    def observations(self) -> Box:
        """Four numbers."""
        return Box((-4.8, -inf, -pi * 24 / 180, -inf), (4.8, inf, pi * 24 / 180, inf), (4,))

    def start(self, task: Float[Array, "5"], *, key: PRNGKeyArray) -> Float[Array, "4"]:
        """Return four numbers, uniform in ±0.05."""
        return jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)

    def move(
        self, task: Float[Array, "5"], body: Float[Array, "4"], action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> Moved:
        """Push for 0.02 s (an Euler step)."""
        gravity, cart, pole, length, strength = task
        _, dx, angle, spin = body
        sine, cosine, total = jnp.sin(angle), jnp.cos(angle), cart + pole
        force = jnp.where(action == 1, strength, -strength)
        push = (force + pole * length * spin**2 * sine) / total
        turning = (gravity * sine - cosine * push) / (length * (4 / 3 - pole * cosine**2 / total))
        sliding = push - pole * length * turning * cosine / total
        body = body + 0.02 * jnp.stack([dx, sliding, spin, turning])
        fallen = (jnp.abs(body[0]) > 2.4) | (jnp.abs(body[2]) > pi * 12 / 180)
        return body, jnp.float32(1.0), fallen

    def observe(self, task: Float[Array, "5"], body: Float[Array, "4"]) -> Float[Array, "4"]:
        """Return all there is."""
        return body


class Acrobot(Vectors):
    """Swing the tip of two hanging links above a bar by a torque of −1, 0 or 1 on the joint between them.

    Every step costs 1 until −cos θ₁ − cos(θ₁ + θ₂) > 1 (Sutton 1996; Gymnasium's Acrobot-v1, with the equations of the book
    and a fourth-order Runge-Kutta step of 0.2 s). What is seen is cos θ₁, sin θ₁, cos θ₂, sin θ₂ and both velocities.

    Args:
        levels: rows of the first link's length, both links' masses, and the torque.
        limit: steps after which the time is up.

    Raises BadInput for levels of another shape and limits below 1.
    """

    levels: Float[Array, "tasks 4"]
    limit: int = eqx.field(static=True)

    def __init__(self, levels: Any = None, limit: int = 500):
        self.levels, self.limit = self._as_levels(levels), checked_limit(limit)

    @property
    def parameters(self) -> dict[str, tuple[float, float, float]]:
        """Length in m, masses in kg, torque in N m."""
        return {
            "length": (1.0, 0.5, 2.0),
            "first_mass": (1.0, 0.2, 3.0),
            "second_mass": (1.0, 0.2, 3.0),
            "torque": (1.0, 0.2, 3.0),
        }

    @property
    def actions(self) -> Discrete:
        """A torque of −1, 0 or 1."""
        return Discrete(3)

    @property
    def observations(self) -> Box:
        """Six numbers."""
        high = (1.0, 1.0, 1.0, 1.0, 4 * pi, 9 * pi)
        return Box(tuple(-h for h in high), high, (6,))

    def start(self, task: Float[Array, "4"], *, key: PRNGKeyArray) -> Float[Array, "4"]:
        """Return two angles and two velocities, uniform in ±0.1."""
        return jax.random.uniform(key, (4,), minval=-0.1, maxval=0.1)

    def move(
        self, task: Float[Array, "4"], body: Float[Array, "4"], action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> Moved:
        """Apply the torque for 0.2 s."""
        torque = (action - 1) * task[3]

        def stage(slope: Array, step: Array) -> tuple[Array, Array]:
            slope = _double_pendulum(task, body + step * slope, torque)
            return slope, slope

        _, slopes = jax.lax.scan(stage, jnp.zeros_like(body), jnp.asarray([0.0, 0.1, 0.1, 0.2]))
        body = body + 0.2 / 6 * jnp.asarray([1.0, 2.0, 2.0, 1.0]) @ slopes
        angles = (body[:2] + pi) % (2 * pi) - pi
        speeds = jnp.asarray([4 * pi, 9 * pi])
        body = jnp.concatenate([angles, jnp.clip(body[2:], -speeds, speeds)])
        above = -jnp.cos(body[0]) - jnp.cos(body[0] + body[1]) > 1.0
        return body, jnp.where(above, 0.0, -1.0), above

    def observe(self, task: Float[Array, "4"], body: Float[Array, "4"]) -> Float[Array, "6"]:
        """Return cosines and sines of the angles, and the velocities."""
        c, s = jnp.cos(body[:2]), jnp.sin(body[:2])
        return jnp.concatenate([jnp.stack([c, s], 1).reshape(-1), body[2:]])


def _double_pendulum(task: Float[Array, "4"], body: Float[Array, "4"], torque: Array) -> Float[Array, "4"]:
    """Return the velocities and accelerations of two links, each with a moment of inertia of 1 about its middle."""
    length, first, second, _ = task
    turn1, turn2, speed1, speed2 = body
    middle1, middle2, gravity = length / 2, 0.5, 9.8
    c2, s2 = jnp.cos(turn2), jnp.sin(turn2)
    d1 = first * middle1**2 + second * (length**2 + middle2**2 + 2 * length * middle2 * c2) + 2.0
    d2 = second * (middle2**2 + length * middle2 * c2) + 1.0
    weight2 = second * middle2 * gravity * jnp.sin(turn1 + turn2)
    coupling = second * length * middle2 * s2
    weight1 = -coupling * speed2 * (speed2 + 2 * speed1)
    weight1 = weight1 + (first * middle1 + second * length) * gravity * jnp.sin(turn1) + weight2
    pull = torque + d2 / d1 * weight1 - coupling * speed1**2 - weight2
    gain2 = pull / (second * middle2**2 + 1.0 - d2**2 / d1)
    return jnp.stack([speed1, speed2, -(d2 * gain2 + weight1) / d1, gain2])


class MountainCar(Vectors):
    """Drive a car that is too weak for it up a hill, by swinging between two; every step costs 1.

    The action pushes left (0), not at all (1) or right (2); the flag stands at 0.5 (Moore 1990; Gymnasium's MountainCar-v0).
    What is seen is position and velocity.

    Args:
        levels: rows of force and gravity, per step.
        limit: steps after which the time is up.

    Raises BadInput for levels of another shape and limits below 1.
    """

    levels: Float[Array, "tasks 2"]
    limit: int = eqx.field(static=True)

    def __init__(self, levels: Any = None, limit: int = 200):
        self.levels, self.limit = self._as_levels(levels), checked_limit(limit)

    @property
    def parameters(self) -> dict[str, tuple[float, float, float]]:
        """What a push, and what gravity at its steepest, add to the velocity in a step."""
        return {"force": (0.001, 0.0002, 0.003), "gravity": (0.0025, 0.001, 0.005)}

    @property
    def actions(self) -> Discrete:
        """Left, nothing, right."""
        return Discrete(3)

    @property
    def observations(self) -> Box:
        """Two numbers."""
        return Box((-1.2, -0.07), (0.6, 0.07), (2,))

    def start(self, task: Float[Array, "2"], *, key: PRNGKeyArray) -> Float[Array, "2"]:
        """Return a place in the valley, uniform in −0.6 … −0.4, at rest."""
        return jnp.stack([jax.random.uniform(key, (), minval=-0.6, maxval=-0.4), jnp.float32(0.0)])

    def move(
        self, task: Float[Array, "2"], body: Float[Array, "2"], action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> Moved:
        """Push for one step; the left wall stops the car."""
        place, speed = body
        speed = jnp.clip(speed + (action - 1) * task[0] - jnp.cos(3 * place) * task[1], -0.07, 0.07)
        place = jnp.clip(place + speed, -1.2, 0.6)
        speed = jnp.where((place <= -1.2) & (speed < 0), 0.0, speed)
        return jnp.stack([place, speed]), jnp.float32(-1.0), (place >= 0.5) & (speed >= 0)

    def observe(self, task: Float[Array, "2"], body: Float[Array, "2"]) -> Float[Array, "2"]:
        """Return all there is."""
        return body
