"""PSI-KT's generative model of students and the network that infers it, as functions of padded histories.

The equations are those of Zhou et al. 2024 ("Predictive, scalable and interpretable knowledge tracing on structured
domains", section 3), numbered here:

1. traits sₙ = (α, μ, σ, γ): s₁ ~ N(m₀, P₀), sₙ ~ N(H·sₙ₋₁, R), read out as softplus, identity, softplus and sigmoid;
2. states zₙ ~ N(w·zₙ₋₁ + (1 − w)·μ̃, σ²(1 − w²)/(2α)) with w = exp(−α·τ), μ̃ₖ = μ + γ/K·Σᵢ aᵢₖ·zᵢ, z₁ ~ N(m, P);
3. answers yₙ ~ Bernoulli(σ(zₙ at the skill));
4. graph aᵢₖ = σ(uᵢ·uₖ)·σ(uᵢ·(M − Mᵀ)·uₖ) for i ≠ k: the second factors of i → k and k → i add up to 1.
"""

import math
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._network import Network
from ._rows import Rows
from ._tokens import Table, averaged, delayed, turned

TRAITS = 4
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
MASS = WEIGHTS / WEIGHTS.sum()
"""Points and masses of E f(x), x standard normal."""

AVERAGE = (0.54, 0.0, 0.0, 0.0)
"""Traits to start from, before they are read out: α = 1, so a tenth is forgotten in the median gap of τ = 0.1."""

STILL = 1e-4
"""The variance that a trait may gain in a row where traits are said not to change."""

Kind = Literal["changing", "constant", "shared"]


class Traits(NamedTuple):
    """What a student is like: forgetting α, long-run level μ, volatility σ, and γ, how far prerequisites carry."""

    forgetting: Float[Any, "*shape"]
    level: Float[Any, "*shape"]
    volatility: Float[Any, "*shape"]
    transfer: Float[Any, "*shape"]


class Gaussian(NamedTuple):
    """Means and variances of independent numbers."""

    mean: Array
    variance: Array


def read_out(s: Float[Array, "*shape traits"]) -> Traits:
    """Return equation 1's read-out, with softplus where the authors' code has a rectifier, which can die."""
    soft = jax.nn.softplus(s) + 1e-6
    return Traits(soft[..., 0], s[..., 1], soft[..., 2], jax.nn.sigmoid(s[..., 3]))


def moved(z: Gaussian, traits: Traits, graph: Float[Array, "skills skills"], tau: Float[Array, "*shape"]) -> Gaussian:
    """Return equation 2 for states known up to z: an Ornstein-Uhlenbeck step whose level prerequisites lift."""
    alpha, level, sigma, gamma = (one[..., None] for one in traits)
    w = jnp.exp(-alpha * tau[..., None])
    target = level + gamma / len(graph) * (z.mean @ graph)
    noise = -jnp.expm1(-2 * alpha * tau[..., None]) / (2 * alpha) * sigma**2
    return Gaussian(w * z.mean + (1 - w) * target, w**2 * z.variance + noise + 1e-6)


def divergence(q: Gaussian, p: Gaussian) -> Float[Array, "*shape"]:
    """Return KL(q ‖ p), in sum over the last axis."""
    ratio = q.variance / p.variance
    return 0.5 * (ratio - 1 - jnp.log(ratio) + (q.mean - p.mean) ** 2 / p.variance).sum(axis=-1)


class Generative(eqx.Module):
    """What all students share: equations 1, 2 and 4."""

    start: Float[Array, " traits"]
    spread: Float[Array, " traits"]
    drift: Float[Array, "traits traits"]
    noise: Float[Array, " traits"]
    first: Float[Array, "two"]
    places: Float[Array, "skills d"]
    turn: Float[Array, "d d"]
    linked: Float[Array, ""]
    kind: Kind = eqx.field(static=True)

    def __init__(self, skills: int, d: int, kind: Kind, linked: bool, *, key: PRNGKeyArray):
        self.start, self.spread = jnp.array(AVERAGE), jnp.zeros(TRAITS)
        self.drift, self.noise = jnp.eye(TRAITS), jnp.full(TRAITS, -4.0, jnp.float32)
        self.first, self.kind, self.linked = jnp.zeros(2), kind, jnp.asarray(linked, jnp.float32)
        drawn = jax.random.normal(key, (skills + d, d)) / math.sqrt(d)
        self.places, self.turn = drawn[:skills], drawn[skills:]

    def graph(self) -> Float[Array, "skills skills"]:
        """Return the probability of every edge i → k, that i prepares for k; 0 where the graph is left out."""
        u = self.places
        edges = jax.nn.sigmoid(u @ u.T) * jax.nn.sigmoid(u @ (self.turn - self.turn.T) @ u.T)
        return edges * (1 - jnp.eye(len(u))) * jax.lax.stop_gradient(self.linked)

    def followed(self, s: Gaussian) -> Gaussian:
        """Return the traits of the next row, given those of this one."""
        if self.kind != "changing":
            return Gaussian(s.mean, s.variance + STILL)
        return Gaussian(self.drifted(s.mean), s.variance @ (self.drift**2).T + jax.nn.softplus(self.noise))

    def drifted(self, s: Float[Array, "*shape traits"]) -> Float[Array, "*shape traits"]:
        """Return what traits are expected to be in the next row, given those of this one."""
        return s @ self.drift.T if self.kind == "changing" else s

    def before(self) -> tuple[Gaussian, Gaussian]:
        """Return traits and states (of any one skill) before the first row."""
        s = Gaussian(self.start, jax.nn.softplus(self.spread))
        return s, Gaussian(self.first[0], jax.nn.softplus(self.first[1]))


