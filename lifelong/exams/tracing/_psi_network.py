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
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.nets import LSTM

from ._network import Network
from ._rows import Rows
from ._tokens import Table, averaged, delayed, turned

TRAITS = 4
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
"""Points and weights of E f(x), x standard normal."""

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
        self.start, self.spread = jnp.array([-1.0, 0.0, 0.0, 0.0]), jnp.zeros(TRAITS)
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
        return Gaussian(s.mean @ self.drift.T, s.variance @ (self.drift**2).T + jax.nn.softplus(self.noise))

    def before(self) -> tuple[Gaussian, Gaussian]:
        """Return traits and states (of any one skill) before the first row."""
        s = Gaussian(self.start, jax.nn.softplus(self.spread))
        return s, Gaussian(self.first[0], jax.nn.softplus(self.first[1]))


class Inference(eqx.Module):
    """q(s)·q(z): from rows up to each to the means and variances of traits and states after it."""

    question: Table
    answer: Float[Array, "three d"]
    layers: tuple[Array, Array]
    memory: LSTM
    to_z: Float[Array, "d2 skills2"]
    z_bias: Float[Array, " skills2"]
    category: tuple[Array, Array]
    to_s: tuple[Array, Array]
    s_bias: Float[Array, " traits2"]

    def __init__(self, skills: int, d: int, categories: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 5)
        self.question, self.memory = Table(skills, d, key=keys[0]), LSTM(d, 2 * d, key=keys[1])
        self.answer = jax.random.normal(keys[2], (3, d)) / math.sqrt(d)
        self.layers = _layers((2 * d, d, d), keys[3])
        shapes = jax.random.split(keys[4], 3)
        self.category = _layers((d, 64, categories), shapes[0])
        self.to_s = _layers((d + categories, 64, 2 * TRAITS), shapes[1])
        self.to_z = 0.1 * jax.random.normal(shapes[2], (2 * d, 2 * skills)) / math.sqrt(2 * d)
        self.z_bias, self.s_bias = jnp.zeros(2 * skills), jnp.array([-1.0, 0.0, 0.0, 0.0, *[-1.0] * TRAITS])

    def __call__(self, rows: Rows) -> tuple[Gaussian, Gaussian]:
        """Return (s, z) with leading axes [length, pieces] for rows with time first; rows without a grade say nothing."""
        silent = rows.outcome < 0
        question = averaged(self.question(rows.skill), rows.skill)
        when = _waves(jnp.log1p(rows.time), question.shape[-1]) + self.answer[jnp.maximum(rows.outcome, 0)]
        e = _through(self.layers, jnp.concatenate([question, when], axis=-1))
        state, _ = self.memory(e, silent)
        mean, spread = jnp.split(state @ self.to_z + self.z_bias, 2, axis=-1)
        z = Gaussian(mean, jax.nn.softplus(spread) + 1e-4)
        said = jnp.where(silent[..., None], 0.0, e)
        average = jnp.cumsum(said, axis=0) / jnp.maximum(jnp.cumsum(~silent, axis=0), 1)[..., None]
        kinds = jax.nn.softmax(_through(self.category, average))
        mean, spread = jnp.split(
            _through(self.to_s, jnp.concatenate([average, kinds], axis=-1)) + self.s_bias, 2, axis=-1
        )
        return Gaussian(mean, jax.nn.softplus(spread) + 1e-4), z


