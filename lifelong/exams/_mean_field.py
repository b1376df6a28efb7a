"""What statistical mechanics predicts of a binary perceptron that learns one task, and then another with a prior.

N binary weights are known by their means m ∈ [−1, 1]; a student with energy E(m) (`FieldEnergy`) is found with
probability ∝ exp(−β E), β large. For N → ∞ and load α = P/N everything follows from three numbers, the overlap r of the
means with the teacher's weights, the overlap q of two students, and the self-overlap q*, which solve

    q̂ = −2α ∂G/∂q,   r̂ = α ∂G/∂r,   q̂* = α ∂G/∂q*,        q = ⟨⟨m⟩²⟩,   r = ⟨⟨m⟩⟩,   q* = ⟨⟨m²⟩⟩,
    G = 2 ∫Dz H(z r/√(q−r²)) ln ∫Dx H((√(q*−q) x + √q z)/√(1−q*))^β,

with inner brackets over m with weight exp((q̂* − q̂/2) m² + (√q̂ z + r̂) m) and outer ones over a standard normal z. In the
second task a student m₁ of the first is the reference: the weight has a further factor exp(−γβ KL(m‖m₁)), the teacher's
weights agree with the first teacher's with probability (1 + ρ)/2, and the brackets also run over m₁ and the agreement
(Li et al. 2022, "Statistical mechanics of continual learning", the Franz-Parisi potential; after the authors' code, with
quadrature in place of sampling).
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import log_tail
from lifelong.recipe import Number, number

EDGE = 1e-6
"""How near order parameters come to where the equations are singular."""


class Rule(NamedTuple):
    """Nodes and weights of a quadrature."""

    nodes: Float[Array, " n"]
    weights: Float[Array, " n"]


REACH = 7.0
"""How far from 0 a standard normal number is looked for."""

CROWDING = 0.05
"""The distance from 0 at which crowded nodes begin to spread."""


def normal_rule(n: int, crowded: bool = False) -> Rule:
    """Return the trapezoidal rule for expectations over a standard normal number, its nodes even or crowded around 0.

    Its error falls as exp(−2π²s²/h²) for integrands that change over a length s, with h the distance of nodes; crowded ones
    lie thirty times as close at 0, for steps there. (Gauss-Hermite nodes lie far apart in the middle, and converge slowly
    on the near-steps of this theory.)
    """
    nodes, density = np.linspace(-REACH, REACH, n), np.ones(n)
    if crowded:
        u = np.linspace(-1.0, 1.0, n) * np.arcsinh(REACH / CROWDING)
        nodes, density = CROWDING * np.sinh(u), np.cosh(u)
    weights = density * np.exp(-0.5 * nodes**2)
    return Rule(jnp.asarray(nodes, jnp.float32), jnp.asarray(weights / weights.sum(), jnp.float32))


def interval_rule(n: int) -> Rule:
    """Return Gauss-Legendre quadrature for integrals from −1 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return Rule(jnp.asarray(nodes, jnp.float32), jnp.asarray(weights, jnp.float32))


def fixed_point(
    update: Callable[[PyTree], PyTree], start: PyTree, damping: float = 0.5, tolerance: float = 1e-9, most: int = 5000
) -> tuple[PyTree, Float[Array, ""]]:
    """Return x with x ≈ update(x), and the last mean squared difference of the two.

    Iterates x ← damping · x + (1 − damping) · update(x) until the mean squared difference is below the tolerance, or
    `most` times.
    """

    def step(carry: tuple[PyTree, Array, Array]) -> tuple[PyTree, Array, Array]:
        x, _, count = carry
        new = update(x)
        squares = jnp.stack(jax.tree.leaves(jax.tree.map(lambda a, b: jnp.mean((a - b) ** 2), new, x)))
        return jax.tree.map(lambda a, b: damping * a + (1 - damping) * b, x, new), squares.mean(), count + 1

    def unsettled(carry: tuple[PyTree, Array, Array]) -> Array:
        return (carry[1] > tolerance) & (carry[2] < most)

    x, difference, _ = jax.lax.while_loop(unsettled, step, (start, jnp.float32(jnp.inf), jnp.int32(0)))
    return x, difference


class Order(NamedTuple):
    """Order parameters: overlap of two students, overlap with the teacher, self-overlap."""

    student: Float[Array, ""]
    teacher: Float[Array, ""]
    own: Float[Array, ""]


class Prediction(NamedTuple):
    """What is predicted: the errors on one or two tasks, the order parameters, and how far they are from a solution."""

    errors: Float[Array, " tasks"]
    order: Order
    conjugate: Order
    difference: Float[Array, ""]


