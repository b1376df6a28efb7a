"""Tracing a practice log with several models: which of them can be believed, and what they say of skills and students."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lifelong.errors import BadInput, UnknownName
from lifelong.exams.tracing import (
    MODELS,
    USUAL_MODELS,
    Advice,
    Control,
    LearningCurve,
    Marks,
    Prerequisite,
    Validation,
    control,
    cross_validate,
    learning_curves,
    prerequisites,
    retention,
)
from lifelong.worlds import PracticeLog

AT_ONCE = 2
"""Models that are fitted at a time: most of it is compilation, which runs on one core."""

ADVICES = 3
"""Skills that are proposed to each student."""

News = Callable[[str, str], None]
"""Called with a model's short name and what has been done with it."""


@dataclass(frozen=True, eq=False)
class Examined:
    """A model and how it did: held-out predictions, the control on coin flips, retention, doubts, and the time it took."""

    name: str
    validation: Validation
    control: Control
    retention: Marks | None
    doubts: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class Trace:
    """All that was found in a log. `best` is the model whose held-out predictions were likeliest and whose control held.

    `left_out` says why models could not be fitted to this log.
    """

    log: PracticeLog
    folds: int
    seed: int
    examined: dict[str, Examined]
    left_out: dict[str, str]
    best: str
    curves: list[LearningCurve]
    edges: list[Prerequisite]
    advice: dict[str, list[Advice]]

    @property
    def likelier(self) -> tuple[str, ...]:
        """The models that were passed over for their control: likelier than the best of those whose control held."""
        least = self.examined[self.best].validation.marks().log_likelihood
        found = {name: one.validation.marks().log_likelihood for name, one in self.examined.items()}
        return tuple(name for name, value in found.items() if value > least)


def trace(
    log: PracticeLog,
    models: Sequence[str] = USUAL_MODELS,
    *,
    folds: int = 5,
    seed: int = 0,
    news: News = lambda model, done: None,
) -> Trace:
    """Fit and examine models on a log, and read from the best of them what students know and should do next.

    Raises UnknownName for a model, and BadInput where no model can be fitted.
    """
    for name in models:
        if name not in MODELS:
            raise UnknownName("model of practice", name, MODELS)
    dearest_first = sorted(set(models), key=list(MODELS).index, reverse=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = {name: pool.submit(_examine, name, log, folds, seed, news) for name in dearest_first}
    found = [jobs[name].result() for name in dict.fromkeys(models)]
    examined = {one.name: one for one in found if isinstance(one, Examined)}
    left_out = dict(one for one in found if isinstance(one, tuple))
    if not examined:
        raise BadInput(f"no model could be fitted: {'; '.join(f'{name}: {why}' for name, why in left_out.items())}")
    best = _best(examined)
    p = {name: one.validation.p for name, one in examined.items()}
    news("report", "curves, prerequisites and advice")
    return Trace(
        log=log,
        folds=folds,
        seed=seed,
        examined=examined,
        left_out=left_out,
        best=best,
        curves=learning_curves(log, p),
        edges=prerequisites(log, p[best]),
        advice=examined[best].validation.tracer.recommend_all(log, ADVICES),
    )


def _examine(name: str, log: PracticeLog, folds: int, seed: int, news: News) -> Examined | tuple[str, str]:
    began, tracer = time.perf_counter(), MODELS[name]()
    try:
        validation = cross_validate(tracer, log, folds=folds, seed=seed)
    except BadInput as error:
        news(name, "left out")
        return name, str(error)
    news(name, "fitted")
    doubts = tracer.doubts(tracer.parameters, log.vocabulary)
    retained = retention(validation)
    checked = control(tracer, log, folds=folds, seed=seed)
    news(name, "examined")
    return Examined(name, validation, checked, retained, doubts, time.perf_counter() - began)


def _best(examined: dict[str, Examined]) -> str:
    """Return the likeliest model among those whose control held, or among all where none did."""
    held = {name: one for name, one in examined.items() if one.control.passed} or examined
    return max(held, key=lambda name: held[name].validation.marks().log_likelihood)