def _layers(sizes: tuple[int, int, int], key: PRNGKeyArray) -> tuple[Array, Array]:
    pair = zip(sizes[:2], sizes[1:], jax.random.split(key), strict=True)
    first, last = (jax.random.normal(k, (n, m)) / math.sqrt(n) for n, m, k in pair)
    return first, last


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

    def posterior(self, rows: Rows) -> tuple[Gaussian, Gaussian]:
        """Return (s, z) after every row, time first."""
        s, z = self.inference(rows)
        if self.model.kind == "shared":
            flat = Gaussian(jnp.broadcast_to(self.model.start, s.mean.shape), jnp.full_like(s.variance, STILL))
            return flat, z
        return s, z

    def loss(self, rows: Rows, *, key: PRNGKeyArray) -> Float[Array, " pieces"]:
        """Return −E ln P(y | z) + KL of states and traits from what the row before predicts, in sum over rows.

        What is known after a row is the prior of the next (the paper's continual variant), variance included: were states
        conditioned on their mean alone, as in the authors' code, short gaps would ask for states without any doubt, and
        the fit would flee to α so large that states are noise. All expectations but that over the traits, of which one
        sample is drawn, are exact.
        """
        rows = turned(rows)
        s, z = self.posterior(rows)
        said = rows.outcome >= 0
        s_before, z_before = self._before(s, z, rows)
        drawn = s.mean + jnp.sqrt(s.variance) * jax.random.normal(key, s.mean.shape)
        first = jnp.cumsum(said, axis=0) - said == 0
        tau = self._tau(rows.time - _last_time(rows))
        expected = moved(z_before, read_out(drawn), self.model.graph(), tau)
        expected = _where(first, z_before, expected)
        lost = divergence(z, expected) - _log_likelihood(z, rows)
        if self.model.kind != "shared":
            prior = _where(first, s_before, self.model.followed(s_before))
            lost = lost + divergence(s, prior)
        return jnp.where(said, lost, 0.0).sum(axis=0)

    def _before(self, s: Gaussian, z: Gaussian, rows: Rows) -> tuple[Gaussian, Gaussian]:
        """Return what was known after the last graded row before each, or before all."""
        at_first = self.model.before()
        first = (jnp.cumsum(rows.outcome >= 0, axis=0) - (rows.outcome >= 0)) == 0
        kept = (_carried(one, rows.outcome >= 0) for one in (s, z))
        past = (jax.tree.map(delayed, one) for one in kept)
        return tuple(_where(first, _like(start, one), one) for start, one in zip(at_first, past, strict=True))  # pyright: ignore

    def logits(self, rows: Rows) -> Float[Array, "pieces length"]:
        """Return logits of E σ(z) at the skill asked for, predicted from the last graded row, open loop from then on."""
        p = jnp.clip(self.predicted(rows), 1e-6, 1 - 1e-6)
        return (jnp.log(p) - jnp.log1p(-p)).T

    def predicted(self, rows: Rows) -> Float[Array, "length pieces"]:
        """Return the probability of every row, time first: states move on by equation 2 where nothing is observed."""
        rows = turned(rows)
        s, z = self.posterior(rows)
        graph, said = self.model.graph(), rows.outcome >= 0
        asks = jnp.zeros_like(said) if rows.asks is None else rows.asks
        s0, z0 = (_like(start, one) for start, one in zip(self.model.before(), (s, z), strict=True))

        def step(carry: tuple, now: tuple) -> tuple[tuple, Gaussian]:
            s, z, time, begun = carry
            s_seen, z_seen, when, said, asks = now
            s_next = _where(begun, self.model.followed(s), s)
            z_next = _where(begun, moved(z, read_out(s_next.mean), graph, self._tau(when - time)), z)
            kept = (_where(said, s_seen, s_next), _where(said, z_seen, z_next), when, jnp.ones_like(begun))
            return jax.tree.map(lambda new, old: _choose(asks, old, new), kept, carry), z_next

        begin = (jax.tree.map(lambda one: one[0], s0), jax.tree.map(lambda one: one[0], z0), rows.time[0],
            jnp.zeros_like(said[0]))  # fmt: skip
        z_next = jax.lax.scan(step, begin, (s, z, rows.time, said, asks))[1]
        return averaged(_right(z_next, rows)[..., None], rows.skill)[..., 0]


EVEN = 0.1
"""τ of every row where times are not used: about the median of τ where they are."""


def _right(z: Gaussian, rows: Rows) -> Float[Array, "length pieces slots"]:
    """Return E σ(z) at the skills of every row."""
    at = _at_skill(z, rows)
    points = at.mean[..., None] + jnp.sqrt(at.variance)[..., None] * NODES
    return (jax.nn.sigmoid(points) * (WEIGHTS / WEIGHTS.sum())).sum(axis=-1)


def _log_likelihood(z: Gaussian, rows: Rows) -> Float[Array, "length pieces"]:
    """Return E ln P(answer | z), the mean over the skills of every row."""
    at = _at_skill(z, rows)
    points = at.mean[..., None] + jnp.sqrt(at.variance)[..., None] * NODES
    sign = jnp.where(rows.outcome == 1, 1.0, -1.0)[..., None, None]
    found = (jax.nn.log_sigmoid(sign * points) * (WEIGHTS / WEIGHTS.sum())).sum(axis=-1)
    return averaged(found[..., None], rows.skill)[..., 0]


def _at_skill(z: Gaussian, rows: Rows) -> Gaussian:
    """Return the states of the skills of every row: picked by products with ones and zeros, which is fast both ways.

    Where there is no skill it is the first one's, since a variance of 0 has a root without a slope.
    """
    picks = jax.nn.one_hot(jnp.maximum(rows.skill, 0), z.mean.shape[-1], dtype=z.mean.dtype)
    mean, variance = (jnp.einsum("...k,...sk->...s", one, picks) for one in z)
    return Gaussian(mean, variance)


def _carried(one: Gaussian, said: Array) -> Gaussian:
    """Return the values of the last row up to each that said something."""
    place = jax.lax.cummax(jnp.where(said, jnp.arange(len(said))[:, None], 0), axis=0)
    return jax.tree.map(lambda values: jnp.take_along_axis(values, place[..., None], axis=0), one)


def _last_time(rows: Rows) -> Float[Array, "length pieces"]:
    """Return the time of the last graded row before each, its own where there is none."""
    said = rows.outcome >= 0
    last = delayed(jax.lax.cummax(jnp.where(said, rows.time, -1.0), axis=0))
    begun = jnp.cumsum(said, axis=0) - said > 0
    return jnp.where(begun, last, rows.time)


def _choose(which: Array, one: Array, other: Array) -> Array:
    return jnp.where(which.reshape(which.shape + (1,) * (one.ndim - which.ndim)), one, other)


def _where(which: Array, one: Gaussian, other: Gaussian) -> Gaussian:
    return jax.tree.map(lambda a, b: _choose(which, a, b), one, other)


def _like(start: Gaussian, one: Gaussian) -> Gaussian:
    return jax.tree.map(lambda a, b: jnp.broadcast_to(a, b.shape), start, one)
