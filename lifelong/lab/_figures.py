"""The figures of a run as inline SVG: every seed, the paired differences, curves and task matrices arm by arm."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from lifelong.exams import kept_tasks, mean_interval

from ._svg import Curves, Row, curve_panel, heat_panel, strip_chart
from ._verdict import Claim, Verdict
from ._words import Unit, claimed_unit, ends_of, spoken, unit_of, units

if TYPE_CHECKING:
    from ._runner import Run


class Panel(NamedTuple):
    """One picture of a group: its title, and the SVG or the reason why there is none."""

    title: str
    svg: str
    reason: str = ""
    strong: bool = False


def measure_figure(run: "Run") -> Panel:
    """Return the claim's measure for every arm: each seed, the mean and its 95 % interval."""
    claim, unit = run.study.claim, claimed_unit(run)
    rows = [_arm_row(run, arm, unit) for arm, own in run.measures.items() if claim.on in own]
    if not rows:
        return Panel(spoken(claim.on), "", f"no arm has the measure {spoken(claim.on)}")
    axis = spoken(claim.on) + _after_comma(unit.mark)
    label = f"{axis}, every seed: " + "; ".join(f"{row.label} {row.value}" for row in rows)
    return Panel(spoken(claim.on), strip_chart(rows, axis, label))


def _arm_row(run: "Run", arm: str, unit: Unit) -> Row:
    own = run.measures[arm][run.study.claim.on]
    lost = ~np.isfinite(own)
    places = [float(v) for v in counted(run, arm, run.study.claim) * unit.factor]
    mean, interval = _mean_and_interval(own[~lost] * unit.factor)
    return Row(
        label=arm,
        mean=mean,
        interval=interval,
        dots={f"seed {i}: {_value(v, unit)}": v for i, v in enumerate(places) if not lost[i]},
        crosses={f"seed {i} diverged": v for i, v in enumerate(places) if lost[i] and np.isfinite(v)},
        value=_value(mean, unit),
        strong=arm == run.study.claim.better,
    )


def differences_figure(run: "Run") -> Panel:
    """Return the claim's gains, seed by seed: over the arm to beat, and over the knock-out."""
    claim, unit = run.study.claim, claimed_unit(run)
    others = [arm for arm in claim.arms[1:] if arm in run.measures and claim.better in run.measures]
    title = f"{claim.better} minus other arms" if claim.higher_is_better else f"other arms minus {claim.better}"
    if run.verdict.effect is None:
        return Panel(title, "", f"there are no differences to show: {run.verdict.reason}")
    rows = [_difference_row(run, other, unit) for other in others]
    axis = f"gain in {spoken(claim.on)}" + _after_comma(unit.gap)
    marks = {f"claimed {unit.bare(claim.by)}": claim.by * unit.factor} if claim.by else {}
    label = f"{axis}, seed by seed: " + "; ".join(f"{row.label} {row.value}" for row in rows)
    return Panel(title, strip_chart(rows, axis, label, marks, with_zero=True))


def _difference_row(run: "Run", other: str, unit: Unit) -> Row:
    gains = gains_over(run, other) * unit.factor
    mean, interval = _mean_and_interval(gains)
    dots = {f"seed {i}: {gain:.3g}": gain for i, gain in enumerate(gains)}
    return Row(f"over {other}", mean, interval, dots, {}, _value(mean, unit), strong=other == run.study.claim.than)


def gains_over(run: "Run", other: str) -> Float[np.ndarray, " seeds"]:
    """Return the gain of the claim's arm over another on every seed, positive in favour of the claim."""
    claim = run.study.claim
    gains = counted(run, claim.better, claim) - counted(run, other, claim)
    return gains if claim.higher_is_better else -gains


def counted(run: "Run", arm: str, claim: Claim) -> Float[np.ndarray, " seeds"]:
    """Return an arm's values on a claim's measure as the verdict counts them: a diverged seed is the worst seen."""
    own = run.measures[arm][claim.on]
    seen = np.concatenate([values[claim.on] for values in run.measures.values() if claim.on in values])
    seen = seen[np.isfinite(seen)]
    worst = (seen.min() if claim.higher_is_better else seen.max()) if len(seen) else np.nan
    return np.where(np.isfinite(own), own, worst)


