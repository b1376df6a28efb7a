"""What every world and every teacher owes the loop: fixed shapes and types, and usable numbers, in every combination."""

from dataclasses import replace
from itertools import cycle, islice, product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.keys import key_for
from lifelong.teachers import AllAtOnce, Blend, Blurred, MasteryTeacher, OneByOne, Only, Recency, Requests, Timetable
from lifelong.worlds import (
    ComposedOperations,
    Corruption,
    Embedded,
    Episodes,
    Mixture,
    NeuralPopulation,
    Patterns,
    Shortcut,
    Split,
    TeacherStudent,
    Transformed,
    permutation,
    rotation,
)

TASKS, BATCH, STEPS, LANES = 3, 7, 11, 4


def pictures(data):
    """Return the same examples as images of 2 × 4 pixels."""
    return replace(data, x_train=data.x_train.reshape(-1, 2, 4), x_test=data.x_test.reshape(-1, 2, 4))


WORLDS = {
    "split": lambda data: Split(data, tasks=TASKS),
    "split, tasks known": lambda data: Split(data, tasks=TASKS, shuffle=True, scenario="task"),
    "split, domains": lambda data: Split(data, tasks=TASKS, scenario="domain"),
    "split, with marks": lambda data: Shortcut(Split(pictures(data), tasks=TASKS, shuffle=True), side=2),
    "permuted": lambda data: Transformed(data, tasks=TASKS, transform=permutation()),
    "permuted, tasks known": lambda data: Transformed(data, tasks=TASKS, scenario="task"),
    "episodes": lambda data: Episodes(data, sets=TASKS, ways=2, shots=3),
    "episodes, instances, corrupted": lambda data: Episodes(
        pictures(data), TASKS, ways=1, shots=2, instances=True, corruption=Corruption(0.5, 0.1)
    ),
    "episodes, encoded": lambda data: Embedded(Episodes(data, sets=TASKS, ways=2), eqx.nn.Lambda(jnp.tanh)),
    "patterns": lambda data: Patterns(8, TASKS, examples=9, dilution=0.3, quality=0.5),
    "composed": lambda data: ComposedOperations(modulus=5, operations=3, questions=4),
    "neurons": lambda data: NeuralPopulation(4, 3, trials=6, test_trials=3, bins=4, groups=2, tasks=TASKS),
    "teachers": lambda data: TeacherStudent(8, TASKS, load=(1.0, 0.5, 2.0), correlation=0.3, questions=9),
    "rotated, classes apart": lambda data: Transformed(pictures(data), TASKS, "class", rotation(), identity_first=True),
}
TEACHERS = {
    "one by one": OneByOne(TASKS, 3),
    "one by one, any order": OneByOne(TASKS, tuple(range(1, TASKS + 1)), shuffle=True),
    "all at once": AllAtOnce(TASKS),
    "blended": Blend([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]], 5),
    "blurred": Blurred(TASKS, 3),
    "by recency": Recency(tasks=TASKS, steps=3),
    "by recency, met alone": Recency(tasks=TASKS, steps=3, form="encounter"),
    "by recency, without rehearsal": Recency(tasks=TASKS, steps=3, rehearsal=0.0),
    "one only": Only(2),
    "by mastery": MasteryTeacher(tasks=TASKS, fade=0.1, hears="loss"),
    "on request": Requests("L0 L1 U0 L2", learn=3, unlearn=2),
    "by a timetable": Timetable([2, 0, 1, 2, TASKS - 1]),
}


def schooling(world, teacher, key):
    """Return the lessons and batches of some steps, longer than all tasks take, and all pages of review and papers."""
    here = world.open(key=key_for(key, "world"))

    def step(plan, i):
        lesson, plan = teacher.ask(plan, key=key_for(key, "ask", i))
        batch = here.draw(lesson, BATCH, key=key_for(key, "draw", i))
        return teacher.tell(plan, lesson, {"loss": jnp.float32(1.0)}, key=key_for(key, "tell", i)), (lesson, batch)

    _, (lessons, drawn) = jax.lax.scan(step, teacher.init(key=key_for(key, "plan")), jnp.arange(STEPS))
    bodies = here.review(jnp.int32(1), BATCH), here.papers(BATCH)
    return lessons, drawn, *(jax.lax.map(body.page, jnp.arange(body.count)) for body in bodies)


KEYS = jax.random.split(jax.random.key(0), LANES)


def everyone(world, teacher):
    return eqx.filter_vmap(schooling, in_axes=(None, None, 0))(world, teacher, KEYS)


def kinds(batches):
    """Return shapes without lanes and steps, types, and whether a type is only provisional."""
    return jax.tree.map(lambda leaf: (leaf.shape[2:], str(leaf.dtype), leaf.weak_type), batches)


@pytest.mark.parametrize(("world", "teacher"), list(product(WORLDS, TEACHERS)))
def test_shapes_and_types_never_change_whoever_teaches_and_whatever_is_read(tiny, world, teacher):
    """The scan within fails where a plan changes its shape or type from one step to the next."""
    here = WORLDS[world](tiny)
    stream = here.world if isinstance(here, Shortcut) else here
    _, drawn, review, papers = eqx.filter_eval_shape(everyone, here, TEACHERS[teacher])
    for batch in (drawn, review, papers):
        assert batch.x.shape[2:] == (BATCH, *drawn.x.shape[3:])
        named = None if batch.allowed is None else (batch.allowed.shape[2:], str(batch.allowed.dtype))
        assert named == (((BATCH, here.outputs), "bool") if getattr(stream, "scenario", "") == "task" else None)
        assert kinds((batch.y, batch.task)) == (((BATCH,), "int32", False),) * 2
        assert kinds(batch.weight) == ((BATCH,), "float32", False)
        assert kinds(batch) == kinds(drawn)


def check(batch, world):
    """Check that numbers are finite, labels and tasks exist, and the right answer may always be named."""
    x, y, task, weight = (np.asarray(part) for part in (batch.x, batch.y, batch.task, batch.weight))
    assert np.isfinite(x).all() and set(np.unique(weight)) <= {0.0, 1.0}
    assert (y >= 0).all() and (y < world.outputs).all() and (task >= 0).all() and (task < world.tasks).all()
    if batch.allowed is not None:
        assert np.take_along_axis(np.asarray(batch.allowed), y[..., None], -1).all()


IN_TURN = list(islice(zip(cycle(WORLDS), cycle(TEACHERS), strict=False), max(len(WORLDS), len(TEACHERS))))


@pytest.mark.parametrize(("world", "teacher"), IN_TURN, ids=lambda name: name)
def test_every_number_handed_out_can_be_used(tiny, world, teacher):
    here = WORLDS[world](tiny)
    lessons, *batches = eqx.filter_jit(everyone)(here, TEACHERS[teacher])
    for batch in batches:
        check(batch, here)
    assert world == "teachers" or (np.asarray(batches[0].weight) == 1.0).all()
    if isinstance(lessons, Mixture):
        weights = np.asarray(lessons.weights)
        assert np.isfinite(weights).all() and (weights >= 0).all() and (weights.sum(-1) > 0).all()
    else:
        np.testing.assert_array_equal(batches[0].task, np.broadcast_to(lessons.task[..., None], batches[0].task.shape))
