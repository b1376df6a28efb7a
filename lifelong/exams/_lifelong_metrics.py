"""The lifelong-learning metrics of New et al. 2022 and Baker et al. 2023, computed as their package l2metrics 3.1 does.

Where the paper's formulas leave a choice open, the package's choice is taken:

- saturation is sought in the moving average of the curve it is given, so a curve smoothed by `preprocess` is smoothed
  twice, the second time across the borders of a task's train regimes;
- the slope that decides whether a learning curve falls is taken over row numbers of the log, gaps between blocks
  included;
- where several tasks are trained between two evaluations of a task, the transfer of that bracket is credited to one of
  them: the one whose first experience in the log comes last;
- mean performances weigh regimes equally, whatever their length.

It differs from the package in four ways. Levels are compared up to rounding: the first windows of a smoothed curve
mirror each other, so for a curve that only falls the package finds saturation at its start (undefined) or just after it
(efficiency 0) as rounding has it, and here it is at the start. A quotient by zero is left out, where the package can
return infinity. Task names keep their case. There are no sleep blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Literal

import numpy as np
from jaxtyping import Float

from lifelong.errors import UnknownName

from ._lifetime_log import (
    ROUNDING,
    Curves,
    Experts,
    LifetimeLog,
    Regime,
    expert_curves,
    moving_average,
    regimes,
    tasks_of,
)

Finding = float | str
"""A value, or the reason why there is none."""

Pairs = dict[tuple[str, str], tuple[float, ...]]
"""(trained task, tested task) → one value per bracket, in the order lived."""


@dataclass(frozen=True)
class Assessment:
    """What a lifetime log shows of a learner.

    `lifetime` maps each metric to one number, the aggregate over tasks, or for the transfers over ordered pairs of
    tasks; `per_task` maps the other metrics to their value for each task. `pairs` holds the transfers,
    "forward_transfer" and "backward_transfer", for each (trained, tested) pair: one value per bracket, of which the
    first alone enters the lifetime value. `recovery_times` are the successive recovery times of each task. What could
    not be computed is NaN (or absent from `pairs`), and `reasons` says why, metric by metric.
    """

    tasks: tuple[str, ...]
    lifetime: dict[str, float]
    per_task: dict[str, dict[str, float]]
    pairs: dict[str, Pairs]
    recovery_times: dict[str, tuple[int, ...]]
    reasons: dict[str, str]

    def matrix(self, metric: Literal["forward_transfer", "backward_transfer"]) -> Float[np.ndarray, "trained tested"]:
        """Return the first value of each ordered pair, in the order of `tasks`; NaN where there is none.

        Raises `UnknownName` for a metric that is not about pairs.
        """
        if metric not in self.pairs:
            raise UnknownName("metric of task pairs", metric, self.pairs)
        found = self.pairs[metric]
        return np.array([[found.get((i, j), (np.nan,))[0] for j in self.tasks] for i in self.tasks])


OPTIONS = {
    "maintenance": ("mrlep", "mrtlp"),
    "transfer": ("ratio", "contrast"),
    "aggregate": ("mean", "median"),
    "averaging": ("metrics", "time"),
}


def assess(
    log: LifetimeLog,
    experts: Experts | None = None,
    *,
    maintenance: Literal["mrlep", "mrtlp"] = "mrlep",
    transfer: Literal["ratio", "contrast"] = "ratio",
    aggregate: Literal["mean", "median"] = "mean",
    averaging: Literal["metrics", "time"] = "metrics",
) -> Assessment:
    """Return the metrics of a lifetime, on the performances as they are: run `preprocess` first for comparable tasks.

    TP is terminal performance (`Regime.terminal`); a task's curve is that of all its train regimes, joined.

    - performance_maintenance: the mean of TP(e) − TP(r) over the task's test regimes e after a reference, where the
      references are its first test regimes after each of its train regimes, and r is the last reference before e
      ("mrlep", most recent learning evaluation) or the last train regime before e ("mrtlp").
    - forward_transfer, backward_transfer i → j: TP(e₂) / TP(e₁) ("ratio") or (TP(e₂) − TP(e₁)) / (TP(e₂) + TP(e₁))
      ("contrast") for each two successive test regimes e₁, e₂ of j with training of i between them; forward before j is
      first trained, backward after. Both need performances above 0: normalize, or read them with care.
    - relative_performance: Σ performance / Σ the expert's performance over the length that both have.
    - sample_efficiency: (s / s_e)(n_e / n), s the highest value of the moving average of the task's curve, n the first
      experience (from 0) at which it is reached, s_e and n_e the same of the expert; 0 where s < 0.2 s_e or where the
      task's curve falls; undefined where n = 0 or n_e = 0.
    - recovery_time: the mean, over the task's train regimes but the first, of the experience (from 0) at which
      performance reaches TP of the train regime before, and one more than there are experiences if it never does. The
      package lists these times and does not average them.
    - performance_recovery: minus the Theil–Sen slope of the successive recovery times; needs two of them.
    - mean_training, mean_evaluation: the mean over a task's train or test regimes of their mean performance.

    Task values are aggregated by `aggregate`, undefined ones left out. Several experts of a task are averaged after
    computing the metric ("metrics"), or as curves cut to the shortest ("time"). The defaults are those of the
    package's command line.

    Raises `UnknownName` for an option that does not exist, `BadInput` where an expert's curve cannot be used.
    """
    _check_options(maintenance=maintenance, transfer=transfer, aggregate=aggregate, averaging=averaging)
    life, tasks = regimes(log), tasks_of(log)
    runs = expert_curves(tasks, experts)
    runs = {task: _averaged(curves) for task, curves in runs.items()} if averaging == "time" else runs
    times = {task: _recovery_times(life, task) for task in tasks}
    findings = _task_findings(life, tasks, runs, times, maintenance)
    per_task = {
        metric: {task: np.nan if isinstance(value, str) else value for task, value in found.items()}
        for metric, found in findings.items()
    }
    pairs = _transfers(life, tasks, transfer)
    values = {metric: [v[0] for v in found.values()] for metric, found in pairs.items()}
    values |= {metric: list(found.values()) for metric, found in per_task.items()}
    return Assessment(
        tasks=tasks,
        lifetime={metric: _aggregate(found, aggregate) for metric, found in values.items()},
        per_task=per_task,
        pairs=pairs,
        recovery_times=times,
        reasons=_reasons(findings, pairs),
    )


def _check_options(**chosen: str) -> None:
    for name, value in chosen.items():
        if value not in OPTIONS[name]:
            raise UnknownName(f"option of {name}", value, OPTIONS[name])


def _averaged(curves: list[np.ndarray]) -> list[np.ndarray]:
    if not curves:
        return []
    shortest = min(len(curve) for curve in curves)
    return [np.mean([curve[:shortest] for curve in curves], axis=0)]


def _aggregate(values: list[float], how: str) -> float:
    defined = [value for value in values if not np.isnan(value)]
    if not defined:
        return float("nan")
    return float(np.median(defined) if how == "median" else np.mean(defined))


def _task_findings(
    life: list[Regime], tasks: tuple[str, ...], runs: Curves, times: dict[str, tuple[int, ...]], reference: str
) -> dict[str, dict[str, Finding]]:
    """Return metric → task → value or reason, for the metrics that belong to one task."""
    metrics: dict[str, Callable[[str], Finding]] = {
        "performance_maintenance": lambda task: _maintenance(life, task, reference),
        "relative_performance": lambda task: _compared(life, task, runs[task], _relative_performance),
        "sample_efficiency": lambda task: _compared(life, task, runs[task], _sample_efficiency),
        "recovery_time": lambda task: float(np.mean(times[task])) if times[task] else "trained less than twice",
        "performance_recovery": lambda task: _performance_recovery(times[task]),
        "mean_training": lambda task: _mean_performance(life, task, "train"),
        "mean_evaluation": lambda task: _mean_performance(life, task, "test"),
    }
    return {metric: {task: find(task) for task in tasks} for metric, find in metrics.items()}


def _reasons(findings: dict[str, dict[str, Finding]], pairs: dict[str, Pairs]) -> dict[str, str]:
    reasons = {}
    for metric, found in findings.items():
        absent = {value: [t for t in found if found[t] == value] for value in found.values() if isinstance(value, str)}
        if absent:
            reasons[metric] = "; ".join(f"{why}: {', '.join(tasks)}" for why, tasks in absent.items())
    for metric, when in (("forward_transfer", "before"), ("backward_transfer", "after")):
        if not pairs[metric]:
            reasons[metric] = f"no two evaluations of a task, not 0, enclose training of another {when} its own first"
    return reasons


def _places(life: list[Regime], task: str, kind: str) -> list[int]:
    """Return the positions in a life of a task's regimes of one kind."""
    return [n for n, regime in enumerate(life) if regime.task == task and regime.kind == kind]


