"""The model that any other must beat: how often each skill goes well, whoever tries."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, PyTree

from lifelong.worlds import PracticeLog

from ._tracer import Tracer


@dataclass
class SkillRates(Tracer):
    """Predict the share of right attempts at each skill among the students fitted, whatever the student did before.

    p(k) = (rightₖ + n₀·p̄) / (attemptsₖ + n₀), where p̄ is the share over all skills; a row of several skills has their
    mean. `prior` is n₀, in attempts.
    """

    prior: float = 2.0

    def learn(self, log: PracticeLog, weights: Float[np.ndarray, "lanes students"], *, seed: int) -> PyTree:
        """Count, lane by lane."""
        return np.stack([self._rates(log, lane) for lane in weights])

    def _rates(self, log: PracticeLog, weights: np.ndarray) -> np.ndarray:
        entries = (log.skill >= 0) & log.graded[:, None]
        weight = np.broadcast_to(weights[log.student][:, None], entries.shape)[entries]
        right = weight * np.broadcast_to(log.outcome[:, None], entries.shape)[entries]
        tried, won = (np.bincount(log.skill[entries], v, minlength=log.skill_codes) for v in (weight, right))
        mean = (won.sum() + 1) / (tried.sum() + 2)
        return (won + self.prior * mean) / (tried + self.prior)

    def answer(self, parameters: PyTree, log: PracticeLog) -> Float[np.ndarray, " rows"]:
        """Return the mean rate of a row's skills."""
        used = log.skill >= 0
        return np.where(used, parameters[log.skill], 0.0).sum(axis=1) / used.sum(axis=1)

    def know(self, parameters: PyTree, log: PracticeLog, later: float) -> Float[np.ndarray, "students skills"]:
        """Return the same rates for every student."""
        return np.tile(parameters[:-1], (len(log.students), 1))
