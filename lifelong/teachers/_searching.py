"""Teachers that search a space of tasks, and hear how well each went."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.worlds import TaskBox, TaskList, TaskSpace, Trial, task_space

from ._teacher import Teacher

Plan = TypeVar("Plan")


class Searching(Teacher):
    """A teacher that asks for tasks of a space and is told one number about each: by default the return of an episode.

    A subclass says how it chooses (`choose`) and what it makes of what it hears (`hear`). What is told as NaN or infinite
    counts as not told.

    Args:
        space: the tasks there are; see `task_space` for what stands for one.
        measure: what learning reports of a task that this teacher listens to.
    """

    space: TaskSpace = eqx.field(converter=task_space)
    measure: str = eqx.field(static=True, default="return", kw_only=True)

    def init(self, *, key: PRNGKeyArray) -> PyTree:
        """Return nothing: unless overridden, there is no plan."""
        return None

    def choose(self, plan: Any, *, key: PRNGKeyArray) -> PyTree:
        """Return the next task."""
        return self.space.sample(key=key)

    def hear(
        self, plan: Any, task: PyTree, value: Float[Array, ""], told: Bool[Array, ""], *, key: PRNGKeyArray
    ) -> PyTree:
        """Return the plan after hearing how a task went; where `told` is false it must be the plan as it was."""
        return plan

    def ask(self, plan: Any, *, key: PRNGKeyArray) -> tuple[Trial, PyTree]:
        """Return a try at the next task."""
        return Trial(self.choose(plan, key=key)), plan

    def tell(self, plan: Any, lesson: Any, outcome: Mapping[str, Any], *, key: PRNGKeyArray) -> PyTree:
        """Return the plan after hearing how the task went; raise `Mismatch` where nobody reports what it listens to."""
        value = heard(outcome, self.measure, self)
        told = jnp.isfinite(value)
        return self.hear(plan, lesson.task, jnp.where(told, value, 0.0), told, key=key)


class Uniform(Searching):
    """Ask for any task, all being as likely: the baseline of every curriculum, also called domain randomisation."""


def heard(outcome: Mapping[str, Any], measure: str, teacher: Teacher) -> Float[Array, ""]:
    """Return what an outcome says; raise `Mismatch` where it does not speak of it."""
    if measure not in outcome:
        raise Mismatch(
            f"{type(teacher).__name__} listens to '{measure}', and learning reports {', '.join(outcome) or 'nothing'}; "
            f"build the teacher with measure='…'"
        )
    return jnp.asarray(outcome[measure], jnp.float32)


def boxed(teacher: Searching) -> TaskBox:
    """Return a teacher's space; raise `BadInput` where it is no box."""
    if not isinstance(teacher.space, TaskBox):
        raise BadInput(f"{type(teacher).__name__} searches a TaskBox, not a {type(teacher.space).__name__}")
    return teacher.space


def listed(teacher: Searching) -> TaskList:
    """Return a teacher's space; raise `BadInput` where it is no list."""
    if not isinstance(teacher.space, TaskList):
        raise BadInput(f"{type(teacher).__name__} chooses from a TaskList, not a {type(teacher.space).__name__}")
    return teacher.space


@jax.custom_batching.custom_vmap
def in_any_lane(due: Bool[Array, ""]) -> Bool[Array, ""]:
    """Return whether something is due in any of all vmapped lanes: the same for all of them."""
    return due


@in_any_lane.def_vmap
def _over_lanes(size: int, batched: Sequence[bool], due: Bool[Array, " lanes"]) -> tuple[Array, bool]:
    return in_any_lane(due.any()), False


def sometimes(due: Bool[Array, ""], change: Callable[[Plan], Plan], state: Plan) -> Plan:
    """Return `change(state)` where it is due, else the state; in vmapped lanes the change costs only where one is due.

    A `cond` of a lane's own would compute it in every step of every lane. A loop of one turn or none would as well: the
    compiler moves what does not depend on the turn out of the loop.
    """

    def changed(state: Plan) -> Plan:
        return jax.tree.map(lambda new, old: jnp.where(due, new, old), change(state), state)

    return jax.lax.cond(in_any_lane(due), changed, lambda state: state, state)


def in_proportion(weights: Float[Array, " n"], place: Float[Array, ""]) -> Array:
    """Return an index drawn in proportion to weights, by a uniform number in [0, 1); any, where all weights are 0."""
    weights = jnp.where(weights.sum() > 0, weights, jnp.ones_like(weights))
    ends = jnp.cumsum(weights)
    return jnp.minimum((ends <= place * ends[-1]).sum(), _last_positive(weights))


def _last_positive(weights: Float[Array, " n"]) -> Array:
    return jnp.where(weights > 0, jnp.arange(len(weights)), 0).max()