def _mean_performance(life: list[Regime], task: str, kind: str) -> Finding:
    means = [life[n].curve.mean() for n in _places(life, task, kind)]
    return float(np.mean(means)) if means else f"no {kind} block"


def _maintenance(life: list[Regime], task: str, reference: str) -> Finding:
    trained, tested = _places(life, task, "train"), _places(life, task, "test")
    first_tests = {min(e for e in tested if e > n) for n in trained if tested and tested[-1] > n}
    changes = []
    for e in tested:
        earlier = [r for r in first_tests if r < e]
        if earlier and e not in first_tests:
            r = max(earlier) if reference == "mrlep" else max(n for n in trained if n < e)
            changes.append(life[e].terminal - life[r].terminal)
    return float(np.mean(changes)) if changes else "no later evaluation to compare with the one after learning"


def _transfers(life: list[Regime], tasks: tuple[str, ...], how: str) -> dict[str, Pairs]:
    """Return the transfers in both directions; each bracket, known by its second evaluation, has one value at most."""
    brackets: dict[str, dict[int, tuple[str, float]]] = {"forward_transfer": {}, "backward_transfer": {}}
    for i, j in permutations(tasks, 2):
        first_trained = min(_places(life, j, "train"), default=len(life))
        for before, after in pairwise(_places(life, j, "test")):
            value = _transfer(life[before].terminal, life[after].terminal, how)
            for n in _places(life, i, "train"):
                if before < n < after and value is not None:
                    direction = "forward_transfer" if n < first_trained else "backward_transfer"
                    brackets[direction][after] = (i, value)
    pairs: dict[str, Pairs] = {direction: {} for direction in brackets}
    for direction, found in brackets.items():
        for after, (i, value) in sorted(found.items()):
            pair = (i, life[after].task)
            pairs[direction][pair] = (*pairs[direction].get(pair, ()), value)
    return pairs


