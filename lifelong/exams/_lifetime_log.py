"""The labelled record of a lifetime: which task was met when, to learn or to be examined, and how well it went."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from lifelong.errors import BadInput

Experts = Mapping[str, Iterable[Any]]
"""Task → the learning curves of single-task experts: the same learner taught that task alone, one curve per run."""

ROUNDING = 1e-12
"""Relative differences up to this are rounding: a smoothed constant is still constant."""

Curves = dict[str, list[np.ndarray]]


@dataclass(frozen=True, eq=False)
class LifetimeLog:
    """One row per experience, in the order lived: its block, "train" or "test", its task and its performance.

    Blocks are numbered from 0, never fall and are of one kind: in a train block the learner learns, in a test block it
    is examined, frozen. Consecutive rows of one block and one task form a *regime*. Performance is a number for which
    higher is better; NaN marks an experience without one, which counts as not lived.

    Raises `BadInput` where columns differ in length, a block number falls or mixes kinds, a kind is neither "train"
    nor "test", a performance is infinite, or no performance is a number.
    """

    block: Int[np.ndarray, " experiences"]
    kind: Shaped[np.ndarray, " experiences"]
    task: Shaped[np.ndarray, " experiences"]
    performance: Float[np.ndarray, " experiences"]

    def __post_init__(self):
        object.__setattr__(self, "block", np.asarray(self.block))
        object.__setattr__(self, "kind", np.asarray(self.kind).astype(str, copy=False))
        object.__setattr__(self, "task", np.asarray(self.task).astype(str, copy=False))
        object.__setattr__(self, "performance", _numbers(self.performance, "the performances of a log"))
        _check_columns(self)
        _check_blocks(self.block, self.kind)

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[int, str, str, float]]) -> "LifetimeLog":
        """Return the log of (block, kind, task, performance) rows; raises `BadInput` as the class does."""
        rows = list(rows)
        if not rows or {len(row) for row in rows} != {4}:
            raise BadInput("a log is made of one or more rows (block, kind, task, performance)")
        block, kind, task, performance = (np.array(column) for column in zip(*rows, strict=True))
        return cls(block, kind, task, _numbers(performance, "the performances of a log"))


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{what} must be one array of numbers; write NaN where there is none") from None


def _check_columns(log: LifetimeLog) -> None:
    shapes = [column.shape for column in (log.block, log.kind, log.task, log.performance)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise BadInput(f"the columns of a log are flat arrays with one entry per experience; theirs are {shapes}")
    if np.any(np.isinf(log.performance)) or np.all(np.isnan(log.performance)):
        raise BadInput("a log needs at least one performance that is a number, and none that is infinite")


def _check_blocks(block: np.ndarray, kind: np.ndarray) -> None:
    if not np.issubdtype(block.dtype, np.integer) or np.any(block < 0) or np.any(block[1:] < block[:-1]):
        raise BadInput("block numbers are whole, not negative and never fall; sort the rows in the order lived")
    if unknown := set(kind.tolist()) - {"train", "test"}:
        raise BadInput(f"an experience is of kind 'train' or 'test', not {sorted(map(str, unknown))}")
    if np.any((block[1:] == block[:-1]) & (kind[1:] != kind[:-1])):
        raise BadInput("a block is either 'train' or 'test'; give learning and examination different block numbers")


class Regime(NamedTuple):
    """A run of experiences of one task inside one block: row numbers in the log, and the performance at each."""

    kind: str
    task: str
    rows: Int[np.ndarray, " experiences"]
    curve: Float[np.ndarray, " experiences"]

    @property
    def terminal(self) -> float:
        """Terminal performance: the mean of a test regime, of the last tenth (rounded up) of a train regime."""
        skipped = int(0.9 * len(self.curve)) if self.kind == "train" else 0
        return float(self.curve[skipped:].mean())


def regimes(log: LifetimeLog) -> list[Regime]:
    """Return the regimes of a log in the order lived; experiences without a number are left out first."""
    lived = np.flatnonzero(~np.isnan(log.performance))
    changed = np.zeros(len(lived) - 1, bool)
    for column in (log.block[lived], log.task[lived]):
        changed |= column[1:] != column[:-1]
    pieces = np.split(lived, np.flatnonzero(changed) + 1)
    return [Regime(str(log.kind[r[0]]), str(log.task[r[0]]), r, log.performance[r]) for r in pieces]


def tasks_of(log: LifetimeLog) -> tuple[str, ...]:
    """Return the names of the tasks in the order of their first experience with a number."""
    return tuple(dict.fromkeys(regime.task for regime in regimes(log)))


def expert_curves(tasks: Iterable[str], experts: Experts | None) -> Curves:
    """Return the experts' curves of each task without NaN, an empty list for a task without an expert.

    Raises `BadInput` where a curve is not flat, holds no number or is infinite somewhere.
    """
    given = experts or {}
    return {task: [_expert_curve(task, run) for run in given.get(task, ())] for task in tasks}


def _expert_curve(task: str, run: Any) -> np.ndarray:
    curve = _numbers(run, f"an expert of '{task}'")
    if curve.ndim != 1 or np.all(np.isnan(curve)) or np.any(np.isinf(curve)):
        raise BadInput(
            f"an expert of '{task}' is a flat array of performances, at least one a number and none infinite, and one "
            f"of shape {curve.shape} came; give a sequence of such arrays, even for a single run"
        )
    return curve[~np.isnan(curve)]


def moving_average(curve: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the mean over a window of L = min(⌊n/5⌋, 100) experiences; curves with L < 3 come back as they are.

    The curve is reflected at its ends. The window of experience x is [x − ⌈L/2⌉, x + ⌊L/2⌋ − 1]: as in l2metrics it
    reaches further back than forward.
    """
    window = min(int(0.2 * len(curve)), 100)
    if window < 3:
        return curve
    reflected = np.pad(curve, (window - window // 2, window // 2 - 1), mode="reflect")
    return np.convolve(reflected, np.full(window, 1 / window), mode="valid")


def preprocess(
    log: LifetimeLog, experts: Experts | None = None, *, smooth: bool = True, clamp: bool = True, normalize: bool = True
) -> tuple[LifetimeLog, Curves]:
    """Return a log and its experts made comparable across tasks, as l2metrics prepares them; the input is not changed.

    In this order: `smooth` each train regime and each expert's curve by `moving_average`; `clamp` each task to the
    10 % and 90 % quantiles, and `normalize` it from its least and greatest values to [1, 101] (a constant task to 1),
    both over all of the task's rows and all of its experts together. l2metrics clamps only when asked to; its other
    defaults are these. Ranges come from this log, so normalized values of two logs share no scale.

    Raises `BadInput` where an expert's curve cannot be used.
    """
    performance, runs = log.performance.copy(), expert_curves(tasks_of(log), experts)
    if smooth:
        for regime in regimes(log):
            if regime.kind == "train":
                performance[regime.rows] = moving_average(regime.curve)
        runs = {task: [moving_average(curve) for curve in curves] for task, curves in runs.items()}
    for task in runs:
        mine = log.task == task
        curves = [performance[mine], *runs[task]]
        curves = _clamped(curves) if clamp else curves
        performance[mine], *runs[task] = _normalized(curves) if normalize else curves
    return replace(log, performance=performance), runs


def _clamped(curves: list[np.ndarray]) -> list[np.ndarray]:
    low, high = np.nanquantile(np.concatenate(curves), (0.1, 0.9))
    return [np.clip(curve, low, high) for curve in curves]


def _normalized(curves: list[np.ndarray]) -> list[np.ndarray]:
    low, high = np.nanmin(np.concatenate(curves)), np.nanmax(np.concatenate(curves))
    if high - low <= ROUNDING * max(abs(low), abs(high)):
        return [0 * curve + 1 for curve in curves]
    return [(curve - low) / (high - low) * 100 + 1 for curve in curves]


def scripted_log(
    *,
    tasks: int = 2,
    order: Sequence[int] | None = None,
    length: int = 50,
    exam_length: int = 5,
    rate: float = 0.1,
    start: float = 0.1,
    transfer: float | Float[np.ndarray, "trained tested"] = 0.0,
    retention: float = 1.0,
    noise: float = 0.0,
    runs: int = 1,
    seed: int = 0,
) -> tuple[LifetimeLog, Curves]:
    """Return the log of a learner whose transfer and retention are known, and its single-task experts.

    Every task has a skill s, `start` at birth, and its performance is s plus Gaussian noise of standard deviation
    `noise`. All tasks are examined for `exam_length` experiences at birth and after each train block; block k trains
    task `order[k]` (each task once by default) for `length` experiences:

    - each experience of the trained task i: s_i ← s_i + rate (1 − s_i);
    - after the block, each task j not trained yet, with t = transfer[i, j]: s_j ← s_j + t (1 − s_j) where t ≥ 0, and
      s_j ← s_j + t s_j where t < 0;
    - after the block, each other task j trained before: s_j ← start + retention (s_j − start).

    `transfer` is one t for all pairs, or an array whose diagonal is not read.

    So forward transfer from i to j has the sign of t, performance maintenance is 0 for retention 1 and negative
    below. The `runs` experts of a task meet it alone, as often as the lifetime does (`length` times if it never does).
    Tasks are named "task-0", "task-1" …; `noise` is drawn from `seed`.

    Raises `BadInput` where a number is out of its range or `order` names a task that is not there.
    """
    order = list(range(tasks) if order is None else order)
    _check_script(tasks, order, (length, exam_length, runs), (rate, start, retention), np.asarray(transfer))
    strengths = np.broadcast_to(np.asarray(transfer, dtype=np.float64), (tasks, tasks))
    rng, skill, met = np.random.default_rng(seed), np.full(tasks, float(start)), np.zeros(tasks, bool)
    rows = _exam_rows(0, skill, exam_length)
    for k, i in enumerate(order):
        rows += [(2 * k + 1, "train", f"task-{i}", p) for p in _practice(skill[i], rate, length)]
        skill[i] = _practice(skill[i], rate, length + 1)[-1]
        gained = skill + strengths[i] * np.where(strengths[i] >= 0, 1 - skill, skill)
        others = np.where(met, start + retention * (skill - start), gained)
        met[i], skill = True, np.where(np.arange(tasks) == i, skill, others)
        rows += _exam_rows(2 * k + 2, skill, exam_length)
    log = LifetimeLog.from_rows(rows)
    noisy = replace(log, performance=log.performance + noise * rng.standard_normal(len(rows)))
    alone = {j: _practice(start, rate, length * max(order.count(j), 1)) for j in range(tasks)}
    experts = {j: [c + noise * rng.standard_normal(len(c)) for _ in range(runs)] for j, c in alone.items()}
    return noisy, {f"task-{j}": curves for j, curves in experts.items()}


def _practice(skill: float, rate: float, length: int) -> np.ndarray:
    """Return the skill at each of `length` experiences, before what is learned from it."""
    return 1 - (1 - skill) * (1 - rate) ** np.arange(length)


def _exam_rows(block: int, skill: np.ndarray, length: int) -> list[tuple[int, str, str, float]]:
    return [(block, "test", f"task-{j}", float(s)) for j, s in enumerate(skill) for _ in range(length)]


def _check_script(
    tasks: int, order: list[int], lengths: tuple[int, ...], shares: tuple[float, ...], transfer: np.ndarray
) -> None:
    if tasks < 1 or min(lengths) < 1:
        raise BadInput("tasks, length, exam_length and runs of a scripted log are whole numbers of 1 or more")
    if not set(order) <= set(range(tasks)):
        raise BadInput(f"the order {order} names a task outside 0 … {tasks - 1}")
    if transfer.shape not in ((), (tasks, tasks)):
        raise BadInput(
            f"transfer is one number or an array ({tasks}, {tasks}), trained by tested, not {transfer.shape}"
        )
    if not (min(shares) >= 0 and max(shares) <= 1 and np.all(np.abs(transfer) <= 1)):
        raise BadInput("rate, start and retention of a scripted log lie in [0, 1], transfer in [−1, 1]")
