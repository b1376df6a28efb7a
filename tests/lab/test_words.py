import numpy as np
import pytest
from miniature import drawn

from lifelong.exams import mean_interval, paired_effect
from lifelong.lab import Claim, Control, run
from lifelong.lab._words import (
    Unit,
    arm_rows,
    demand,
    effect_facts,
    estimate,
    plain,
    ranges,
    refutation,
    unit_of,
    units,
)

PERCENT, BARE = Unit(True), Unit(False)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (1 / 3, "0.333"),
        (-2.5, "−2.5"),
        (123.456, "123"),
        (12345.6, "12,346"),
        (99999.9, "100,000"),
        (0.00123, "0.00123"),
        (3.05e-5, "3.05\u00a0×\u00a010⁻⁵"),
        (-1e-9, "−1\u00a0×\u00a010⁻⁹"),
        (2.5e12, "2.5\u00a0×\u00a010¹²"),
        (float("nan"), "undefined"),
        (float("inf"), "undefined"),
    ],
)
def test_numbers_are_written_for_readers(value, words):
    assert plain(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.8734, "87.3"), (0.0, "0.0"), (1.0, "100.0"), (-0.006, "−0.6"), (0.0004, "0.04"), (1e-7, "1\u00a0×\u00a010⁻⁵")],
)
def test_shares_are_written_in_per_cent_and_small_ones_do_not_become_none(share, words):
    assert PERCENT.bare(share) == words


def test_only_shares_are_written_in_per_cent():
    assert unit_of("final_accuracy", [np.array([0.5, 0.9])]) == PERCENT
    assert unit_of("forgetting", [np.array([-0.1, np.nan]), np.array([0.3])]) == PERCENT
    assert unit_of("forgetting", [np.array([3.0])]) == BARE
    assert unit_of("gradient_norm", [np.array([0.5])]) == BARE
    assert unit_of("accuracy_of_estimates", [np.array([0.5])]) == BARE


def test_what_is_tiny_or_huge_in_every_arm_is_written_in_powers_of_ten():
    tiny = unit_of("loss_rise", [np.array([-4e-4, 2e-4, np.nan]), np.array([1e-5, 3e-5])])
    assert tiny == Unit(False, -4)
    assert (tiny.mark, tiny.gap) == (" ×\u00a010⁻⁴",) * 2
    assert [tiny.bare(value) for value in (-3.37e-4, 3.3e-5, 2e-8)] == ["−3.37", "0.33", "0"]
    assert unit_of("steps", [np.array([123456.0]), np.array([1.0])]) == Unit(False, 5)
    assert unit_of("loss_rise", [np.array([0.1]), np.array([1e-5])]) == BARE
    assert unit_of("nothing", [np.array([np.nan]), np.zeros(2)]) == BARE


def test_ranges_are_short():
    assert ranges(range(16)) == "0–15"
    assert ranges([7, 1, 2, 3, 9, 10]) == "1–3, 7, 9–10"
    assert ranges([]) == ""


def test_an_estimate_is_a_mean_with_its_interval():
    values = np.array([0.8, 0.82, 0.85, 0.9])
    interval = mean_interval(values)
    words = estimate(values, PERCENT)
    assert (words.mean, words.reason) == (f"{100 * values.mean():.1f}", "")
    assert words.span == f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    assert str(words) == f"{words.mean} ({words.span})"
    assert words.lines.splitlines() == [words.mean, words.span.replace(" to ", "–")]
    assert estimate(np.array([-1.0, 1.0, 0.0]), BARE).lines == "0\n−2.48 to 2.48"


def test_what_is_undefined_says_why():
    lost = np.array([0.5, np.nan, 0.7, np.nan])
    assert estimate(None, PERCENT).reason == "not measured on this arm"
    assert estimate(lost, PERCENT, diverged=2).reason == "2 of 4 seeds diverged and are not in this mean"
    assert estimate(lost, PERCENT).reason == "2 of 4 seeds are undefined and are not in this mean"
    assert estimate(lost, PERCENT).mean == "60.0"
    assert str(estimate(np.full(3, np.nan), PERCENT, diverged=3)) == "all 3 seeds diverged"
    assert str(estimate(np.full(3, np.nan), PERCENT, why="undefined: no reason")) == "undefined: no reason"
    assert str(estimate(np.full(3, np.nan), PERCENT)) == "undefined on every seed"
    assert str(estimate(np.array([0.5]), BARE)) == "0.5; one seed: no interval"


def test_the_facts_of_a_comparison_are_those_of_the_statistics():
    a, b = np.random.default_rng(0).random((2, 10))
    effect = paired_effect(a + 0.2, b)
    facts = effect_facts(effect, PERCENT)
    assert facts["mean gain"] == f"{100 * effect.mean:.1f} points".replace("-", "−")
    assert facts["seeds"] == "10"
    assert facts["sign-flip p"] == plain(effect.p, 2)
    assert effect_facts(paired_effect(b + 0.5, b), BARE)["Cohen's d_z"] == "undefined: all seeds agree"


def test_what_would_refute_a_claim_is_said_in_its_unit():
    claim = Claim("replay", "finetune", "final_accuracy", by=0.05, knockout="no-labels")
    first, second, *rest = refutation(claim, [Control("joint", "final_accuracy", above="finetune")], PERCENT)
    assert "at least 8 seeds" in first
    assert "replay over finetune in final accuracy ends below 5.0 points" in first
    assert "no-labels keeps the gain" in second
    assert rest == [
        "The study is broken, and shows nothing, unless the mean final accuracy of joint is above that of finetune."
    ]
    (only,) = refutation(Claim("a", "b", "loss", higher_is_better=False), (), BARE)
    assert "gain (a decrease) of a over b in loss ends at or below 0" in only


def test_a_demand_names_all_bounds():
    control = Control("shuffled", "final_accuracy", at_least=0.05, at_most=0.15, because="chance is 1 in 10")
    expected = "the mean final accuracy of shuffled is at least 0.05 and at most 0.15 (chance is 1 in 10)"
    assert demand(control) == expected


def test_rows_show_arms_in_order_with_their_fate(tmp_path):
    done = run(drawn(8, diverge=(3,)), out=tmp_path)
    rows = {row.name: row for row in arm_rows(done)}
    assert list(rows) == list(done.study.arms)
    assert list(units(done)) == list(done.study.measures)
    replay, joint = rows["replay"], rows["joint"]
    assert (replay.role, replay.note, replay.diverged, replay.seeds) == ("method", "replays labels", 1, 8)
    assert (replay.chosen, replay.choice) == ("labels = 0.05", "the best of 0, 0.05 on seeds 1000–1001")
    assert "1 of 8 seeds diverged" in replay.estimates[0].reason
    assert str(joint.estimates[1]) == "undefined: no announced ends of tasks"
    assert (joint.chosen, joint.diverged) == ("", 0)
    assert float(joint.ran) >= 0
