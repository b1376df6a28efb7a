"""Half-life regression (Settles and Meeder 2016): what was practised is forgotten by halves."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._design import Design, Features, beside, one_of, several_of
from ._factors import DAY
from ._logistic import FREE, STEPS
from ._newton import Task, newton
from ._past import Credit, before, credit, entries, since
from ._probes import probes
from ._rates import SkillRates
from ._tracer import Tracer

SHORTEST, LONGEST = 1 / (24 * 60), 274.0
"""Half-lives in days are kept between a minute and nine months; the paper's code has a quarter of an hour as the least."""

CERTAIN = 0.9999
"""Recall is never taken to be surer (the paper's code, `pclip`)."""


class HalfLives(NamedTuple):
    """Fitted weights of log₂ half-lives, and the share right at first attempts, by skill."""

    weights: Float[np.ndarray, "*lanes columns"]
    first: Float[np.ndarray, "*lanes skills"]


@dataclass
class HalfLife(Tracer):
    """P(right) = 2^(−Δ/h), h = 2^(β + βₖ + γ·√(1 + s) + ρ·√(1 + f)) days, Δ the time since the skill was last tried.

    s and f are the right and wrong attempts at the skill before (the paper, section 3.1; its lexeme is a skill here). The
    likelihood of single answers is maximised instead of the squared error of recall rates. A first attempt has no Δ: it
    has the share right among first attempts at the skill. A row of several skills has the mean of their features and
    the shortest Δ. Needs times.
    """

    ridge: float = 1.0

    @property
    def name(self) -> str:
        """What the model is called in tables."""
        return "half-life regression"

    def check(self, log: PracticeLog) -> None:
        """Refuse a log without times."""
        super().check(log)
        if not log.timed:
            raise BadInput(f"{log.name} has no times, in which {self.name} measures what is forgotten")

    def learn(self, log: PracticeLog, weights: Float[np.ndarray, "lanes students"], *, seed: int) -> HalfLives:
        """Fit all lanes in one program, first attempts apart from the others."""
        features, days = _features(log, credit(log))
        again = np.isfinite(days)
        counts = (weights[:, log.student] * (log.graded & again)).T.astype(np.float32)
        ridge = np.full((features.columns, 1), self.ridge, np.float32)
        ridge[0] = FREE
        outcome = (log.outcome == 1).astype(np.float32)[:, None]
        gap = np.where(again, days, 1.0).astype(np.float32)[:, None]
        fitted = np.asarray(_fit(Design.of(features), outcome, counts, ridge, gap)).T
        return HalfLives(fitted, SkillRates().learn(log.hide(again), weights, seed=seed))

    def answer(self, parameters: HalfLives, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Halve what was known as often as half-lives have passed."""
        return self._answer(parameters, log, credit(log))

    def know(self, parameters: HalfLives, log: PracticeLog, later: float) -> Float[np.ndarray, "students skills"]:
        """Return the probability of recall, and the share right at first attempts for what was never tried."""
        asked = probes(log, later)
        return asked.table(self._answer(parameters, asked.log, credit(asked.log, asked.asks)))

    def _answer(self, parameters: HalfLives, log: PracticeLog, seen: Credit) -> Float[np.ndarray, " rows"]:
        features, days = _features(log, seen)
        halves = np.clip(features.times(parameters.weights), np.log2(SHORTEST), np.log2(LONGEST))
        recall = np.minimum(0.5 ** (np.where(np.isfinite(days), days, 0.0) / 2.0**halves), CERTAIN)
        return np.where(np.isfinite(days), recall, SkillRates().answer(parameters.first, log))


def _features(log: PracticeLog, seen: Credit) -> tuple[Features, Float[np.ndarray, " rows"]]:
    """Return the features of every row, and the days since its skill was last tried, infinite if never."""
    at = entries(log)
    used = log.skill >= 0
    share = used / used.sum(axis=1, keepdims=True)
    counts = [
        (np.sqrt(1 + at.table(before(values, at), log)) * share).sum(axis=1) for values in (seen.right, seen.wrong)
    ]
    gaps = np.full(len(log), np.inf)
    np.minimum.at(gaps, at.row, since(at, log))
    nothing = np.zeros(len(log), int)
    skill = several_of(log.skill, log.skill_codes, share)
    return beside(one_of(nothing, 1), skill, *(one_of(nothing, 1, values) for values in counts)), gaps / DAY


@jax.jit
def _fit(
    design: Design,
    outcome: Float[Array, "rows 1"],
    counts: Float[Array, "rows lanes"],
    ridge: Float[Array, "columns 1"],
    days: Float[Array, "rows 1"],
) -> Float[Array, "columns lanes"]:
    lanes = counts.shape[1]
    low, high = np.log2(SHORTEST), np.log2(LONGEST)

    def recall(eta: Array) -> tuple[Array, Array]:
        halves = jnp.clip(eta, low, high)
        passed = jnp.log(2.0) * days / 2.0**halves
        p = jnp.minimum(jnp.exp(-passed), CERTAIN)
        return p, jnp.exp(-passed) * passed * jnp.log(2.0) * ((eta > low) & (eta < high))

    penalty = jnp.broadcast_to(ridge, (len(ridge), lanes))
    task = Task(design, design.value, outcome, counts, jnp.zeros((1, lanes)), penalty)
    usual = jnp.clip(jnp.median(days), SHORTEST, LONGEST)
    start = jnp.zeros((len(ridge), lanes)).at[0].set(jnp.log2(usual))
    return newton(task, start, recall, steps=STEPS, tolerance=1e-2)