def secondary_figures(run: "Run") -> list[Panel]:
    """Return the gains of all claims with their 95 % intervals, one chart a measure."""
    verdicts = (run.verdict, *run.secondary)
    measures = dict.fromkeys(verdict.claim.on for verdict in verdicts)
    return [_forest(run, on, [v for v in verdicts if v.claim.on == on]) for on in measures]


def _forest(run: "Run", on: str, verdicts: Sequence[Verdict]) -> Panel:
    unit = units(run).get(on) or unit_of(on, [])
    rows = [_forest_row(verdict, unit, verdict is run.verdict) for verdict in verdicts if verdict.effect]
    axis = f"gain in {spoken(on)}" + _after_comma(unit.gap)
    if not rows:
        return Panel(axis, "", f"no gain can be shown: {verdicts[0].reason}")
    label = f"{axis}: " + "; ".join(f"{row.label} {row.value}" for row in rows)
    return Panel(axis, strip_chart(rows, axis, label, with_zero=True))


def _forest_row(verdict: Verdict, unit: Unit, strong: bool) -> Row:
    claim, effect = verdict.claim, verdict.effect
    assert effect is not None
    interval = (effect.interval.low * unit.factor, effect.interval.high * unit.factor)
    mean = effect.mean * unit.factor
    return Row(f"{claim.better} over {claim.than}", mean, interval, {}, {}, _value(mean, unit), strong)


def curve_figures(run: "Run") -> list[Panel]:
    """Return what each arm knew over its life: the mean over the tasks met so far, every seed thin and their mean thick.

    An arm that is told of no ends of tasks is measured at each exam on the tasks that the others have met by then.
    """
    known = {arm: known_so_far(life, run.study.curve, _ends_in(run)) for arm, life in run.lives.items()}
    values = [curve.values for curve in known.values() if curve is not None]
    if not values:
        return []
    unit = unit_of(run.study.curve, [one.ravel() for one in values])
    limits = _limits([one * unit.factor for one in values], unit)
    better = known.get(run.study.claim.better)
    ghost = None if better is None else (better.exam.values, _mean(better.values, 0) * unit.factor)
    return [_curve_panel(run, arm, curve, unit, limits, ghost) for arm, curve in known.items()]


def over_what(run: "Run") -> str:
    """Return what the curves of a run are means over, in words; an empty text where they are no means."""
    dims = {dim for life in run.lives.values() if run.study.curve in life for dim in life[run.study.curve].dims}
    if "task" in dims:
        return "over the tasks met so far (and not unlearned)"
    others = sorted(f"{spoken(str(dim))}s" for dim in dims - {"seed", "exam"})
    return f"over all {' and '.join(others)}" if others else ""


def _curve_panel(
    run: "Run",
    arm: str,
    curve: xr.DataArray | None,
    unit: Unit,
    limits: tuple[float, float],
    ghost: tuple[np.ndarray, np.ndarray] | None,
) -> Panel:
    strong = arm == run.study.claim.better
    if curve is None:
        return Panel(arm, "", f"this arm has no exam result '{run.study.curve}' by seed and exam", strong)
    thin, ends = curve.values * unit.factor, ends_of(run.lives[arm])
    curves = Curves(curve.exam.values, thin, _mean(thin, 0), None if strong else ghost, ends, strong)
    last = _value(float(curves.thick[-1]), unit)
    label = f"{arm}: {' '.join(filter(None, (spoken(run.study.curve), over_what(run))))}, {last} at the end"
    return Panel(arm, curve_panel(curves, limits, label), strong=strong)


def known_so_far(life: xr.Dataset, name: str, ends: np.ndarray) -> xr.DataArray | None:
    """Return an exam result [seed, exam], averaged over the tasks met at each exam (all tasks where none is known).

    At an exam at step t the first 1 + #{ends < t} tasks have been met, or in a life of requests those that are to be
    known then; the exam before the first step is left out. Returns None where there is no such result by seed and exam.
    """
    if name not in life or not {"seed", "exam"} <= set(life[name].dims):
        return None
    result = life[name].isel(exam=life.exam.values > 0)
    if not result.sizes["exam"]:
        return None
    if "task" in result.dims:
        mask = xr.DataArray(_among(life, result, ends), dims=("task", "exam"))
        count = mask.sum("task")
        result = result.where(mask, 0).sum("task", skipna=False) / count.where(count > 0)
    others = [dim for dim in result.dims if dim not in ("seed", "exam")]
    return result.mean(others, skipna=False).transpose("seed", "exam")


