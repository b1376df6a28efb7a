"""Scores of persons at times of their own, and what else is known of each person."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from lifelong.errors import BadInput


class Curves(NamedTuple):
    """Scores [persons, waves] at times, NaN where a wave is missing; and covariates of gate and experts.

    `gate` says what may tell the class of a person, `expert` what may move the curve of a person within a class.
    """

    time: Float[Any, "*lanes persons waves"]
    score: Float[Any, "*lanes persons waves"]
    gate: Float[Any, "*lanes persons gates"]
    expert: Float[Any, "*lanes persons experts"]

    @classmethod
    def of(
        cls, time: ArrayLike, score: ArrayLike, gate: ArrayLike | None = None, expert: ArrayLike | None = None
    ) -> "Curves":
        """Return checked curves; `time` may be one row for all persons, covariates may be left out.

        Raises:
            BadInput: shapes that do not fit, no score at all, a covariate or the time of a score that is not finite, or
                times that are not above 0 anywhere.
        """
        scores = np.asarray(score, np.float32)
        if scores.ndim != 2 or not np.isfinite(scores).any():
            raise BadInput(f"scores must be numbers of [persons, waves], some of them finite, not {scores.shape}")
        times = np.asarray(time, np.float32)
        if times.shape not in (scores.shape, scores.shape[1:]):
            raise BadInput(f"times must have the shape of scores, {scores.shape}, or of one row of them: {times.shape}")
        times = np.broadcast_to(times, scores.shape)
        there = np.isfinite(scores)
        if not np.isfinite(times[there]).all() or not (times[there] > 0).any():
            raise BadInput(
                "the time of every score must be a finite number, above 0 for some: count from the beginning"
            )
        known = (_covariates(name, given, len(scores)) for name, given in (("gate", gate), ("expert", expert)))
        return cls(np.where(there, times, 0.0), np.where(there, scores, np.nan), *known)


def _covariates(name: str, given: ArrayLike | None, persons: int) -> Float[np.ndarray, "persons covariates"]:
    values = np.zeros((persons, 0)) if given is None else np.asarray(given, np.float32)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) != persons:
        raise BadInput(f"{name} covariates must be [persons, covariates] of {persons} persons, not {values.shape}")
    if bad := int((~np.isfinite(values)).any(axis=1).sum()):
        raise BadInput(f"{bad} of {persons} persons have {name} covariates that are not finite: fill or leave them out")
    return values.astype(np.float32)


class Scale(NamedTuple):
    """What makes all of order 1: (score − level)/spread, time/span; of covariates, rows of their means and deviations."""

    level: Float[Any, "*lanes"]
    spread: Float[Any, "*lanes"]
    span: Float[Any, "*lanes"]
    gate: Float[Any, "*lanes two gates"]
    expert: Float[Any, "*lanes two experts"]


def scale_of(curves: Curves) -> Scale:
    """Return the units of curves; raise BadInput where all scores, or all values of a covariate, are the same."""
    level, spread = np.nanmean(curves.score), np.nanstd(curves.score)
    if not spread > 0:
        raise BadInput(f"all scores are {level:g}: curves that never differ have no classes")
    known = [np.stack([values.mean(axis=0), values.std(axis=0)]) for values in (curves.gate, curves.expert)]
    for name, (_, deviation) in zip(("gate", "expert"), known, strict=True):
        if (deviation == 0).any():
            raise BadInput(f"{name} covariate {np.argmin(deviation) + 1} is the same for all persons: leave it out")
    return Scale(np.float32(level), np.float32(spread), curves.time.max(), *known)


def scaled(curves: Curves, scale: Scale) -> Curves:
    """Return curves in these units."""
    gate, expert = ((v - s[0]) / s[1] for v, s in ((curves.gate, scale.gate), (curves.expert, scale.expert)))
    return Curves(curves.time / scale.span, (curves.score - scale.level) / scale.spread, gate, expert)
