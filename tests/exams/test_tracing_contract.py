"""What every tracer must do, whatever its model."""

import warnings

import jax
import numpy as np
import pytest
from practice import practice
from sklearn.base import clone

from lifelong.errors import BadInput, UnknownName
from lifelong.exams import tracing
from lifelong.exams._statistics import mean_interval
from lifelong.exams.tracing import DoubtfulFit, control, cross_validate, lane_of, marks_of
from lifelong.exams.tracing._validation import CHANCE_BAND
from lifelong.worlds import PracticeLog

TRACERS = {
    "rates": tracing.SkillRates(),
    "bkt": tracing.BKT(restarts=2, forgets=True),
    "individual": tracing.IndividualBKT(restarts=1, steps=20),
    "rasch": tracing.Rasch(),
    "irt": tracing.TwoParameterIRT(),
    "afm": tracing.AFM(),
    "pfa": tracing.PFA(),
    "best-lr": tracing.BestLR(),
    "das3h": tracing.DAS3H(),
    "half-life": tracing.HalfLife(),
    "dkt": tracing.DKT(width=8, epochs=6, patience=6, learning_rate=0.02, longest=12),
    "akt": tracing.AKT(width=8, heads=2, epochs=10, patience=10, learning_rate=0.03, longest=12),
    "cakt": tracing.CAKT(side=2, window=2, channels=2, epochs=6, patience=6, learning_rate=0.02, longest=12),
    "psi-kt": tracing.PSIKT(width=4, epochs=12, patience=12, learning_rate=0.02, longest=12),
}


@pytest.fixture(scope="module")
def log():
    return practice()


@pytest.fixture(scope="module", params=TRACERS)
def fitted(request, log):
    """A tracer with three lanes: all students, the even ones, and all again."""
    tracer = TRACERS[request.param]
    even = (np.arange(len(log.students)) % 2 == 0).astype(np.float32)
    lanes = tracer.learn(log, np.stack([np.ones_like(even), even, np.ones_like(even)]), seed=0)
    tracer.parameters, tracer.vocabulary = lane_of(lanes, 0), log.vocabulary
    return tracer, lanes


def test_predictions_are_probabilities_that_come_from_the_past_alone(fitted, log):
    tracer, _ = fitted
    p = tracer.predict_proba(log)
    assert p.shape == (len(log),) and np.all((p >= 0) & (p <= 1))
    turned = (log.place >= 11) & log.graded
    other = tracer.predict_proba(log.with_outcomes(np.where(turned, 1 - log.outcome, log.outcome)))
    np.testing.assert_allclose(p[log.place <= 11], other[log.place <= 11], rtol=0, atol=1e-9)
    if not isinstance(tracer, tracing.SkillRates):
        assert np.abs(p - other)[log.place > 11].max() > 0.01


def test_students_do_not_see_each_other(fitted, log):
    tracer, _ = fitted
    alone = log.only(np.arange(len(log.students)) == 7)
    np.testing.assert_allclose(tracer.predict_proba(alone), tracer.predict_proba(log)[log.student == 7], atol=1e-6)


def test_a_student_of_weight_0_is_not_there(fitted, log):
    tracer, lanes = fitted
    odd = np.arange(len(log.students)) % 2 == 1
    turned = np.where(log.graded & odd[log.student], 1 - log.outcome, log.outcome)
    even = (~odd).astype(np.float32)
    again = tracer.learn(log.with_outcomes(turned), np.stack([even, even, even]), seed=0)
    p, q = (tracer.answer(lane_of(one, 1), log) for one in (lanes, again))
    np.testing.assert_allclose(p, q, atol=2e-3)
    assert np.abs(p - tracer.answer(lane_of(lanes, 0), log)).max() > 1e-3


