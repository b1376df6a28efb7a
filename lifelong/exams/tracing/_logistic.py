"""Logistic models of practice: ln odds = what the row's past and its item add up to, plus the student's ability."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.special import expit

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._ability import followed
from ._design import Design, Features, beside, one_of
from ._newton import Task, logistic, newton, slopes
from ._past import Credit, credit
from ._probes import probes
from ._tracer import Tracer

STEPS, ROUNDS = 30, 4
"""Newton steps of a fit, and how often the spread of abilities is estimated anew."""

FREE = 1e-4
"""The penalty of the intercept."""

IMPUTED = 3
"""Times that outcomes which are not known are replaced by what was predicted for them."""


class Weights(NamedTuple):
    """A fitted logistic model: weights of the columns, the spread of abilities, and the mean item of every skill."""

    weights: Float[np.ndarray, "*lanes columns"]
    spread: Float[np.ndarray, "*lanes"]
    item_of_skill: Float[np.ndarray, "*lanes skills"]


@dataclass
class Logistic(Tracer):
    """A logistic regression on sparse features of the past, with an ability for every student where `ability` is True.

    The penalised log-likelihood Σ ln P − ½·ridge·Σ w² is maximised by Newton's method. Abilities are normal with mean 0;
    their spread is estimated from the fit, σ² = mean(θ̂² + 1/(information + 1/σ²)). Abilities of the fit are thrown away:
    in predictions a student's ability is what the earlier answers say of it.

    `ridge` is the precision of a normal prior on every weight but the intercept's; 1 is scikit-learn's default.
    """

    ridge: float = 1.0

    ability = False

    def __post_init__(self):
        if not self.ridge > 0:
            raise BadInput(
                f"the ridge must be above 0, and it is {self.ridge}: weights of rare items would be infinite"
            )

    def parts(self, log: PracticeLog, credit: Credit) -> dict[str, Features]:
        """Return the features of every row by name, each computed from earlier rows; "item" is that of items."""
        raise NotImplementedError

    def learn(self, log: PracticeLog, weights: Float[np.ndarray, "lanes students"], *, seed: int) -> Weights:
        """Fit all lanes in one program."""
        parts = {"intercept": one_of(np.zeros(len(log), int), 1)} | self.parts(log, credit(log))
        shared = beside(*parts.values())
        whole = beside(shared, one_of(log.student, len(log.students))) if self.ability else shared
        ridge = np.full(shared.columns, self.ridge, np.float32)
        ridge[0] = FREE
        counts = (weights[:, log.student] * log.graded).T.astype(np.float32)
        outcome = (log.outcome == 1).astype(np.float32)[:, None]
        fitted, spread = _fit(Design.of(whole), outcome, counts, ridge, weights.T.astype(np.float32))
        fitted = np.asarray(fitted).T[:, : shared.columns]
        items = np.stack([_item_of_skill(lane, parts, log) for lane in fitted])
        return Weights(fitted, np.asarray(spread), items)

    def answer(self, parameters: Weights, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Weigh every row's past, and follow the student's ability."""
        return self._answer(parameters, log, credit(log))

    def foresee(
        self, parameters: Weights, log: PracticeLog, known: Bool[np.ndarray, " rows"]
    ) -> Float[np.ndarray, " rows"]:
        """Count an outcome that is not known as right and wrong in the proportion predicted for it."""
        hidden = log.hide(~known)
        p, asked = self.answer(parameters, hidden), log.graded & ~known
        for _ in range(IMPUTED):
            seen = credit(hidden)
            imputed = Credit(seen.attempt, np.where(asked, p, seen.right), np.where(asked, 1 - p, seen.wrong))
            p = self._answer(parameters, hidden, imputed)
        return p

    def know(self, parameters: Weights, log: PracticeLog, later: float) -> Float[np.ndarray, "students skills"]:
        """Return the probability that an item of mean difficulty of each skill would be right."""
        asked = probes(log, later)
        extra = np.where(asked.asks, parameters.item_of_skill[asked.log.skill[:, 0]], 0.0)
        return asked.table(self._answer(parameters, asked.log, credit(asked.log, asked.asks), extra))

    def _answer(
        self, parameters: Weights, log: PracticeLog, seen: Credit, extra: np.ndarray | float = 0.0
    ) -> Float[np.ndarray, " rows"]:
        parts = {"intercept": one_of(np.zeros(len(log), int), 1)} | self.parts(log, seen)
        eta = beside(*parts.values()).times(parameters.weights) + extra
        if not self.ability:
            return expit(eta)
        return followed(eta, np.ones(len(eta)), float(parameters.spread), log)


def _item_of_skill(weights: np.ndarray, parts: dict[str, Features], log: PracticeLog) -> np.ndarray:
    """Return the mean weight of the items practised under each skill, 0 where there are none."""
    skills = log.skill_codes
    if "item" not in parts:
        return np.zeros(skills)
    before = sum(part.columns for name, part in list(parts.items())[: list(parts).index("item")])
    row, slot = np.nonzero(log.skill >= 0)
    skill = log.skill[row, slot]
    total = np.bincount(skill, weights[before + log.item[row]], minlength=skills)
    return total / np.maximum(np.bincount(skill, minlength=skills), 1)


@jax.jit
def _fit(
    design: Design,
    outcome: Float[Array, "rows 1"],
    counts: Float[Array, "rows lanes"],
    ridge: Float[Array, " shared"],
    members: Float[Array, "students lanes"],
) -> tuple[Float[Array, "columns lanes"], Float[Array, " lanes"]]:
    """Return weights and the spread of abilities; columns beyond those of the ridge are students."""
    lanes, columns, shared = counts.shape[1], len(design.weights), len(ridge)
    fixed = jnp.broadcast_to(ridge[:, None], (shared, lanes))

    def task(spread: Array) -> Task:
        own = jnp.broadcast_to(1 / spread**2, (columns - shared, lanes))
        penalty = jnp.concatenate([fixed, own])
        return Task(design, design.value, outcome, counts, jnp.zeros((1, lanes)), penalty)

    def round_(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        weights, spread = state
        now = task(spread)
        weights = newton(now, weights, logistic, steps=STEPS, tolerance=1e-2)
        return weights, _spread(now, weights, members, shared) if columns > shared else spread

    start = (jnp.zeros((columns, lanes)), jnp.ones(lanes))
    return jax.lax.fori_loop(0, ROUNDS if columns > shared else 1, round_, start)


def _spread(task: Task, weights: Array, members: Array, shared: int) -> Float[Array, " lanes"]:
    """Return σ after one step of expectation maximisation, with each ability's variance by Laplace's approximation."""
    _, curvature = slopes(task, task.design.times(weights, task.value), logistic)
    information = task.design.transposed(curvature, task.value)[shared:] + task.penalty[shared:]
    second = (members * (weights[shared:] ** 2 + 1 / information)).sum(axis=0)
    return jnp.sqrt(jnp.maximum(second / jnp.maximum(members.sum(axis=0), 1e-12), 1e-4))
