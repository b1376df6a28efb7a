"""Accuracy against a loop in NumPy."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.exams import Accuracy
from lifelong.learners import Learner
from lifelong.worlds import Batch, Dataset, Pages, Split, Transformed, World

KEY = jax.random.key(0)
CLASSES, FEATURES = 6, 3
RANDOM = np.random.default_rng(0)


def noise(counts):
    y = RANDOM.permutation(np.repeat(np.arange(CLASSES), counts)).astype(np.int32)
    return RANDOM.standard_normal((len(y), FEATURES)).astype(np.float32), y


DATA = Dataset(*noise((1, 2, 3, 1, 2, 3)), *noise((9, 4, 13, 7, 1, 6)), tuple("abcdef"))


class Linear(Learner):
    """A learner that never learns: its answers are linear in the question, and its state is the slope."""

    def answer(self, state, x, allowed=None):
        logits = x.reshape(len(x), -1) @ state
        return logits if allowed is None else jnp.where(allowed, logits, -1e9)


@eqx.filter_jit
def sat(exam, world, slope):
    return exam.sit(slope, Linear(), world, key=KEY)["accuracy"]


def by_hand(world, slope):
    """Count right answers question by question, each with the classes that its scenario allows."""
    right, asked = np.zeros(world.tasks), np.zeros(world.tasks)
    for x, y in zip(DATA.x_test, DATA.y_test, strict=True):
        task = ORDER.index(y) // 2
        label = ORDER.index(y) % 2 if world.scenario == "domain" else y
        logits = x @ slope
        if world.scenario == "task":
            logits = [value if ORDER.index(c) // 2 == task else -np.inf for c, value in enumerate(logits)]
        asked[task] += 1
        right[task] += np.argmax(logits) == label
    return right / asked


ORDER = [4, 0, 3, 5, 1, 2]


@pytest.mark.parametrize("page", [1, 7, 40, 500])
@pytest.mark.parametrize("scenario", ["class", "domain", "task"])
def test_accuracy_is_the_share_of_right_answers_task_by_task(scenario, page):
    world = Split(DATA, tasks=3, scenario=scenario, order=ORDER)
    slope = RANDOM.standard_normal((FEATURES, world.outputs)).astype(np.float32)
    np.testing.assert_allclose(sat(Accuracy(page), world, jnp.asarray(slope)), by_hand(world, slope), rtol=1e-6)


def test_accuracy_under_transformations_is_that_on_transformed_questions():
    world = Transformed(DATA, tasks=3).open(key=KEY)
    slope = RANDOM.standard_normal((FEATURES, CLASSES)).astype(np.float32)
    orders = np.asarray(world.drawn)
    expected = [np.mean((DATA.x_test[:, order] @ slope).argmax(1) == DATA.y_test) for order in orders]
    np.testing.assert_allclose(sat(Accuracy(11), world, jnp.asarray(slope)), expected, rtol=1e-6)


class Three(Pages):
    """One page of three questions: the second counts twice, the third is padding."""

    count: int = 1

    def page(self, i):
        weight = jnp.asarray([1.0, 2.0, 0.0])
        return Batch(jnp.eye(3), jnp.asarray([0, 0, 2]), jnp.asarray([0, 0, 1]), weight)


class Elsewhere(World):
    tasks: int = eqx.field(static=True, default=2)
    outputs: int = eqx.field(static=True, default=3)

    def papers(self, n: int) -> Any:
        return Three()


def test_questions_count_by_their_weight_and_a_task_without_any_has_no_accuracy():
    np.testing.assert_allclose(sat(Accuracy(), Elsewhere(), jnp.eye(3)), [1 / 3, np.nan], rtol=1e-6)


def test_its_one_result_has_a_dimension_of_tasks():
    assert Accuracy().dims == {"accuracy": ("task",)}


def test_a_page_of_no_questions_is_refused():
    with pytest.raises(BadInput, match="at least one question"):
        Accuracy(page=0)