class BinaryPerceptronTheory(eqx.Module):
    """The mean-field theory at one inverse temperature, with its quadratures.

    Args:
        beta: β; 20 stands for infinity (the authors' code).
        noise: nodes for z and x, from −7 to 7.
        grid: Gauss-Legendre nodes for m and m₁.
    """

    beta: Number = number(20.0)
    noise: int = eqx.field(static=True, default=141)
    grid: int = eqx.field(static=True, default=101)

    @property
    def normal(self) -> Rule:
        """The quadrature over noise."""
        return normal_rule(self.noise)

    @property
    def means(self) -> Rule:
        """The quadrature over means of weights."""
        return interval_rule(self.grid)

    def first(self, load: float) -> Prediction:
        """Return the prediction for a single task at load α; raise `BadInput` unless it is positive."""
        _check(load=load)
        return _first(self, jnp.float32(load))

    def second(self, first: float, second: float, correlation: float = 0.0, strength: float = 1.0) -> Prediction:
        """Return the errors on both tasks after the second, at loads α₁ and α₂, task correlation ρ and strength γ."""
        _check(first=first, second=second)
        if not -1 <= correlation <= 1 or strength < 0:
            raise BadInput(
                f"the correlation of tasks lies between −1 and 1 and the strength of a prior is at least 0: "
                f"{correlation=}, {strength=}"
            )
        return _second(self, *(jnp.float32(number) for number in (first, second, correlation, strength)))

    def energy(self, order: Order) -> Float[Array, ""]:
        """Return G, per example and not yet multiplied by the load."""
        (z, likely), x = normal_rule(self.noise, crowded=True), self.normal.nodes
        q, r, own = order
        scale = jnp.sqrt(1 - own)
        g = (jnp.sqrt(own - q) * x + jnp.sqrt(q) * z[:, None]) / scale
        inner = jax.nn.logsumexp(self.beta * log_tail(g) + jnp.log(self.normal.weights), axis=1)
        return 2 * likely @ (jnp.exp(log_tail(z * r / jnp.sqrt(q - r**2))) * inner)

    def conjugates(self, order: Order, load: Float[Array, ""]) -> Order:
        """Return the conjugate parameters that go with order parameters."""
        slope = jax.grad(self.energy)(_inside(order))
        return Order(-2 * load * slope.student, load * slope.teacher, load * slope.own)

    def weights(
        self,
        conjugate: Order,
        noise: Float[Array, " n"],
        agreement: Float[Array, ""] | float,
        prior: Array | float = 0.0,
    ) -> Float[Array, "n *m1 m"]:
        """Return the probabilities of the means' nodes, for every noise z (and every m₁ that the prior has)."""
        m = self.means.nodes
        spread = conjugate.own - conjugate.student / 2
        field = jnp.sqrt(jnp.maximum(conjugate.student, EDGE)) * noise + conjugate.teacher * agreement
        log_weight = spread * m**2 + field[:, None] * m + jnp.log(self.means.weights)
        if isinstance(prior, Array):
            log_weight = log_weight[:, None] + prior
        return jax.nn.softmax(log_weight, axis=-1)

    def reference(self, conjugate: Order) -> Float[Array, " m1"]:
        """Return the probabilities of the means' nodes in the first task, over all noise."""
        return self.normal.weights @ self.weights(conjugate, self.normal.nodes, 1.0)

    def divergence(self) -> Float[Array, "m1 m"]:
        """Return KL(m ‖ m₁) between weights ±1 of means m and m₁, at all pairs of nodes."""
        m, m1 = self.means.nodes, self.means.nodes[:, None]
        return 0.5 * ((1 + m) * jnp.log((1 + m) / (1 + m1)) + (1 - m) * jnp.log((1 - m) / (1 - m1)))


def _check(**loads: float) -> None:
    for name, load in loads.items():
        if not load > 0:
            raise BadInput(f"the load of a task is examples by weights, a positive number, and {name}={load}")


def _inside(order: Order) -> Order:
    """Return order parameters kept away from where the energy is singular."""
    own = jnp.clip(order.own, EDGE, 1 - EDGE)
    q = jnp.clip(order.student, 2 * EDGE, own - EDGE)
    bound = jnp.sqrt(q - EDGE)
    return Order(q, jnp.clip(order.teacher, -bound, bound), own)


def _error(overlap: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.arccos(jnp.clip(overlap, -1.0, 1.0)) / jnp.pi


START = (0.1, 0.1, 0.5)


@eqx.filter_jit
def _first(theory: BinaryPerceptronTheory, load: Float[Array, ""]) -> Prediction:
    m = theory.means.nodes

    def average(conjugate: Order, of: Callable) -> Float[Array, ""]:
        return theory.normal.weights @ of(theory.weights(conjugate, theory.normal.nodes, 1.0))

    def update(order: Order) -> Order:
        hat = theory.conjugates(order, load)
        return Order(
            average(hat, lambda p: (p @ m) ** 2), average(hat, lambda p: p @ m), average(hat, lambda p: p @ m**2)
        )

    order, difference = fixed_point(update, Order(*map(jnp.float32, START)))
    hat = theory.conjugates(order, load)
    return Prediction(_error(average(hat, lambda p: p @ jnp.sign(m)))[None], order, hat, difference)


@eqx.filter_jit
def _second(
    theory: BinaryPerceptronTheory,
    first: Float[Array, ""],
    second: Float[Array, ""],
    correlation: Float[Array, ""],
    strength: Float[Array, ""],
) -> Prediction:
    m = theory.means.nodes
    reference = theory.reference(_first(theory, first).conjugate)
    prior = -strength * theory.beta * theory.divergence()

    def average(hat: Order, of: Callable) -> Float[Array, ""]:
        """Average over noise, m₁, and whether the teachers agree, B = ±1; `of` gets probabilities and B."""

        def given(b: float) -> Float[Array, ""]:
            p = theory.weights(hat, theory.normal.nodes, b, prior)
            return (1 + b * correlation) / 2 * (theory.normal.weights @ of(p, b) @ reference)

        return given(1.0) + given(-1.0)

    def update(order: Order) -> Order:
        hat = theory.conjugates(order, second)
        return Order(
            average(hat, lambda p, b: (p @ m) ** 2),
            average(hat, lambda p, b: b * (p @ m)),
            average(hat, lambda p, b: p @ m**2),
        )

    order, difference = fixed_point(update, Order(*map(jnp.float32, START)))
    hat = theory.conjugates(order, second)
    old, new = average(hat, lambda p, b: p @ jnp.sign(m)), average(hat, lambda p, b: b * (p @ jnp.sign(m)))
    return Prediction(jnp.stack([_error(old), _error(new)]), order, hat, difference)
