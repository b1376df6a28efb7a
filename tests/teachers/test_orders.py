"""Fixed orders: what is asked for at every step, where tasks end, and what happens beyond the last."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.teachers import AllAtOnce, Blurred, OneByOne, Timetable

KEY = jax.random.key(0)


@eqx.filter_jit
def asked(teacher, steps, key):
    """Return all lessons of the first steps."""

    def step(plan, _):
        lesson, plan = teacher.ask(plan, key=key)
        return teacher.tell(plan, lesson, {}, key=key), lesson

    return jax.lax.scan(step, teacher.init(key=key), length=steps)[1]


def test_tasks_follow_each_other_and_turns_go_on_when_a_task_comes_again():
    lessons = asked(OneByOne(tasks=3, steps=4), 17, KEY)
    visits = [0] * 4 + [1] * 4 + [2] * 4 + [0] * 4 + [1]
    np.testing.assert_array_equal(lessons.task, visits)
    np.testing.assert_array_equal(lessons.turn, [0, 1, 2, 3] * 3 + [4, 5, 6, 7] + [4])


def test_each_task_can_have_a_number_of_lessons_of_its_own():
    teacher = OneByOne(tasks=3, steps=(2, 1, 3))
    lessons = asked(teacher, 10, KEY)
    np.testing.assert_array_equal(lessons.task, [0, 0, 1, 2, 2, 2, 0, 0, 1, 2])
    np.testing.assert_array_equal(lessons.turn, [0, 1, 0, 0, 1, 2, 2, 3, 1, 3])
    assert teacher.boundaries(10) == (2, 3, 6, 8, 9)


def test_lessons_must_be_given_for_every_task():
    with pytest.raises(BadInput, match="3 tasks need 3 numbers of lessons"):
        OneByOne(tasks=3, steps=(2, 1))


def test_a_shuffled_order_has_every_task_once_and_differs_between_lifetimes():
    teacher = OneByOne(tasks=6, steps=2, shuffle=True)
    orders = np.asarray([asked(teacher, 12, jax.random.key(k)).task for k in range(8)])
    np.testing.assert_array_equal(orders[:, ::2], orders[:, 1::2])
    np.testing.assert_array_equal(np.sort(orders[:, ::2], axis=1), np.broadcast_to(np.arange(6), (8, 6)))
    assert len({tuple(order) for order in orders.tolist()}) > 5


@pytest.mark.parametrize(("steps", "ends"), [(3, ()), (4, (4,)), (13, (4, 8, 12)), (24, (4, 8, 12, 16, 20, 24))])
def test_the_ends_of_tasks_are_told(steps, ends):
    assert OneByOne(tasks=3, steps=4).boundaries(steps) == ends
    assert AllAtOnce(3).boundaries(steps) == Blurred(3, 4).boundaries(steps) == ()


def test_all_at_once_asks_for_equal_parts_of_everything():
    np.testing.assert_array_equal(asked(AllAtOnce(4), 3, KEY).weights, np.ones((3, 4)))


def shares(blur, steps=30, tasks=3, length=10):
    weights = np.asarray(asked(Blurred(tasks, length, blur), steps, KEY).weights)
    return weights / weights.sum(1, keepdims=True)


def test_without_blur_tasks_follow_each_other_sharply():
    np.testing.assert_allclose(shares(0.0), np.repeat(np.eye(3), 10, axis=0))


@pytest.mark.parametrize("blur", [0.2, 0.5, 1.0])
def test_blurred_tasks_overlap_for_the_share_asked_for(blur):
    """Between two tasks the share of the next grows evenly from 0 to 1 over blur × steps lessons, and is ½ half-way."""
    now = (np.arange(30) + 0.5) / 10
    first_border = np.clip(0.5 + (now - 1) / blur, 0, 1)
    second_border = np.clip(0.5 + (now - 2) / blur, 0, 1)
    expected = np.stack([1 - first_border, first_border - second_border, second_border], 1)
    np.testing.assert_allclose(shares(blur), expected, atol=1e-5)


def test_after_the_last_blurred_task_comes_more_of_it():
    """A mixture of nothing would silently be a lesson in the first task."""
    np.testing.assert_allclose(shares(0.3, steps=60)[27:], np.broadcast_to([0.0, 0.0, 1.0], (33, 3)), atol=1e-6)


def test_blur_can_be_swept():
    teachers = jax.vmap(lambda blur: Blurred(3, 10, blur))(jnp.asarray([0.0, 1.0]))
    weights = eqx.filter_vmap(lambda teacher: teacher.ask(jnp.int32(9), key=KEY)[0].weights)(teachers)
    np.testing.assert_allclose(weights, [[1.0, 0.0, 0.0], [0.55, 0.45, 0.0]], atol=1e-5)


@pytest.mark.parametrize(
    "build",
    [
        lambda: OneByOne(0, 5),
        lambda: OneByOne(5, 0),
        lambda: OneByOne(2, (3, 0)),
        lambda: AllAtOnce(0),
        lambda: Blurred(0, 5),
        lambda: Blurred(5, 0),
    ],
)
def test_teachers_of_nothing_are_refused(build):
    with pytest.raises(BadInput, match="at least 1"):
        build()


@pytest.mark.parametrize("blur", [-0.1, 1.5, float("nan")])
def test_a_blur_beyond_the_neighbours_is_refused(blur):
    with pytest.raises(BadInput, match="between 0 and 1"):
        Blurred(3, 5, blur)


def test_a_timetable_is_kept_to_and_turns_count_the_lessons_of_each_task():
    teacher = Timetable([2, 0, 0, 2, 1])
    lessons = asked(teacher, 8, KEY)
    np.testing.assert_array_equal(lessons.task, [2, 0, 0, 2, 1, 2, 0, 0])
    np.testing.assert_array_equal(lessons.turn, [0, 0, 1, 1, 0, 2, 2, 3])
    assert teacher.tasks == 3 and teacher.boundaries(8) == ()


def test_in_stages_or_shuffled_a_timetable_has_the_very_same_lessons_in_one_program():
    stages = np.repeat([1, 0, 2], 4)
    shuffled = Timetable(np.random.default_rng(0).permutation(stages))
    lessons = [asked(teacher, 12, KEY) for teacher in (Timetable(stages), shuffled)]
    assert jax.tree.structure(Timetable(stages)) == jax.tree.structure(shuffled)
    given = [sorted(zip(found.task.tolist(), found.turn.tolist(), strict=True)) for found in lessons]
    assert given[0] == given[1]


@pytest.mark.parametrize("wrong", [[], [0, -1], [0.5], [[0, 1]]])
def test_what_is_no_timetable_is_refused(wrong):
    with pytest.raises(BadInput, match="a list of the numbers of tasks"):
        Timetable(wrong)
