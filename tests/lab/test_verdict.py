import json

import numpy as np
import pytest

from lifelong.errors import BadInput, UnknownName
from lifelong.exams._statistics import paired_effect
from lifelong.lab._verdict import Claim, Control, Outcome, Verdict, check_names, judge

CLAIM = Claim(better="refresh", than="replay", on="accuracy", by=0.02, knockout="no-fisher")
NOISE = np.array([0.3, -1.1, 0.8, 1.9, -0.4, -0.9, 0.1, -0.7])
"""Eight made-up seed effects whose mean is 0."""


def study(refresh=0.05, no_fisher=0.0, spread=0.01, seeds=8):
    """Return a study whose arms share their seeds; the first two differ by `refresh`, ± `spread`."""
    noise = np.resize(NOISE, seeds)
    arms = {
        "refresh": 0.5 + refresh + spread * noise,
        "replay": np.full(seeds, 0.5),
        "no-fisher": 0.5 + no_fisher + spread * noise[::-1],
        "joint": 0.9 + 0.001 * noise,
        "shuffled": 0.1 + 0.001 * noise,
    }
    return {arm: {"accuracy": values, "loss": 1 - values} for arm, values in arms.items()}


def outcome(claim=CLAIM, controls=(), **changes):
    return judge(claim, controls, study(**changes)).outcome


def test_a_large_gain_that_the_knockout_loses_supports_the_claim():
    verdict = judge(CLAIM, [], study())
    assert verdict.outcome == Outcome.SUPPORTED
    assert "the knock-out loses the gain" in verdict.reason
    assert "at least the claimed 0.02" in verdict.reason
    values = study()
    assert verdict.effect == paired_effect(values["refresh"]["accuracy"], values["replay"]["accuracy"])
    assert verdict.knockout_effect == paired_effect(values["refresh"]["accuracy"], values["no-fisher"]["accuracy"])


def test_a_knockout_that_keeps_the_gain_leaves_the_claim_open():
    verdict = judge(CLAIM, [], study(no_fisher=0.05))
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert "the knock-out may keep the gain" in verdict.reason


def test_without_a_knockout_the_gain_decides():
    verdict = judge(Claim("refresh", "replay", "accuracy"), [], study(no_fisher=0.05))
    assert verdict.outcome == Outcome.SUPPORTED
    assert verdict.knockout_effect is None


def test_a_gain_that_is_surely_too_small_refutes_the_claim():
    verdict = judge(CLAIM, [], study(refresh=0.005))
    assert verdict.effect.interval.low < 0.005 < verdict.effect.interval.high < 0.02
    assert verdict.outcome == Outcome.REFUTED
    assert "ends below the claimed 0.02" in verdict.reason


def test_a_loss_refutes_a_claim_of_any_gain():
    any_gain = Claim("refresh", "replay", "accuracy")
    verdict = judge(any_gain, [], study(refresh=-0.05))
    assert verdict.outcome == Outcome.REFUTED
    assert "at or below 0" in verdict.reason
    assert outcome(any_gain, refresh=0.0, spread=0.0) == Outcome.REFUTED


def test_a_gain_that_may_be_none_is_inconclusive():
    verdict = judge(CLAIM, [], study(spread=0.1))
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert "does not exclude 0" in verdict.reason


def test_a_sure_gain_below_the_claimed_one_is_inconclusive_where_more_is_possible():
    verdict = judge(CLAIM, [], study(refresh=0.015))
    assert verdict.effect.interval.low > 0
    assert verdict.effect.interval.high > 0.02
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert "short of the claimed 0.02" in verdict.reason


def test_a_gain_of_exactly_the_claimed_size_is_enough_despite_rounding():
    values = {"new": {"m": np.full(8, 0.3)}, "old": {"m": np.full(8, 0.2)}}
    assert 0.3 - 0.2 < 0.1
    assert judge(Claim("new", "old", "m", by=0.1), [], values).outcome == Outcome.SUPPORTED


def test_a_loss_measure_gives_the_same_verdict_as_the_score_it_mirrors():
    on_loss = Claim("refresh", "replay", "loss", by=0.02, knockout="no-fisher", higher_is_better=False)
    for refresh in (0.05, 0.015, 0.005, -0.05):
        mirrored, plain = judge(on_loss, [], study(refresh=refresh)), judge(CLAIM, [], study(refresh=refresh))
        assert mirrored.outcome == plain.outcome
        assert mirrored.effect.mean == pytest.approx(plain.effect.mean)
        assert mirrored.effect.cliffs_delta == plain.effect.cliffs_delta


@pytest.mark.parametrize("seeds", [2, 4, 7])
def test_fewer_than_eight_seeds_carry_no_verdict(seeds):
    for refresh in (0.2, -0.2):
        verdict = judge(CLAIM, [], study(refresh=refresh, seeds=seeds))
        assert verdict.outcome == Outcome.INCONCLUSIVE
        assert "fewer than eight seeds cannot carry a verdict" in verdict.reason.split("; ")[-1]
        assert verdict.effect.n == seeds


