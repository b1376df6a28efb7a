import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest

from lifelong.errors import BadInput, UnknownName
from lifelong.exams.tracing import Control, learning_curves, prerequisites
from lifelong.lab._trace import trace
from lifelong.lab._trace_figures import mastery_figure
from lifelong.lab._trace_gaps import gaps
from lifelong.lab._trace_report import measures, model_rows, report
from lifelong.worlds import PracticeLog


def practised(students=60, attempts=30, skills=4, seed=0, prepares=0.0):
    """Students who get better; with `prepares`, an answer to skill 1 goes better for those who were good at skill 0."""
    random, rows = np.random.default_rng(seed), []
    for student in range(students):
        ability, talent, tried = random.normal(), random.normal(), np.zeros(skills)
        for place in range(attempts):
            k = int(random.integers(skills)) if place > 8 else 0 if place < 5 else 2
            odds = ability + 0.3 * tried[k] + 2.0 * talent * (k == 0) + prepares * talent * (k == 1)
            rows.append((f"s{student}", f"skill {k}", int(random.random() < 1 / (1 + np.exp(-odds))), 100.0 * place))
            tried[k] += 1
    student, skill, outcome, time = zip(*rows, strict=True)
    return PracticeLog.of(student, skill, outcome, item=[f"{k}, task {i % 3}" for i, k in enumerate(skill)], time=time)


@pytest.fixture(scope="module")
def found():
    news = []
    traced = trace(practised(), ("rates", "best-lr"), folds=3, news=lambda *what: news.append(what))
    assert ("rates", "examined") in news and ("best-lr", "fitted") in news
    return traced


def test_a_trace_finds_the_better_model_and_its_control_holds(found):
    assert found.best == "best-lr" and not found.left_out
    assert all(one.control.passed for one in found.examined.values())
    rows = model_rows(found)
    assert [row["name"] for row in rows] == ["best-lr", "rates"] and rows[0]["best"]
    plain = measures(found.examined["best-lr"])
    low, high = plain["intervals"]["auc"]
    assert low < plain["marks"]["auc"] < high and plain["control"]["passed"] and plain["retention"] is None


class Checker(HTMLParser):
    VOID = ("meta", "link", "br", "circle", "path", "img")

    def __init__(self):
        super().__init__()
        self.open, self.loaded = [], []

    def handle_starttag(self, tag, attrs):
        self.loaded += [
            value for name, value in attrs if name in ("src", "href") and not value.startswith(("data:", "#"))
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_says_all_and_loads_nothing(found, tmp_path):
    page = report(found, tmp_path / "page.html", "lifelong trace log.csv").read_text()
    checker = Checker()
    checker.feed(page)
    assert not checker.open and not checker.loaded and "<script" not in page
    words = re.sub(r"<[^>]+>", " ", page)
    for expected in (
        "1,800 attempts",
        "best-lr",
        "coin flips",
        "attempt 1",
        "lifelong trace log.csv",
        "skill 3",
        "because",
    ):
        assert expected in words
    assert page.count("<details") == 60 and page.count('class="thick accent"') >= 4


def test_names_from_a_log_are_text_on_the_page(tmp_path):
    log = practised(students=8, attempts=12)
    evil = PracticeLog.of(
        [f"<b>{log.students[s]}" for s in log.student],
        ["<script>alert(1)</script>" for _ in range(len(log))],
        log.outcome,
    )
    page = report(trace(evil, ("rates",), folds=2), tmp_path / "page.html").read_text()
    assert "<script" not in page and "<b>s1" not in page and "&lt;b&gt;s1" in page


def test_models_that_do_not_fit_the_log_are_left_out(tmp_path):
    log = PracticeLog.of(["a"] * 9, ["k"] * 9, [1] * 9)
    found = trace(log, ("rates", "das3h"))
    assert list(found.examined) == ["rates"] and "no times" in found.left_out["das3h"]
    page = report(found, tmp_path / "page.html").read_text()
    assert "only one student" in page and "no times" in page
    assert found.examined["rates"].control.passed and model_rows(found)[0]["control"] == "undefined"
    with pytest.raises(BadInput, match="no model could be fitted: das3h"):
        trace(log, ("das3h",))
    with pytest.raises(UnknownName, match="did you mean 'best-lr'"):
        trace(log, ("bestlr",))


def few(students=3, skills=2, outcome=lambda place: place % 3 > 0, days=0):
    """Some students who try skills in turn, eight times each, the second half `days` later."""
    rows = [(s, f"k{place % skills}", int(outcome(place)), 60.0 * place + 86_400 * days * (place > 3))
        for s in range(students) for place in range(8)]  # fmt: skip
    student, skill, right, time = zip(*rows, strict=True)
    return PracticeLog.of([f"s{s}" for s in student], skill, right, time=time)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            few(students=1),
            [
                "there are no intervals: there is only one student",
                "the control on coin flips is undefined (rates): there is only one student",
                "nobody comes back, after a pause of a day",
                "and there is 1",
            ],
        ),
        (few(skills=1, days=2), ["there is only one skill"]),
        (few(outcome=lambda place: True), ["all 24 outcomes are right", "nobody comes back", "and there are 3"]),
        (few(students=1, outcome=lambda place: False).rows(np.arange(8) == 3), ["the only graded attempt is wrong"]),
        (
            few(outcome=lambda place: place < 4, days=2),
            ["after a pause of a day had the same outcome", "and there are 3"],
        ),
        (few(students=20, outcome=lambda place: place % 2, days=2), []),
        (
            PracticeLog.of(["a"] * 4 + ["b"] * 4, ["k"] * 8, [1, 0, 1, 0, 1, 1, 1, 1]),
            ["the AUC has no interval: but for one fold", "the log has no times", "only one skill"],
        ),
    ],
    ids=["one student", "one skill", "all right", "one attempt", "all forgotten", "enough", "one fold right"],
)
def test_what_a_small_log_cannot_tell_is_said_and_nothing_else(log, expected, tmp_path):
    found = trace(log, ("rates",), folds=2)
    said = gaps(found)
    assert all(any(part in sentence for sentence in said) for part in expected), said
    assert bool(said) == bool(expected)
    page = report(found, tmp_path / "page.html").read_text()
    words = re.sub(r"<[^>]+>", " ", page)
    assert all(escape(sentence) in page for sentence in said) and not re.search(r"\b(nan|inf)\b", words)
    ranked = np.isfinite(found.examined["rates"].control.auc)
    assert ("✓ in part" in words) != ranked and ("✓ passed" in words) == ranked


