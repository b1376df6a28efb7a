"""Claims that are declared before a study is run, the controls that guard them, and the verdict on both."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from enum import StrEnum
from math import fsum, isclose, isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lifelong.errors import BadInput, UnknownName
from lifelong.exams._statistics import Effect, Interval, paired_effect

LEAST_SEEDS = 8
"""Fewer seeds than this cannot carry a verdict."""

Measures = Mapping[str, Mapping[str, ArrayLike]]
"""Arm → measure → one value per seed. Arms share their seeds: position i is the same seed in every arm."""

_Values = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Claim:
    """What a study sets out to show: the arm `better` gains over the arm `than`, and a knock-out loses the gain.

    `on` is the measure, one number per seed; `by` the smallest gain of interest, in its unit; `knockout` the arm
    without the key ingredient, which `better` must beat too (None: there is none); `sentence` the claim in words.

    Raises:
        BadInput: an arm compared with itself, or a `by` that is negative or not finite.
    """

    better: str
    than: str
    on: str
    by: float = 0.0
    knockout: str | None = None
    higher_is_better: bool = True
    sentence: str = ""

    def __post_init__(self):
        if self.better in (self.than, self.knockout):
            raise BadInput(f"a claim compares two different arms, and '{self.better}' is on both sides")
        if not (isfinite(self.by) and self.by >= 0):
            hint = "where smaller values are better, say higher_is_better=False"
            raise BadInput(f"`by` is the smallest gain of interest, a number of at least 0, not {self.by}; {hint}")

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that the claim names."""
        return tuple(arm for arm in (self.better, self.than, self.knockout) if arm is not None)


@dataclass(frozen=True)
class Control:
    """A sanity condition on the mean over seeds of one measure of one arm; where it fails, the study is broken.

    The mean of `arm` on the measure `on` must lie above the mean of the arm `above`, and from `at_least` to `at_most`,
    as far as these are given; `because` is the reason in words.

    Raises:
        BadInput: no condition at all, an arm above itself, or bounds that are not finite or exclude each other.
    """

    arm: str
    on: str
    _: KW_ONLY
    above: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    because: str = ""

    def __post_init__(self):
        bounds = [bound for bound in (self.at_least, self.at_most) if bound is not None]
        if self.above is None and not bounds:
            raise BadInput(f"a control on '{self.arm}' needs a condition: above, at_least or at_most")
        if self.above == self.arm:
            raise BadInput(f"a control cannot ask '{self.arm}' to lie above itself")
        if not all(map(isfinite, bounds)) or bounds != sorted(bounds):
            raise BadInput(f"the bounds of a control must be finite, at_least below at_most, and they are {bounds}")

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that the control names."""
        return tuple(arm for arm in (self.arm, self.above) if arm is not None)


class Outcome(StrEnum):
    """What a study may find; `broken` means that it cannot find anything."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    BROKEN = "broken"


class Check(NamedTuple):
    """A control, whether it passed, and a sentence that says so with numbers."""

    control: Control
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of a study, and what it rests on.

    Effects are gains: positive in favour of `claim.better`, whichever direction is better. They are None where an arm
    or its values are missing (and `knockout_effect` where no knock-out is named). `diverged` counts, for every arm,
    the seeds with a value that is not finite on a measure the claim or a control names.
    """

    outcome: Outcome
    reason: str
    claim: Claim
    effect: Effect | None
    knockout_effect: Effect | None
    controls: tuple[Check, ...]
    diverged: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as plain values that JSON can hold."""
        checks = [{**check._asdict(), "control": asdict(check.control)} for check in self.controls]
        return {**asdict(self), "outcome": self.outcome.value, "controls": checks}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Verdict":
        """Return the verdict that `to_dict` wrote; raise BadInput where it is none."""
        try:
            typed = {
                "outcome": Outcome(plain["outcome"]),
                "claim": Claim(**plain["claim"]),
                "effect": _effect_from(plain["effect"]),
                "knockout_effect": _effect_from(plain["knockout_effect"]),
                "controls": tuple(Check(**{**c, "control": Control(**c["control"])}) for c in plain["controls"]),
            }
            return cls(**{**plain, **typed})
        except (KeyError, TypeError, ValueError) as fault:
            raise BadInput(f"expected a verdict as Verdict.to_dict writes it, and this is none: {fault}") from fault


