from itertools import product

import numpy as np
import pytest
from scipy import stats

from lifelong.errors import BadInput
from lifelong.exams._statistics import (
    FLIPS,
    benjamini_hochberg,
    equivalent,
    holm,
    interquartile_mean,
    mean_interval,
    paired_effect,
    sign_flip,
)

ALTERNATIVES = ("greater", "less", "two-sided")


def sample(n, seed=0, shape="normal"):
    generator = np.random.default_rng([seed, n])
    return {
        "normal": generator.normal(0.3, 1, n),
        "skewed": generator.exponential(1, n) - 0.6,
        "tied": generator.integers(-2, 4, n) / 10,
    }[shape]


def brute_force(differences, alternative):
    sums = np.array([np.dot(signs, differences) for signs in product([1, -1], repeat=len(differences))])
    observed, rounding = np.sum(differences), 1e-9
    if alternative == "two-sided":
        return np.mean(np.abs(sums) >= abs(observed) - rounding)
    return np.mean(sums >= observed - rounding if alternative == "greater" else sums <= observed + rounding)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("shape", ["normal", "skewed", "tied"])
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_sign_flip_is_the_share_of_all_sign_changes(n, shape, alternative):
    differences = sample(n, shape=shape)
    assert sign_flip(differences, alternative) == pytest.approx(brute_force(differences, alternative), abs=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_sign_flip_agrees_with_scipys_exact_paired_permutation_test(alternative):
    a, b = sample(10, seed=1), sample(10, seed=2, shape="skewed")
    oracle = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf, alternative=alternative
    )
    assert sign_flip(a - b, alternative) == pytest.approx(oracle.pvalue, abs=1e-12)


def test_sign_flip_is_exact_under_its_null():
    magnitudes = np.abs(sample(6))
    p = [sign_flip(magnitudes * signs, "greater") for signs in product([1, -1], repeat=6)]
    np.testing.assert_allclose(np.sort(p), np.arange(1, 65) / 64)


@pytest.mark.parametrize(("n", "floor"), [(5, 0.0625), (8, 0.0078125), (16, 2 / FLIPS), (40, 2 / (FLIPS + 1))])
def test_sign_flip_has_a_floor_that_is_never_zero(n, floor):
    assert sign_flip(np.full(n, 0.1)) == pytest.approx(floor)


@pytest.mark.parametrize("n", [17, 30])
def test_drawn_flips_agree_with_the_exact_distribution_of_the_sum(n):
    differences = np.random.default_rng(n).integers(-4, 7, n)
    ways = np.ones(1)
    for size in np.abs(differences):
        step = np.zeros(2 * size + 1)
        step[0] += 1
        step[-1] += 1
        ways = np.convolve(ways, step)
    sums = np.arange(len(ways)) - np.abs(differences).sum()
    exact = ways[sums >= differences.sum()].sum() / 2.0**n
    error = np.sqrt(exact * (1 - exact) / FLIPS)
    assert sign_flip(differences.astype(float), "greater") == pytest.approx(exact, abs=4 * error)


def test_no_difference_at_all_is_no_evidence():
    assert [sign_flip(np.zeros(8), alternative) for alternative in ALTERNATIVES] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("diverged", [np.nan, np.inf, -np.inf])
def test_a_difference_that_is_not_finite_counts_as_the_worst(diverged):
    assert sign_flip([1.0, 3.0, 2.0, diverged], "greater") == sign_flip([1.0, 3.0, 2.0, -3.0], "greater")
    assert sign_flip([1.0, 3.0, 2.0, diverged], "less") == sign_flip([1.0, 3.0, 2.0, 3.0], "less")
    assert sign_flip([5.0, 5.0] + [diverged] * 10) == 1.0
    assert sign_flip([diverged] * 5) == 1.0


@pytest.mark.parametrize("n", [8, 24])
def test_the_order_of_seeds_changes_nothing(n):
    a, b, order = sample(n, seed=3), sample(n, seed=4, shape="skewed"), np.random.default_rng(0).permutation(n)
    assert paired_effect(a, b) == paired_effect(a[order], b[order])


@pytest.mark.parametrize("n", [2, 8, 11])
def test_few_values_get_students_interval(n):
    values = sample(n)
    found, oracle = mean_interval(values, 0.9), stats.t.interval(0.9, n - 1, values.mean(), stats.sem(values))
    assert found.method == "t"
    assert (found.low, found.high) == pytest.approx(oracle, rel=1e-12)


@pytest.mark.parametrize("shape", ["normal", "skewed"])
@pytest.mark.parametrize("n", [12, 16, 41, 600])
def test_more_values_get_scipys_bca_interval_at_the_expanded_level(n, shape):
    values = np.sort(sample(n, shape=shape))
    tail = stats.norm.sf(np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
    oracle = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=10_000,
        confidence_level=1 - 2 * tail,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = mean_interval(values)
    assert found.method == "bca"
    rounding = (
        1e-3 if n == 12 else 1e-9
    )  # a resample may be the sample itself, which SciPy counts by its rounding error
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), rel=rounding)


@pytest.mark.parametrize(("n", "lives"), [(8, 2000), (16, 1200)])
def test_intervals_cover_the_mean_of_normal_data_as_often_as_they_say(n, lives):
    samples = np.random.default_rng(n).normal(2.0, 3.0, (lives, n))
    intervals = [mean_interval(values) for values in samples]
    misses = [np.mean([i.low > 2.0 for i in intervals]), np.mean([i.high < 2.0 for i in intervals])]
    error = np.sqrt(0.025 * 0.975 / lives)
    assert np.abs(np.array(misses) - 0.025).max() < 3.5 * error
    assert abs(sum(misses) - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / lives)


