"""What a student should practise next, and why."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lifelong.worlds import PracticeLog

SURE = 0.95
"""From this mastery on a skill needs no further practice (Corbett and Anderson 1995, section 2)."""

EXERCISES = 3
"""Exercises that are named for a skill."""

Worth = Callable[[float, float], str]
"""(known, gain) → what one more attempt is worth, in words."""


@dataclass(frozen=True)
class Advice:
    """A skill to practise next, with exercises for it: what the student knows, what an attempt is worth, and the reason.

    `exercises` are items of the skill, those that the student has tried least first.
    """

    skill: str
    known: float
    gain: float
    attempts: int
    exercises: tuple[str, ...]
    reason: str


class Adviser:
    """Knows which items of a log exercise which skill, and what each student has tried."""

    def __init__(self, log: PracticeLog, worth: Worth):
        self.log, self.worth = log, worth
        row, slot = np.nonzero(log.skill >= 0)
        pairs = np.unique(np.stack([log.skill[row, slot], log.item[row]]), axis=1)
        skills = len(log.vocabulary.skills)
        bounds = np.searchsorted(pairs[0], np.arange(skills + 1))
        self.items = [pairs[1, low:high] for low, high in itertools.pairwise(bounds)]

    def advise(
        self, student: int, known: Float[np.ndarray, " skills"], gain: Float[np.ndarray, " skills"], count: int
    ) -> list[Advice]:
        """Return the skills of highest gain for a student, best first."""
        rows = slice(*self.log.starts[[student, student + 1]])
        skill, item = self.log.skill[rows], self.log.item[rows]
        attempts = np.bincount(skill[skill >= 0], minlength=self.log.skill_codes)
        tried = np.bincount(item, minlength=self.log.item_codes)
        order = np.argsort(-gain, kind="stable")[:count]
        return [self._advice(k, float(known[k]), float(gain[k]), int(attempts[k]), tried) for k in order.tolist()]

    def _advice(self, k: int, known: float, gain: float, attempts: int, tried: np.ndarray) -> Advice:
        items = self.items[k]
        least = items[np.argsort(tried[items], kind="stable")][:EXERCISES]
        names = tuple(self.log.items[item] for item in least.tolist())
        practised = ("not practised yet", "practised once")[attempts] if attempts < 2 else f"practised {attempts} times"
        worth = "enough: practice only keeps it fresh" if known >= SURE else self.worth(known, gain)
        reason = f"{practised}; expected at {known:.0%}, {worth}"
        return Advice(self.log.skills[k], known, gain, attempts, names, reason)
