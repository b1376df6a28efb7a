"""Simulated persons who grow in two classes, of whom all is known."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lifelong.errors import BadInput

from ._curves import Curves
from ._estimates import Natural

POPULATION = Natural(
    bend=np.array([3.5, 5.5]),
    mean=np.array([[100.0, -5.0, -2.6], [100.0, -5.0, -3.4]]),
    slope=np.array(
        [
            [[0.8849, 1.3274], [0.1770, 0.2655], [0.1770, 0.2655]],
            [[1.2515, 1.8773], [0.2503, 0.3755], [0.2503, 0.3755]],
        ]
    ),
    covariance=np.array([[[25.0, 1.5, 1.5], [1.5, 1.0, 0.3], [1.5, 0.3, 1.0]]] * 2),
    noise=np.ones(2),
    gate=np.array([[0.0, np.log(1.5), np.log(1.7)]]),
)
"""What simulated persons are drawn from: knots, factors (level at time 0 and two slopes), effects of two covariates on them,
what these leave of their covariances, noise, and how two more covariates move the log-odds of the second class."""

ALIKE = 0.3
"""Correlation of covariates."""

JITTER = 0.25
"""Waves are this much earlier or later, at most."""


class GrowingStudents(NamedTuple):
    """Curves, the classes they were drawn from, and covariates that have no part in them."""

    curves: Curves
    label: Int[np.ndarray, " persons"]
    nuisance: Float[np.ndarray, "persons nuisance"]


def growing_students(persons: int = 400, waves: int = 10, nuisance: int = 4, *, seed: int = 0) -> GrowingStudents:
    """Return persons of two classes of bilinear curves, with two covariates of the gate and two of the experts.

    Knots, factors, their covariances and what covariates do to factors are those of Liu and Perera's example of the full
    model (Mplus input, population values); it does not say how covariates are drawn, when waves are, and what the gate
    is, which are standard normal with correlation 0.3, a wave a unit of time ± 0.25, and (0, ln 1.5, ln 1.7).

    Raises:
        BadInput: fewer than two persons or waves.
    """
    if min(persons, waves) < 2:
        raise BadInput(f"curves need two persons and two waves at least: {persons=}, {waves=}")
    random, truth = np.random.default_rng(seed), POPULATION
    common, own = random.normal(size=(persons, 1)), random.normal(size=(persons, 4))
    covariates = np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * own
    gate, expert = covariates[:, :2], covariates[:, 2:]
    label = (random.random(persons) < 1 / (1 + np.exp(-_log_odds(gate)))).astype(int)
    time = np.arange(waves) + random.uniform(-JITTER, JITTER, (persons, waves))
    moved = np.einsum("nfe,ne->nf", truth.slope[label], expert)
    factors = truth.mean[label] + moved + random.multivariate_normal(np.zeros(3), truth.covariance[0], persons)
    expected = np.einsum("nfj,nf->nj", _lines(time, truth.bend[label][:, None]), factors)
    score = expected + random.normal(size=expected.shape) * np.sqrt(truth.noise[0])
    return GrowingStudents(Curves.of(time, score, gate, expert), label, random.normal(size=(persons, nuisance)))


def posterior(curves: Curves) -> Float[np.ndarray, "persons classes"]:
    """Return P(class | scores, covariates) of simulated persons for one who knows what they were drawn from."""
    truth, score, logs = POPULATION, curves.score.astype(float), []
    for k in range(2):
        loadings = _lines(curves.time.astype(float), truth.bend[k])
        factors = truth.mean[k] + curves.expert @ truth.slope[k].T
        residual = score - np.einsum("nfj,nf->nj", loadings, factors)
        covariance = np.einsum("nfi,fg,ngj->nij", loadings, truth.covariance[k], loadings)
        covariance += truth.noise[k] * np.eye(score.shape[1])
        square = np.einsum("nj,nj->n", residual, np.linalg.solve(covariance, residual[..., None])[..., 0])
        logs.append(-0.5 * (np.linalg.slogdet(covariance)[1] + square))
    second = 1 / (1 + np.exp(-np.clip(_log_odds(curves.gate) + logs[1] - logs[0], -50, 50)))
    return np.stack([1 - second, second], axis=1)


def _log_odds(gate: np.ndarray) -> Float[np.ndarray, " persons"]:
    return POPULATION.gate[0, 0] + gate @ POPULATION.gate[0, 1:]


def _lines(time: np.ndarray, knot: float | np.ndarray) -> Float[np.ndarray, "persons factors waves"]:
    """Return what level and two slopes count at every time."""
    return np.stack([np.ones_like(time), np.minimum(time, knot), np.maximum(time - knot, 0.0)], axis=1)