@pytest.mark.parametrize("n", [2, 8, 12, 30])
def test_values_that_agree_but_for_rounding_give_an_interval_of_no_width(n):
    values = np.array([0.3 - 0.2, 0.1] * (n // 2))
    interval = mean_interval(values)
    assert interval.method == "constant"
    assert interval.low == interval.high == pytest.approx(0.1)
    assert mean_interval(np.zeros(n)).high == 0


def test_a_single_odd_value_is_bootstrapped_without_trouble():
    interval = mean_interval(np.array([0.0] * 15 + [1.0]))
    assert 0 <= interval.low < 1 / 16 < interval.high <= 1


def test_paired_effect_says_what_its_definitions_say():
    a, b = sample(14, seed=5, shape="tied"), sample(14, seed=6, shape="tied")
    effect, differences = paired_effect(a, b), a - b
    pairs = np.sign(np.round(a[:, None] - b[None, :], 9))
    assert effect.mean == pytest.approx(differences.mean())
    assert effect.median == pytest.approx(np.median(differences))
    assert effect.cohens_dz == pytest.approx(stats.ttest_rel(a, b).statistic / np.sqrt(14))
    assert effect.cliffs_delta == pytest.approx(pairs.mean())
    assert effect.probability_of_improvement == pytest.approx(np.mean((a > b) + 0.5 * (a == b)))
    assert effect.interval == mean_interval(differences)
    assert effect.p == sign_flip(differences, "two-sided")
    assert effect.n == 14


def test_cliffs_delta_is_the_mann_whitney_statistic_in_disguise():
    a, b = sample(9, seed=7), sample(9, seed=8)
    assert (paired_effect(a, b).cliffs_delta + 1) / 2 == pytest.approx(stats.mannwhitneyu(a, b).statistic / 81)


def test_swapping_the_arms_turns_the_effect_around():
    a, b = sample(10, seed=9), sample(10, seed=10)
    there, back = paired_effect(a, b), paired_effect(b, a)
    assert (there.mean, there.median) == pytest.approx((-back.mean, -back.median))
    assert there.cliffs_delta == -back.cliffs_delta
    assert (there.interval.low, there.interval.high) == pytest.approx((-back.interval.high, -back.interval.low))
    assert there.probability_of_improvement == 1 - back.probability_of_improvement
    assert there.p == back.p


def test_a_constant_gain_has_no_standardised_effect():
    effect = paired_effect(np.arange(8.0) + 1, np.arange(8.0))
    assert effect.cohens_dz is None
    assert (effect.mean, effect.interval.low, effect.p) == (1.0, 1.0, 2 / 2**8)


@pytest.mark.parametrize("seed", range(5))
def test_benjamini_hochberg_agrees_with_scipy(seed):
    p = np.round(np.random.default_rng(seed).uniform(0, 1, 30) ** 3, 2)
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p, method="bh"))


@pytest.mark.parametrize("seed", range(5))
def test_holm_agrees_with_its_step_down_procedure(seed):
    p = np.round(np.random.default_rng(seed).uniform(0, 1, 12) ** 4, 3)
    adjusted = holm(p)
    for alpha in (0.001, 0.01, 0.05, 0.2, 0.5, 0.9):
        rejected = np.zeros(12, bool)
        for step, i in enumerate(np.argsort(p)):
            if p[i] > alpha / (12 - step):
                break
            rejected[i] = True
        np.testing.assert_array_equal(adjusted <= alpha, rejected)


def test_families_may_be_empty_or_of_one_and_adjusted_values_never_exceed_one():
    for adjust in (benjamini_hochberg, holm):
        assert adjust([]).shape == (0,)
        assert adjust([0.03]).tolist() == [0.03]
        assert adjust([0.9, 0.8, 1.0]).max() == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_equivalence_is_two_one_sided_t_tests(seed):
    differences, margin = sample(12, seed) / 3, 0.4
    above_lower = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below_upper = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    found = equivalent(differences, margin)
    assert found.p == pytest.approx(max(above_lower, below_upper))
    assert bool(found) == (max(above_lower, below_upper) < 0.05)
    low, high = stats.t.interval(0.9, 11, differences.mean(), stats.sem(differences))
    assert bool(found) == (-margin < low and high < margin)


def test_a_large_p_value_is_not_equivalence():
    noisy = np.array([-3.0, 2.5, -2.0, 3.1, -1.0, 0.9, 2.0, -2.4])
    assert sign_flip(noisy) > 0.9
    assert not equivalent(noisy, margin=0.5)


def test_equivalence_of_arms_that_always_differ_by_the_same():
    assert equivalent(np.full(8, 0.1), margin=0.2)
    assert not equivalent(np.full(8, -0.3), margin=0.2)
    assert not equivalent(np.full(8, 0.2), margin=0.2)


@pytest.mark.parametrize("n", [1, 3, 4, 10, 16])
def test_interquartile_mean_is_the_trimmed_mean(n):
    values = sample(n, shape="skewed")
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sign_flip([]), "at least 1"),
        (lambda: sign_flip(np.ones((2, 2))), "one dimension"),
        (lambda: mean_interval([1.0]), "at least 2"),
        (lambda: mean_interval([1.0, np.nan]), "1 of 2 values are not finite"),
        (lambda: mean_interval([1.0, 2.0], confidence=95.0), "between 0 and 1"),
        (lambda: paired_effect([1.0, 2.0], [1.0, 2.0, 3.0]), "2 and 3"),
        (lambda: equivalent([1.0, 2.0], margin=0.0), "above 0"),
        (lambda: benjamini_hochberg([0.1, 1.2]), "between 0 and 1"),
        (lambda: holm([0.1, np.nan]), "not finite"),
        (lambda: interquartile_mean([]), "at least 1"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(call, words):
    with pytest.raises(BadInput, match=words):
        call()
