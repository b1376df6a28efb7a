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
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Int, Key, PRNGKeyArray, PyTree

from lifelong.exams import Exam
from lifelong.keys import key_for
from lifelong.learners import Learner
from lifelong.teachers import Teacher
from lifelong.worlds import Mixture, World

CAPACITY = 512
"""Records that one chunk can hold."""

LANES = "lanes"
"""The axis of a mesh of devices that lanes are dealt along."""

BY_LANE, WHOLE = PartitionSpec(LANES), PartitionSpec()
"""How arrays lie on several devices: split along their first axis, or all of them on each."""


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
        lanes = len(jax.tree.leaves(self.lesson)[0])
        return jnp.broadcast_to(_task_of(self.lesson, (lanes,)), lanes)

    def examined(self, learner: Learner) -> "LifeState":
        """Return what takes part in an exam that does not look at all of a learner."""
        return LifeState(learner.examined(self.learner), None, None, self.place)


def _task_of(lesson: Any, shape: tuple[int, ...] = ()) -> Int[Array, "*lanes"]:
    """Return the number of a lesson's task; −1 for a mixture, and for what has none."""
    task = getattr(lesson, "task", None)
    numbered = isinstance(task, Array) and jnp.issubdtype(task.dtype, jnp.integer) and task.shape == shape
    return jnp.asarray(task if numbered and not isinstance(lesson, Mixture) else -1, jnp.int32)


def compiler_options() -> dict[str, int]:
    """Ask XLA for its backend's level 1, unless the user has chosen a level: it compiles faster and runs as fast."""
    level = "xla_backend_optimization_level"
    return {} if level in os.environ.get("XLA_FLAGS", "") else {level: 1}


def _per_lane(function: Callable) -> Callable:
    """Compile `function(parts, key, state, …)` for many lanes at once, dealt to the devices of a mesh.

    Swept leaves, keys and states have a leading lane axis; shared leaves and the remaining arguments have none.
    """

    @partial(eqx.filter_jit, compiler_options=compiler_options())  # pyright: ignore[reportCallIssue]
    def compiled(mesh: Mesh, *given: Any) -> Any:
        arrays, static = eqx.partition((*given[:4], given[4:]), eqx.is_array)
        kept: list[PyTree] = []

        def on_device(*arrays: PyTree) -> PyTree:
            made, rest = eqx.partition(lanes(*eqx.combine(arrays, static)), eqx.is_array)
            kept.append(rest)
            return made

        by = (BY_LANE, WHOLE, BY_LANE, BY_LANE, WHOLE)
        made = jax.shard_map(on_device, mesh=mesh, in_specs=by, out_specs=BY_LANE, check_vma=False)(*arrays)
        return eqx.combine(made, kept[-1])

    def lanes(swept: Parts, shared: Parts, keys: Key[Array, " lanes"], state: PyTree, rest: tuple[Any, ...]) -> Any:
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
        after = LifeState(learned, plan, lesson, state.place)
        return eqx.filter(after, eqx.is_array), {**info, "taught": _task_of(lesson)}

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


@_per_lane
def sit_once_more(parts: Parts, key: PRNGKeyArray, state: LifeState) -> dict[str, Array]:
    """Return every lane's results of an exam after its life; the key is the exam's own."""
    return parts.exam.sit(state.learner, parts.learner, state.within(parts.world), key=key)


def all_finite(state: PyTree) -> Bool[Array, ""]:
    """Return whether every floating-point number of a state is finite."""
    leaves = jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves] or [jnp.bool_(True)]).all()
