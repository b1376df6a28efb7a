import numpy as np
import pytest

from lifelong.errors import BadInput, UnknownName
from lifelong.worlds import PracticeLog, Vocabulary, buckets, sequences
from lifelong.worlds._practice import _check_shapes


def made(rows=300, students=17, skills=6, seed=0):
    random = np.random.default_rng(seed)
    several = [tuple(random.choice(skills, random.integers(1, 4), replace=False)) for _ in range(rows)]
    return PracticeLog.of(
        random.integers(0, students, rows), several, random.integers(-1, 2, rows),
        item=random.integers(0, 30, rows), time=random.integers(0, 9999, rows).astype(float),
    )  # fmt: skip


def columns(**changes):
    base = {"student": np.array([0, 0, 1]), "skill": np.array([[0, 1], [1, -1], [0, -1]]), "item": np.array([0, 1, 0])}
    base |= {"outcome": np.array([1, 0, -1]), "time": np.array([2.0, 1.0, 0.0])}
    names = {"students": ("ann", "bo"), "skills": ("add", "take"), "items": ("a", "b")}
    return PracticeLog(**(base | names | changes))


def test_rows_are_in_order_of_student_then_time_and_remember_where_they_were():
    log = columns()
    assert log.row.tolist() == [1, 0, 2] and log.outcome.tolist() == [0, 1, -1]
    assert log.starts.tolist() == [0, 2, 3] and log.place.tolist() == [0, 1, 0] and log.gap.tolist() == [0, 1, 0]
    whole = made()
    assert np.all(np.diff(whole.student) >= 0)
    assert np.all(np.diff(whole.time)[np.diff(whole.student) == 0] >= 0)
    assert sorted(whole.row) == list(range(300))


def test_rows_at_the_same_time_keep_their_order():
    log = PracticeLog.of(["a"] * 50, ["k"] * 50, [0, 1] * 25, time=np.zeros(50))
    assert log.row.tolist() == list(range(50))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outcome": np.array([1, 2, 0])}, "outcome, row 1: 2 is outside -1..1"),
        ({"skill": np.array([[0, 1], [1, -1], [2, -1]])}, r"skill, row 2: \[ 2 -1\] is outside -1..1"),
        ({"skill": np.array([[0, 1], [-1, 1], [0, -1]])}, "−1 may only stand on the right"),
        ({"skill": np.array([[0, 0], [1, -1], [0, -1]])}, "names a skill twice"),
        ({"skill": np.array([0, 1, 0])}, r"skill has shape \(3,\): \[rows, width\] with 3 rows"),
        ({"time": np.array([0.0, np.nan, 1.0])}, "time has values that are not finite, first in row 1"),
        ({"item": np.array([0, 1])}, r"item has shape \(2,\)"),
        ({"student": np.zeros(0, int)}, "needs one row at least"),
    ],
)
def test_what_cannot_be_a_log_is_said(changes, message):
    with pytest.raises(BadInput, match=message):
        columns(**changes)


def test_codes_are_whole_numbers():
    with pytest.raises(BadInput, match="student holds float64: whole numbers were expected"):
        _check_shapes({"student": np.zeros(3), "time": np.zeros(3)})


def test_names_are_ordered_as_numbers_where_they_are():
    log = PracticeLog.of(["10", "9", "2"], ["1.2", "1.10", "b"], [1, 0, 1])
    assert log.students == ("2", "9", "10") and log.skills == ("1.2", "1.10", "b") and not log.timed


@pytest.mark.parametrize("longest", [None, 1, 7, 1000])
def test_padding_loses_nothing(longest):
    log = made()
    pieces = sequences(log, longest)
    assert pieces.mask.sum() == len(log)
    for column, values in (("outcome", log.outcome), ("item", log.item), ("gap", log.gap)):
        back = pieces.unpad(getattr(pieces, column), np.full(len(log), np.nan))
        np.testing.assert_array_equal(back, values)
    np.testing.assert_array_equal(log.skill[pieces.row[pieces.mask]], pieces.skill[pieces.mask])
    assert np.all(pieces.skill[~pieces.mask] == -1) and np.all(pieces.outcome[~pieces.mask] == -1)


def test_buckets_hold_every_row_once_and_waste_less_than_half():
    random = np.random.default_rng(1)
    student = np.repeat(np.arange(80), random.geometric(0.05, 80))
    log = PracticeLog.of(student, student % 3, student % 2)
    groups = buckets(log)
    rows = np.concatenate([group.row[group.mask] for group in groups])
    assert sorted(rows) == list(range(len(log)))
    assert all(group.mask.mean() > 0.5 for group in groups) and 1 < len(groups) < 10


def test_some_students_keep_the_codes_of_skills_and_items():
    log = made()
    chosen = np.arange(len(log.students)) % 3 == 0
    part = log.only(chosen)
    assert part.skills == log.skills and len(part.students) == chosen.sum()
    again = {log.row[i]: (log.outcome[i], log.students[log.student[i]]) for i in range(len(log))}
    assert all(again[part.row[i]] == (part.outcome[i], part.students[part.student[i]]) for i in range(len(part)))


def test_a_vocabulary_gives_new_names_one_further_code():
    log = PracticeLog.of(["a"] * 3, [("x", "y"), ("u", "v"), "x"], [1, 0, 1], item=["p", "q", "r"])
    aligned = log.align(Vocabulary(("y", "x"), ("r",)))
    assert aligned.skill.tolist() == [[0, 1], [2, -1], [1, -1]] and aligned.item.tolist() == [1, 1, 0]
    assert aligned.skills == ("y", "x", "(new)")
    assert aligned.skill_codes == 3 and aligned.item_codes == 2 and aligned.vocabulary == (("y", "x"), ("r",))
    assert log.skill_codes == log.align(log.vocabulary).skill_codes == 5


def test_coin_flips_and_hiding_touch_outcomes_alone():
    log = made()
    tossed = log.coin_flips(3)
    assert np.array_equal(tossed.graded, log.graded) and not np.array_equal(tossed.outcome, log.outcome)
    hidden = log.hide(log.place > 2)
    assert np.all(hidden.outcome[log.place > 2] == -1)
    assert np.array_equal(hidden.outcome[log.place <= 2], log.outcome[log.place <= 2])
    assert np.array_equal(tossed.skill, log.skill) and tossed.fingerprint != log.fingerprint


def test_an_unknown_student_is_said():
    with pytest.raises(UnknownName, match="there is no student named 'ana'; did you mean 'ann'"):
        columns().code_of("ana")


@pytest.mark.parametrize("outcome", [[0.9, 1.0], [1, 2], [float("nan"), 1], ["right", "wrong"]])
def test_credit_that_is_neither_right_nor_wrong_is_refused(outcome):
    with pytest.raises(BadInput, match=r"outcome, row [01]: 1, 0 or −1"):
        PracticeLog.of(["a", "a"], ["k", "k"], outcome)
