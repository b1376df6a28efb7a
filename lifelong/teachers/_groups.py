"""Several tasks at once, one for each body of an agent."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.worlds import Several, Trial

from ._searching import Searching
from ._teacher import Teacher


class Group(Teacher):
    """Ask a teacher that searches for as many tasks as there are bodies, and tell it of each, one after the other.

    What learning reports as `each_return` (of each body, NaN where it finished nothing) the teacher hears as 'return', and so
    with whatever it listens to.

    Args:
        teacher: any teacher that searches, and may learn from every task it asks for.
        size: how many bodies there are.

    Raises `BadInput` for a size below 1, for a teacher that does not search, and for one that asks for tries from which
    nothing may be learned: bodies learn together.
    """

    teacher: Teacher
    size: int = eqx.field(static=True)

    def __check_init__(self):
        if self.size < 1:
            raise BadInput(f"a group has at least one body, not {self.size}")
        if not isinstance(self.teacher, Searching):
            raise BadInput(f"a group asks a teacher that searches a space, not {type(self.teacher).__name__}")
        if getattr(self.teacher, "robust", False):
            raise BadInput(
                "bodies of a group learn together, so none can be kept from learning: build PLR(robust=False)"
            )

    def init(self, *, key: PRNGKeyArray) -> PyTree:
        """Return the teacher's plan."""
        return self.teacher.init(key=key)

    def ask(self, plan: Any, *, key: PRNGKeyArray) -> tuple[Several, PyTree]:
        """Return a task for each body."""

        def one(plan: Any, key: PRNGKeyArray) -> tuple[PyTree, PyTree]:
            trial, plan = self.teacher.ask(plan, key=key)
            return plan, trial.task

        plan, tasks = jax.lax.scan(one, plan, jax.random.split(key, self.size))
        return Several(tasks), plan

    def tell(self, plan: Any, lesson: Several, outcome: Mapping[str, Any], *, key: PRNGKeyArray) -> PyTree:
        """Return the plan after hearing of each body; raise `Mismatch` where nobody reports on each."""
        each = {name.removeprefix("each_"): value for name, value in outcome.items() if name.startswith("each_")}
        if not each:
            raise Mismatch(f"learning reports {', '.join(outcome) or 'nothing'}, and a group must hear of each body")

        def one(plan: Any, heard: tuple) -> tuple[PyTree, None]:
            task, told, key = heard
            return self.teacher.tell(plan, Trial(task), told, key=key), None

        return jax.lax.scan(one, plan, (lesson.task, each, jax.random.split(key, self.size)))[0]