def test_lanes_are_fitted_as_if_alone(fitted, log):
    tracer, lanes = fitted
    alone = tracer.learn(log, np.ones((1, len(log.students)), np.float32), seed=0)
    for ours, theirs in zip(jax.tree.leaves(lane_of(lanes, 0)), jax.tree.leaves(lane_of(alone, 0)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_mastery_and_advice(fitted, log):
    tracer, _ = fitted
    known = tracer.mastery(log)
    assert known.shape == (len(log.students), 4) and np.all((known >= 0) & (known <= 1))
    advice = tracer.recommend(log, "s3", 2)
    gains = [one.gain for one in advice]
    assert len(advice) == 2 and gains == sorted(gains, reverse=True) and advice == tracer.recommend_all(log, 2)["s3"]
    assert all("expected at" in one.reason and set(one.exercises) <= set(log.items) for one in advice)
    code = log.skills.index(advice[0].skill)
    assert advice[0].known == pytest.approx(known[log.students.index("s3"), code], abs=1e-5)
    with pytest.raises(UnknownName, match="student"):
        tracer.recommend(log, "nobody")


def test_new_students_skills_and_items_are_met(fitted, log):
    tracer, _ = fitted
    strange = PracticeLog.of(
        ["x"] * 3, ["k1", ("k9", "k1"), "k9"], [1, 0, -1], item=["i1.0", "j", "j"], time=[0, 9, 20]
    )
    p = tracer.predict_proba(strange)
    assert np.isfinite(p).all() and tracer.mastery(strange).shape == (1, 4)


def test_hidden_outcomes_are_not_used(fitted, log):
    tracer, _ = fitted
    known = log.place < 8
    turned = log.with_outcomes(np.where(known | ~log.graded, log.outcome, 1 - log.outcome))
    np.testing.assert_array_equal(tracer.forecast(log, known), tracer.forecast(turned, known))


def test_coin_flips_cannot_be_predicted(fitted, log):
    tracer, _ = fitted
    shown = control(tracer, log, folds=2, seed=3)
    assert shown.passed and shown.moved < 1e-5 and abs(shown.auc - 0.5) < shown.band < 0.15


def test_models_that_learn_beat_the_rates(log):
    marks = {name: cross_validate(TRACERS[name], log, folds=2).marks() for name in ("rates", "best-lr", "bkt")}
    assert all(marks[name].auc > marks["rates"].auc + 0.05 for name in ("best-lr", "bkt"))


@pytest.mark.parametrize(("tracer", "skills"), [(tracing.SkillRates(), 3), (tracing.PFA(), 1)])
def test_the_control_seldom_fails_a_fair_model_whoever_is_examined(tracer, skills):
    """Its band is as wide as areas on coins spread, but for a third; students are drawn with the first of the seeds."""
    random = np.random.default_rng(0)
    tossed = PracticeLog.of(np.repeat(np.arange(20), 25), random.integers(skills, size=500), np.arange(500) % 2)
    found = [control(tracer, tossed, seed=seed) for seed in range(60)]
    areas, error = np.array([one.auc for one in found]), found[0].band / CHANCE_BAND
    assert all(one.passed for one in found)
    assert abs(areas.mean() - 0.5) < 3 * areas.std() / 60**0.5 and 0.75 < areas.std() / error < 4 / 3


def test_pairs_are_of_rows_that_the_same_fit_predicted(log):
    validation = cross_validate(tracing.PFA(), log, folds=3)
    fold, p, y = validation.fold[log.student][log.graded], validation.p[log.graded], log.outcome[log.graded]
    wins = pairs = 0.0
    for f in range(3):
        right, wrong = p[(fold == f) & (y == 1)], p[(fold == f) & (y == 0)]
        wins += (right[:, None] > wrong).sum() + (right[:, None] == wrong).sum() / 2
        pairs += right.size * wrong.size
    assert validation.marks().auc == pytest.approx(wins / pairs, abs=1e-12)
    by_skill = validation.by_skill()
    assert set(by_skill) == set(log.skills) and by_skill[log.skills[0]].attempts < len(y)


def test_intervals_are_around_what_is_reported(log):
    validation = cross_validate(tracing.PFA(), log, folds=4)
    marks, intervals = validation.marks(), validation.intervals()
    for name in ("auc", "accuracy", "log_likelihood", "brier", "calibration_error"):
        assert intervals[name].low < getattr(marks, name) < intervals[name].high
    folds = [validation.marks((validation.fold == f)[log.student]) for f in range(4)]
    usual = mean_interval([one.brier for one in folds])
    assert intervals["brier"].high - intervals["brier"].low == pytest.approx(usual.high - usual.low, rel=0.05)


def test_settings_are_those_of_scikit_learn():
    tracer = clone(tracing.BKT(restarts=3))
    assert tracer == tracing.BKT(restarts=3) and tracer.set_params(restarts=5).get_params()["restarts"] == 5
    with pytest.raises(UnknownName, match="no setting of BKT named 'restart'; did you mean 'restarts'"):
        tracer.set_params(restart=1)


class Peeking(tracing.SkillRates):
    """A tracer that looks at the answer it is asked for."""

    def answer(self, parameters, log):
        return np.where(log.outcome == 1, 0.9, 0.2)


def test_the_control_finds_a_tracer_that_peeks(log):
    shown = control(Peeking(), log, folds=2)
    assert not shown.passed and shown.auc > 0.9 and shown.moved > 0.5


def test_a_tracer_must_be_fitted_first_and_needs_grades(log):
    with pytest.raises(BadInput, match="has not been fitted"):
        tracing.PFA().predict_proba(log)
    with pytest.raises(BadInput, match="no graded attempt"):
        tracing.PFA().fit(log.hide(log.graded))
    untimed = PracticeLog.of(["a", "b"], ["k", "k"], [1, 0])
    for tracer in (tracing.DAS3H(), tracing.HalfLife()):
        with pytest.raises(BadInput, match="no times"):
            tracer.fit(untimed)


@pytest.mark.parametrize("name", ["bkt", "rasch", "best-lr"])
@pytest.mark.parametrize("outcome", [0, 1])
def test_one_student_one_skill_one_outcome(name, outcome):
    log = PracticeLog.of(["a"] * 6, ["k"] * 6, [outcome] * 6)
    validation = cross_validate(TRACERS[name], log)
    assert np.all(validation.fold == -1) and np.isfinite(validation.p).all()
    marks = validation.marks()
    assert np.isnan(marks.auc) and marks.accuracy > 0.6 and all(v is None for v in validation.intervals().values())


def test_degenerate_fits_are_said():
    random = np.random.default_rng(0)
    log = PracticeLog.of(np.arange(600) // 6, ["k"] * 600, random.random(600) < 0.8, time=np.arange(600.0))
    with pytest.warns(DoubtfulFit, match=r"BKT: 1 of 1 skills have guess at its bound 0\.3, so read"):
        tracing.BKT(restarts=2, guess_at_most=0.3).fit(log)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DoubtfulFit)
        tracing.SkillRates().fit(log)


def test_marks_agree_with_scikit_learn():
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    random = np.random.default_rng(0)
    p, y = random.random(500).round(2) * 0.98 + 0.01, (random.random(500) < 0.6).astype(float)
    marks = marks_of(p, y)
    assert marks.auc == pytest.approx(roc_auc_score(y, p)) and marks.brier == pytest.approx(brier_score_loss(y, p))
    assert marks.log_likelihood == pytest.approx(-log_loss(y, p))
    honest = random.random(200_000)
    assert marks_of(honest, (random.random(200_000) < honest).astype(float)).calibration_error < 0.005
    with pytest.raises(BadInput, match="1 of 2 predictions are no probabilities"):
        marks_of(np.array([0.5, 1.5]), np.array([0.0, 1.0]))
