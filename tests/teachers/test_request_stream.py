"""Streams of requests: what is asked for at every step, where requests end, and what is refused."""

import equinox as eqx
import jax
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.teachers import Requests

KEY = jax.random.key(0)


@eqx.filter_jit
def asked(teacher, steps):
    def step(plan, _):
        lesson, plan = teacher.ask(plan, key=KEY)
        return plan, lesson

    return jax.lax.scan(step, teacher.init(key=KEY), length=steps)[1]


def test_requests_follow_each_other_and_turns_go_on_when_a_task_comes_again():
    teacher = Requests("L0 L2 U0 L1 U2 L0", learn=3, unlearn=(2, 1))
    lessons = asked(teacher, 17)
    np.testing.assert_array_equal(lessons.task, [0] * 3 + [2] * 3 + [0] * 2 + [1] * 3 + [2] + [0] * 5)
    np.testing.assert_array_equal(lessons.unlearn, [False] * 6 + [True] * 2 + [False] * 3 + [True] + [False] * 5)
    np.testing.assert_array_equal(lessons.turn, [0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 3, 5, 6, 7, 8, 9])
    assert teacher.boundaries(15) == (3, 6, 8, 11, 12, 15) and teacher.boundaries(10) == (3, 6, 8)
    assert teacher.tasks == 3


def test_orders_of_equal_lengths_share_a_program():
    one, other = Requests("L0 L1 U0", 4, 2), Requests("L1 L0 U1", 4, 2)
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert (asked(one, 10).task != asked(other, 10).task).all()


@pytest.mark.parametrize(
    ("requests", "lengths", "match"),
    [
        ("L0 U1", {"learn": 1}, "not learned"),
        ("l0", {"learn": 1}, "'l0'"),
        ("L0 U0", {"learn": 0}, "at least one lesson"),
        ("L0 U0", {"learn": 1, "unlearn": 0}, "at least one lesson"),
        ("L0 U0", {"learn": 1, "unlearn": (3, 2)}, "1 requests to unlearn, and lengths for 2"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(requests, lengths, match):
    with pytest.raises(BadInput, match=match):
        Requests(requests, **lengths)
