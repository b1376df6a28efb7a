"""A study: one paper's mechanism, its baseline, a knock-out, controls, and a claim declared before it is run."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from lifelong.errors import BadInput, UnknownName
from lifelong.life import Progress

from ._catalogue import Entry, entry
from ._verdict import Claim, Control, check_names

Role = Literal["method", "baseline", "knock-out", "positive control", "negative control", "variant"]

Values = Mapping[str, Mapping[str, np.ndarray]]
"""Arm → measure → one value per seed."""


class Settings(Mapping[str, Any]):
    """Named settings, read as attributes: `settings.per_class`."""

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values", {})
        if name not in values:
            raise UnknownName("setting", name, values)
        return values[name]

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in self.items())})"

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """Return these settings with some changed.

        A text is read as the type of the setting it replaces. Raises `UnknownName` for a setting that does not exist,
        `BadInput` for a value of another type.
        """
        for name in changes:
            if name not in self._values:
                raise UnknownName("setting", name, self._values)
        return Settings({**self._values, **{n: _like(n, v, self._values[n]) for n, v in changes.items()}})


def _like(name: str, value: Any, old: Any) -> Any:
    """Return a value in the type of the one it replaces."""
    kind = type(old)
    try:
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if kind is int and float(value) != int(float(value)):
            raise ValueError
        return int(float(value)) if kind is int else kind(value)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise BadInput(f"the setting '{name}' is a {kind.__name__} such as {old!r}, and '{value}' is none") from error


@dataclass(frozen=True)
class Grid:
    """Values of one hyperparameter, by its path as in `live(sweep=…)`; the best on tuning seeds is then evaluated.

    A grid of one value fixes the hyperparameter, in the same compiled program as grids of several.
    """

    path: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Arm:
    """One way of living in a study.

    Args:
        role: what the arm is for.
        note: what it does, in a few words.
        build: whatever the study's lifetime needs to build it, often a function of the settings that returns a memory.
        tune: the hyperparameter chosen on tuning seeds.
        like: an arm that shares this arm's compiled program; the two are run one after the other.
    """

    role: Role
    note: str
    build: Any = None
    tune: Grid | None = None
    like: str | None = None


@runtime_checkable
class Lifetime(Protocol):
    """How an arm lives: pure but for progress and checkpoints, all randomness from the seeds."""

    def __call__(
        self,
        arm: Arm,
        settings: Settings,
        *,
        seeds: Sequence[int],
        sweep: Mapping[str, Sequence[float]],
        progress: Progress,
        checkpoint: Any,
    ) -> xr.Dataset:
        """Return the raw record of the arm's lives, with a `seed` dimension (after the swept one)."""
        ...


