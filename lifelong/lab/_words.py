"""What a run found, in words: numbers as readers expect them, one row an arm, and what would have refuted the claim."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from lifelong.exams import Effect, Interval, mean_interval

from ._study import Arm
from ._verdict import LEAST_SEEDS, Claim, Control

if TYPE_CHECKING:
    from ._runner import Run

SHARES = ("accuracy", "forgetting", "transfer", "stability_gap")
"""Measures whose names end like this are shares of questions, and are written in per cent."""

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

UNMEASURED = "not measured on this arm"

DERIVED = Arm("variant", "computed from other arms")


class Unit(NamedTuple):
    """How a measure is written: per cent, whose differences are points, or numbers in units of 10^`exponent`."""

    percent: bool
    exponent: int = 0

    @property
    def factor(self) -> float:
        """What a value is multiplied with before it is written or drawn."""
        return 100.0 if self.percent else 10.0**-self.exponent

    @property
    def mark(self) -> str:
        """The unit of a value."""
        return " %" if self.percent else f" ×\u00a0{_power(self.exponent)}" if self.exponent else ""

    @property
    def gap(self) -> str:
        """The unit of a difference of values."""
        return " points" if self.percent else self.mark

    def bare(self, value: float) -> str:
        """Return a value without its unit: one decimal in per cent, two in powers of ten, else three digits."""
        scaled = value * self.factor
        if self.percent and (abs(scaled) >= 0.05 or scaled == 0):
            return _signed(f"{scaled:.1f}")
        return plain(round(scaled, 2), 3) if self.exponent else plain(scaled, 2 if self.percent else 3)

    def span(self, interval: Interval) -> str:
        """Return the bounds of an interval without a unit."""
        return f"{self.bare(interval.low)} to {self.bare(interval.high)}"


def unit_of(measure: str, values: Sequence[np.ndarray]) -> Unit:
    """Return the unit of a measure: per cent for shares, by name and value; a power of ten where all means are tiny or
    one is huge.
    """
    seen = [one[np.isfinite(one)] for one in values]
    if measure.endswith(SHARES) and all(np.all(np.abs(one) <= 1) for one in seen):
        return Unit(True)
    largest = max((abs(float(one.mean())) for one in seen if len(one)), default=0.0)
    return Unit(False, 0 if largest == 0 or 1e-3 <= largest < 1e5 else math.floor(math.log10(largest)))


def units(run: "Run") -> dict[str, Unit]:
    """Return the unit of every measure of a run, in the order of the study."""
    names = dict.fromkeys([*run.study.measures, *(name for own in run.measures.values() for name in own)])
    return {name: unit_of(name, [own[name] for own in run.measures.values() if name in own]) for name in names}


def claimed_unit(run: "Run") -> Unit:
    """Return the unit of the claim's measure, which some arms alone may not have."""
    return units(run).get(run.study.claim.on, Unit(False))