def check_names(
    claim: Claim, controls: Iterable[Control], arms: Collection[str], measures: Collection[str] | None = None
) -> None:
    """Raise UnknownName where claim or controls name an arm, or a measure if these are given, that a study lacks."""
    for part in (claim, *controls):
        for arm in part.arms:
            if arm not in arms:
                raise UnknownName("arm", arm, arms)
        if measures is not None and part.on not in measures:
            raise UnknownName("measure", part.on, measures)


def judge(claim: Claim, controls: Iterable[Control], measures: Measures) -> Verdict:
    """Return the verdict on a claim from one value per arm, measure and seed; the unit is the seed, arms are paired.

    - broken: a control fails, an arm or measure that is needed is missing or diverged on all seeds, arms have fewer
      than two seeds, or paired arms have different numbers of them;
    - supported: the 95 % interval of the gain lies above 0, the mean gain is at least `claim.by`, and the 95 % interval
      of the gain over the knock-out, if one is named, lies above 0;
    - refuted: the interval of the gain ends below `claim.by` (where that is 0: at or below 0);
    - inconclusive: anything else, and anything but broken with fewer than eight seeds.

    A diverged seed (a value that is not finite) is never dropped: it counts as the worst finite value that any arm and
    seed has on the claim's measure. Other measures have no declared direction: there it counts as the smallest or the
    largest value, whichever makes the control harder to pass.

    Raises:
        BadInput: values of an arm that are not one per seed, the same number for each of its measures.
    """
    controls = tuple(controls)
    values = _vectors(measures, {part.on for part in (claim, *controls)})
    diverged = {arm: int(np.any([~np.isfinite(v) for v in own.values()], axis=0).sum()) for arm, own in values.items()}
    evidence = _Evidence(claim, values)
    checks = tuple(_check(control, evidence) for control in controls)
    faults = evidence.claim_faults()
    effects = [] if faults else [evidence.gain(other) for other in claim.arms[1:]]
    faults += [f"a control fails: {check.sentence}" for check in checks if not check.passed]
    outcome, reason = (Outcome.BROKEN, "; ".join(faults)) if faults else _weigh(claim, effects, diverged)
    effect, knockout_effect = (*effects, None, None)[:2]
    return Verdict(outcome, reason, claim, effect, knockout_effect, checks, diverged)


@dataclass(frozen=True)
class _Evidence:
    """The values of a study, read in the light of its claim."""

    claim: Claim
    values: _Values

    def fault(self, arm: str, on: str) -> str | None:
        """Say why one measure of one arm cannot be used, if so."""
        if arm not in self.values:
            return f"the arm {arm} is missing"
        if on not in self.values[arm]:
            return f"the arm {arm} has no measure {on}"
        own = self.values[arm][on]
        if len(own) < 2:
            return f"the arm {arm} has {len(own)} seed(s) where at least two are needed"
        return None if np.isfinite(own).any() else f"all {len(own)} seeds of the arm {arm} diverged on {on}"

    def claim_faults(self) -> list[str]:
        """Say why the claim cannot be judged, if so."""
        if faults := [fault for arm in self.claim.arms if (fault := self.fault(arm, self.claim.on))]:
            return faults
        seeds = {arm: len(self.values[arm][self.claim.on]) for arm in self.claim.arms}
        return [] if len(set(seeds.values())) == 1 else [f"arms that are paired differ in their seeds: {seeds}"]

    def gain(self, other: str) -> Effect:
        """Return the paired gain of the better arm over another."""
        a, b = (self.filled(arm, self.claim.on) for arm in (self.claim.better, other))
        return paired_effect(a, b) if self.claim.higher_is_better else paired_effect(b, a)

    def filled(self, arm: str, on: str, lowest: bool = True) -> np.ndarray:
        """Return an arm's values, its diverged seeds at the lowest or highest one seen (on the claim's: the worst)."""
        lowest = self.claim.higher_is_better if on == self.claim.on else lowest
        own, seen = self.values[arm][on], np.concatenate([v[on] for v in self.values.values() if on in v])
        worst = np.min(seen[np.isfinite(seen)]) if lowest else np.max(seen[np.isfinite(seen)])
        return np.where(np.isfinite(own), own, worst)

    def mean(self, arm: str, on: str, lowest: bool) -> float:
        """Return the mean over seeds of `filled`, whatever their order."""
        return fsum(values := self.filled(arm, on, lowest)) / len(values)