def _transfer(before: float, after: float, how: str) -> float | None:
    change, scale = (after, before) if how == "ratio" else (after - before, after + before)
    return change / scale if scale != 0 else None


def _compared(life: list[Regime], task: str, runs: list[np.ndarray], compare: Callable[..., Finding]) -> Finding:
    """Return `compare(rows, curve, runs)` for the experiences in which a task was learned, by row number of the log."""
    learning = [life[n] for n in _places(life, task, "train")]
    if not learning:
        return "never trained"
    if not runs:
        return "no single-task expert"
    rows, curve = (np.concatenate(column) for column in zip(*((r.rows, r.curve) for r in learning), strict=True))
    return compare(rows, curve, runs)


def _relative_performance(rows: np.ndarray, curve: np.ndarray, runs: list[np.ndarray]) -> Finding:
    lengths = [min(len(curve), len(run)) for run in runs]
    totals = [run[:n].sum() for run, n in zip(runs, lengths, strict=True)]
    if 0 in totals:
        return "an expert's performances sum to 0"
    return float(np.mean([curve[:n].sum() / total for n, total in zip(lengths, totals, strict=True)]))


def _saturation(curve: np.ndarray) -> tuple[float, int]:
    """Return the highest value of the moving average, and the first experience at which it is reached."""
    smoothed = moving_average(curve)
    highest = smoothed.max()
    return float(highest), int(np.argmax(_reached(smoothed, highest)))


def _reached(curve: np.ndarray, level: float) -> np.ndarray:
    return curve >= level - ROUNDING * abs(level)


def _sample_efficiency(rows: np.ndarray, curve: np.ndarray, runs: list[np.ndarray]) -> Finding:
    highest, experiences = _saturation(curve)
    if not experiences:
        return "the learning curve is never higher than at its start"
    falls = np.dot(rows - rows.mean(), curve - curve.mean()) < 0
    values = []
    for expert_highest, expert_experiences in map(_saturation, runs):
        if expert_experiences and expert_highest != 0:
            low = highest < 0.2 * expert_highest
            ratio = highest / expert_highest * expert_experiences / experiences
            values.append(0.0 if low or falls else ratio)
    return float(np.mean(values)) if values else "every expert is never higher than at its start, or saturates at 0"


def _recovery_times(life: list[Regime], task: str) -> tuple[int, ...]:
    times = []
    for before, now in pairwise(_places(life, task, "train")):
        reached = np.flatnonzero(_reached(life[now].curve, life[before].terminal))
        times.append(int(reached[0]) if len(reached) else len(life[now].curve) + 1)
    return tuple(times)


def _performance_recovery(times: tuple[int, ...]) -> Finding:
    if len(times) < 2:
        return "fewer than two recovery times"
    slopes = [(times[b] - times[a]) / (b - a) for b in range(len(times)) for a in range(b)]
    return -float(np.median(slopes))
