from inspect import unwrap

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lifelong.errors import BadInput
from lifelong.exams import _lifetime_log as record
from lifelong.exams._lifetime_log import LifetimeLog, preprocess, scripted_log

ROWS = [
    (0, "test", "a", 0.2),
    (0, "test", "b", 0.3),
    (1, "train", "a", 0.4),
    (1, "train", "a", np.nan),
    (1, "train", "a", 0.6),
    (2, "train", "a", 0.7),
    (3, "test", "a", 0.8),
]


def log_of(kind="train", task="a", values=(0.5,), block=0):
    return LifetimeLog.from_rows([(block, kind, task, float(v)) for v in values])


def test_rows_become_columns():
    log = LifetimeLog.from_rows(ROWS)
    assert log.block.tolist() == [0, 0, 1, 1, 1, 2, 3]
    assert log.kind.tolist() == ["test"] * 2 + ["train"] * 4 + ["test"]
    assert log.task.tolist() == list("abaaaaa")
    assert_array_equal(log.performance, [0.2, 0.3, 0.4, np.nan, 0.6, 0.7, 0.8])


def test_task_numbers_become_names():
    log = LifetimeLog(np.zeros(2, int), np.array(["train"] * 2), np.array([7, 7]), np.array([0.0, 0.5]))
    assert record.tasks_of(log) == ("7",)
    assert_array_equal(preprocess(log)[0].performance, [1, 101])


def test_regimes_are_runs_of_one_task_in_one_block_without_missing_numbers():
    found = record.regimes(LifetimeLog.from_rows(ROWS))
    assert [(r.kind, r.task, r.rows.tolist(), r.curve.tolist()) for r in found] == [
        ("test", "a", [0], [0.2]),
        ("test", "b", [1], [0.3]),
        ("train", "a", [2, 4], [0.4, 0.6]),
        ("train", "a", [5], [0.7]),
        ("test", "a", [6], [0.8]),
    ]
    assert record.tasks_of(LifetimeLog.from_rows(ROWS)) == ("a", "b")


@pytest.mark.parametrize("length, counted", [(1, 1), (9, 1), (10, 1), (11, 2), (20, 2), (25, 3)])
def test_terminal_performance_is_the_last_tenth_of_learning_and_all_of_an_exam(length, counted):
    curve = np.arange(length) ** 2.0
    learned, examined = (record.regimes(log_of(kind, values=curve))[0].terminal for kind in ("train", "test"))
    assert_allclose(learned, curve[-counted:].mean())
    assert_allclose(examined, curve.mean())


@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"block": [0, 0, 1, 1, 0]}, "never fall"),
        ({"block": [-1, 0, 1, 1, 1]}, "not negative"),
        ({"block": [0, 0.5, 1, 1, 1]}, "whole"),
        ({"kind": ["test", "exam", "train", "train", "train"]}, "'exam'"),
        ({"kind": ["test", "train", "train", "train", "train"]}, "either 'train' or 'test'"),
        ({"task": ["a", "b"]}, "one entry per experience"),
        ({"performance": [0.1, np.inf, 0, 0, 0]}, "infinite"),
        ({"performance": [np.nan] * 5}, "at least one performance"),
        ({"performance": [[0.0] * 5]}, "flat arrays"),
        ({"performance": ["good"] * 5}, "array of numbers"),
        ({"block": np.array([0, 0, 2, 2, 1], np.uint8)}, "never fall"),
    ],
)
def test_a_log_that_makes_no_sense_is_refused(changed, sentence):
    columns = {"block": [0, 0, 1, 1, 1], "kind": ["test"] * 2 + ["train"] * 3, "task": list("abaaa")}
    columns |= {"performance": [0.1, 0.2, 0.3, 0.4, 0.5]} | changed
    log = object.__new__(LifetimeLog)
    for name, values in columns.items():
        object.__setattr__(log, name, values)
    with pytest.raises(BadInput, match=sentence):
        unwrap(LifetimeLog.__post_init__)(log)


@pytest.mark.parametrize("rows", [[], [(0, "test", "a")], [(0, "test", "a", 0.1), (0, "test", "a", 0.1, 0.2)]])
def test_rows_of_another_form_are_refused(rows):
    with pytest.raises(BadInput, match="rows"):
        unwrap(LifetimeLog.from_rows)(LifetimeLog, rows)


