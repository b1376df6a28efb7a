"""PSI-KT's generative model of students and the network that infers it, as functions of padded histories.

The equations are those of Zhou et al. 2024 ("Predictive, scalable and interpretable knowledge tracing on structured
domains", section 3), numbered here:

1. traits sₙ = (α, μ, σ, γ): s₁ ~ N(m₀, P₀), sₙ ~ N(H·sₙ₋₁, R), read out as softplus, identity, softplus and sigmoid;
2. states zₙ ~ N(w·zₙ₋₁ + (1 − w)·μ̃, σ²(1 − w²)/(2α)) with w = exp(−α·τ), μ̃ₖ = μ + γ/K·Σᵢ aᵢₖ·zᵢ, z₁ ~ N(m, P);
3. answers yₙ ~ Bernoulli(σ(zₙ at the skill));
4. graph aᵢₖ = σ(uᵢ·uₖ)·σ(uᵢ·(M − Mᵀ)·uₖ) for i ≠ k: the second factors of i → k and k → i add up to 1.
"""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from lifelong.nets import product

from ._network import Network
from ._psi_states import Gaussian, Traits, choose, choose_moments, predicted, way
from ._rows import Rows
from ._tokens import Table, averaged, delayed, turned

TRAITS = 4

AVERAGE = (0.54, 0.0, 0.0, 0.0)
"""Traits to start from, before they are read out: α = 1, so a tenth is forgotten in the median gap of τ = 0.1."""

STILL = 1e-4
"""The variance that a trait may gain in a row where traits are said not to change."""

Kind = Literal["changing", "constant", "shared"]


def read_out(s: Float[Array, "*shape traits"]) -> Traits:
    """Return equation 1's read-out, with softplus where the authors' code has a rectifier, which can die."""
    soft = jax.nn.softplus(s) + 1e-6
    return Traits(soft[..., 0], s[..., 1], soft[..., 2], jax.nn.sigmoid(s[..., 3]))


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
    return product(jax.nn.leaky_relu(product(x, layers[0]), 0.2), layers[1])


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
            lost = lost + divergence(s, choose_moments(first, start, self.model.followed(before)))
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
        said, traced = rows.outcome >= 0, jnp.ones_like(rows.outcome, bool) if rows.asks is None else ~rows.asks
        first, tau = self._since(rows.time, traced)
        expected = self._expected(s, said & traced, traced, first)
        ways = way(read_out(choose(said, s, expected) if seen else expected), tau)
        mean, variance = self.model.before()[1]
        z = Gaussian(*(jnp.full((said.shape[1], len(self.model.places)), one) for one in (mean, variance)))
        return predicted(self.model.graph(), z, ways, (rows.skill, rows.outcome, said, rows.asks))

    def _since(
        self, time: Float[Array, "length pieces"], traced: Bool[Array, "length pieces"]
    ) -> tuple[Bool[Array, "length pieces"], Float[Array, "length pieces"]]:
        """Return whether no row before left a trace, and the time τ since the last that did (0 without one)."""
        rows = jnp.arange(len(time))[:, None]
        upto = jax.lax.cummax(jnp.where(traced, rows, -1), axis=0)
        last = jnp.concatenate([jnp.full_like(upto[:1], -1), upto[:-1]])
        since = time - jnp.take_along_axis(time, jnp.maximum(last, 0), axis=0)
        return last < 0, jnp.where(last < 0, 0.0, self._tau(since))

    def _expected(self, s: Array, known: Array, traced: Array, first: Array) -> Float[Array, "length pieces traits"]:
        """Return the traits of every row that rows before it predict, `known` telling which rows say something of them."""

        def step(before: Array, now: tuple[Array, ...]) -> tuple[Array, Array]:
            s, known, traced, first = now
            expected = choose(first, before, self.model.drifted(before))
            return choose(traced, choose(known, s, expected), before), expected

        start = jnp.broadcast_to(self.model.before()[0].mean, s.shape[1:])
        return jax.lax.scan(step, start, (s, known, traced, first))[1]


EVEN = 0.1
"""τ of every row where times are not used: about the median of τ where they are."""


def _carried(one: Gaussian, said: Array) -> Gaussian:
    """Return the values of the last row up to each that said something."""
    place = jax.lax.cummax(jnp.where(said, jnp.arange(len(said))[:, None], 0), axis=0)
    return jax.tree.map(lambda values: jnp.take_along_axis(values, place[..., None], axis=0), one)


def _like(start: Gaussian, one: Gaussian) -> Gaussian:
    return jax.tree.map(lambda a, b: jnp.broadcast_to(a, b.shape), start, one)
