"""Assessments that say how much help of machines they permit: the AI Assessment Scale as designs that can be checked.

After Perkins, Roe and Furze 2024 ("The AI Assessment Scale Revisited"; first version with MacVaugh). What the scale says in
words is read here as rules that a program can check; the words of statements are ours.
"""

import tomllib
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from lifelong.errors import BadFile, BadInput, UnknownName


class Level(Enum):
    """How much machines may help. Levels are kinds, not ranks: none is better, and comparing them by size fails."""

    NO_AI = "no AI"
    PLANNING = "AI planning"
    COLLABORATION = "AI collaboration"
    FULL = "full AI"
    EXPLORATION = "AI exploration"


STAGES = ("goals", "plan", "draft", "refine", "final")
"""What a piece of work goes through; `goals` is deciding what is to be done."""


class Reading(NamedTuple):
    """What a level means here: the construct it can assess, the stages helpers may be called in, the evidence it needs."""

    construct: str
    stages: tuple[str, ...]
    evidence: tuple[str, ...]


READINGS = {
    Level.NO_AI: Reading("unaided skill", (), ()),
    Level.PLANNING: Reading("development of ideas", ("plan",), ("plans before and after",)),
    Level.COLLABORATION: Reading("evaluation of AI output", ("plan", "draft", "refine"), ("helper log", "decisions")),
    Level.FULL: Reading("direction of AI", ("plan", "draft", "refine", "final"), ()),
    Level.EXPLORATION: Reading("exploration with AI", STAGES, ("reflection",)),
}
"""Level → its reading. `decisions` records which suggestions were accepted, changed or rejected."""

CONSTRUCTS = tuple(reading.construct for reading in READINGS.values())
EVIDENCE = tuple(dict.fromkeys(name for reading in READINGS.values() for name in reading.evidence))


ISSUES = {
    "construct": "'{level}' measures {right}, and the construct is {came}: change one of them",
    "stages": "'{level}' permits no helper at: {extra}",
    "uncontrolled": "a ban that nothing enforces measures who keeps to it: controlled = true is needed",
    "evidence": "'{level}' needs as evidence: {missing}",
    "criterion": "no criterion marks {right}, which '{level}' is for",
    "authorship": "a criterion marks unaided skill, which '{level}' cannot show",
    "codesign": "criteria of an exploration are agreed with students: codesigned = true is needed",
    "agreement": "criteria must be agreed, with a date, before the first submission",
    "announcement": "expectations must be stated to students in advance",
    "detector": "the score of a detector is no ground for validity: mark what the level can show instead",
}
"""Code → what is wrong with a design; all of them are errors."""


