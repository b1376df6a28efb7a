"""The compiled parts of a life, each over all lanes (seeds × swept values) at once.

How many steps an `advance` takes is an argument, not a shape: a life is cut into chunks wherever the host wants to look,
and all of them run the same program, so chunked and whole lives are the same bit for bit.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Int, Key, PRNGKeyArray, PyTree

from lifelong.exams import Exam
from lifelong.keys import key_for
from lifelong.learners import Learner
from lifelong.teachers import Teacher
from lifelong.worlds import Mixture, World

CAPACITY = 512
"""Records that one chunk can hold."""


class Parts(eqx.Module):
    """Who takes part in a life."""

    learner: Learner
    world: World
    teacher: Teacher
    exam: Exam

    def examined(self) -> "Parts":
        """Return what takes part in an exam that does not look at all of a learner."""
        return Parts(self.learner.examinee(), self.world, Teacher(), self.exam)


class LifeState(eqx.Module):
    """Everything that differs between lanes: the learner, the teacher's plan, the last lesson given, and the place.

    The place is what opening the world for this lifetime changed of it: an order of classes, permutations, a seed.
    """

    learner: PyTree
    plan: PyTree
    lesson: Any
    place: PyTree

    def within(self, world: World) -> World:
        """Return the world as this lifetime meets it."""
        return eqx.combine(self.place, world)

    @property
    def taught(self) -> Int[Array, " lanes"]:
        """The task of every lane's last lesson (of the first, before any); −1 for a mixture, and for tasks without number."""
        task = getattr(self.lesson, "task", None)
        if not isinstance(self.lesson, Mixture) and eqx.is_array(task) and jnp.issubdtype(task.dtype, jnp.integer):
            return task if task.ndim == 1 else jnp.full(len(task), -1)
        return jnp.full(len(jax.tree.leaves(self.lesson)[0]), -1)

    def examined(self, learner: Learner) -> "LifeState":
        """Return what takes part in an exam that does not look at all of a learner."""
        return LifeState(learner.examined(self.learner), None, None, self.place)


def compiler_options() -> dict[str, int]:
    """Ask XLA for its backend's level 1, unless the user has chosen a level: it compiles faster and runs as fast."""
    level = "xla_backend_optimization_level"
    return {} if level in os.environ.get("XLA_FLAGS", "") else {level: 1}


def _per_lane(function: Callable) -> Callable:
    """Compile `function(parts, key, state, …)` for many lanes at once.

    Swept leaves, keys and states have a leading lane axis; shared leaves and the remaining arguments have none.
    """

    @partial(eqx.filter_jit, compiler_options=compiler_options())  # pyright: ignore[reportCallIssue]
    def compiled(swept: Parts, shared: Parts, keys: Key[Array, " lanes"], state: PyTree, *rest: Any) -> Any:
        def lane(swept: Parts, key: PRNGKeyArray, state: PyTree) -> Any:
            return function(eqx.combine(swept, shared), key, state, *rest)

        return eqx.filter_vmap(lane, in_axes=eqx.if_array(0), out_axes=eqx.if_array(0))(swept, keys, state)

    return compiled


@_per_lane
def begin(parts: Parts, key: PRNGKeyArray, _: None) -> LifeState:
    """Return the state of every lane before its first step."""
    world = parts.world.open(key=key_for(key, "world"))
    plan = parts.teacher.init(key=key_for(key, "teacher"))
    lesson, _ = parts.teacher.ask(plan, key=key_for(key, "first lesson"))
    place = jax.tree.map(lambda new, old: None if new is old else new, world, parts.world)
    return LifeState(parts.learner.init(world, key=key_for(key, "learner")), plan, lesson, place)


@_per_lane
def advance(
    parts: Parts,
    key: PRNGKeyArray,
    state: LifeState,
    start: Int[Array, ""],
    stop: Int[Array, ""],
    every: Int[Array, ""],
) -> tuple[LifeState, dict[str, Array], Bool[Array, ""]]:
    """Live steps `start` … `stop`−1; return the state, the infos of every `every`-th step, and whether all is finite."""
    arrays, static = eqx.partition(state, eqx.is_array)
    step = _step(parts, key, static)
    shapes = jax.eval_shape(step, arrays, start)[1]
    row, restore = ravel_pytree(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))

    def body(i: Array, carry: tuple[PyTree, Array]) -> tuple[PyTree, Array]:
        arrays, rows = carry
        arrays, info = step(arrays, i)
        slot = jnp.where((i + 1) % every == 0, (i + 1) // every - 1 - start // every, CAPACITY)
        return arrays, rows.at[slot].set(ravel_pytree(info)[0])

    rows = jnp.zeros((CAPACITY + 1, len(row)), row.dtype)
    arrays, rows = jax.lax.fori_loop(start, stop, body, (arrays, rows))
    state = eqx.combine(arrays, static)
    return state, jax.vmap(restore)(rows[:CAPACITY]), all_finite(state.learner)


def _step(parts: Parts, key: PRNGKeyArray, static: PyTree) -> Callable:
    """Return one step of life as a function of the arrays of its state and the step number."""
    learner, teacher = parts.learner, parts.teacher

    def step(arrays: PyTree, i: Int[Array, ""]) -> tuple[PyTree, dict[str, Array]]:
        state = eqx.combine(arrays, static)
        lesson, plan = teacher.ask(state.plan, key=key_for(key, "ask", i))
        experience = learner.meet(state.learner, state.within(parts.world), lesson, key=key_for(key, "meet", i))
        learned, info = learner.learn(state.learner, experience, key=key_for(key, "learn", i))
        plan = teacher.tell(plan, lesson, info, key=key_for(key, "tell", i))
        return eqx.filter(LifeState(learned, plan, lesson, state.place), eqx.is_array), info

    return step


@_per_lane
def consolidate(parts: Parts, key: PRNGKeyArray, state: LifeState, step: Int[Array, ""]) -> LifeState:
    """Tell the learner that the task of its last lesson has ended."""
    world = state.within(parts.world)
    learned = parts.learner.consolidate(state.learner, world, state.lesson, key=key_for(key, "consolidate", step))
    return LifeState(learned, state.plan, state.lesson, state.place)


@_per_lane
def sit(parts: Parts, key: PRNGKeyArray, state: LifeState, step: Int[Array, ""]) -> dict[str, Array]:
    """Return every lane's exam results."""
    return parts.exam.sit(state.learner, parts.learner, state.within(parts.world), key=key_for(key, "exam", step))


def all_finite(state: PyTree) -> Bool[Array, ""]:
    """Return whether every floating-point number of a state is finite."""
    leaves = jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves] or [jnp.bool_(True)]).all()