def plain(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, in words a reader need not decode: no 1e-05."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        whole = abs(value) >= 10 ** (digits - 1)
        return _signed(f"{value:,.0f}" if whole else f"{value:.{digits}g}")
    if not np.isfinite(value):
        return "undefined"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return _signed(f"{mantissa}\u00a0×\u00a0{_power(int(exponent))}")


def spoken(name: str) -> str:
    """Return the name of a measure or setting as words."""
    return name.replace("_", " ")


def ranges(numbers: Sequence[int]) -> str:
    """Return whole numbers as few ranges: 0–15, or 1–3, 7."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval; `reason` says what is undefined, or left out, and why."""

    mean: str
    span: str
    reason: str

    def __str__(self) -> str:
        number = f"{self.mean} ({self.span})" if self.span else self.mean
        return "; ".join(part for part in (number, self.reason) if part)

    @property
    def lines(self) -> str:
        """The same in a narrow column: mean and interval below each other, the reason left out."""
        span = self.span if "−" in self.span else self.span.replace(" to ", "–")
        return "\n".join(part for part in (self.mean or "–", span) if part)


def estimate(values: Float[np.ndarray, " seeds"] | None, unit: Unit, diverged: int = 0, why: str = "") -> Estimate:
    """Return mean and interval of one value per seed; values that are not finite are named, not hidden."""
    if values is None:
        return Estimate("", "", UNMEASURED)
    finite = values[np.isfinite(values)]
    lost = len(values) - len(finite)
    fate = "diverged" if diverged else "are undefined"
    if not len(finite):
        return Estimate("", "", f"all {lost} seeds diverged" if diverged else why or "undefined on every seed")
    mean = unit.bare(float(finite.mean()))
    rest = f"{lost} of {len(values)} seeds {fate} and are not in this mean" if lost else ""
    if len(finite) == 1:
        return Estimate(mean, "", rest or "one seed: no interval")
    return Estimate(mean, unit.span(mean_interval(finite)), rest)


@dataclass(frozen=True)
class ArmRow:
    """One arm of a run as a table shows it."""

    name: str
    role: str
    note: str
    estimates: tuple[Estimate, ...]
    chosen: str
    choice: str
    compiled: str
    ran: str
    diverged: int
    seeds: int


def arm_rows(run: "Run") -> list[ArmRow]:
    """Return a row for every arm that was lived or derived, in the order of the study."""
    scales = units(run)
    return [_arm_row(run, name, scales) for name in run.measures]


def _arm_row(run: "Run", name: str, scales: Mapping[str, Unit]) -> ArmRow:
    arm, life, own = run.study.arms.get(name, DERIVED), run.lives.get(name), run.measures[name]
    lost = diverged_seeds(life)
    why = "undefined: no announced ends of tasks" if life is not None and not len(ends_of(life)) else ""
    about: Mapping[Hashable, Any] = {} if life is None else life.attrs
    return ArmRow(
        name,
        arm.role if name in run.study.arms else "derived",
        arm.note,
        tuple(estimate(own.get(measure), unit, lost, why) for measure, unit in scales.items()),
        *_tuned(run, arm, about),
        _seconds(about.get("compile_seconds")),
        _seconds(about.get("run_seconds")),
        lost,
        len(next(iter(own.values()), ())),
    )


def _tuned(run: "Run", arm: Arm, about: Mapping[Hashable, Any]) -> tuple[str, str]:
    """Say which hyperparameter an arm uses, and how it was chosen."""
    if arm.tune is None:
        return "", ""
    chosen = f"{float(about['chosen']):g}" if "chosen" in about else "not recorded"
    name = arm.tune.path.split(".")[-1]
    if len(arm.tune.values) == 1:
        return f"{name} = {chosen}", "fixed"
    among = ", ".join(f"{value:g}" for value in arm.tune.values)
    return f"{name} = {chosen}", f"the best of {among} on seeds {ranges(run.study.tuning_seeds)}"


def diverged_seeds(life: xr.Dataset | None) -> int:
    """Return how many seeds of an arm diverged."""
    return 0 if life is None or "diverged_at" not in life else int((life.diverged_at >= 0).sum())


def ends_of(life: xr.Dataset) -> np.ndarray:
    """Return the steps at which tasks ended, as far as they were announced."""
    return np.atleast_1d(life.attrs.get("ends", np.zeros(0, int)))


def effect_facts(effect: Effect, unit: Unit) -> dict[str, str]:
    """Return what a paired comparison found, fact by fact."""
    return {
        "mean gain": unit.bare(effect.mean) + unit.gap,
        "95 % interval": unit.span(effect.interval),
        "median gain": unit.bare(effect.median) + unit.gap,
        "sign-flip p": plain(effect.p, 2),
        "seeds": str(effect.n),
        "seeds that gain": f"{100 * effect.probability_of_improvement:.0f} %",
        "Cohen's d_z": "undefined: all seeds agree" if effect.cohens_dz is None else plain(effect.cohens_dz),
        "Cliff's δ": plain(effect.cliffs_delta),
    }


def refutation(claim: Claim, controls: Sequence[Control], unit: Unit) -> list[str]:
    """Say what results would have refuted the claim, left it open, or broken the study."""
    bound = f"below {unit.bare(claim.by)}{unit.gap}" if claim.by else "at or below 0"
    gain = "gain" if claim.higher_is_better else "gain (a decrease)"
    sentences = [
        f"The claim is refuted where, with at least {LEAST_SEEDS} seeds, the 95 % interval of the {gain} of {claim.better} "
        f"over {claim.than} in {spoken(claim.on)} ends {bound}."
    ]
    if claim.knockout:
        sentences.append(
            f"It is not supported where {claim.knockout} keeps the gain: where the interval of {claim.better} over "
            f"{claim.knockout} reaches 0."
        )
    return sentences + [f"The study is broken, and shows nothing, unless {demand(control)}." for control in controls]


def demand(control: Control) -> str:
    """Say what a control asks for."""
    bounds = {"above that of ": control.above, "at least ": control.at_least, "at most ": control.at_most}
    asked = [f"{words}{plain(b) if isinstance(b, float) else b}" for words, b in bounds.items() if b is not None]
    because = f" ({control.because})" if control.because else ""
    return f"the mean {spoken(control.on)} of {control.arm} is {' and '.join(asked)}{because}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{float(value):.1f}"


def _power(exponent: int) -> str:
    return "10" + str(exponent).translate(RAISED)


def _signed(number: str) -> str:
    return number.replace("-", "−")


def tuning(run: "Run") -> list[dict[str, str]]:
    """Return what was tried for each hyperparameter that was chosen among several values, and what that took."""
    seeds, grids = len(run.study.tuning_seeds), {name: arm.tune for name, arm in run.study.arms.items() if arm.tune}
    return [
        {
            "arm": name,
            "path": grid.path,
            "tried": ", ".join(f"{value:g}" for value in grid.values),
            "lives": f"{len(grid.values) * seeds}",
            "chosen": f"{float(run.lives[name].attrs['chosen']):g}" if "chosen" in run.lives[name].attrs else "",
        }
        for name, grid in grids.items()
        if len(grid.values) > 1 and name in run.lives
    ]
