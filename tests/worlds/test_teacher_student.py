"""Teachers and students by hand: labels, correlations, and batches that are a task, a part of it, or more."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import Lesson, Mixture, TeacherStudent

KEY = jax.random.key(0)


@eqx.filter_jit
def opened(world, key=KEY):
    return world.open(key=key)


@eqx.filter_jit
def lesson(world, task, turn, n):
    return world.draw(Lesson(task, turn), n, key=KEY)


def drawn(world, task, turn, n):
    return lesson(world, jnp.int32(task), jnp.int32(turn), n)


def test_teachers_say_the_sign_of_their_sum_over_random_inputs():
    world = opened(TeacherStudent(21, tasks=2, load=(3.0, 1.0)))
    assert set(np.unique(world.x)) == set(np.unique(world.teachers)) == {-1.0, 1.0}
    assert abs(np.asarray(world.x).mean()) < 4 / np.sqrt(world.x.size)
    for task in (0, 1):
        batch = drawn(world, task, 0, 10)
        sums = np.asarray(batch.x) @ np.asarray(world.teachers)[task]
        np.testing.assert_array_equal(batch.y, sums > 0)
        assert 0 < np.asarray(batch.y).mean() < 1


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.5, 1.0])
def test_successive_teachers_are_as_correlated_as_asked(correlation):
    n = 20_000
    teachers = np.asarray(opened(TeacherStudent(n, 3, 1e-4, correlation, questions=1)).teachers)
    for one, next_one, expected in ((0, 1, correlation), (1, 2, correlation), (0, 2, correlation**2)):
        assert abs((teachers[one] * teachers[next_one]).mean() - expected) < 4 / np.sqrt(n) + 1e-6


def test_a_batch_is_the_task_a_part_of_it_or_more():
    world = opened(TeacherStudent(8, tasks=2, load=(1.5, 0.5)))
    assert world.longest == 12
    whole, short = drawn(world, 0, 5, 12), drawn(world, 1, 0, 12)
    np.testing.assert_array_equal(whole.weight, np.ones(12))
    np.testing.assert_array_equal(short.weight, [1.0] * 4 + [0.0] * 8)
    np.testing.assert_array_equal(short.x[:4], world.x[12:16])
    parts = [drawn(world, 0, turn, 5) for turn in range(4)]
    assert [int(part.weight.sum()) for part in parts] == [5, 5, 2, 5]
    met = np.concatenate([np.asarray(part.x)[np.asarray(part.weight) > 0] for part in parts[:3]])
    np.testing.assert_array_equal(met, whole.x)
    np.testing.assert_array_equal(parts[3].x, parts[0].x)
    mixed = eqx.filter_jit(lambda w: w.draw(Mixture(jnp.ones(2)), 40, key=KEY))(world)
    assert set(np.asarray(mixed.task)) == {0, 1}


def test_loads_can_be_swept_within_the_room_there_is():
    world = TeacherStudent(10, tasks=1, load=0.5, room=2.0)
    sizes = jax.vmap(lambda load: eqx.tree_at(lambda w: w.load, world, load).size(jnp.int32(0)))(
        jnp.asarray([[0.01], [0.5], [1.26], [2.0], [9.0]])
    )
    assert np.asarray(sizes).tolist() == [1, 5, 13, 20, 20]


def test_every_teacher_is_asked_the_same():
    world = opened(TeacherStudent(9, tasks=2, questions=5))
    pages = eqx.filter_jit(lambda w: [w.papers(3).page(i) for i in range(4)])(world)
    weights = [np.asarray(page.weight).tolist() for page in pages]
    assert weights == [[1.0] * 3, [1.0, 1.0, 0.0]] * 2
    np.testing.assert_array_equal(pages[0].x, pages[2].x)
    assert [int(page.task[0]) for page in pages] == [0, 0, 1, 1]
    np.testing.assert_array_equal(pages[2].y, np.asarray(pages[2].x) @ np.asarray(world.teachers)[1] > 0)


@pytest.mark.parametrize(
    "options", [{"features": 0}, {"features": 5, "load": 0.0}, {"features": 5, "load": (1.0, 1.0, 1.0)}]
)
def test_sizes_that_cannot_be(options):
    with pytest.raises(BadInput, match="a positive load, one or one a task"):
        TeacherStudent(**options)
    with pytest.raises(BadInput, match="between −1 and 1, and it is"):
        TeacherStudent(5, correlation=1.5)
