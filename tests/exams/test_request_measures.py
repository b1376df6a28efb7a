"""What requests did, on a record small enough to be worked out by hand."""

import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.exams import forgotten_accuracy, relapse, retained_accuracy, spill

REQUESTS = "L0 L1 U0 L2 U1 L3"
RECORD = np.array(
    [  # task 0    1    2    3   after
        [0.8, 0.1, 0.1, 0.1],  # L0
        [0.7, 0.9, 0.1, 0.1],  # L1
        [0.2, 0.8, 0.1, 0.1],  # U0
        [0.5, 0.7, 0.8, 0.1],  # L2
        [0.1, 0.3, 0.6, 0.1],  # U1
        [0.4, 0.6, 0.7, 0.9],  # L3
    ]
)


def test_each_measure_by_hand():
    assert retained_accuracy(RECORD, REQUESTS) == pytest.approx((0.7 + 0.9) / 2)
    assert forgotten_accuracy(RECORD, REQUESTS) == pytest.approx((0.4 + 0.6) / 2)
    assert spill(RECORD, REQUESTS) == pytest.approx((0.1 + 0.2) / 2)  # task 1 at U0; task 2 at U1
    assert relapse(RECORD, REQUESTS) == pytest.approx(((0.5 - 0.2) + (0.6 - 0.3)) / 2)


def test_leading_axes_are_treated_each_on_its_own():
    both = np.stack([RECORD, RECORD / 2])[:, None]
    for measure in (retained_accuracy, forgotten_accuracy, spill, relapse):
        one = measure(RECORD, REQUESTS)
        np.testing.assert_allclose(measure(both, REQUESTS), [[one], [one / 2]])


def test_a_task_learned_again_is_retained_and_what_comes_back_by_teaching_is_no_relapse():
    again = REQUESTS + " L0"
    record = np.vstack([RECORD, [0.9, 0.5, 0.7, 0.8]])
    assert retained_accuracy(record, again) == pytest.approx((0.9 + 0.7 + 0.8) / 3)
    assert forgotten_accuracy(record, again) == pytest.approx(0.5)
    assert relapse(record, again) == pytest.approx(((0.5 - 0.2) + (0.6 - 0.3)) / 2)


def test_what_does_not_exist_is_undefined():
    learned = RECORD[:2]
    for measure in (forgotten_accuracy, spill, relapse):
        assert np.isnan(measure(learned, "L0 L1"))
    assert np.isnan(retained_accuracy(learned, "L0 U0"))
    assert np.isnan(relapse(learned, "L0 U0"))
    missing = RECORD.copy()
    missing[-1, 2] = np.nan
    assert np.isnan(retained_accuracy(missing, REQUESTS)) and spill(missing, REQUESTS) == spill(RECORD, REQUESTS)


@pytest.mark.parametrize("record", [RECORD[:-1], RECORD[:, :3], RECORD[None, :2]])
def test_a_record_of_other_requests_is_refused(record):
    with pytest.raises(BadInput, match=r"one row after each of the 6 requests"):
        spill(record, REQUESTS)


@pytest.mark.parametrize(
    ("requests", "match"),
    [("", "at least one"), ("L0 X1", "'X1'"), ("L0 U1", "not learned"), ("L0 U0 U0", "not learned")],
)
def test_requests_that_make_no_sense_are_refused(requests, match):
    with pytest.raises(BadInput, match=match):
        spill(RECORD, requests)
