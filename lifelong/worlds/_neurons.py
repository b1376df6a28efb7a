"""Recordings of neurons: spike counts, trial by trial, of a population tuned to the angle of a reach."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.recipe import Number, number

from ._batch import Batch, Lesson, Mixture
from ._glimpses import Glimpses
from ._passes import Passes
from ._world import Pages

CONCENTRATION, PEAK, BASELINE = 2.0, 1.0, 0.5
"""Width of tuning curves, and spikes a bin at their peak and everywhere. With 60 neurons a linear decoder then reads the angle
of about seven of ten bins, which is what supervised decoders read from the motor cortex in Azabou et al. 2021."""


class NeuralPopulation(Passes):
    """Spikes of neurons in trials of reaching to one of several angles: a label, and a nuisance that is constant in a trial.

    Neuron i of group k fires, in bin t of trial j with angle θ,

        count ~ Poisson( e^{G_jkt} · ( p_i · exp(κ (cos(θ − φ_i) − 1)) + b_j ) )

    with preferred angles φ_i uniform, peaks p_i = e^{0.3 N}, a baseline b_j = 0.5 e^{0.5 N} for each trial, κ = 2, and a
    gain G_jkt for each group of neurons: `spread` · N for the whole trial, and a random walk of `drift` · N a bin. Examples
    are single bins, divided by each neuron's standard deviation over training; silence stays 0. The population and its
    trials are drawn when a lifetime opens. Trials are dealt over tasks (sessions) in their order.

    `nuisance` and `nuisance_test` [rows, groups] are the G of every row. `codes` are the angles' unit vectors.

    Args:
        neurons, angles, groups: sizes of the population and of its choice; neurons are dealt over groups in turn.
        trials, test_trials: how many are learned from, and how many are asked about; angles take turns.
        bins: examples in a trial.
        tasks: sessions.
        lookahead: how many bins two moments of one trial may lie apart to be a pair; 5 in the authors' code.
        spread, drift: standard deviations of log gains, of a trial and of each step.

    Raises BadInput for sizes below 1, trials that cannot be dealt evenly, and negative spreads.
    """

    x: Float[Array, "rows neurons"]
    x_test: Float[Array, "questions neurons"]
    nuisance: Float[Array, "rows groups"]
    nuisance_test: Float[Array, "questions groups"]
    spread: Number
    drift: Number
    outputs: int = eqx.field(static=True)
    tasks: int = eqx.field(static=True)
    bins: int = eqx.field(static=True)
    lookahead: int = eqx.field(static=True)
    longest: int = eqx.field(static=True)

    def __init__(
        self,
        neurons: int = 60,
        angles: int = 8,
        trials: int = 128,
        test_trials: int = 32,
        bins: int = 15,
        groups: int = 4,
        tasks: int = 1,
        lookahead: int = 5,
        spread: Number = 0.6,
        drift: Number = 0.05,
    ):
        if min(neurons, angles, trials, test_trials, bins, groups, tasks, lookahead) < 1:
            raise BadInput(
                f"recordings need sizes of at least 1: {neurons=}, {angles=}, {trials=}, {test_trials=}, {bins=}, "
                f"{groups=}, {tasks=}, {lookahead=}"
            )
        if trials % tasks or test_trials % tasks:
            raise BadInput(f"{trials} and {test_trials} trials cannot be dealt evenly over {tasks} tasks")
        if not isinstance(spread, Tracer) and not isinstance(drift, Tracer) and min(spread, drift) < 0:
            raise BadInput(f"standard deviations are at least 0, and they are {spread=} and {drift=}")
        self.spread, self.drift = jnp.asarray(spread, jnp.float32), jnp.asarray(drift, jnp.float32)
        self.x, self.x_test = jnp.zeros((trials * bins, neurons)), jnp.zeros((test_trials * bins, neurons))
        self.nuisance, self.nuisance_test = (jnp.zeros((n * bins, groups)) for n in (trials, test_trials))
        self.seed = jnp.uint32(0)
        self.outputs, self.tasks, self.bins, self.lookahead = angles, tasks, bins, lookahead
        self.longest = trials * bins // tasks

    @property
    def codes(self) -> Float[Array, "outputs 2"]:
        """Cosine and sine of every angle."""
        angle = 2 * math.pi * jnp.arange(self.outputs) / self.outputs
        return jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)

    def open(self, *, key: PRNGKeyArray) -> "NeuralPopulation":
        """Record this lifetime's population."""
        trials, groups = (len(self.x) + len(self.x_test)) // self.bins, self.nuisance.shape[1]
        gains = self._gains(trials, groups, key=key_for(key, "gains"))
        baseline = BASELINE * jnp.exp(0.5 * jax.random.normal(key_for(key, "baseline"), (trials, 1, 1)))
        tuned = self._tuning(key=key_for(key, "tuning"))[self._angle(jnp.arange(trials) * self.bins)]
        member = jnp.arange(tuned.shape[1]) % groups
        rates = jnp.exp(gains[:, :, member]) * (tuned[:, None] + baseline)
        counts = jax.random.poisson(key_for(key, "spikes"), rates.reshape(-1, len(member))).astype(jnp.float32)
        learned = len(self.x)
        x = counts / jnp.maximum(counts[:learned].std(0), 1e-3)
        gains = gains.reshape(-1, groups)
        new = (x[:learned], x[learned:], gains[:learned], gains[learned:], jax.random.bits(key, (), jnp.uint32))
        return eqx.tree_at(lambda w: (w.x, w.x_test, w.nuisance, w.nuisance_test, w.seed), self, new)

    def _gains(self, trials: int, groups: int, *, key: PRNGKeyArray) -> Float[Array, "trials bins groups"]:
        chance = jax.random.normal(key, (trials, self.bins + 1, groups))
        return self.spread * chance[:, :1] + self.drift * jnp.cumsum(chance[:, 1:], axis=1)

    def _tuning(self, *, key: PRNGKeyArray) -> Float[Array, "angles neurons"]:
        for_place, for_peak = jax.random.split(key)
        neurons = self.x.shape[1]
        preferred = 2 * math.pi * jax.random.uniform(for_place, (neurons,))
        peak = PEAK * jnp.exp(0.3 * jax.random.normal(for_peak, (neurons,)))
        angle = 2 * math.pi * jnp.arange(self.outputs) / self.outputs
        return peak * jnp.exp(CONCENTRATION * (jnp.cos(angle[:, None] - preferred) - 1))

    def _angle(self, row: Int[Array, " n"]) -> Int[Array, " n"]:
        return (row // self.bins % self.outputs).astype(jnp.int32)

    def size(self, task: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Return how many bins a session has, the same for each."""
        return jnp.full_like(task, self.longest)

    def show(self, task: Int[Array, "*n"], place: Int[Array, " n"], weight: Float[Array, " n"]) -> Batch:
        """Return bins of a session, with the angle of their trial."""
        row = task * self.longest + place
        return Batch(self.x[row], self._angle(row), jnp.broadcast_to(task, place.shape), weight)

    def glimpses(self, lesson: Lesson | Mixture, n: int, candidates: int, *, key: PRNGKeyArray) -> Glimpses:
        """Return pairs of moments of one trial, at most `lookahead` bins apart (at its ends, the end itself), and
        candidates from all trials, of which a bin may have those of other trials only.
        """
        task = jnp.asarray(lesson.task, jnp.int32)
        pair, place, pool = (
            jax.random.randint(key_for(key, what), (m,), 0, self.longest)
            for what, m in (("pair", n), ("asked", n), ("pool", candidates))
        )
        apart = jax.random.randint(key_for(key, "apart"), (n,), -self.lookahead, self.lookahead + 1)
        other = pair - pair % self.bins + jnp.clip(pair % self.bins + apart, 0, self.bins - 1)
        one, other, asked, pooled = (self.show(task, p, jnp.ones(len(p))) for p in (pair, other, place, pool))
        return Glimpses(one.x, other.x, asked, pooled, (place // self.bins)[:, None] != pool // self.bins)

    def papers(self, n: int) -> Pages:
        """Return the bins of all test trials, in pages of `n`."""
        return _Questions(world=self, size=n, count=-(-len(self.x_test) // n))


class _Questions(Pages):
    """Bins of test trials; those past the end have weight 0."""

    world: NeuralPopulation
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i: Any) -> Batch:
        """Return the `i`-th page."""
        world, total = self.world, len(self.world.x_test)
        place = i * self.size + jnp.arange(self.size)
        row = jnp.minimum(place, total - 1)
        task = (row // (total // world.tasks)).astype(jnp.int32)
        return Batch(world.x_test[row], world._angle(row), task, (place < total).astype(jnp.float32))


class NeuralViews(eqx.Module):
    """Silence neurons at random and add noise: with probability `applied` every neuron of a bin is silent with a chance of
    its bin's own, U(0, `dropout`), and then comes `noise` · N (Azabou et al. 2021, code; their defaults). Chances and
    N are drawn in 256 steps of equal probability, which is faster.

    Raises BadInput for chances outside 0 … 1 and negative noise.
    """

    dropout: Number = number(0.8)
    applied: Number = number(0.9)
    noise: Number = number(0.2)

    def __check_init__(self):
        numbers = (self.dropout, self.applied, self.noise)
        if any(isinstance(value, Tracer) for value in numbers):
            return
        if not (0 <= self.dropout <= 1 and 0 <= self.applied <= 1 and self.noise >= 0):
            raise BadInput(
                "views need chances within 0 … 1 and noise ≥ 0, and dropout, applied and noise are "
                + ", ".join(f"{float(value):g}" for value in numbers)
            )

    def __call__(self, x: Float[Array, "n neurons"], *, key: PRNGKeyArray) -> Float[Array, "n neurons"]:
        """Return one view of every bin; the same key silences and disturbs in the same way."""
        for_row, for_neuron, for_noise = jax.random.split(key, 3)
        quantiles = jax.scipy.special.ndtri((jnp.arange(256) + 0.5) / 256)
        chance, applied = jax.random.uniform(for_row, (2, len(x), 1))
        bound = 256 * self.dropout * chance * (applied < self.applied)
        silent = jax.random.bits(for_neuron, x.shape, jnp.uint8) < bound
        return jnp.where(silent, 0.0, x) + self.noise * quantiles[jax.random.bits(for_noise, x.shape, jnp.uint8)]