def averaged_by_hand(curve):
    n, window = len(curve), min(int(len(curve) * 0.2), 100)
    if window < 3:
        return curve
    means = []
    for x in range(n):
        places = [abs(p) for p in range(x - (window + 1) // 2, x + window // 2)]
        means.append(sum(curve[p if p < n else 2 * (n - 1) - p] for p in places) / window)
    return means


@pytest.mark.parametrize("length", [1, 14, 15, 19, 20, 25, 30, 61, 503, 640])
def test_moving_average_equals_a_plain_loop(length):
    curve = np.random.default_rng(length).random(length)
    assert_allclose(record.moving_average(curve), averaged_by_hand(curve.tolist()), atol=1e-12)


def test_only_learning_is_smoothed_and_each_regime_by_itself():
    rng = np.random.default_rng(0)
    parts = [("test", rng.random(20)), ("train", rng.random(20)), ("train", rng.random(30)), ("test", rng.random(20))]
    log = LifetimeLog.from_rows([(k, kind, "a", float(v)) for k, (kind, curve) in enumerate(parts) for v in curve])
    smoothed, runs = preprocess(log, {"a": [parts[2][1]]}, clamp=False, normalize=False)
    expected = [record.moving_average(curve) if kind == "train" else curve for kind, curve in parts]
    assert_allclose(smoothed.performance, np.concatenate(expected))
    assert_allclose(runs["a"][0], expected[2])


def test_clamping_and_scale_come_from_log_and_experts_together():
    log = LifetimeLog.from_rows([(0, "test", "a", -1.0), (0, "test", "b", 5.0), (0, "test", "b", 7.0)])
    experts = {"a": [np.array([3.0, 9.0]), np.array([2.0])]}
    scaled, runs = preprocess(log, experts, smooth=False, clamp=False)
    assert_allclose(scaled.performance, [1, 1, 101])
    assert_allclose(np.concatenate(runs["a"]), [41, 101, 31])
    clamped, runs = preprocess(log, experts, smooth=False, normalize=False)
    low, high = np.quantile([-1.0, 3.0, 9.0, 2.0], (0.1, 0.9))
    assert_allclose(clamped.performance, [low, *np.quantile([5.0, 7.0], (0.1, 0.9))])
    assert_allclose(np.concatenate(runs["a"]), [3, high, 2])


@pytest.mark.parametrize("value", [0.3, -0.7, 0.0, 1e6])
@pytest.mark.parametrize("length", [10, 36, 51])
def test_a_constant_task_becomes_1_even_where_smoothing_rounds(value, length):
    rows = [(0, "test", "a", value)] * 3 + [(1, "train", "a", value)] * length
    scaled, runs = preprocess(LifetimeLog.from_rows(rows), {"a": [np.full(length + 7, value)]})
    assert_array_equal(scaled.performance, 1)
    assert_array_equal(runs["a"][0], 1)


def test_preparing_keeps_missing_numbers_in_place_and_changes_no_input():
    log, experts = LifetimeLog.from_rows(ROWS), {"a": [np.array([0.1, np.nan, 0.9])], "unknown": [np.array([1.0])]}
    before = log.performance.copy()
    prepared, runs = preprocess(log, experts)
    assert_array_equal(np.isnan(prepared.performance), np.isnan(before))
    assert_array_equal(log.performance, before)
    assert_array_equal(experts["a"][0], [0.1, np.nan, 0.9])
    assert set(runs) == {"a", "b"} and len(runs["a"][0]) == 2 and runs["b"] == []


def test_preparing_takes_no_notice_of_scale_and_origin():
    log, experts = scripted_log(noise=0.05, length=40, transfer=0.3, retention=0.6)
    moved = LifetimeLog(log.block, log.kind, log.task, 50 * log.performance - 7)
    one, one_runs = preprocess(log, experts)
    two, two_runs = preprocess(moved, {task: [50 * curve - 7 for curve in runs] for task, runs in experts.items()})
    assert_allclose(one.performance, two.performance)
    assert_allclose(one_runs["task-1"][0], two_runs["task-1"][0])
    for task in ("task-0", "task-1"):
        mine = one.performance[one.task == task]
        assert_allclose([mine.min(), mine.max()], [1, 101])


@pytest.mark.parametrize("runs", [[np.array([])], [np.array([np.nan])], [np.array([0.1, np.inf])], np.ones(3), ["ab"]])
def test_an_expert_that_cannot_be_used_is_refused(runs):
    with pytest.raises(BadInput, match="expert of 'a'"):
        unwrap(preprocess)(log_of(), {"a": runs})


def test_the_script_follows_its_equations():
    log, experts = scripted_log(length=3, exam_length=1, rate=0.5, start=0.2, transfer=0.25, retention=0.5)
    learned = 1 - 0.8 * 0.5**3
    helped = 0.2 + 0.25 * 0.8
    expected = [0.2, 0.2, 0.2, 0.6, 0.8, learned, helped, helped, 0.7, 0.85, 0.2 + 0.5 * (learned - 0.2), 0.925]
    assert_allclose(log.performance, expected)
    assert log.task.tolist() == [f"task-{j}" for j in (0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1)]
    assert log.block.tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4]
    assert_allclose(experts["task-1"][0], [0.2, 0.6, 0.8])


def test_the_script_knows_orders_pairs_and_seeds():
    strengths = np.array([[0.0, -0.5], [0.9, 0.0]])
    log, experts = scripted_log(order=(0, 1, 0), length=4, exam_length=1, transfer=strengths, runs=2)
    exams = log.performance[(log.task == "task-1") & (log.kind == "test")]
    assert_allclose(exams[1], 0.5 * exams[0])
    assert [len(curve) for curve in experts["task-0"] + experts["task-1"]] == [8, 8, 4, 4]
    noisy, again, other = (scripted_log(noise=0.1, seed=seed)[0].performance for seed in (0, 0, 1))
    assert_array_equal(noisy, again)
    assert not np.array_equal(noisy, other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": 0},
        {"length": 0},
        {"order": (0, 2)},
        {"rate": 1.5},
        {"start": -0.1},
        {"retention": 2.0},
        {"transfer": 1.5},
        {"transfer": np.nan},
        {"transfer": np.zeros((3, 3))},
    ],
)
def test_a_script_outside_its_ranges_is_refused(wrong):
    with pytest.raises(BadInput):
        unwrap(scripted_log)(**wrong)
