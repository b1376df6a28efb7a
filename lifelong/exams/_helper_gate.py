"""A gate between learners and their helpers: calls are permitted or refused by stage, and every one is on record."""

from collections.abc import Callable
from typing import Any, NamedTuple

from lifelong.errors import BadInput, LifelongError

from ._assessment_scale import AssessmentDesign


class HelperRefused(LifelongError, PermissionError):
    """A helper was called at a stage where the design of the assessment permits none."""


class Call(NamedTuple):
    """One call of a helper: by whom, at which stage, whether it was let through."""

    learner: str
    stage: str
    permitted: bool


class HelperGate:
    """Lets a helper (any function: a tool, a model, an oracle) be called only where an assessment design permits it.

    A refusal is enforced, not advised: the helper is not called, and `HelperRefused` is raised. `log` holds every call.
    Raises BadInput for a design that contradicts itself.
    """

    def __init__(self, design: AssessmentDesign, helper: Callable[..., Any]):
        if issues := design.issues():
            raise BadInput(f"'{design.name}' contradicts itself: {'; '.join(issue.sentence for issue in issues)}")
        self.design, self.helper = design, helper
        self.log: list[Call] = []

    def call(self, learner: str, stage: str, *question: Any) -> Any:
        """Return what the helper says; raise HelperRefused where it may not be asked, UnknownName for an unknown stage."""
        permitted = self.design.permits(stage)
        self.log.append(Call(learner, stage, permitted))
        if not permitted:
            raise HelperRefused(
                f"'{self.design.name}' ({self.design.level.value}) permits no helper at the stage '{stage}'"
            )
        return self.helper(*question)
