"""Simulated students, of whom the truth is known."""

import numpy as np

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._tracer import Tracer


def simulate(tracer: Tracer, log: PracticeLog, seed: int = 0) -> PracticeLog:
    """Return the log with every grade drawn from what a fitted tracer predicts, in the order lived.

    This is the tracer's own joint distribution of answers, whatever the tracer: a fit to it should find the parameters
    again. Every step of the longest history predicts the whole log once. Raises BadInput before the tracer is fitted.
    """
    random, drawn = np.random.default_rng(seed), log.hide(log.graded)
    chance = random.random(len(log))
    for step in range(int(log.place.max()) + 1):
        now = (log.place == step) & log.graded
        if now.any():
            answers = (chance < tracer.predict_proba(drawn)).astype(np.int8)
            drawn = drawn.with_outcomes(np.where(now, answers, drawn.outcome))
    return drawn


def schedule(
    students: int = 100, skills: int = 5, attempts: int = 50, items: int = 4, spacing: float = 60.0, seed: int = 0
) -> PracticeLog:
    """Return a log without meaning, to be filled by `simulate`: random skills and items, one attempt every `spacing` s.

    Every skill has so many items. All outcomes are 0. Raises BadInput where a number is below 1.
    """
    if min(students, skills, attempts, items) < 1:
        raise BadInput(f"a schedule needs one at least of each: {students=}, {skills=}, {attempts=}, {items=}")
    random, rows = np.random.default_rng(seed), students * attempts
    skill = random.integers(0, skills, rows)
    item = skill * items + random.integers(0, items, rows)
    return PracticeLog(
        student=np.repeat(np.arange(students), attempts),
        skill=skill[:, None],
        item=item,
        outcome=np.zeros(rows, np.int64),
        time=np.tile(np.arange(attempts) * spacing, students),
        students=tuple(f"student {i}" for i in range(students)),
        skills=tuple(f"skill {k}" for k in range(skills)),
        items=tuple(f"item {k}.{i}" for k in range(skills) for i in range(items)),
        name="simulated",
    )


def curve_students(
    students: int = 400,
    skills: int = 20,
    attempts: int = 60,
    gained: float = 0.7,
    lost: float = 0.4,
    seed: int = 0,
) -> PracticeLog:
    """Return students on learning curves: ln odds = a + b + gained·ln(1 + n) − lost·ln(1 + gap).

    a of the student and b of the skill are standard normal, n counts earlier attempts at the skill, and gap the rows since
    the last of them (0 before the first). Skills come in random order, so attempts at one are far apart. Raises BadInput
    where a number is below 1.
    """
    log = schedule(students, skills, attempts, items=1, seed=seed)
    random = np.random.default_rng((seed, 1))
    ability, ease = random.normal(size=students), random.normal(size=skills)
    skill = log.skill.reshape(students, attempts)
    tried, last = np.zeros((2, students, skills))
    everyone, outcome = np.arange(students), np.zeros((students, attempts), np.int8)
    for place in range(attempts):
        now = everyone, skill[:, place]
        gap = np.where(tried[now] > 0, place - last[now] - 1, 0)
        odds = ability + ease[skill[:, place]] + gained * np.log1p(tried[now]) - lost * np.log1p(gap)
        outcome[:, place] = random.random(students) < 1 / (1 + np.exp(-odds))
        tried[now] += 1
        last[now] = place
    return log.with_outcomes(outcome.ravel())