def _among(life: xr.Dataset, result: xr.DataArray, ends: np.ndarray) -> Bool[np.ndarray, "task exam"]:
    """Return which tasks count at each exam."""
    tasks = result.sizes["task"]
    passed = np.searchsorted(ends_of(life) if "requests" in life.attrs else ends, result.exam.values, side="left")
    if "requests" in life.attrs:
        return kept_tasks(life.attrs["requests"], tasks)[passed].T
    met = 1 + passed if len(ends) else tasks
    return np.arange(tasks)[:, None] < np.broadcast_to(met, result.sizes["exam"])


def matrix_figures(run: "Run") -> list[Panel]:
    """Return each arm's accuracy on every task after every task, averaged over seeds; later tasks are muted.

    None where no arm has results by task.
    """
    if not any("task" in life[run.study.curve].dims for life in run.lives.values() if run.study.curve in life):
        return []
    return [_matrix_panel(run, arm, life) for arm, life in run.lives.items()]


def _matrix_panel(run: "Run", arm: str, life: xr.Dataset) -> Panel:
    strong = arm == run.study.claim.better
    if run.study.curve not in life or not {"seed", "exam", "task"} <= set(life[run.study.curve].dims):
        return Panel(arm, "", f"this arm has no exam result '{run.study.curve}' by seed, exam and task", strong)
    if not len(ends_of(life)):
        return Panel(arm, "", "this arm is told of no ends of tasks", strong)
    matrix = life[run.study.curve].sel(exam=ends_of(life)).transpose("seed", "exam", "task", ...)
    means = _mean(matrix.values.reshape(*matrix.shape[:3], -1).mean(-1), 0)
    seen = means[np.isfinite(means)]
    if np.any((seen < 0) | (seen > 1)):
        return Panel(arm, "", f"'{run.study.curve}' is no share, so it has no heat map", strong)
    learned = np.arange(means.shape[1]) <= np.arange(means.shape[0])[:, None]
    if "requests" in life.attrs:
        learned = kept_tasks(life.attrs["requests"], means.shape[1])
    final = ", ".join(_value(100 * float(v), Unit(True)) for v in means[-1])
    label = f"{arm}: {spoken(run.study.curve)} in per cent on each task; after the last one {final}"
    return Panel(arm, heat_panel(means, learned, label), strong=strong)


def _ends_in(run: "Run") -> np.ndarray:
    """Return the ends of tasks of the first arm that is told of any."""
    return next((ends for life in run.lives.values() if len(ends := ends_of(life))), np.zeros(0, int))


def _limits(values: Sequence[np.ndarray], unit: Unit) -> tuple[float, float]:
    """Return the limits of a common axis: 0 to 100 for per cents, else from 0 as far as values reach."""
    if unit.percent:
        return 0.0, 100.0
    seen = np.concatenate([v[np.isfinite(v)] for v in values] + [np.zeros(1)])
    return float(seen.min()), float(seen.max()) if np.any(seen) else 1.0


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of what is finite, NaN where nothing is."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0.0).sum(axis)
    return np.where(finite.any(axis), total / np.maximum(finite.sum(axis), 1), np.nan)


def _mean_and_interval(values: np.ndarray) -> tuple[float, tuple[float, float] | None]:
    if len(values) < 2 or not np.isfinite(values).all():
        return (float(values[0]) if len(values) == 1 else float("nan")), None
    interval = mean_interval(values)
    return float(values.mean()), (interval.low, interval.high)


def _after_comma(mark: str) -> str:
    return f",{mark}" if mark else ""


def _value(scaled: float, unit: Unit) -> str:
    """Return a value that is already in its unit's scale."""
    return unit.bare(scaled / unit.factor) if np.isfinite(scaled) else "undefined"
