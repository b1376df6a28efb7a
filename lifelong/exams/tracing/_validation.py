"""Examining tracers on students they were not fitted to, with a control that nobody can pass by leakage."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int, PyTree
from scipy.special import stdtrit

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from .._statistics import Interval
from ._marks import Marks, mark
from ._tracer import Tracer, lane_of

RANGES = {"log_likelihood": (-np.inf, 0.0)}
"""What a measure can be, where that is not 0 to 1."""

MEASURES = tuple(field.name for field in fields(Marks) if field.name != "attempts")

CHANCE_BAND = 4.0
"""Standard errors within which the AUC on coin flips counts as ½. Areas of models that read a student's own coins spread up
to a third wider in logs of a few hundred rows, so that a few fair evaluations in a thousand fall outside there."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Predictions for held-out students: `p` [rows] of `log`, made by the fit of every other fold.

    `fold` [students] is the fold in which each student was held out, −1 for all where there was only one student: then
    predictions are those of the fit on that student. `lanes` are the parameters of every fold.
    """

    tracer: Tracer
    log: PracticeLog
    fold: Int[np.ndarray, " students"]
    lanes: PyTree
    p: Float[np.ndarray, " rows"]

    def held_out(self, predict: Callable[[PyTree], Float[np.ndarray, " rows"]]) -> Float[np.ndarray, " rows"]:
        """Return what `predict` says of every row, with the parameters of the fold in which its student was held out."""
        return _held_out(predict, self.lanes, self.fold, self.log)

    def marks(self, rows: Bool[np.ndarray, " rows"] | None = None) -> Marks:
        """Return the marks over all graded rows, or those of them that are marked; AUCs are of pairs within a fold."""
        return mark(self.p, self.log, rows, self.fold[self.log.student])

    def by_skill(self) -> dict[str, Marks]:
        """Return the marks over the graded rows of every skill that has some, by its name."""
        of = {name: np.any(self.log.skill == k, axis=1) for k, name in enumerate(self.log.skills)}
        return {name: self.marks(rows) for name, rows in of.items() if (rows & self.log.graded).any()}

    def intervals(self) -> dict[str, Interval | None]:
        """Return a 95 % interval of every measure by a jackknife over folds; None where there are too few of them."""
        return intervals(self.p, self.log, self.fold)


def cross_validate(tracer: Tracer, log: PracticeLog, *, folds: int = 5, seed: int = 0) -> Validation:
    """Fit a tracer to all students and to all but each fold of them, in one program, and predict every fold.

    The tracer is fitted to all of them afterwards, as by `fit`, but without a warning. Students are dealt to folds at
    random, the largest histories first, so that folds are of nearly equal size. Raises BadInput for fewer than two
    folds, and where the tracer cannot be fitted to the log.
    """
    if folds < 2:
        raise BadInput(f"{folds} folds: at least 2 are needed, to hold students out")
    tracer.check(log)
    fold = _deal(log, folds, seed)
    weights = np.stack([fold != f for f in range(fold.max() + 1)] + [np.ones(len(fold))]).astype(np.float32)
    lanes = tracer.learn(log, weights, seed=seed)
    tracer.parameters, tracer.vocabulary = lane_of(lanes, -1), log.vocabulary
    p = _held_out(lambda parameters: tracer.answer(parameters, log), lanes, fold, log)
    return Validation(tracer, log, fold, lanes, p)


def _deal(log: PracticeLog, folds: int, seed: int) -> Int[np.ndarray, " students"]:
    """Return the fold of every student, −1 where there is only one."""
    sizes = np.diff(log.starts)
    folds = min(folds, int(np.count_nonzero(sizes)))
    if folds < 2:
        return np.full(len(sizes), -1)
    chance = np.random.default_rng(seed).permutation(len(sizes))
    order = np.lexsort((chance, -sizes))
    fold = np.empty(len(sizes), np.int64)
    there_and_back = np.concatenate([np.arange(folds), np.arange(folds)[::-1]])
    fold[order] = there_and_back[np.arange(len(sizes)) % (2 * folds)]
    return fold


def _held_out(
    predict: Callable[[PyTree], Float[np.ndarray, " rows"]], lanes: PyTree, fold: np.ndarray, log: PracticeLog
) -> Float[np.ndarray, " rows"]:
    p = np.empty(len(log))
    for f in np.unique(fold):
        rows = (fold == f)[log.student]
        p[rows] = np.asarray(predict(lane_of(lanes, int(f))))[rows]
    return p


def intervals(
    p: Float[np.ndarray, " rows"], log: PracticeLog, fold: Int[np.ndarray, " students"]
) -> dict[str, Interval | None]:
    """Return the 95 % interval of every measure, within what the measure can be: a jackknife over folds.

    With θ of all K folds and θ₋ of all but one, that is θ ± t·√((K − 1)/K · Σ(θ₋ − mean θ₋)²), t of K − 1 degrees of
    freedom: around what is reported, whatever the measure, and for a mean over folds that which is usual for means.
    """
    of = fold[log.student]
    folds = np.unique(of[log.graded])
    if len(folds) < 2:
        return dict.fromkeys(MEASURES)
    whole, without = mark(p, log, None, of), [mark(p, log, of != f, of) for f in folds]
    found = {}
    for name in MEASURES:
        middle, others = getattr(whole, name), np.array([getattr(one, name) for one in without])
        reach = stdtrit(len(folds) - 1, 0.975) * np.sqrt((len(folds) - 1) * others.var())
        found[name] = _within(middle, reach, *RANGES.get(name, (0.0, 1.0))) if np.isfinite(reach) else None
    return found


def _within(middle: float, reach: float, least: float, most: float) -> Interval:
    return Interval(max(middle - reach, least), min(middle + reach, most), "t")


@dataclass(frozen=True)
class Control:
    """What a fair evaluation must show: AUC ½ on coin flips, and predictions that no own or later answer moves.

    `auc` is that on coin flips, for held-out students, and `band` how far from ½ chance may take it; NaN where nobody can be
    held out, for coin flips that a model was fitted to may well be told apart. `moved` is the largest change of a
    prediction when its own outcome or later ones are turned around.
    """

    auc: float
    band: float
    moved: float

    @property
    def passed(self) -> bool:
        """Whether both hold; an AUC that is not defined shows nothing either way."""
        return not abs(self.auc - 0.5) > self.band and self.moved < 1e-5


def control(tracer: Tracer, log: PracticeLog, *, folds: int = 5, seed: int = 0) -> Control:
    """Examine a tracer like `cross_validate`, on the same log with coin flips for answers; the tracer stays as it is."""
    kept = tracer.parameters, tracer.vocabulary
    tossed = log.coin_flips(seed)
    validation = cross_validate(tracer, tossed, folds=folds, seed=seed)
    moved = _moved(tracer, tossed, seed)
    tracer.parameters, tracer.vocabulary = kept
    if validation.fold.max() < 0:
        return Control(float("nan"), float("nan"), moved)
    return Control(validation.marks().auc, CHANCE_BAND * _chance_error(tossed, validation.fold), moved)


def _chance_error(log: PracticeLog, fold: Int[np.ndarray, " students"]) -> float:
    """Return the standard error of the AUC within folds where outcomes know nothing of predictions.

    Mann and Whitney's variance is doubled: the coins of every two of K folds meet twice, once as what the fit for the other
    has learned from, so that AUCs of two folds have a correlation of 1/(K − 1).
    """
    of, folds = fold[log.student], fold.max() + 1
    right, wrong = (np.bincount(of[log.outcome == y], minlength=folds).astype(float) for y in (1, 0))
    variance = (right * wrong * (right + wrong + 1)).sum() / 12 * 2
    return float(np.sqrt(variance) / max((right * wrong).sum(), 1.0))


def _moved(tracer: Tracer, log: PracticeLog, seed: int) -> float:
    """Return how much predictions move that come no later than the first of the outcomes turned around."""
    sizes = np.diff(log.starts)
    first = (np.random.default_rng(seed).random(len(sizes)) * sizes).astype(np.int64)
    after = log.place >= first[log.student]
    turned = np.where(after & log.graded, 1 - log.outcome, log.outcome)
    p = tracer.answer(tracer.parameters, log)
    other = tracer.answer(tracer.parameters, log.with_outcomes(turned))
    early = log.place <= first[log.student]
    return float(np.abs(p - other)[early].max(initial=0.0))
