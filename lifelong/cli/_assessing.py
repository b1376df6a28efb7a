"""Checking the design of an assessment: `assess`."""

from dataclasses import dataclass
from typing import Annotated

from ._options import Command, option
from ._output import show_json


@dataclass(frozen=True, kw_only=True)
class Assess(Command):
    """Check the design of an assessment against the AI Assessment Scale, and print what students are told.

    The design is a TOML file, such as: level = "AI planning", construct = "development of ideas". The exit code is 1 where
    it contradicts itself.
    """

    design: Annotated[str, option("the design, a TOML file", metavar="FILE")]

    def __call__(self) -> int:
        """Print the statement, and every issue."""
        from lifelong.exams import AssessmentDesign

        design = AssessmentDesign.from_toml(self.design)
        issues = design.issues()
        if self.json:
            found = [issue._asdict() for issue in issues]
            show_json({"level": design.level.value, "statement": design.statement(), "issues": found})
        else:
            print(design.statement())
            print("" if issues else "\nthe design is consistent")
            for issue in issues:
                print(f"{issue.code}: {issue.sentence}")
        return 1 if issues else 0