def test_the_order_of_seeds_leaves_the_verdict_unchanged():
    values = study(seeds=16, spread=0.03)
    values["replay"]["accuracy"] = values["replay"]["accuracy"] + 0.01 * np.sin(np.arange(16))
    values["replay"]["accuracy"][3] = np.nan
    controls = [Control("joint", "accuracy", above="replay"), Control("shuffled", "loss", at_least=0.8)]
    order = np.random.default_rng(1).permutation(16)
    shuffled = {arm: {on: v[order] for on, v in own.items()} for arm, own in values.items()}
    assert judge(CLAIM, controls, values) == judge(CLAIM, controls, shuffled)


@pytest.mark.parametrize("diverged", [np.nan, np.inf, -np.inf])
def test_a_diverged_seed_counts_as_the_worst_of_all_arms(diverged):
    values, replaced = study(), study()
    values["refresh"]["accuracy"][2] = diverged
    replaced["refresh"]["accuracy"][2] = study()["shuffled"]["accuracy"].min()
    verdict = judge(CLAIM, [], values)
    assert verdict.effect == judge(CLAIM, [], replaced).effect
    assert verdict.effect.n == 8
    assert verdict.diverged == {"refresh": 1, "replay": 0, "no-fisher": 0, "joint": 0, "shuffled": 0}
    assert "diverged seeds, counted as worst: refresh 1" in verdict.reason


def test_a_diverged_seed_of_a_loss_counts_as_the_largest_loss():
    on_loss = Claim("refresh", "replay", "loss", higher_is_better=False)
    values, replaced = study(), study()
    values["replay"]["loss"][:3] = np.nan
    replaced["replay"]["loss"][:3] = study()["shuffled"]["loss"].max()
    assert judge(on_loss, [], values).effect == judge(on_loss, [], replaced).effect
    assert judge(on_loss, [], values).diverged["replay"] == 3


@pytest.mark.parametrize(
    ("control", "passes"),
    [
        (Control("joint", "accuracy", above="replay"), True),
        (Control("replay", "accuracy", above="joint"), False),
        (Control("shuffled", "accuracy", at_least=0.05, at_most=0.15), True),
        (Control("shuffled", "accuracy", at_least=0.1, at_most=0.1), True),
        (Control("shuffled", "accuracy", at_least=0.11), False),
        (Control("joint", "accuracy", at_most=0.89, because="joint training is no oracle"), False),
        (Control("oracle", "accuracy", at_least=0.5), False),
        (Control("joint", "reward", at_least=0.5), False),
    ],
)
def test_a_control_that_fails_breaks_the_study(control, passes):
    verdict = judge(CLAIM, [control], study())
    assert verdict.outcome == (Outcome.SUPPORTED if passes else Outcome.BROKEN)
    assert [(c, p) for c, p, _ in verdict.controls] == [(control, passes)]
    assert passes or f"a control fails: {verdict.controls[0].sentence}" in verdict.reason
    assert control.because in verdict.controls[0].sentence
    assert verdict.effect is not None


def test_an_equal_mean_is_not_above():
    values = with_values(study(), "joint", study()["replay"]["accuracy"])
    assert judge(CLAIM, [Control("joint", "accuracy", above="replay")], values).outcome == Outcome.BROKEN


def test_a_control_says_its_numbers():
    verdict = judge(CLAIM, [Control("joint", "accuracy", above="replay", at_most=0.8)], study())
    assert verdict.controls[0].sentence == (
        "the mean accuracy of joint is 0.9, above that of replay (0.5), not at most 0.8"
    )


@pytest.mark.parametrize(
    ("control", "arm", "passes"),
    [
        (Control("joint", "loss", at_least=0.1), "joint", False),
        (Control("joint", "loss", at_most=0.12), "joint", False),
        (Control("joint", "loss", at_most=0.25), "joint", True),
        (Control("shuffled", "loss", above="replay"), "replay", True),
        (Control("no-fisher", "loss", above="refresh"), "refresh", False),
    ],
)
def test_on_a_measure_without_direction_a_diverged_seed_counts_against_the_control(control, arm, passes):
    values = study()
    assert judge(CLAIM, [control], values).controls[0].passed
    values[arm]["loss"][int(np.argmax(values[arm]["loss"]))] = np.nan
    verdict = judge(CLAIM, [control], values)
    assert verdict.controls[0].passed == passes
    assert verdict.diverged[arm] == 1


def without(values, arm, on=None):
    return {a: {m: v for m, v in own.items() if (a, m) != (arm, on)} for a, own in values.items() if on or a != arm}