class Issue(NamedTuple):
    """One way in which a design contradicts itself: a code for programs, a sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class AssessmentDesign:
    """One component of an assessment: what it measures, and how machines may help in it.

    A course may mix levels, one a component. `issues` says where a design contradicts its level; `statement` is what
    students are told before they start; a `HelperGate` enforces the stages.

    Args:
        level: one of `Level`, or its name.
        construct: what it is to measure, one of `CONSTRUCTS`.
        stages: where helpers may be called, of `STAGES`; unless given, those of the level.
        evidence: what students hand in beside the product, of `EVIDENCE`; unless given, that of the level.
        criteria: what is marked: name → the construct it is about, or 'the product'; unless given, the construct.
        controlled: whether it is sat under supervision or in a sandbox, so that no helper can be reached.
        codesigned: whether students took part in setting the criteria.
        agreed, first_submission: when criteria were agreed, and when the first work comes in.
        announced: whether students are told the expectations in advance.
        detector: whether the score of a detector of AI decides anything.
        name: what the component is called.

    Raises UnknownName for a level, construct, stage, evidence or construct of a criterion that does not exist.
    """

    level: Level
    construct: str
    stages: tuple[str, ...] | None = None
    evidence: tuple[str, ...] | None = None
    criteria: dict[str, str] | None = None
    controlled: bool = False
    codesigned: bool = False
    agreed: datetime | None = None
    first_submission: datetime | None = None
    announced: bool = True
    detector: bool = False
    name: str = "assessment"

    def __post_init__(self):
        reading = READINGS[self.level]
        defaults = {"stages": reading.stages, "evidence": reading.evidence, "criteria": {"work": self.construct}}
        for field, usual in defaults.items():
            given = getattr(self, field)
            object.__setattr__(self, field, usual if given is None else given)
        _check("construct", [self.construct], CONSTRUCTS)
        _check("stage", self.stages or (), STAGES)
        _check("kind of evidence", self.evidence or (), EVIDENCE)
        _check("construct of a criterion", (self.criteria or {}).values(), (*CONSTRUCTS, "the product"))

    @classmethod
    def from_toml(cls, path: str | Path) -> "AssessmentDesign":
        """Read a design from a TOML file whose keys are the arguments; levels are written as in 'AI planning'.

        Raises BadFile where it cannot be read, UnknownName for a key or name that does not exist, BadInput for a value of
        a wrong kind or a design without level or construct.
        """
        try:
            given = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadFile(f"'{path}' cannot be read as a design in TOML: {error}") from error
        return cls(**_typed({"name": Path(path).stem, **given}))

    def permits(self, stage: str) -> bool:
        """Return whether helpers may be called at a stage; raises UnknownName for one that does not exist."""
        _check("stage", [stage], STAGES)
        return stage in (self.stages or ())

    def issues(self) -> list[Issue]:
        """Return every way in which the design contradicts itself; none where it is consistent."""
        reading = READINGS[self.level]
        marked = set((self.criteria or {}).values())
        extra = [stage for stage in self.stages or () if stage not in reading.stages]
        missing = [name for name in reading.evidence if name not in (self.evidence or ())]
        explored = self.level is Level.EXPLORATION
        dated = self.agreed is not None and self.first_submission is not None and self.agreed < self.first_submission
        found = {
            "construct": self.construct != reading.construct,
            "stages": bool(extra),
            "uncontrolled": self.level is Level.NO_AI and not self.controlled,
            "evidence": bool(missing),
            "criterion": reading.construct not in marked,
            "authorship": self.level is not Level.NO_AI and "unaided skill" in marked,
            "codesign": explored and not self.codesigned,
            "agreement": explored and not dated,
            "announcement": not self.announced,
            "detector": self.detector,
        }
        words = {"level": self.level.value, "right": reading.construct, "came": self.construct}
        words |= {"extra": ", ".join(extra), "missing": ", ".join(missing)}
        return [Issue(code, ISSUES[code].format(**words)) for code, holds in found.items() if holds]

    def statement(self) -> str:
        """Return what students are told: what they must, may and must not do."""
        stages, evidence = self.stages or (), self.evidence or ()
        closed = [stage for stage in STAGES if stage not in stages]
        where = "You work under supervision." if self.controlled else "You work on your own responsibility."
        lines = [
            f"{self.name}: {self.level.value}. It looks at {self.construct}.",
            f"You may use AI for: {', '.join(stages)}." if stages else "You may not use AI at any stage.",
            f"You must not use AI for: {', '.join(closed)}." if stages and closed else "",
            f"You must hand in, beside your work: {', '.join(evidence)}." if evidence else "",
            f"You are marked on: {', '.join(f'{name} ({of})' for name, of in (self.criteria or {}).items())}.",
            f"{where} {'The criteria were agreed with you.' if self.codesigned else ''}".strip(),
        ]
        return "\n".join(line for line in lines if line)


def _check(kind: str, names: Any, known: Any) -> None:
    for name in names:
        if name not in known:
            raise UnknownName(kind, str(name), known)


def _typed(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says as the arguments of a design."""
    kinds = {"stages": list, "evidence": list, "criteria": dict, "agreed": datetime, "first_submission": datetime}
    kinds |= dict.fromkeys(("level", "construct", "name"), str)
    _check("key of a design", given, [field.name for field in fields(AssessmentDesign)])
    for key, value in given.items():
        kind = kinds.get(key, bool)
        if not isinstance(value, kind):
            raise BadInput(f"'{key}' of a design is a {kind.__name__}, and {value!r} came")
    if lacking := [key for key in ("level", "construct") if key not in given]:
        raise BadInput(f"a design must say its {' and '.join(lacking)}")
    _check("level", [given["level"]], [level.value for level in Level])
    lists = {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
    return {**given, **lists, "level": Level(given["level"])}
