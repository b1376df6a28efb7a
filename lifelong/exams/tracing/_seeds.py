"""Seeds as lanes: every seed is shown students of its own, and all are fitted in one program."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, PyTree

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._tracer import Tracer, lane_of


def fit_seeds(
    tracer: Tracer, log: PracticeLog, weights: Float[np.ndarray, "seeds students"], seeds: Sequence[int]
) -> list[PyTree]:
    """Return the parameters for every seed, fitted to students in proportion to its row of `weights`.

    Runs of consecutive seeds are lanes of one program. A tracer that draws (a network) draws for lane i of seed s as it
    does for seed s + i, so a seed's parameters do not depend on which other seeds it is fitted with.
    """
    tracer.check(log)
    starts = [i for i, seed in enumerate(seeds) if not i or seed != seeds[i - 1] + 1]
    found = []
    for begin, end in zip(starts, [*starts[1:], len(seeds)], strict=True):
        lanes = tracer.learn(log, weights[begin:end], seed=seeds[begin])
        found += [lane_of(lanes, i) for i in range(end - begin)]
    return found


def stacked(logs: Sequence[PracticeLog]) -> tuple[PracticeLog, Float[np.ndarray, "logs students"]]:
    """Return logs of one vocabulary as one log, and weights that show every lane the students of one of them.

    Students are named after the place of their log, too. Raises BadInput where vocabularies differ.
    """
    first = logs[0]
    if any((one.skills, one.items) != (first.skills, first.items) for one in logs):
        raise BadInput(
            "logs are stacked where they have the same skills and items, in the same order, and these do not"
        )
    before = np.cumsum([0, *(len(one.students) for one in logs)])
    columns = {
        name: np.concatenate([getattr(one, name) for one in logs]) for name in ("skill", "item", "outcome", "time")
    }
    student = np.concatenate([one.student + start for one, start in zip(logs, before[:-1], strict=True)])
    names = tuple(f"{i}: {name}" for i, one in enumerate(logs) for name in one.students)
    places = np.repeat(np.arange(len(logs)), np.diff(before))
    whole = replace(first, student=student, **columns, students=names, row=np.arange(len(student)), account=None)
    return whole, (places == np.arange(len(logs))[:, None]).astype(np.float32)
