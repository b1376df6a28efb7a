"""Individualised Bayesian knowledge tracing: students differ in what they know at first and in how fast they learn."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from scipy.special import log_softmax, logit

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog, Vocabulary

from ._bkt import BKT, USUAL
from ._expectation import LEAST
from ._markov import Chain, Filtered, filtered, moved, seen
from ._past import earlier
from ._threads import PADDED, Group, Threads, patterns
from ._tracer import Tracer

NODES = np.linspace(-2.5, 2.5, 7, dtype=np.float32)
"""Values of the students' trait that are weighed."""

LOG_WEIGHTS = log_softmax(-0.5 * NODES.astype(np.float64) ** 2)


class Individual(NamedTuple):
    """A chain in ln odds (guess and slip as shares of their bounds), and how much the trait moves prior and learn."""

    odds: Chain
    spread: Float[Array, "*lanes 2"]


class Piece(NamedTuple):
    """One group of threads for a fit: the patterns, and of every thread its pattern and its student."""

    skill: Int[Array, " patterns"]
    outcome: Int[Array, "length patterns"]
    of: Int[Array, " threads"]
    student: Int[Array, " threads"]


@dataclass
class IndividualBKT(Tracer):
    """BKT in which ln odds of prior and learn rise by σ·z with a trait z of the student, standard normal.

    Yudelson, Koedinger and Gordon 2013 ("Individualized Bayesian Knowledge Tracing Models") fit a number for every
    student; here it is integrated out over a grid of 7 values, so that new students are followed too, and one trait
    moves both. Fitted by Adam on the marginal likelihood from BKT's fit on, in `steps`; the other fields are BKT's.
    """

    forgets: bool = False
    restarts: int = 5
    steps: int = 150
    guess_at_most: float = 0.5
    slip_at_most: float = 0.5
    pseudo: float = 1.0

    def __post_init__(self):
        if self.steps < 1:
            raise BadInput(f"a fit needs one step at least, not {self.steps}")
        self._plain()

    def _plain(self) -> BKT:
        bounds = (self.guess_at_most, self.slip_at_most)
        return BKT(self.forgets, self.restarts, 100, 0.1, *bounds, self.pseudo)

    @property
    def name(self) -> str:
        """What the model is called in tables."""
        return "BKT, individual, forgetting" if self.forgets else "BKT, individual"

    def learn(self, log: PracticeLog, weights: Float[np.ndarray, "lanes students"], *, seed: int) -> Individual:
        """Fit BKT, then let students differ."""
        start = self._plain().learn(log, weights, seed=seed)
        shares = start._replace(guess=start.guess / self.guess_at_most, slip=start.slip / self.slip_at_most)
        odds = Chain(*(jnp.asarray(logit(np.clip(v, LEAST, 1 - LEAST)), jnp.float32) for v in shares))
        begin = Individual(odds, jnp.full((len(weights), 2), 0.5))
        pieces = [_piece(group) for group in Threads(log).groups]
        bounds = Chain(1.0, 1.0, float(self.forgets), self.guess_at_most, self.slip_at_most)
        weight = jnp.asarray(weights, jnp.float32)
        return jax.tree.map(np.asarray, _descend(pieces, begin, weight, bounds, self.pseudo, steps=self.steps))

    def _chain(self, parameters: Individual) -> Chain:
        return _chains(parameters, Chain(1.0, 1.0, float(self.forgets), self.guess_at_most, self.slip_at_most))

    def _traced(self, parameters: Individual, log: PracticeLog) -> tuple[Threads, list[Filtered], np.ndarray]:
        """Follow all threads for every value of the trait; return also ln P(answers of each row) by value."""
        threads, chain = Threads(log), self._chain(parameters)
        followed = [_follow(chain, group.skill, group.outcome) for group in threads.groups]
        logs = np.zeros((len(log), len(NODES)))
        for group, one in zip(threads.groups, followed, strict=True):
            inside = group.entry >= 0
            chance = np.asarray(one.right).transpose(2, 0, 1)[inside]
            outcome = group.outcome[inside][:, None]
            chance = np.where(outcome == 1, chance, np.where(outcome == 0, 1 - chance, 1.0))
            np.add.at(logs, threads.row[group.entry[inside]], np.log(np.maximum(chance, 1e-12)))
        return threads, followed, logs

    def answer(self, parameters: Individual, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Weigh the trait's values by the student's earlier answers, at whatever skill."""
        threads, followed, logs = self._traced(parameters, log)
        past = np.stack([earlier(logs[:, q], log) for q in range(len(NODES))], axis=1)
        weight = np.exp(log_softmax(past + LOG_WEIGHTS, axis=1))
        right = [threads.by_row([np.asarray(one.right)[:, q].T for one in followed]) for q in range(len(NODES))]
        return (np.stack(right, axis=1) * weight).sum(axis=1)

    def know(self, parameters: Individual, log: PracticeLog, later: float) -> Float[np.ndarray, "students skills"]:
        """Return the probability that each skill is known after the last row."""
        threads, followed, logs = self._traced(parameters, log)
        sums = np.zeros((len(log.students), len(NODES)))
        np.add.at(sums, log.student, logs)
        weight = np.exp(log_softmax(sums + LOG_WEIGHTS, axis=1))
        priors, known = np.asarray(self._chain(parameters).prior)[:, :-1], 0.0
        for q in range(len(NODES)):
            table = np.tile(priors[q].astype(np.float64), (len(log.students), 1))
            known = known + weight[:, q, None] * threads.by_skill([np.asarray(f.last)[q] for f in followed], table)
        return np.asarray(known)

    def doubts(self, parameters: Individual, vocabulary: Vocabulary) -> tuple[str, ...]:
        """Name what is doubtful in the chain of the middle student, as BKT does."""
        middle = Chain(*(np.asarray(values[len(NODES) // 2]) for values in self._chain(parameters)))
        return self._plain().doubts(middle, vocabulary)


def _piece(group: Group) -> Piece:
    found = patterns(group)
    return Piece(*(jnp.asarray(part, jnp.int32) for part in (found.skill, found.outcome.T, found.of, group.student)))


def _chains(parameters: Individual, bounds: Chain) -> Chain:
    """Return the chains of every value of the trait [values, skills]."""
    shift = NODES[:, None, None] * parameters.spread
    odds = Chain(*(jnp.broadcast_to(values, (len(NODES), *values.shape)) for values in parameters.odds))
    odds = odds._replace(prior=odds.prior + shift[..., 0], learn=odds.learn + shift[..., 1])
    return jax.tree.map(lambda value, bound: bound * jax.nn.sigmoid(value), odds, bounds)


@jax.jit
def _follow(chain: Chain, skill: Int[Array, " threads"], outcome: Int[Array, "threads length"]) -> Filtered:
    return filtered(chain.of(skill), outcome.T.astype(jnp.int32))


@partial(jax.jit, static_argnames=("steps",))
def _descend(
    pieces: list[Piece],
    start: Individual,
    weights: Float[Array, "lanes students"],
    bounds: Chain,
    pseudo: Float[Array, ""] | float,
    *,
    steps: int,
) -> Individual:
    """Return the parameters of every lane after so many steps of Adam."""
    usual = USUAL._replace(guess=USUAL.guess / bounds.guess, slip=USUAL.slip / bounds.slip)
    adam = optax.adam(optax.cosine_decay_schedule(0.1, steps))

    def fit(given: tuple[Individual, Array]) -> Individual:
        begin, weight = given

        def loss(parameters: Individual) -> Array:
            chain = _chains(parameters, bounds)
            middle = jax.tree.map(jax.nn.sigmoid, parameters.odds)
            prior = sum((u * jnp.log(v) + (1 - u) * jnp.log1p(-v)).sum() for u, v in zip(usual, middle, strict=True))
            return -(_likelihood(pieces, chain, weight) + pseudo * prior)

        def step(_: Array, state: tuple[Individual, optax.OptState]) -> tuple[Individual, optax.OptState]:
            parameters, moments = state
            updates, moments = adam.update(jax.grad(loss)(parameters), moments)
            return jax.tree.map(jnp.add, parameters, updates), moments

        return jax.lax.fori_loop(0, steps, step, (begin, adam.init(begin)))[0]

    return jax.lax.map(fit, (start, weights))


def _likelihood(pieces: list[Piece], chain: Chain, weight: Float[Array, " students"]) -> Float[Array, ""]:
    """Return Σ over students of weight · ln Σ over the trait of P(trait)·P(answers | trait)."""
    logs = jnp.zeros((len(weight), len(NODES)))
    for piece in pieces:
        of = _log_likelihood(chain.of(piece.skill), piece.outcome)
        logs += jax.ops.segment_sum(of.T[piece.of], piece.student, len(weight))
    return (weight * jax.nn.logsumexp(logs + LOG_WEIGHTS, axis=1)).sum()


def _log_likelihood(chain: Chain, outcome: Int[Array, "length patterns"]) -> Float[Array, "values patterns"]:
    def step(state: tuple[Array, Array], outcome: Array) -> tuple[tuple[Array, Array], None]:
        known, total = state
        after, chance = seen(chain, known, outcome)
        known = jnp.where(outcome == PADDED, known, moved(chain, after))
        return (known, total + jnp.log(jnp.maximum(chance, 1e-12))), None

    return jax.lax.scan(step, (chain.prior, jnp.zeros_like(chain.prior)), outcome)[0][1]