def with_values(values, arm, accuracy):
    return {**values, arm: {"accuracy": np.array(accuracy)}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (without(study(), "replay"), "the arm replay is missing"),
        (without(study(), "no-fisher"), "the arm no-fisher is missing"),
        (without(study(), "refresh", "accuracy"), "the arm refresh has no measure accuracy"),
        (with_values(study(), "no-fisher", [np.nan] * 8), "all 8 seeds of the arm no-fisher diverged on accuracy"),
        (study(seeds=1), "the arm refresh has 1 seed"),
        (study(seeds=0), "the arm refresh has 0 seed"),
        (with_values(study(), "replay", [0.5] * 6), "'replay': 6"),
    ],
)
def test_a_study_that_cannot_be_judged_is_broken(values, words):
    verdict = judge(CLAIM, [], values)
    assert verdict.outcome == Outcome.BROKEN
    assert words in verdict.reason
    assert verdict.effect is None
    assert verdict.knockout_effect is None


def null_studies(count, seeds, gain=0.0):
    """Return studies whose arms differ by `gain` in truth; every seed also moves all arms together."""
    generator = np.random.default_rng(seeds)
    for _ in range(count):
        shared, own = generator.normal(0, 2, seeds), generator.normal(0, 1, (2, seeds))
        yield {"new": {"score": shared + own[0] + gain}, "old": {"score": shared + own[1]}}


@pytest.mark.parametrize(("seeds", "studies"), [(8, 1000), (16, 400)])
def test_where_nothing_is_to_be_found_verdicts_err_no_more_often_than_they_say(seeds, studies):
    claim = Claim("new", "old", "score")
    found = [judge(claim, [], values).outcome for values in null_studies(studies, seeds)]
    limit = 0.025 + 3 * np.sqrt(0.025 * 0.975 / studies)
    assert found.count(Outcome.SUPPORTED) / studies < limit
    assert found.count(Outcome.REFUTED) / studies < limit
    assert found.count(Outcome.SUPPORTED) > 0


def test_a_true_claim_is_seldom_refuted_and_a_large_gain_is_found():
    exact, large = Claim("new", "old", "score", by=1.0), Claim("new", "old", "score", by=0.5)
    at_the_border = [judge(exact, [], values).outcome for values in null_studies(500, 8, gain=1.0)]
    assert at_the_border.count(Outcome.REFUTED) / 500 < 0.025 + 3 * np.sqrt(0.025 * 0.975 / 500)
    well_above = [judge(large, [], values).outcome for values in null_studies(150, 16, gain=1.5)]
    assert well_above.count(Outcome.SUPPORTED) / 150 > 0.85


@pytest.mark.parametrize("values", [study(), study(seeds=3), without(study(), "replay"), study(spread=0.0)])
def test_a_verdict_survives_json(values):
    controls = [Control("joint", "accuracy", above="replay", because="it sees everything")]
    verdict = judge(CLAIM, controls, values)
    written = json.dumps(verdict.to_dict(), allow_nan=False)
    assert Verdict.from_dict(json.loads(written)) == verdict


def test_something_else_than_a_verdict_is_refused():
    plain = judge(CLAIM, [], study()).to_dict()
    for broken in ({}, {**plain, "outcome": "certain"}, {**plain, "claim": {"better": "a"}}, {**plain, "extra": 1}):
        with pytest.raises(BadInput, match="expected a verdict"):
            Verdict.from_dict(broken)


def test_names_that_a_study_does_not_have_are_found_at_build_time():
    arms, controls = list(study()), [Control("joint", "accuracy", above="replay")]
    check_names(CLAIM, controls, arms)
    check_names(CLAIM, controls, arms, ["accuracy"])
    with pytest.raises(UnknownName, match="no arm named 'refresh'; did you mean 'refreshed'"):
        check_names(CLAIM, controls, ["refreshed", *arms[1:]])
    with pytest.raises(UnknownName, match="no arm named 'no-fisher'"):
        check_names(CLAIM, controls, ["refresh", "replay", "joint"])
    with pytest.raises(UnknownName, match="no arm named 'oracle'"):
        check_names(CLAIM, [Control("joint", "accuracy", above="oracle")], arms)
    with pytest.raises(UnknownName, match="no measure named 'accuracy'"):
        check_names(CLAIM, controls, arms, ["accuracies"])


@pytest.mark.parametrize(
    "build",
    [
        lambda: Claim("a", "a", "m"),
        lambda: Claim("a", "b", "m", knockout="a"),
        lambda: Claim("a", "b", "m", by=-0.1),
        lambda: Claim("a", "b", "m", by=float("nan")),
        lambda: Control("a", "m"),
        lambda: Control("a", "m", above="a"),
        lambda: Control("a", "m", at_least=0.2, at_most=0.1),
        lambda: Control("a", "m", at_most=float("nan")),
        lambda: judge(CLAIM, [], with_values(study(), "replay", np.ones((8, 2)))),
        lambda: judge(
            CLAIM, [Control("joint", "loss", at_least=0.0)], {"joint": {"accuracy": [1.0], "loss": [1.0, 2.0]}}
        ),
    ],
)
def test_claims_controls_and_values_that_cannot_be_used_are_refused(build):
    with pytest.raises(BadInput):
        build()


def test_measures_that_nobody_names_may_have_any_shape():
    values = study()
    values["replay"]["matrix"] = np.full((8, 5, 5), np.nan)
    assert judge(CLAIM, [], values) == judge(CLAIM, [], study())