class Inference(eqx.Module):
    """q(s): from rows up to each to the means and variances of traits after it."""

    question: Table
    answer: Float[Array, "three d"]
    layers: tuple[Array, Array]
    category: tuple[Array, Array]
    to_s: tuple[Array, Array]
    bias: Float[Array, " traits2"]

    def __init__(self, skills: int, d: int, categories: int, *, key: PRNGKeyArray):
        for_table, for_layers = jax.random.split(key)
        self.question = Table(skills, d, key=for_table)
        shapes = ((3, d), (2 * d, 2 * d), (2 * d, d), (d + 1, 64), (64, categories), (d + 1 + categories, 64))
        drawn = _drawn((*shapes, (64, 2 * TRAITS)), for_layers)
        self.answer, self.layers, self.category, self.to_s = drawn[0], drawn[1:3], drawn[3:5], drawn[5:]  # pyright: ignore
        self.bias = jnp.array([*AVERAGE, *[-1.0] * TRAITS])

    def __call__(self, rows: Rows) -> Gaussian:
        """Return s with leading axes [length, pieces] for rows with time first; rows without a grade say nothing."""
        said = rows.outcome >= 0
        question = averaged(self.question(rows.skill), rows.skill)
        when = _waves(jnp.log1p(rows.time), question.shape[-1]) + self.answer[jnp.maximum(rows.outcome, 0)]
        e = _through(self.layers, jnp.concatenate([question, when], axis=-1))
        count = jnp.cumsum(said, axis=0)[..., None]
        average = jnp.cumsum(jnp.where(said[..., None], e, 0.0), axis=0) / jnp.maximum(count, 1)
        so_far = jnp.concatenate([average, jnp.log1p(count)], axis=-1)
        kinds = jax.nn.softmax(_through(self.category, so_far))
        found = _through(self.to_s, jnp.concatenate([so_far, kinds], axis=-1)) + self.bias
        return Gaussian(found[..., :TRAITS], jax.nn.softplus(found[..., TRAITS:]) + 1e-4)


def _drawn(shapes: tuple[tuple[int, int], ...], key: PRNGKeyArray) -> tuple[Array, ...]:
    """Return normal matrices, each scaled by its inputs, from one draw for all."""
    sizes = np.cumsum([n * m for n, m in shapes])
    flat = jnp.split(jax.random.normal(key, (int(sizes[-1]),)), sizes[:-1])
    return tuple(part.reshape(shape) / math.sqrt(shape[0]) for part, shape in zip(flat, shapes, strict=True))


def _through(layers: tuple[Array, Array], x: Array) -> Array:
    return jax.nn.leaky_relu(x @ layers[0], 0.2) @ layers[1]