def test_curves_count_every_graded_attempt_once():
    log = practised()
    rate = np.full(len(log), 0.25)
    curves = learning_curves(log, {"flat": rate}, most=100)
    first = {curve.skill: curve for curve in curves}["skill 0"]
    rows = [np.flatnonzero((log.student == s) & (log.skill[:, 0] == 0)) for s in range(60)]
    assert first.attempts[0] == 60 and first.observed[0] == pytest.approx(np.mean([log.outcome[r[0]] for r in rows]))
    assert first.observed[2] == pytest.approx(np.mean([log.outcome[r[2]] for r in rows if len(r) > 2]))
    np.testing.assert_allclose(first.predicted["flat"], 0.25)
    assert all(curve.attempts[-1] >= 10 for curve in curves)


def test_a_planted_prerequisite_is_found_and_none_where_there_is_none():
    log = practised(students=600, prepares=2.0)
    rates = np.array([log.outcome[log.skill[:, 0] == k].mean() for k in range(4)])
    edges = prerequisites(log, rates[log.skill[:, 0]])
    assert edges[0].before == "skill 0" and edges[0].after == "skill 1" and edges[0].effect > 0.2
    assert all(edge.p < 0.05 and edge.students >= 20 for edge in edges)
    none = [len(prerequisites(practised(300, seed=seed), np.full(9000, 0.6))) for seed in range(3)]
    assert sum(none) <= 2


def test_a_prerequisite_is_what_its_sums_say():
    """The effect and the students of an edge, student by student."""
    log = practised(students=300, prepares=2.0)
    p = np.full(len(log), 0.6)
    edge = prerequisites(log, p)[0]
    before, after = (log.skills.index(name) for name in (edge.before, edge.after))
    x, y = [], []
    for student in range(300):
        rows = np.flatnonzero(log.student == student)
        skill, outcome = log.skill[rows, 0], log.outcome[rows]
        if after in skill and before in skill[: list(skill).index(after)]:
            first = list(skill).index(after)
            own = outcome[:first][skill[:first] == before]
            x.append((own.sum() + 1) / (len(own) + 2) - (outcome[:first].sum() + 1) / (first + 2))
            y.append(outcome[first] - 0.6)
    assert edge.students == len(x)
    assert edge.effect == pytest.approx(np.dot(x, y) / np.dot(x, x))


def test_a_likelier_model_that_failed_its_control_is_named(found, tmp_path):
    best = found.examined[found.best]
    unfair = replace(
        best, name="unfair", control=Control(0.9, 0.1, 0.0), validation=replace(best.validation, p=sharper(best))
    )
    doubted = replace(found, examined=found.examined | {"unfair": unfair})
    assert doubted.likelier == ("unfair",) and found.likelier == ()
    page = report(doubted, tmp_path / "page.html").read_text()
    assert "of those whose control held (unfair did better, but not fairly" in page
    assert "the AUC is 0.900, beyond the 0.100 that chance takes it from 0.5" in page


def sharper(one):
    return np.where(one.validation.log.outcome == 1, 0.9, 0.1)


def test_long_names_are_kept_apart(found):
    names = [f"student-2025-{i:04d}" for i in range(3)]
    known = np.full((3, 2), 0.5)
    svg = mastery_figure(known, known > 0, names, [1, 2]).svg
    assert all(f"…{name[-13:]}" in svg and f"<title>{name}</title>" in svg for name in names)
