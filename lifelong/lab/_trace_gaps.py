"""What could not be computed from a practice log, and why: small logs leave gaps, and none is left unexplained."""

from collections.abc import Iterator

import numpy as np

from lifelong.exams.tracing import FEWEST_STUDENTS
from lifelong.worlds import PracticeLog

from ._trace import Trace

ALONE = "there is only one student, so nobody could be held out"


def gaps(trace: Trace) -> list[str]:
    """Return a sentence for everything that a trace of this log leaves undefined or cannot tell."""
    found = [*_of_outcomes(trace), *_of_intervals(trace), *_of_controls(trace), *_of_retention(trace)]
    return [*found, *filter(None, [no_pairs(trace.log)])]


def _of_outcomes(trace: Trace) -> Iterator[str]:
    if same := all_the_same(trace.log):
        yield f"the AUC is undefined: {same}, so there is nothing to rank, and no model can be shown to beat another"


def all_the_same(log: PracticeLog) -> str:
    """Return in words that all graded outcomes agree, or nothing where they do not."""
    outcomes = log.outcome[log.graded]
    if outcomes.min() < outcomes.max():
        return ""
    kind = "right" if outcomes[0] else "wrong"
    return f"the only graded attempt is {kind}" if len(outcomes) == 1 else f"all {len(outcomes):,} outcomes are {kind}"


def _of_intervals(trace: Trace) -> Iterator[str]:
    if len(trace.log.students) < 2:
        yield f"there are no intervals: {ALONE}, and they are over folds of students"
        return
    validation = trace.examined[trace.best].validation
    lacking = [name for name, interval in validation.intervals().items() if interval is None]
    if len(lacking) > 1:
        yield "there are no intervals: only one fold has graded attempts"
    elif lacking and not all_the_same(trace.log):
        yield "the AUC has no interval: but for one fold of students, all outcomes of each agree"


def _of_controls(trace: Trace) -> Iterator[str]:
    unranked = [name for name, one in trace.examined.items() if np.isnan(one.control.auc)]
    if not unranked:
        return
    if len(trace.log.students) < 2:
        why = f"{ALONE}, and coin flips that a model was fitted to may well be told apart"
    else:
        why = "all coins that were tossed for so few attempts fell alike"
    yield f"the control on coin flips is undefined ({', '.join(unranked)}): {why}"


def _of_retention(trace: Trace) -> Iterator[str]:
    marks = [one.retention for one in trace.examined.values()]
    if not trace.log.timed:
        yield "retention is not known: the log has no times, so no pause can be told"
    elif all(one is None for one in marks):
        yield "retention is not known: nobody comes back, after a pause of a day, to a skill practised before it"
    elif all(one is None or np.isnan(one.auc) for one in marks):
        yield "retention is undefined: all first attempts after a pause of a day had the same outcome"


def no_pairs(log: PracticeLog) -> str:
    """Return in words why no pair of skills could be looked at, or nothing where one could."""
    students = len(log.students)
    if len(log.skills) < 2:
        return "nothing can be said of what prepares for what: there is only one skill"
    if students < FEWEST_STUDENTS:
        return (
            f"nothing can be said of what prepares for what: {FEWEST_STUDENTS} students must have tried a pair of skills, "
            f"and there {'is' if students == 1 else 'are'} {students}"
        )
    return ""
