"""Why a composite problem went right or wrong, judged by its parts: the four-way decomposition of We-Math."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lifelong.errors import BadInput

from ._statistics import Interval

RESAMPLES = 2_000
"""Bootstrap resamples of composites."""


class Shares(NamedTuple):
    """Numbers of one kind, one for each class."""

    insufficient_knowledge: float
    inadequate_generalisation: float
    complete_mastery: float
    rote_memorisation: float


@dataclass(frozen=True)
class FourWay:
    """The decomposition of `composites` composite problems.

    `counts` and `rates` are over all composites. `rote_rate` is the share of rote memorisation among composites solved,
    RM / (RM + CM), NaN where none was; `rote_by_chance` is what it would be if composites and their parts went right
    independently of each other, at the same rates: memorisation only shows in the difference. `score` is
    (CM + ½·IG) / N. `intervals` are 95 % bootstrap intervals of the rates over composites, `rote_interval` that of the
    rote rate, None where it is not defined in every resample.
    """

    composites: int
    counts: Shares
    rates: Shares
    score: float
    rote_rate: float
    rote_by_chance: float
    intervals: tuple[Interval, Interval, Interval, Interval]
    rote_interval: Interval | None


def four_way(
    parts: Bool[np.ndarray, "composites parts"],
    composite: Bool[np.ndarray, " composites"],
    present: Bool[np.ndarray, "composites parts"] | None = None,
    mode: Literal["strict", "loose"] = "strict",
) -> FourWay:
    """Sort composite problems by whether they and their parts were solved.

    `parts[i, j]` says whether part j of composite i, asked alone and with its true inputs, was solved, `composite[i]`
    whether the whole was; `present` marks the parts that there are, where composites have different numbers of them.

    | class | the whole | its parts, strict | loose |
    |---|---|---|---|
    | insufficient knowledge (IK) | wrong | some wrong | some wrong |
    | inadequate generalisation (IG) | wrong | all right | all right |
    | complete mastery (CM) | right | all right | one right at least |
    | rote memorisation (RM) | right | some wrong | all wrong |

    Source: Qiao et al. 2024 ("We-Math", section 3.3) and its evaluation code. Raises BadInput where shapes differ, there
    are no composites, or one has no part.
    """
    present = np.ones_like(parts) if present is None else present
    _check(parts, composite, present, mode)
    all_right = np.where(present, parts, True).all(axis=1)
    mastered = all_right if mode == "strict" else (parts & present).any(axis=1)
    classes = np.stack(
        [~composite & ~all_right, ~composite & all_right, composite & mastered, composite & ~mastered]
    ).astype(np.float64)
    counts = classes.sum(axis=1)
    drawn = _resampled(classes)
    rates = drawn[:, :4]
    return FourWay(
        composites=len(composite),
        counts=Shares(*counts.tolist()),
        rates=Shares(*(counts / len(composite)).tolist()),
        score=float((counts[2] + 0.5 * counts[1]) / len(composite)),
        rote_rate=_ratio(counts[3], counts[2] + counts[3]),
        rote_by_chance=1 - _chance_of_mastery(parts, present, mode),
        intervals=tuple(_interval(values) for values in rates.T),  # pyright: ignore[reportArgumentType]
        rote_interval=None if np.isnan(drawn[:, 4]).any() else _interval(drawn[:, 4]),
    )


def _check(parts: np.ndarray, composite: np.ndarray, present: np.ndarray, mode: str) -> None:
    if mode not in ("strict", "loose"):
        raise BadInput(f"the mode must be 'strict' or 'loose', not '{mode}'")
    if parts.ndim != 2 or parts.shape != present.shape or composite.shape != parts.shape[:1] or not len(composite):
        raise BadInput(
            f"parts [composites, parts], composite [composites] and present must fit together and hold one composite at "
            f"least; their shapes are {parts.shape}, {composite.shape} and {present.shape}"
        )
    if not present.any(axis=1).all():
        raise BadInput(f"composite {int(np.argmin(present.any(axis=1)))} has no part")


def _chance_of_mastery(parts: np.ndarray, present: np.ndarray, mode: str) -> float:
    """Return how often the parts of a composite would pass for mastery, each right at the rate of all parts."""
    p, sizes = parts[present].mean(), present.sum(axis=1)
    return float(np.mean(p**sizes if mode == "strict" else 1 - (1 - p) ** sizes))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _resampled(classes: Float[np.ndarray, "4 composites"]) -> Float[np.ndarray, "resamples 5"]:
    """Return the four rates and the rote rate in resamples of the composites."""
    random, n = np.random.default_rng(0), classes.shape[1]
    counts = random.multinomial(n, classes.sum(axis=1) / n, size=RESAMPLES)
    solved = counts[:, 2] + counts[:, 3]
    rote = np.where(solved > 0, counts[:, 3] / np.maximum(solved, 1), np.nan)
    return np.column_stack([counts / n, rote])


def _interval(values: Float[np.ndarray, " resamples"]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high), "constant" if low == high else "percentile")
