"""What a student should practise next, and why."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lifelong.worlds import PracticeLog

SURE = 0.95
"""From this mastery on a skill needs no further practice (Corbett and Anderson 1995, section 2)."""


@dataclass(frozen=True)
class Advice:
    """A skill to practise next: what the student knows of it, what one attempt is worth there, and the reason."""

    skill: str
    known: float
    gain: float
    attempts: int
    reason: str


def advise(
    known: Float[np.ndarray, " skills"], gain: Float[np.ndarray, " skills"], log: PracticeLog, count: int
) -> list[Advice]:
    """Return the skills of highest gain for the only student of a log, best first."""
    names = log.skills[: len(known)]
    attempts = np.bincount(log.skill[log.skill >= 0], minlength=len(known))[: len(known)]
    order = np.argsort(-gain, kind="stable")[:count]
    return [
        Advice(names[k], float(known[k]), float(gain[k]), int(attempts[k]), _reason(float(known[k]), int(attempts[k])))
        for k in order
    ]


def _reason(known: float, attempts: int) -> str:
    if known >= SURE:
        return f"known at {known:.0%}: one attempt keeps it fresh"
    if not attempts:
        return f"not practised yet; expected at {known:.0%}"
    times = "once" if attempts == 1 else f"{attempts} times"
    return f"practised {times} and known at {known:.0%}, short of {SURE:.0%}: one attempt is expected to add most"
