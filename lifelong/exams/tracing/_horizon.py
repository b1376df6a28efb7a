"""Looking further ahead than the next answer: open loop over many steps, and retention after a gap."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._marks import Marks, mark
from ._past import entries, since
from ._validation import Validation

DAY = 86400.0


@dataclass(frozen=True)
class OpenLoop:
    """Marks of predictions made `known` graded attempts into every history, over all steps ahead and step by step."""

    known: int
    marks: Marks
    by_step: tuple[Marks, ...]


def open_loop(validation: Validation, known: int = 10, ahead: int = 10) -> OpenLoop:
    """Predict the `ahead` graded attempts of every held-out student after the first `known`, from those alone.

    Times, items and skills of the attempts to come are told, outcomes are not: the protocol of PSI-KT's 10-step
    prediction (Zhou et al. 2024). Raises BadInput where no student has more than `known` graded attempts.
    """
    log = validation.log
    place = np.cumsum(log.graded) - log.graded
    place = place - place[log.starts[log.student]]
    if min(known, ahead) < 1 or not np.any(log.graded & (place >= known)):
        raise BadInput(f"{log.name}: no student has more than {known} graded attempts, to predict {ahead} ahead from")
    p = validation.held_out(lambda parameters: validation.tracer.foresee(parameters, log, place < known))
    asked = log.graded & (place >= known) & (place < known + ahead)
    steps = [asked & (place == known + step) for step in range(ahead)]
    fit = validation.fold[log.student]
    return OpenLoop(known, mark(p, log, asked, fit), tuple(mark(p, log, step, fit) for step in steps if step.any()))


def retention(validation: Validation, gap: float = DAY) -> Marks | None:
    """Return the marks on what was retained: the first attempt at each known skill after a pause of `gap` seconds.

    Predictions for held-out students use the outcomes before their first such pause alone. None where no student
    pauses so long, or none of the skills practised before comes up again, or the log has no times.
    """
    log = validation.log
    if not log.timed:
        return None
    known, asked = pause(log, gap)
    if not asked.any():
        return None
    p = validation.held_out(lambda parameters: validation.tracer.foresee(parameters, log, known))
    return mark(p, log, asked, validation.fold[log.student])


def pause(log: PracticeLog, gap: float = DAY) -> tuple[Bool[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """Mark the rows before a student's first pause of `gap` seconds, and the first graded ones after it at known skills."""
    paused = np.cumsum(log.gap >= gap)
    first = log.starts[log.student]
    after = paused - paused[first] + (log.gap >= gap)[first] > 0
    return ~after, log.graded & after & _comes_back(log, after)


def _comes_back(log: PracticeLog, after: Bool[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    """Mark rows of which every skill was last practised before the pause."""
    at = entries(log)
    fresh = ~np.isfinite(since(at, log))
    before = np.roll(after[at.row], 1)
    wrong = fresh | before
    return np.bincount(at.row, wrong, minlength=len(log)) == 0
