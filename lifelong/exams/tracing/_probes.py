"""Questions that nobody was asked: how would each student do on each skill, right after the log or later?"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lifelong.worlds import UNGRADED, PracticeLog


class Probes(NamedTuple):
    """A log with one ungraded row more for every student and skill, at the end; `asks` marks them."""

    log: PracticeLog
    asks: Bool[np.ndarray, " rows"]

    def table(self, values: Float[np.ndarray, " rows"]) -> Float[np.ndarray, "students skills"]:
        """Return the value of every probe by student and skill."""
        return values[self.asks].reshape(len(self.log.students), -1)


def probes(log: PracticeLog, later: float) -> Probes:
    """Ask every student about each skill of the vocabulary, `later` seconds after the last row.

    The item is one that nobody has met. A student without rows is asked at the time of the log's first.
    """
    log = log.align(log.vocabulary)
    students, skills, items = len(log.students), log.skill_codes - 1, log.item_codes - 1
    end = np.full(students, log.time.min())
    np.maximum.at(end, log.student, log.time)
    skill = np.full((students * skills, log.skill.shape[1]), -1)
    skill[:, 0] = np.tile(np.arange(skills), students)
    added = {
        "student": np.repeat(np.arange(students), skills),
        "skill": skill,
        "item": np.full(students * skills, items),
        "outcome": np.full(students * skills, UNGRADED),
        "time": np.repeat(end + later, skills),
        "row": np.full(students * skills, -1),
    }
    columns = {name: np.concatenate([getattr(log, name), values]) for name, values in added.items()}
    asked = replace(log, **columns)
    return Probes(asked, asked.row < 0)
