"""What every teacher can do."""

from typing import Any

import equinox as eqx
from jaxtyping import PRNGKeyArray, PyTree


class Teacher(eqx.Module):
    """Something that decides what comes next. Configuration is this module; its plan is its state, a pytree."""

    def init(self, *, key: PRNGKeyArray) -> PyTree:
        """Return the plan before the first lesson."""
        raise NotImplementedError

    def ask(self, plan: PyTree, *, key: PRNGKeyArray) -> tuple[Any, PyTree]:
        """Return the next lesson, and the plan after setting it."""
        raise NotImplementedError

    def tell(self, plan: PyTree, lesson: Any, outcome: Any, *, key: PRNGKeyArray) -> PyTree:
        """Return the plan after hearing how the lesson went."""
        return plan

    def boundaries(self, steps: int) -> tuple[int, ...]:
        """Return the steps, within a life of `steps`, after which the learner is told that a task has ended."""
        return ()
