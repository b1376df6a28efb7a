"""The mastery teacher: its filter against BKT, its choices against the record of a life, and what it tells people."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput, Mismatch, UnknownName
from lifelong.exams.tracing import BKT, Chain, schedule, simulate
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import MasteryTeacher
from lifelong.worlds import PracticeLog, Split

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def fitted():
    log = schedule(students=40, skills=3, attempts=20)
    model = BKT(forgets=True)
    chain = ([0.2, 0.5, 0.3], [0.1, 0.3, 0.2], [0.05, 0.02, 0.1], [0.2, 0.3, 0.1], [0.1, 0.2, 0.05])
    model.parameters = Chain(*(np.array([*values, 0.2], np.float32) for values in chain))
    model.vocabulary = log.vocabulary
    return model, simulate(model, log)


def test_without_fading_it_believes_what_bkt_does(fitted):
    model, log = fitted
    log = log.hide(np.arange(len(log)) % 7 == 0)
    teacher = MasteryTeacher.of(model)
    np.testing.assert_allclose(teacher.trace(log), model.mastery(log), atol=1e-5)
    several = PracticeLog.of(["a"] * 3, [("skill 0", "skill 2"), "skill 2", "skill 1"], [1, 0, 1])
    np.testing.assert_allclose(teacher.trace(several), model.mastery(several), atol=1e-5)
    assert np.abs(MasteryTeacher.of(model, fade=0.2).trace(log) - model.mastery(log)).max() > 0.05


def by_hand(teacher, task, share, steps):
    """The filter and the rule 'in order' in plain Python, lesson by lesson."""
    prior, learn, forget, guess, slip, fade = (
        float(v) for v in (teacher.prior, teacher.learn, teacher.forget, teacher.guess, teacher.slip, teacher.fade)
    )
    p, chosen = [prior] * teacher.tasks, []
    for step in range(steps):
        open_tasks = [k for k, known in enumerate(p) if known < float(teacher.enough)]
        chosen.append(open_tasks[0] if open_tasks else int(np.argmin(p)))
        a = float(share[step])
        yes = p[task[step]] * (1 - slip) ** a * slip ** (1 - a)
        no = (1 - p[task[step]]) * guess**a * (1 - guess) ** (1 - a)
        seen = yes / (yes + no)
        after = seen * (1 - forget) + (1 - seen) * learn
        p = [after if k == task[step] else known * (1 - fade) for k, known in enumerate(p)]
    return p, chosen


@pytest.fixture(scope="module")
def life(tiny):
    learner = GradientLearner(
        Recipe(MLP, inputs=8, outputs=6, width=8, depth=1), optimizer=Recipe(optax.sgd, learning_rate=0.1), batch=8
    )
    teacher = MasteryTeacher(tasks=3, fade=0.02)
    return teacher, live(learner, Split(tiny, tasks=3), teacher, steps=60, seeds=4, sweep={"teacher.fade": [0.0, 0.02]})


def test_a_compiled_life_is_taught_as_computed_by_hand(life):
    teacher, lived = life
    for seed in range(4):
        task, share = lived.records["taught"][1, seed], lived.records["accuracy"][1, seed]
        known, chosen = by_hand(teacher, task, share, 60)
        np.testing.assert_array_equal(task, chosen)
        plan = jax.tree.map(lambda leaf, seed=seed: leaf[4 + seed], lived.state.plan)
        np.testing.assert_allclose(plan.known, known, atol=1e-4)
        np.testing.assert_array_equal(plan.lessons, np.bincount(task, minlength=3))


def test_who_forgets_is_taught_again(life):
    _, lived = life
    still, fading = lived.records["taught"]
    assert (still[:, 0] == 0).all() and (still.max(axis=1) > 0).all()
    assert np.any(np.diff(fading) < 0, axis=1).all()


def test_rules():
    known = jnp.array([0.96, 0.3, 0.1])

    def first(rule, **numbers):
        return int(jnp.argmax(MasteryTeacher(tasks=3, rule=rule, **numbers).need(known)))

    assert (first("in order"), first("weakest"), first("gain")) == (1, 2, 2)
    assert first("in order", enough=0.99) == 0 and first("gain", learn=[0.1, 0.4, 0.2]) == 1
    assert int(jnp.argmax(MasteryTeacher(tasks=3).need(jnp.array([0.99, 0.96, 0.97])))) == 1


def test_advice_names_what_is_needed_and_why(fitted):
    model, log = fitted
    teacher = MasteryTeacher.of(model)
    advice = teacher.recommend(log, "student 3", 2)
    known = teacher.trace(log)[log.code_of("student 3")]
    needed = np.flatnonzero(known < 0.95)
    assert advice[0].skill == log.skills[needed[0] if len(needed) else known.argmin()]
    assert advice[0].exercises and "expected at" in advice[0].reason
    with pytest.raises(UnknownName, match="no student named 'nobody'"):
        teacher.recommend(log, "nobody")
    with pytest.raises(Mismatch, match="3 skills, and this teacher 5 tasks"):
        MasteryTeacher(tasks=5).recommend(log, "student 3")


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        ({"learn": 1.5}, "learn is a probability"),
        ({"slip": float("nan")}, "slip is a probability"),
        ({"prior": [0.1, 0.2]}, "one for each of 3 tasks"),
        ({"guess": 0.6, "slip": 0.5}, "speak against knowing"),
        ({"tasks": 0}, "at least 1 task"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(numbers, match):
    with pytest.raises(BadInput, match=match):
        MasteryTeacher(**{"tasks": 3} | numbers)


def test_what_it_cannot_hear_is_said_and_it_must_be_of_a_fitted_model():
    teacher = MasteryTeacher(tasks=2, hears="score")
    plan = teacher.init(key=KEY)
    lesson, plan = teacher.ask(plan, key=KEY)
    with pytest.raises(Mismatch, match="hears of 'score', and learning reports loss"):
        teacher.tell(plan, lesson, {"loss": 1.0}, key=KEY)
    ungraded = teacher.tell(plan, lesson, float("nan"), key=KEY)
    assert float(ungraded.known[0]) == pytest.approx(0.4 + 0.6 * 0.15)
    with pytest.raises(BadInput, match="has not been fitted"):
        MasteryTeacher.of(BKT())