def _waves(x: Float[Array, "*shape"], d: int) -> Float[Array, "*shape d"]:
    rate = 2.0 ** -jnp.arange(-(-d // 2))
    angle = x[..., None] * rate
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)[..., :d]


class Psi(Network):
    """The generative model and its inference. `scale` [seconds] is the unit of τ; `timed` is 0 where τ is said to be even."""

    model: Generative
    inference: Inference
    scale: Float[Array, ""]
    timed: Float[Array, ""]

    def _tau(self, seconds: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return τ; padded places, whose time is 0, would go back, and grow without bound."""
        timed, seconds = jax.lax.stop_gradient(self.timed), jnp.maximum(seconds, 0.0)
        return timed * seconds / jax.lax.stop_gradient(self.scale) + (1 - timed) * EVEN

    def posterior(self, rows: Rows) -> Gaussian:
        """Return the traits after every row, time first."""
        s = self.inference(rows)
        if self.model.kind == "shared":
            return Gaussian(jnp.broadcast_to(self.model.start, s.mean.shape), jnp.full_like(s.variance, STILL))
        return s

    def loss(self, rows: Rows, *, key: PRNGKeyArray) -> Float[Array, " pieces"]:
        """Return −E ln P(yₙ | y₁ … yₙ₋₁, s) + KL of traits from what the row before predicts, in sum over rows.

        What is known of traits after a row is the prior of the next (the paper's continual variant). States are integrated
        out given the traits, of which one is drawn for every student: the same deviate in all rows.
        """
        rows = turned(rows)
        s, said = self.posterior(rows), rows.outcome >= 0
        deviate = jax.random.normal(key, s.mean.shape[1:])
        p = self._followed(rows, s.mean + jnp.sqrt(s.variance) * deviate, seen=True)
        p = jnp.clip(jnp.where(rows.outcome == 1, p, 1 - p), 1e-6, 1.0)
        lost = -jnp.log(p)
        if self.model.kind != "shared":
            start = _like(self.model.before()[0], s)
            first = jnp.cumsum(said, axis=0) - said == 0
            before = jax.tree.map(delayed, _carried(s, said))
            lost = lost + divergence(s, _where(first, start, self.model.followed(before)))
        return jnp.where(said, lost, 0.0).sum(axis=0)

    def logits(self, rows: Rows) -> Float[Array, "pieces length"]:
        """Return logits of E σ(z) at the skill asked for, predicted from the last graded row, open loop from then on."""
        by_time = turned(rows)
        p = jnp.clip(self._followed(by_time, self.posterior(by_time).mean, seen=False), 1e-6, 1 - 1e-6)
        return (jnp.log(p) - jnp.log1p(-p)).T

    def _followed(
        self, rows: Rows, s: Float[Array, "length pieces traits"], seen: bool
    ) -> Float[Array, "length pieces"]:
        """Return P(right) of every row: states move on by equation 2, and by Bayes' rule where an answer is observed.

        They move by the traits `s` after the row, where it is `seen`, and otherwise by those that earlier rows predict.
        """
        graph, said = self.model.graph(), rows.outcome >= 0
        asks = jnp.zeros_like(said) if rows.asks is None else rows.asks
        start = self.model.before()

        def step(carry: tuple, now: tuple) -> tuple[tuple, Array]:
            s, z, time, begun = carry
            s_now, skill, outcome, when, said, asks = now
            s_next = _choose(begun, self.model.drifted(s), s)
            tau = jnp.where(begun, self._tau(when - time), 0.0)
            z_next = moved(z, read_out(_choose(said, s_now, s_next) if seen else s_next), graph, tau)
            p, z_seen = answered(z_next, skill, outcome)
            kept = (_choose(said, s_now, s_next), _where(said, z_seen, z_next), when, jnp.ones_like(begun))
            return jax.tree.map(lambda new, old: _choose(asks, old, new), kept, carry), p

        z0 = jax.tree.map(lambda one: jnp.broadcast_to(one, (len(said[0]), len(graph))), start[1])
        begin = (jnp.broadcast_to(start[0].mean, s.shape[1:]), z0, rows.time[0], jnp.zeros_like(said[0]))
        return jax.lax.scan(step, begin, (s, rows.skill, rows.outcome, rows.time, said, asks))[1]


EVEN = 0.1
"""τ of every row where times are not used: about the median of τ where they are."""


def answered(
    z: Gaussian, skill: Int[Array, "pieces slots"], outcome: Int[Array, " pieces"]
) -> tuple[Float[Array, " pieces"], Gaussian]:
    """Return E σ(z) at the skills of a row, in mean over them, and the moments of states given its answer.

    The states of one skill given an answer are not Gaussian; they are taken for one of the same mean and variance. Where a
    row has several skills each is moved as if it had been asked alone.
    """
    picks = jax.nn.one_hot(skill, z.mean.shape[-1], dtype=z.mean.dtype)
    mean, variance = ((one[:, None] * picks).sum(axis=-1) for one in z)
    points = mean[..., None] + jnp.sqrt(variance + 1e-6)[..., None] * NODES
    right = jax.nn.sigmoid(points)
    p = (right * MASS).sum(axis=-1)
    weight = jnp.where(outcome[:, None, None] == 1, right, 1 - right) * MASS
    weight = weight / jnp.maximum(weight.sum(axis=-1, keepdims=True), 1e-6)
    after = (weight * points).sum(axis=-1)
    spread = (weight * (points - after[..., None]) ** 2).sum(axis=-1)
    gain, shrink = ((one[..., None] * picks).sum(axis=1) for one in (after - mean, spread - variance))
    seen = Gaussian(z.mean + gain, jnp.maximum(z.variance + shrink, 1e-6))
    return averaged(p[..., None], skill)[..., 0], seen


def _carried(one: Gaussian, said: Array) -> Gaussian:
    """Return the values of the last row up to each that said something."""
    place = jax.lax.cummax(jnp.where(said, jnp.arange(len(said))[:, None], 0), axis=0)
    return jax.tree.map(lambda values: jnp.take_along_axis(values, place[..., None], axis=0), one)


def _choose(which: Array, one: Array, other: Array) -> Array:
    return jnp.where(which.reshape(which.shape + (1,) * (one.ndim - which.ndim)), one, other)


def _where(which: Array, one: Gaussian, other: Gaussian) -> Gaussian:
    return jax.tree.map(lambda a, b: _choose(which, a, b), one, other)


def _like(start: Gaussian, one: Gaussian) -> Gaussian:
    return jax.tree.map(lambda a, b: jnp.broadcast_to(a, b.shape), start, one)
