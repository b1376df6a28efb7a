from inspect import unwrap

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lifelong.errors import BadInput
from lifelong.exams import _transfer as transfer

MATRIX_METRICS = [
    transfer.average_accuracy,
    transfer.average_incremental_accuracy,
    transfer.learning_accuracy,
    transfer.forgetting,
    transfer.backward_transfer,
    transfer.forward_transfer,
]
CURVE_METRICS = [transfer.min_accuracy, transfer.worst_case_accuracy, transfer.stability_gap]
ROWS = np.array([[0.9, 0.5, 0.4], [0.7, 0.8, 0.6], [0.6, 0.5, 0.7]])


def by_hand(matrix, baseline):
    """Every metric of one matrix by plain loops."""
    a, last = matrix, len(matrix) - 1
    earlier, best = range(last), []
    for i in earlier:
        best.append(max(a[k][i] for k in range(last)))
    return {
        "average_accuracy": sum(a[last]) / (last + 1),
        "average_incremental_accuracy": sum(sum(a[k][: k + 1]) / (k + 1) for k in range(last + 1)) / (last + 1),
        "learning_accuracy": sum(a[i][i] for i in range(last + 1)) / (last + 1),
        "forgetting": sum(best[i] - a[last][i] for i in earlier) / last,
        "backward_transfer": sum(a[last][i] - a[i][i] for i in earlier) / last,
        "forward_transfer": sum(a[i - 1][i] - baseline[i] for i in range(1, last + 1)) / last,
    }


def call(metric, matrix, baseline=None):
    return metric(matrix, baseline) if metric is transfer.forward_transfer else metric(matrix)


def test_values_of_one_life_worked_out_on_paper():
    assert_allclose(transfer.average_accuracy(ROWS), 0.6)
    assert_allclose(transfer.average_incremental_accuracy(ROWS), (0.9 + 0.75 + 0.6) / 3)
    assert_allclose(transfer.learning_accuracy(ROWS), 0.8)
    assert_allclose(transfer.forgetting(ROWS), 0.3)
    assert_allclose(transfer.backward_transfer(ROWS), -0.3)
    assert_allclose(transfer.forward_transfer(ROWS, np.array([0.1, 0.2, 0.3])), 0.3)


def test_forgetting_counts_from_the_best_even_before_the_task_was_learned():
    matrix = np.array([[0.9, 0.8, 0.0], [0.9, 0.5, 0.0], [0.9, 0.4, 0.9]])
    assert_allclose(transfer.forgetting(matrix), 0.2)
    assert_allclose(transfer.backward_transfer(matrix), -0.05)


@pytest.mark.parametrize("metric", MATRIX_METRICS)
@pytest.mark.parametrize("tasks", [2, 3, 7])
def test_vectorised_values_equal_plain_loops(metric, tasks):
    rng = np.random.default_rng(tasks)
    matrices, baselines = rng.random((4, 2, tasks, tasks)), rng.random((4, 2, tasks))
    values = call(metric, matrices, baselines)
    assert values.shape == (4, 2) and values.dtype == np.float64
    for place in np.ndindex(4, 2):
        expected = by_hand(matrices[place].tolist(), baselines[place].tolist())[metric.__name__]
        assert_allclose(values[place], expected, atol=1e-12)
        assert_allclose(call(metric, matrices[place], baselines[place]), values[place], atol=1e-12)


def test_one_baseline_serves_all_seeds():
    rng = np.random.default_rng(0)
    matrices, baseline = rng.random((5, 3, 3)), rng.random(3)
    shared = transfer.forward_transfer(matrices, baseline)
    assert_allclose(shared, transfer.forward_transfer(matrices, np.tile(baseline, (5, 1))))


@pytest.mark.parametrize("metric", MATRIX_METRICS)
def test_a_missing_exam_spoils_only_its_own_seed(metric):
    rng = np.random.default_rng(1)
    whole, baseline = rng.random((3, 4, 4)), rng.random(4)
    torn = whole.copy()
    torn[1] = np.nan
    values = call(metric, torn, baseline)
    assert np.isnan(values[1])
    assert_array_equal(values[[0, 2]], call(metric, whole, baseline)[[0, 2]])


def test_a_single_missing_exam_is_never_taken_for_zero():
    torn = ROWS.copy()
    torn[1, 0] = np.nan
    assert np.isnan(transfer.forgetting(torn)) and np.isnan(transfer.average_incremental_accuracy(torn))
    assert_allclose(transfer.backward_transfer(torn), transfer.backward_transfer(ROWS))


def test_tasks_not_yet_learned_need_no_exam_where_they_are_not_read():
    lower = np.where(np.tri(3, dtype=bool), ROWS, np.nan)
    for metric in [*MATRIX_METRICS[:3], transfer.backward_transfer]:
        assert_allclose(metric(lower), metric(ROWS))
    assert np.isnan(transfer.forgetting(lower)) and np.isnan(transfer.forward_transfer(lower, np.zeros(3)))


@pytest.mark.parametrize("metric", MATRIX_METRICS[3:])
def test_one_task_has_neither_forgetting_nor_transfer(metric):
    values = call(metric, np.full((2, 1, 1), 0.7), np.array([0.1]))
    assert values.shape == (2,) and np.isnan(values).all()


@pytest.mark.parametrize("metric", MATRIX_METRICS[:3])
def test_one_task_has_an_accuracy(metric):
    assert_allclose(metric(np.full((2, 1, 1), 0.7)), [0.7, 0.7])


def test_without_a_baseline_forward_transfer_is_unknown():
    assert np.isnan(transfer.forward_transfer(np.tile(ROWS, (2, 1, 1)))).all()


