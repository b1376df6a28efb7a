"""Lives of networks as practice logs: every attempt is the record's, and every one is accounted for."""

import jax
import numpy as np
import optax
import pytest
import xarray as xr

from lifelong.errors import BadInput, UnknownName
from lifelong.exams import Accuracy, Answers, several
from lifelong.exams.tracing import BKT, HalfLife, cross_validate, practice_of
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import PracticeLog, Split

STEPS, EVERY = 60, 10


@pytest.fixture(scope="module")
def life(tiny):
    learner = GradientLearner(
        Recipe(MLP, inputs=8, outputs=6, width=8, depth=1), optimizer=Recipe(optax.sgd, learning_rate=0.1), batch=8
    )
    exam = several(Accuracy(page=7), Answers(questions=5, page=7))
    return live(learner, Split(tiny, tasks=3), OneByOne(3, 10), exam, steps=STEPS, every=EVERY, seeds=6)


def test_answers_are_those_that_accuracy_counts(life, tiny):
    answers = life.exams["answers"]
    assert answers.shape == (6, 7, 3, 5) and set(np.unique(answers)) == {0.0, 1.0}
    state = jax.tree.map(lambda leaf: leaf[2], life.state.learner)
    logits = jax.vmap(state.model)(tiny.x_test)
    of_task = [np.flatnonzero(tiny.y_test // 2 == task)[:5] for task in range(3)]
    right = np.asarray(logits.argmax(-1)) == tiny.y_test
    np.testing.assert_array_equal(answers[2, -1], np.stack([right[rows] for rows in of_task]))


def test_all_questions_together_are_the_accuracy_and_more_do_not_exist(tiny):
    learner = GradientLearner(Recipe(MLP, inputs=8, outputs=6, width=8, depth=1), batch=8)
    exam = several(Accuracy(), Answers(questions=45))
    found = live(learner, Split(tiny, tasks=3), OneByOne(3, 4), exam, steps=4, seeds=2).exams
    np.testing.assert_allclose(np.nanmean(found["answers"], axis=-1), found["accuracy"], atol=1e-6)
    np.testing.assert_array_equal(np.isnan(found["answers"]).sum(-1), 5)


def test_every_answer_is_an_attempt(life):
    log = practice_of(life, pace=60.0)
    assert len(log) == 6 * 7 * 3 * 5 and log.students[1] == "seed 1" and log.skills == ("task 0", "task 1", "task 2")
    assert str(log.account).startswith("life: 630 rows read = 630 attempts (630 graded, 0 ungraded)")
    for seed, sat, task, question in ((0, 0, 0, 0), (3, 4, 2, 1), (5, 6, 1, 4)):
        row = (log.student == seed) & (log.time == 60.0 * EVERY * sat) & (log.skill[:, 0] == task)
        row &= np.array([name.endswith(f"question {question}") for name in log.items])[log.item]
        assert log.outcome[row].tolist() == [int(life.exams["answers"][seed, sat, task, question])]


def test_shares_pass_from_the_pass_mark_on_and_lessons_come_before_exams(life):
    accuracy = life.exams["accuracy"]
    for mark in (0.3, 0.9):
        log = practice_of(life, "accuracy", pass_mark=mark)
        assert len(log) == 6 * 7 * 3 and log.outcome.sum() == np.sum(accuracy >= mark - 1e-6)
    both = practice_of(life, "accuracy", attempts="both", pace=1.0)
    assert len(both) == 6 * (7 * 3 + STEPS) and both.items[0] == "task 0, lesson"
    lessons = np.array([name.endswith("lesson") for name in both.items])[both.item] & (both.student == 4)
    np.testing.assert_array_equal(both.time[lessons], np.arange(1, STEPS + 1))
    np.testing.assert_array_equal(both.skill[lessons, 0], np.arange(STEPS) // 10 % 3)
    np.testing.assert_array_equal(both.outcome[lessons], life.records["accuracy"][4] >= 0.5)
    at = (both.student == 4) & (both.time == EVERY)
    assert lessons[at].tolist() == [True, False, False, False]


def test_lives_by_name_swept_values_and_undefined_exams():
    values = np.array([[[1.0, 0.2]], [[np.nan, np.nan]]])
    swept = xr.Dataset({"accuracy": (("rate", "seed", "exam", "task"), values[:, None])},
        {"rate": [0.1, 10.0], "seed": [3], "exam": [40]})  # fmt: skip
    log = practice_of({"a": swept, "b": swept})
    assert log.students == ("a, rate 0.1, seed 3", "a, rate 10, seed 3", "b, rate 0.1, seed 3", "b, rate 10, seed 3")
    assert log.outcome.tolist() == [1, 0, 1, 0] and log.time[0] == 40 * 3600 and log.row.tolist() == [0, 1, 4, 5]
    assert "8 rows read = 4 attempts" in str(log.account) and "4 whose result is not finite" in str(log.account)
    assert "(rows 3, 4, 7, 8)" in str(log.account)
    with pytest.raises(BadInput, match="of 2 attempts none can be used"):
        practice_of(swept.isel(rate=[1]))


def test_what_cannot_be_traced_is_refused(life):
    record = life.to_xarray()
    with pytest.raises(UnknownName, match="no exam result named 'acuracy'; did you mean 'accuracy'"):
        practice_of(life, "acuracy")
    with pytest.raises(BadInput, match=r"'taught' has the dimensions .* are expected"):
        practice_of(life, "taught")
    with pytest.raises(BadInput, match="no shares of right answers"):
        practice_of(record.assign(accuracy=record.accuracy * 100), "accuracy")
    with pytest.raises(BadInput, match="no record of which task"):
        practice_of(record.drop_vars("learning_taught"), attempts="both")
    for wrong in ({"attempts": "steps"}, {"pass_mark": 0.0}, {"pace": 0.0}):
        with pytest.raises(BadInput, match=r"attempts are|pass mark"):
            practice_of(life, **wrong)


def test_mixtures_are_set_aside_and_lessons_without_accuracy_are_ungraded(life):
    record = life.to_xarray()
    mixed = record.assign(learning_taught=record.learning_taught.where(record.step > 10, -1))
    log = practice_of(mixed.drop_vars("learning_accuracy"), attempts="lessons")
    assert len(log) == 6 * (STEPS - 10) and not log.graded.any()
    assert "60 of several tasks at once" in str(log.account)


def test_models_of_practice_trace_a_network(life):
    for tracer, exam in ((BKT(forgets=True, restarts=1), "answers"), (HalfLife(), "accuracy")):
        assert cross_validate(tracer, practice_of(life, exam), folds=2).marks().auc > 0.7


def test_half_lives_are_fitted_where_most_answers_come_at_once():
    """The median time between two answers is 0 then, and its logarithm once was where the fit began."""
    student, place = np.repeat(np.arange(30), 12), np.tile(np.arange(12), 30)
    outcome = np.random.default_rng(0).random(360) < np.where(place % 4 == 0, 0.5, 0.95)
    log = PracticeLog.of(student, ["k"] * 360, outcome, time=86_400.0 * (place // 4))
    marks = HalfLife().fit(log).evaluate(log)
    assert np.isfinite(marks.log_likelihood) and marks.auc > 0.7