def _check(control: Control, evidence: _Evidence) -> Check:
    """Return whether a control passes, in words."""
    if faults := [fault for arm in control.arms if (fault := evidence.fault(arm, control.on))]:
        return Check(control, False, "; ".join(faults))
    low, high = (evidence.mean(control.arm, control.on, lowest) for lowest in (True, False))
    conditions = []
    if control.above is not None:
        other = evidence.mean(control.above, control.on, lowest=False)
        conditions.append((low > other, f"above that of {control.above} ({other:.4g})"))
    if control.at_least is not None:
        conditions.append((_reaches(low, control.at_least), f"at least {control.at_least:.4g}"))
    if control.at_most is not None:
        conditions.append((_reaches(control.at_most, high), f"at most {control.at_most:.4g}"))
    mean = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    found = ", ".join(words if holds else f"not {words}" for holds, words in conditions)
    sentence = f"the mean {control.on} of {control.arm} is {mean}, {found}"
    sentence += f" ({control.because})" if control.because else ""
    return Check(control, all(holds for holds, _ in conditions), sentence)


def _weigh(claim: Claim, effects: list[Effect], diverged: dict[str, int]) -> tuple[Outcome, str]:
    """Return the outcome that effects, diverged seeds and the number of seeds allow, and a sentence that says why."""
    outcome, reason = _compare(claim, *effects)
    if counts := ", ".join(f"{arm} {count}" for arm, count in diverged.items() if count):
        reason += f"; diverged seeds, counted as worst: {counts}"
    if effects[0].n >= LEAST_SEEDS:
        return outcome, reason
    few = "fewer than eight seeds cannot carry a verdict, so the outcome is at most inconclusive"
    return Outcome.INCONCLUSIVE, f"{reason}; {few}"


def _compare(claim: Claim, effect: Effect, knockout_effect: Effect | None = None) -> tuple[Outcome, str]:
    """Return the outcome that the intervals allow, and the condition that decided it."""
    claimed = f"the claimed {claim.by:.4g}"
    found = f"the gain of {claim.better} over {claim.than} on {claim.on} is {_in_words(effect)}"
    if effect.interval.high <= 0 or not _reaches(effect.interval.high, claim.by):
        return Outcome.REFUTED, f"{found}, and the interval ends {f'below {claimed}' if claim.by else 'at or below 0'}"
    if effect.interval.low <= 0:
        return Outcome.INCONCLUSIVE, f"{found}, and the interval does not exclude 0"
    if not _reaches(effect.mean, claim.by):
        return Outcome.INCONCLUSIVE, f"{found}, above 0 but short of {claimed}"
    found += f", above 0 and at least {claimed}" if claim.by else ", above 0"
    if knockout_effect is None:
        return Outcome.SUPPORTED, found
    beyond = f"over the knock-out {claim.knockout} it is {_in_words(knockout_effect)}"
    if knockout_effect.interval.low <= 0:
        return Outcome.INCONCLUSIVE, f"{found}, but {beyond}, which does not exclude 0: the knock-out may keep the gain"
    return Outcome.SUPPORTED, f"{found}, and {beyond}: the knock-out loses the gain"


def _in_words(effect: Effect) -> str:
    low, high = effect.interval.low, effect.interval.high
    return f"{effect.mean:.4g} (95 % interval {low:.4g} to {high:.4g}, sign-flip p = {effect.p:.2g}, {effect.n} seeds)"


def _reaches(value: float, bound: float) -> bool:
    """Say whether a value is at least a bound, but for rounding."""
    return value >= bound or isclose(value, bound, rel_tol=1e-9)


def _vectors(measures: Measures, names: set[str]) -> _Values:
    """Return the named measures as vectors of floats, or say whose do not fit."""
    values = {arm: {on: np.asarray(own[on], np.float64) for on in names if on in own} for arm, own in measures.items()}
    for arm, own in values.items():
        shapes = sorted({v.shape for v in own.values()})
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise BadInput(f"every measure of the arm {arm} must be one value per seed, and the shapes are {shapes}")
    return values


def _effect_from(plain: Mapping[str, Any] | None) -> Effect | None:
    return None if plain is None else Effect(**{**plain, "interval": Interval(**plain["interval"])})