@dataclass(frozen=True)
class Study:
    """A paper that runs.

    Args:
        slug: its name in the catalogue, which holds title, year and claim in words.
        question: what is asked, in one sentence.
        arms: the ways of living that are compared.
        lifetime: lives one arm.
        measures: named scalars per seed, computed afterwards from an arm's raw record.
        claim: what is claimed, declared before it is run.
        controls: sanity conditions; where one fails the study is broken.
        secondary: further claims, reported beside the first and without weight in the verdict.
        settings: defaults of everything that can be set.
        budgets: changes of the settings by name of the budget; 'smoke', 'quick' and 'full' must be there.
        across: measures that need several arms; it returns more arms and measures.
        simplified: what the miniature leaves out or shrinks.
        tuning_seeds: seeds for choosing hyperparameters, disjoint from those of evaluation (0, 1, 2 …).
        tune_on: the measure by which they are chosen.
        curve: the raw variable a report draws over exams, and the one it draws as a task matrix.
        derived: arms that nobody lives, but `across` makes from the others.
    """

    slug: str
    question: str
    arms: Mapping[str, Arm]
    lifetime: Lifetime
    measures: Mapping[str, Callable[[xr.Dataset], xr.DataArray]]
    claim: Claim
    settings: Mapping[str, Any]
    budgets: Mapping[str, Mapping[str, Any]]
    controls: tuple[Control, ...] = ()
    secondary: tuple[Claim, ...] = ()
    across: Callable[[Mapping[str, xr.Dataset]], Mapping[str, Mapping[str, xr.DataArray]]] | None = None
    simplified: str = ""
    tuning_seeds: tuple[int, ...] = (1000, 1001, 1002, 1003)
    tune_on: str | None = None
    curve: str = "accuracy"
    derived: tuple[str, ...] = field(default=())

    def __post_init__(self):
        entry(self.slug)
        self._check_arms()
        if missing := {"smoke", "quick", "full"} - set(self.budgets):
            raise BadInput(f"the study '{self.slug}' has no budget '{sorted(missing)[0]}'")
        if "seeds" not in self.settings:
            raise BadInput(f"the settings of the study '{self.slug}' must say how many seeds it needs by default")
        for changes in self.budgets.values():
            if unknown := set(changes) - set(self.settings):
                raise UnknownName("setting", sorted(unknown)[0], self.settings)

    def _check_arms(self) -> None:
        """See that claims, controls, shared programs and tuning name arms and measures that exist."""
        arms, measures = [*self.arms, *self.derived], None if self.across else self.measures
        check_names(self.claim, self.controls, arms, measures)
        for claim in self.secondary:
            check_names(claim, (), arms, measures)
        for arm in self.arms.values():
            if arm.like is not None and arm.like not in self.arms:
                raise UnknownName("arm", arm.like, self.arms)
            if arm.tune is not None and self.tuned_by not in self.measures:
                raise UnknownName("measure to tune on", self.tuned_by, self.measures)

    @property
    def paper(self) -> Entry:
        """The paper, as the catalogue has it."""
        return entry(self.slug)

    @property
    def module(self) -> ModuleType | None:
        """The module that declares it: its place among the studies, or where the lifetime of a study of your own is."""
        place = sys.modules.get(f"lifelong.studies.{self.paper.family}.{self.slug.replace('-', '_')}")
        if getattr(place, "study", None) is self:
            return place
        return sys.modules.get(getattr(self.lifetime, "__module__", ""))

    @property
    def tuned_by(self) -> str:
        """The measure by which hyperparameters are chosen: the claim's, unless stated."""
        return self.tune_on or self.claim.on

    def configured(self, budget: str = "full", changes: Mapping[str, Any] | None = None) -> Settings:
        """Return the settings of a budget, with changes; raise `UnknownName` or `BadInput` for bad ones."""
        if budget not in self.budgets:
            raise UnknownName("budget", budget, self.budgets)
        settings = Settings({**self.settings, **self.budgets[budget]}).changed(changes or {})
        if not 1 <= settings.seeds < min(self.tuning_seeds):
            raise BadInput(f"a study needs between 1 and {min(self.tuning_seeds) - 1} seeds, not {settings.seeds}")
        return settings

    def command(self, budget: str, settings: Settings) -> str:
        """Return the command line that lives this study under a budget with these settings."""
        changed = {name: v for name, v in settings.items() if v != self.configured(budget)[name]}
        words = [f"--set {name}={shlex.quote(str(value))}" for name, value in changed.items()]
        return " ".join(["lifelong run", self.slug, "--budget", budget, *words])

    def measured(self, lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, np.ndarray]]:
        """Return every measure of every arm, one value per seed, diverged seeds as NaN.

        What needs several arms is measured only where all arms were lived.
        """
        values: dict[str, dict[str, np.ndarray]] = {
            arm: {name: _per_seed(self.measure(name, life)) for name in self.measures} for arm, life in lives.items()
        }
        across = self.across(lives) if self.across and set(self.arms) <= set(lives) else {}
        for arm, measures in across.items():
            values.setdefault(arm, {}).update({name: _per_seed(value) for name, value in measures.items()})
        return values

    def measure(self, name: str, life: xr.Dataset) -> xr.DataArray:
        """Return one measure of an arm's raw record; NaN for lanes that diverged, whatever the measure makes of them."""
        value = self.measures[name](life)
        if "diverged_at" not in life:
            return value
        lived = life.diverged_at < 0
        return value.where(lived.all([dim for dim in lived.dims if dim not in value.dims]))


def _per_seed(value: xr.DataArray) -> np.ndarray:
    return np.asarray(value.transpose("seed"), np.float64)
