"""Item response theory: an ability for every student, a difficulty and perhaps a discrimination for every item."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lifelong.worlds import PracticeLog

from ._ability import followed
from ._design import Design, Features, one_of
from ._logistic import FREE, STEPS, Logistic
from ._newton import Task, logistic, newton, slopes
from ._past import Credit
from ._probes import probes
from ._tracer import Tracer

ROUNDS = 8
"""How often items and abilities are fitted in turn."""


@dataclass
class Rasch(Logistic):
    """One-parameter item response theory: ln odds = θ − δᵢ (Rasch 1960).

    The ability θ does not change with practice; what the student has answered so far says what it is.
    """

    ability = True

    @property
    def name(self) -> str:
        """What the model is called in tables."""
        return "IRT, 1 parameter"

    def parts(self, log: PracticeLog, credit: Credit) -> dict[str, Features]:
        """Name the item."""
        return {"item": one_of(log.item, log.item_codes)}


class Items(NamedTuple):
    """Fitted items: ln odds = intercept + slope·θ, θ standard normal; and their means by skill."""

    intercept: Float[np.ndarray, "*lanes items"]
    slope: Float[np.ndarray, "*lanes items"]
    intercept_of_skill: Float[np.ndarray, "*lanes skills"]
    slope_of_skill: Float[np.ndarray, "*lanes skills"]


@dataclass
class TwoParameterIRT(Tracer):
    """Two-parameter item response theory: ln odds = aᵢ·θ − δᵢ (Birnbaum 1968), θ standard normal.

    Items and abilities are fitted in turn to the penalised likelihood −½·Σθ² − ½·Σ(aᵢ − ā)²/spread² − ½·ridge·Σδ², where
    ā is the common slope; each turn is convex. `spread` is the standard deviation of slopes that is expected.
    """

    ridge: float = 1.0
    spread: float = 0.5

    @property
    def name(self) -> str:
        """What the model is called in tables."""
        return "IRT, 2 parameters"

    def learn(self, log: PracticeLog, weights: Float[np.ndarray, "lanes students"], *, seed: int) -> Items:
        """Fit all lanes in one program."""
        items, ones = log.item_codes, np.ones(len(log))
        common = np.zeros(len(log), int)
        index = np.stack([common, common + 1, log.item + 2, log.item + 2 + items], axis=1)
        own = Features(index, np.tile(ones[:, None], 4), 2 + 2 * items)
        counts = (weights[:, log.student] * log.graded).T.astype(np.float32)
        ridge = np.repeat([FREE, FREE, self.ridge, 1 / self.spread**2], [1, 1, items, items]).astype(np.float32)
        students = Design.of(one_of(log.student, len(log.students)))
        outcome = (log.outcome == 1).astype(np.float32)[:, None]
        fitted = np.asarray(_alternate(Design.of(own), students, outcome, counts, ridge)).T
        intercept, slope = (fitted[:, i, None] + fitted[:, 2 + i * items : 2 + (i + 1) * items] for i in (0, 1))
        return Items(intercept, slope, _by_skill(intercept, log), _by_skill(slope, log))

    def answer(self, parameters: Items, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Follow the student's ability."""
        return followed(parameters.intercept[log.item], parameters.slope[log.item], 1.0, log)

    def know(self, parameters: Items, log: PracticeLog, later: float) -> Float[np.ndarray, "students skills"]:
        """Return the probability that an item of mean intercept and slope of each skill would be right."""
        asked = probes(log, later)
        skill, item = asked.log.skill[:, 0], asked.log.item
        eta = np.where(asked.asks, parameters.intercept_of_skill[skill], parameters.intercept[item])
        slope = np.where(asked.asks, parameters.slope_of_skill[skill], parameters.slope[item])
        return asked.table(followed(eta, slope, 1.0, asked.log))


def _by_skill(values: Float[np.ndarray, "lanes items"], log: PracticeLog) -> Float[np.ndarray, "lanes skills"]:
    """Return the mean value of the items practised under each skill, that of a new item where there are none."""
    row, slot = np.nonzero(log.skill >= 0)
    skill = log.skill[row, slot]
    tried = np.bincount(skill, minlength=log.skill_codes)
    sums = np.stack([np.bincount(skill, lane[log.item[row]], minlength=log.skill_codes) for lane in values])
    return np.where(tried > 0, sums / np.maximum(tried, 1), values[:, -1:])


@jax.jit
def _alternate(
    items: Design,
    students: Design,
    outcome: Float[Array, "rows 1"],
    counts: Float[Array, "rows lanes"],
    ridge: Float[Array, " columns"],
) -> Float[Array, "columns lanes"]:
    """Return the columns of items: common intercept and slope, own intercepts, own slopes."""
    lanes = counts.shape[1]
    student, steady = students.index[0], jnp.ones((1, outcome.shape[0], lanes))
    penalty = jnp.broadcast_to(ridge[:, None], (len(ridge), lanes))
    nothing = jnp.zeros((1, lanes))

    def turn(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        columns, ability = state
        theta = ability[student][None]
        value = jnp.concatenate([steady, theta, steady, theta])
        own = Task(items, value, outcome, counts, nothing, penalty)
        columns = newton(own, columns, logistic, steps=STEPS, tolerance=0.1)
        slope = columns[1] + columns[items.index[3]]
        intercept = columns[0] + columns[items.index[2]]
        theirs = Task(students, slope[None], outcome, counts, intercept, jnp.ones((len(ability), lanes)))
        ability = newton(theirs, ability, logistic, steps=STEPS, tolerance=0.1)
        return columns, _standardised(theirs, ability)

    start = jnp.zeros((len(ridge), lanes)).at[1].set(1.0)
    return jax.lax.fori_loop(0, ROUNDS, turn, (start, _first_guess(students, outcome, counts)))[0]


def _first_guess(
    students: Design, outcome: Float[Array, "rows 1"], counts: Float[Array, "rows lanes"]
) -> Float[Array, "students lanes"]:
    """Return the ln odds of every student's answers, each with one right and one wrong answer more, around their mean."""
    right, tried = (students.transposed(values, students.value) for values in (counts * outcome, counts))
    odds = jnp.log(right + 1) - jnp.log(tried - right + 1)
    there = (tried > 0).astype(odds.dtype)
    return there * (odds - (odds * there).sum(axis=0) / jnp.maximum(there.sum(axis=0), 1))


def _standardised(task: Task, ability: Float[Array, "students lanes"]) -> Float[Array, "students lanes"]:
    """Return abilities scaled so that their expected second moment, uncertainty included, is 1 among those with answers."""
    _, curvature = slopes(task, task.offset + task.design.times(ability, task.value), logistic)
    there = task.design.transposed(task.weight, task.design.value) > 0
    second = ability**2 + 1 / (task.design.transposed(curvature, jnp.square(task.value)) + task.penalty)
    return ability / jnp.sqrt((there * second).sum(axis=0) / jnp.maximum(there.sum(axis=0), 1))
