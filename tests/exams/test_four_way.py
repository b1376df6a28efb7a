import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.exams import four_way

PARTS = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1], [0, 0, 0], [1, 1, 1]], bool)
WHOLE = np.array([0, 0, 1, 1, 1, 0], bool)
PRESENT = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]], bool)


def test_every_class_by_hand():
    strict = four_way(PARTS, WHOLE, PRESENT)
    assert strict.counts == (1, 2, 1, 2) and strict.rote_rate == pytest.approx(2 / 3)
    assert strict.score == pytest.approx((1 + 0.5 * 2) / 6)
    loose = four_way(PARTS, WHOLE, PRESENT, "loose")
    assert loose.counts == (1, 2, 2, 1) and loose.rote_rate == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_identities(seed):
    random = np.random.default_rng(seed)
    parts, whole = random.random((80, 3)) < 0.7, random.random(80) < 0.5
    present = np.arange(3) < random.integers(1, 4, 80)[:, None]
    strict, loose = (four_way(parts, whole, present, mode) for mode in ("strict", "loose"))
    for one in (strict, loose):
        assert sum(one.counts) == 80 and one.counts[2] + one.counts[3] == whole.sum()
        assert one.score == pytest.approx((80 - 0.5 * one.counts[1] - one.counts[3] - one.counts[0]) / 80)
        assert all(i.low <= r <= i.high for i, r in zip(one.intervals, one.rates, strict=True))
    assert strict.counts[:2] == loose.counts[:2] and loose.score >= strict.score
    same = four_way(np.where(present, parts, ~parts), whole, present)
    assert same == strict


def test_independent_answers_are_rote_as_often_as_chance_says():
    random = np.random.default_rng(0)
    parts, whole = random.random((20_000, 2)) < 0.8, random.random(20_000) < 0.5
    for mode in ("strict", "loose"):
        found = four_way(parts, whole, mode=mode)
        assert found.rote_rate == pytest.approx(found.rote_by_chance, abs=0.01)
    memorised = four_way(parts & ~whole[:, None], whole)
    assert memorised.rote_rate == 1 > memorised.rote_by_chance


def test_a_learner_that_solves_nothing_has_no_rote_rate():
    found = four_way(PARTS, np.zeros(6, bool), PRESENT)
    assert np.isnan(found.rote_rate) and found.rote_interval is None and found.score == pytest.approx(0.25)


def test_what_does_not_fit_is_said():
    with pytest.raises(BadInput, match="composite 4 has no part"):
        four_way(PARTS, WHOLE, PARTS)