@pytest.mark.parametrize("metric", MATRIX_METRICS)
def test_input_is_not_changed(metric):
    matrix, baseline = ROWS.copy(), np.zeros(3)
    matrix.flags.writeable = baseline.flags.writeable = False
    call(metric, matrix, baseline)
    assert_array_equal(matrix, ROWS)


@pytest.mark.parametrize("metric", MATRIX_METRICS)
@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 3)), np.zeros((4, 3, 2)), np.zeros(3), np.zeros((2, 0, 0)), [[1], [1, 1]]]
)
def test_a_matrix_that_is_not_square_is_refused(metric, wrong):
    with pytest.raises(BadInput, match="accuracy matrix"):
        unwrap(metric)(wrong)


@pytest.mark.parametrize("baseline", [np.zeros(2), np.zeros((4, 3)), np.float64(0)])
def test_a_baseline_that_does_not_fit_is_refused(baseline):
    with pytest.raises(BadInput, match="baseline"):
        unwrap(transfer.forward_transfer)(np.zeros((2, 3, 3)), baseline)


TIMES = np.array([0, 10, 20, 30, 40, 50])
BOUNDARIES = np.array([20, 35, 50])
CURVE = np.array(
    [
        [0.1, 0.0, 0.0],
        [0.5, 0.1, 0.0],
        [0.9, 0.2, 0.1],
        [0.3, 0.8, 0.1],  # the last exam before 35: task 1 at its boundary
        [0.6, 0.4, 0.5],
        [0.7, 0.5, 0.9],
    ]
)


def curve_by_hand(curve, times, boundaries):
    lowest, at_boundary = [], []
    for i, boundary in enumerate(boundaries[:-1]):
        lowest.append(min(row[i] for row, time in zip(curve, times, strict=True) if time > boundary))
        at_boundary.append([row[i] for row, time in zip(curve, times, strict=True) if time <= boundary][-1])
    earlier, tasks = len(lowest), len(boundaries)
    floor = sum(lowest) / earlier
    return {
        "min_accuracy": floor,
        "worst_case_accuracy": curve[-1][-1] / tasks + (1 - 1 / tasks) * floor,
        "stability_gap": sum(b - m for b, m in zip(at_boundary, lowest, strict=True)) / earlier,
    }


def test_stability_of_one_life_worked_out_on_paper():
    assert_allclose(transfer.min_accuracy(CURVE, TIMES, BOUNDARIES), 0.35)
    assert_allclose(transfer.worst_case_accuracy(CURVE, TIMES, BOUNDARIES), 0.3 + 2 / 3 * 0.35)
    assert_allclose(transfer.stability_gap(CURVE, TIMES, BOUNDARIES), (0.6 + 0.4) / 2)


@pytest.mark.parametrize("metric", CURVE_METRICS)
def test_stability_equals_plain_loops_for_every_seed(metric):
    rng = np.random.default_rng(2)
    curves, times = rng.random((3, 2, 40, 4)), np.sort(rng.random(40))
    boundaries = np.array([times[9], (times[20] + times[21]) / 2, times[30], 1.0])
    values = metric(curves, times, boundaries)
    assert values.shape == (3, 2)
    for place in np.ndindex(3, 2):
        assert_allclose(values[place], curve_by_hand(curves[place], times, boundaries)[metric.__name__], atol=1e-12)


def test_a_steady_learner_has_no_gap_and_a_dip_is_seen_only_where_an_exam_fell():
    steady = np.ones((6, 3))
    assert transfer.stability_gap(steady, TIMES, BOUNDARIES) == 0
    dipped = steady.copy()
    dipped[3, 0] = 0.2
    assert_allclose(transfer.stability_gap(dipped, TIMES, BOUNDARIES), 0.4)
    seen = np.array([0, 1, 2, 4, 5])
    assert transfer.stability_gap(dipped[seen], TIMES[seen], np.array([20, 40, 50])) == 0


def test_a_missing_exam_after_a_boundary_spoils_only_its_own_seed():
    curves = np.stack([CURVE, CURVE, CURVE])
    curves[0, 1, 0] = np.nan  # before any boundary: not read
    curves[1, 4, 0] = np.nan
    for metric in CURVE_METRICS:
        values, whole = metric(curves, TIMES, BOUNDARIES), metric(CURVE, TIMES, BOUNDARIES)
        assert np.isnan(values[1])
        assert_allclose(values[[0, 2]], whole)


def test_one_task_has_no_stability_but_a_worst_case():
    curve, times, boundaries = CURVE[:, :1], TIMES, np.array([50])
    assert np.isnan(transfer.min_accuracy(curve, times, boundaries))
    assert np.isnan(transfer.stability_gap(curve, times, boundaries))
    assert_allclose(transfer.worst_case_accuracy(curve, times, boundaries), 0.7)


@pytest.mark.parametrize("metric", CURVE_METRICS)
@pytest.mark.parametrize(
    "times, boundaries",
    [
        (TIMES[:5], BOUNDARIES),  # a time is missing
        (TIMES, BOUNDARIES[:2]),  # a boundary is missing
        (TIMES[::-1].copy(), BOUNDARIES),
        (np.array([0, 10, 20, 30, 30, 50]), BOUNDARIES),
        (TIMES, np.array([35, 20, 50])),
        (TIMES, np.array([20, 25, 50])),  # no exam between 20 and 25
        (TIMES, np.array([-5, 20, 50])),  # no exam before the first boundary
        (TIMES, np.array([20, 50, 60])),  # no exam of the last task
        (TIMES, np.array([20, 35, np.nan])),
        (TIMES, np.array([[20, 35, 50]])),
        (TIMES, "later"),
    ],
)
def test_times_and_boundaries_that_do_not_fit_are_refused(metric, times, boundaries):
    with pytest.raises(BadInput):
        unwrap(metric)(CURVE, times, boundaries)
