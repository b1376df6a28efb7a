import json
from inspect import unwrap
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr, theilslopes

from lifelong.errors import UnknownName
from lifelong.exams._lifelong_metrics import assess
from lifelong.exams._lifetime_log import LifetimeLog, preprocess, scripted_log

ORACLE = json.loads(Path(__file__).with_name("l2metrics_oracle.json").read_text(encoding="utf-8"))
PM, FT, BT = "performance_maintenance", "forward_transfer", "backward_transfer"
RP, SE = "relative_performance", "sample_efficiency"
RT, PR = "recovery_time", "performance_recovery"


def life(*blocks):
    """A log of blocks ("train" or "test", {task: performances})."""
    met = [(k, kind, task, curve) for k, (kind, tasks) in enumerate(blocks) for task, curve in tasks.items()]
    return LifetimeLog.from_rows([(k, kind, task, float(p)) for k, kind, task, curve in met for p in curve])


def learn(**met):
    return "train", met


def sit(**met):
    return "test", met


TWO = (
    sit(a=[0.2], b=[0.4]),
    learn(a=[0.3, 0.9]),
    sit(a=[0.8], b=[0.6]),
    learn(b=[0.7, 0.9]),
    sit(a=[0.5], b=[0.9]),
)
TWICE = (
    sit(a=[0.1, 0.3]),
    learn(a=[0.2, 0.5, 0.6]),
    sit(a=[0.6, 0.8]),
    sit(a=[0.4]),
    learn(a=[0.5, 0.7, 0.9]),
    sit(a=[0.9]),
    sit(a=[0.8, 0.7]),
    sit(a=[1.0]),
)
RISE = np.array([0.1, 0.2, 0.4, 0.8])

BY_HAND = {
    "perfect retention": ((sit(a=[0.1]), learn(a=[0.9]), sit(a=[0.9]), sit(a=[0.9])), {}, {}, {(PM, "a"): 0.0}),
    "forgetting, both transfers": (TWO, {}, {}, {(PM, "a"): -0.3, (PM, "b"): np.nan, PM: -0.3, FT: 1.5, BT: 0.625}),
    "contrast": (TWO, {}, {"transfer": "contrast"}, {FT: 0.2, BT: -0.3 / 1.3}),
    "reference in learning": (TWO, {}, {"maintenance": "mrtlp"}, {(PM, "a"): -0.4}),
    "two references": (TWICE, {}, {}, {(PM, "a"): (-0.3 - 0.15 + 0.1) / 3}),
    "two learnings": (TWICE, {}, {"maintenance": "mrtlp"}, {(PM, "a"): (-0.2 - 0.15 + 0.1) / 3}),
    "evaluated, never trained": (
        (sit(a=[0.2], b=[0.4]), learn(a=[0.5]), sit(a=[0.5], b=[0.2]), learn(a=[0.6]), sit(a=[0.5], b=[0.3])),
        {"b": [RISE]},
        {},
        {FT: 0.5, BT: np.nan, (RP, "b"): np.nan, (SE, "b"): np.nan, ("mean_training", "b"): np.nan},
    ),
    "no evaluation before training": (TWO[1:], {}, {}, {FT: np.nan, BT: 0.625}),
    "lifetime takes the first bracket": (
        (*TWO, learn(b=[0.9]), sit(a=[0.1], b=[0.9]), learn(a=[0.9]), sit(a=[0.9], b=[0.45])),
        {},
        {},
        {BT: (0.625 + 0.5) / 2, FT: 1.5},
    ),
    "two tasks in one bracket": (
        (sit(a=[0.2], b=[0.2], c=[0.2]), learn(b=[0.9], a=[0.9]), sit(a=[0.9], b=[0.8], c=[0.4])),
        {},
        {},
        {FT: (4.5 + 2.0) / 2, BT: 4.0},
    ),
    "mean over tasks": (
        (sit(a=[0.5], b=[0.5], c=[0.5]), learn(a=[1.0]), sit(a=[1.0], b=[0.5], c=[1.5])),
        {},
        {},
        {FT: 2.0, "mean_evaluation": (0.75 + 0.5 + 1.0) / 3},
    ),
    "median over tasks": (
        (sit(a=[0.5], b=[0.5], c=[0.5], d=[0.5]), learn(a=[1.0]), sit(a=[1.0], b=[0.5], c=[1.5], d=[0.6])),
        {},
        {"aggregate": "median"},
        {FT: 1.2, "mean_evaluation": (0.75 + 0.55) / 2},
    ),
    "regimes weigh alike": (
        (learn(a=[0.0]), learn(a=[1.0, 0.5, 0.9])),
        {},
        {},
        {"mean_training": 0.4, "mean_evaluation": np.nan},
    ),
    "experts of unequal length": (
        (learn(a=[0.1, 0.2]), learn(a=[0.4, 0.8])),
        {"a": [np.array([0.2, 0.2]), np.array([0.1, 0.4, 0.5, 0.5, 9.0])]},
        {},
        {RP: (0.75 + 1.0) / 2, SE: 0.0},
    ),
    "experts averaged as curves": (
        (learn(a=[0.1, 0.2]), learn(a=[0.4, 0.8])),
        {"a": [np.array([0.2, 0.6]), np.array([0.1, 0.3, 0.5])]},
        {"averaging": "time"},
        {RP: 0.3 / 0.6, SE: 0.8 / 0.45 * 1 / 3},
    ),
    "sample efficiency": (
        (learn(a=RISE),),
        {"a": [np.array([0.1, 0.4, 0.4]), np.array([0.1, 0.2, 0.7, 1.0]), np.array([0.5, 0.1])]},
        {},
        {SE: (0.8 / 0.4 * 1 / 3 + 0.8 / 1.0 * 3 / 3) / 2},
    ),
    "far below the expert": ((learn(a=RISE),), {"a": [5.1 * RISE, RISE]}, {}, {SE: 0.5}),
    "falling": ((learn(a=[0.5, 0.6, 0.1, 0.1]),), {"a": [RISE]}, {}, {SE: 0.0}),
    "falling but for the gap": (
        (learn(a=[0.3, 0.9, 0.3, 0.3]), sit(a=[0.5] * 50), learn(a=[0.55])),
        {"a": [RISE]},
        {},
        {SE: 0.9 / 0.8 * 3 / 1},
    ),
    "highest at the start": ((learn(a=RISE[::-1]),), {"a": [RISE]}, {}, {SE: np.nan, RP: 1.0}),
    "constant": ((learn(a=[0.3] * 40),), {"a": [np.full(40, 0.3)]}, {}, {SE: np.nan, RP: 1.0}),
    "constant expert": ((learn(a=RISE),), {"a": [np.full(30, 0.3)]}, {}, {SE: np.nan}),
    "expert at zero": ((learn(a=RISE),), {"a": [np.zeros(4)]}, {}, {RP: np.nan, SE: np.nan}),
    "expert at most zero": ((learn(a=RISE),), {"a": [np.array([-1.0, 0.0, -1.0])]}, {}, {RP: -0.35, SE: np.nan}),
    "no experts": ((learn(a=RISE),), {}, {}, {RP: np.nan, SE: np.nan}),
    "recovery": (
        (learn(a=RISE), learn(a=[0.1, 0.8, 0.5]), learn(b=[0.3]), learn(a=[0.3, 0.4, 0.5]), learn(a=[0.0, 0.0])),
        {},
        {},
        {(RT, "a"): (1 + 2 + 3) / 3, (RT, "b"): np.nan, PR: -1.0},
    ),
    "one recovery time": ((learn(a=RISE), learn(a=RISE)), {}, {}, {RT: 3.0, PR: np.nan}),
    "division by zero": (
        (sit(a=[1.0], b=[0.0]), learn(a=[1.0]), sit(a=[1.0], b=[0.0]), learn(a=[1.0]), sit(a=[1.0], b=[0.5])),
        {},
        {"transfer": "contrast"},
        {FT: 1.0},
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_values_worked_out_on_paper(name):
    blocks, experts, options, expected = BY_HAND[name]
    found = assess(life(*blocks), experts, **options)
    for where, value in expected.items():
        got = found.per_task[where[0]][where[1]] if isinstance(where, tuple) else found.lifetime[where]
        assert_allclose(got, value, atol=1e-12, err_msg=f"{where} of {name}")


def number(value):
    return np.nan if value is None else value


def oracle_log(case):
    rows = [(block, kind, task, number(v)) for block, kind, task, curve in case["regimes"] for v in curve]
    experts = case["experts"].items()
    return LifetimeLog.from_rows(rows), {task: [[number(v) for v in run] for run in runs] for task, runs in experts}


def flat(found, maintenance, transfer):
    """All values of an assessment under the names of the stored numbers."""
    named = {PM: f"{PM}_{maintenance}", FT: f"{FT}_{transfer}", BT: f"{BT}_{transfer}"}
    values = {("lifetime", named.get(m, m)): v for m, v in found.lifetime.items() if m != RT}
    for metric, tasks in found.per_task.items():
        values |= {("per_task", named.get(metric, metric), t): v for t, v in tasks.items() if metric != RT}
    for metric, pairs in found.pairs.items():
        for (i, j), brackets in pairs.items():
            values |= {("pairs", named[metric], f"{i}>{j}", n): v for n, v in enumerate(brackets)}
    for task, times in found.recovery_times.items():
        values |= {("recovery_times", task, n): v for n, v in enumerate(times)}
    return values


def flat_oracle(stored, maintenance, transfer):
    """The stored numbers that an assessment with these options must reproduce, no more and no fewer."""
    other = {"mrlep": "mrtlp", "mrtlp": "mrlep", "ratio": "contrast", "contrast": "ratio"}
    skip = (other[maintenance], other[transfer])
    values = {("lifetime", m): v for m, v in stored["lifetime"].items()}
    values |= {("per_task", m, t): v for m, tasks in stored["per_task"].items() for t, v in tasks.items()}
    for metric, pairs in stored["pairs"].items():
        values |= {("pairs", metric, p, n): v for p, brackets in pairs.items() for n, v in enumerate(brackets)}
    for task, times in stored["recovery_times"].items():
        values |= {("recovery_times", task, n): v for n, v in enumerate(times)}
    return {where: number(v) for where, v in values.items() if not where[1].endswith(skip)}


# Mirrored windows tie at the start of this falling curve; the package's rounding breaks the tie and gives 0.
TIE = ("falling and low curves", 0, {("per_task", SE, "a"): np.nan, ("lifetime", SE): 0.6519723803694721})


@pytest.mark.parametrize("transfer", ["ratio", "contrast"])
@pytest.mark.parametrize("maintenance", ["mrlep", "mrtlp"])
@pytest.mark.parametrize("case", ORACLE["cases"], ids=lambda case: case["name"])
def test_values_equal_those_of_l2metrics(case, maintenance, transfer):
    log, experts = oracle_log(case)
    for k, (settings, stored) in enumerate(zip(ORACLE["settings"], case["expected"], strict=True)):
        prepared = preprocess(log, experts, **settings["preprocess"])
        how = {"aggregate": settings["aggregate"], "averaging": settings["averaging"]}
        found = flat(assess(*prepared, maintenance=maintenance, transfer=transfer, **how), maintenance, transfer)
        expected = flat_oracle(stored, maintenance, transfer)
        if (case["name"], k) == TIE[:2]:
            assert expected["per_task", SE, "a"] == 0
            expected |= TIE[2]
        assert set(found) == set(expected)
        for where, value in expected.items():
            assert_allclose(found[where], value, rtol=1e-6, atol=1e-6, err_msg=f"{where}, {settings}")


def test_the_stored_numbers_are_many_and_name_their_source():
    assert "l2metrics 3.1.0" in ORACLE["source"] and len(ORACLE["cases"]) >= 10
    defined = [v for c in ORACLE["cases"] for e in c["expected"] for v in e["lifetime"].values() if v is not None]
    assert len(defined) > 300


@pytest.mark.parametrize("strength", [-0.9, -0.4, -0.1, 0.0, 0.1, 0.4, 0.9])
@pytest.mark.parametrize("transfer", ["ratio", "contrast"])
def test_transfer_of_a_script_is_recovered_with_its_sign(strength, transfer):
    found = assess(*scripted_log(tasks=3, transfer=strength, start=0.2), transfer=transfer)
    first = found.matrix(FT)[0, 1]
    after = 0.2 + strength * (0.8 if strength >= 0 else 0.2)
    neutral, expected = (1, after / 0.2) if transfer == "ratio" else (0, (after - 0.2) / (after + 0.2))
    assert_allclose(first, expected)
    assert np.sign(round(found.lifetime[FT] - neutral, 9)) == np.sign(strength)
    assert_allclose(found.lifetime[BT], neutral, atol=1e-12)


def test_strength_of_transfer_is_recovered_in_order_from_noisy_prepared_logs():
    strengths = np.linspace(-0.9, 0.9, 13)
    logs = [scripted_log(tasks=3, transfer=t, noise=0.02, seed=k, start=0.3) for k, t in enumerate(strengths)]
    found = [assess(*preprocess(*log, clamp=False), transfer="contrast") for log in logs]
    assert spearmanr(strengths, [f.lifetime[FT] for f in found]).statistic >= 0.9
    assert spearmanr(strengths, [f.lifetime[RP] for f in found]).statistic >= 0.9


@pytest.mark.parametrize("retention", [0.0, 0.5, 1.0])
def test_retention_of_a_script_is_recovered(retention):
    found = assess(*scripted_log(retention=retention, length=20, rate=0.2))
    learned = 1 - 0.9 * 0.8**20
    assert_allclose(found.per_task[PM]["task-0"], (retention - 1) * (learned - 0.1), atol=1e-12)
    assert_allclose(found.matrix(BT)[1, 0], (0.1 + retention * (learned - 0.1)) / learned)


def test_a_lone_expert_is_its_own_measure():
    found = assess(*scripted_log(tasks=1, length=60))
    assert_allclose([found.lifetime[RP], found.lifetime[SE]], 1)


def test_performance_recovery_is_the_theil_sen_slope():
    rng = np.random.default_rng(5)
    log = life(*(learn(a=rng.random(12)) for _ in range(9)))
    found = assess(log)
    assert len(set(found.recovery_times["a"])) > 2
    assert_allclose(found.lifetime[PR], -theilslopes(found.recovery_times["a"])[0])


@pytest.mark.parametrize("case", ORACLE["cases"], ids=lambda case: case["name"])
def test_names_do_not_matter_and_missing_rows_count_as_not_lived(case):
    log, experts = oracle_log(case)
    plain = assess(log, experts)
    renamed = LifetimeLog(log.block, log.kind, np.char.add("Task ", log.task), log.performance)
    again = assess(renamed, {f"Task {task}": runs for task, runs in experts.items()})
    assert_allclose(list(again.lifetime.values()), list(plain.lifetime.values()))
    lived = ~np.isnan(log.performance)
    shorter = LifetimeLog(log.block[lived], log.kind[lived], log.task[lived], log.performance[lived])
    assert_allclose(list(assess(shorter, experts).lifetime.values()), list(plain.lifetime.values()))


def test_every_value_that_is_missing_has_a_reason():
    for case in ORACLE["cases"]:
        found = assess(*oracle_log(case))
        missing = {metric for metric, tasks in found.per_task.items() if np.isnan(list(tasks.values())).any()}
        missing |= {metric for metric, pairs in found.pairs.items() if not pairs}
        assert missing == set(found.reasons)


def test_reasons_name_the_tasks():
    found = assess(life(*TWO), {"a": [RISE]})
    assert found.reasons[RP] == "no single-task expert: b"
    assert found.reasons[RT] == "trained less than twice: a, b"
    assert FT not in found.reasons
    assert "before its own first" in assess(life(*TWO[1:])).reasons[FT]


def test_pairs_and_matrix_tell_the_same():
    found = assess(life(*BY_HAND["lifetime takes the first bracket"][0]))
    assert found.pairs[BT][("b", "a")] == pytest.approx((0.625, 0.2))
    assert_allclose(found.matrix(BT), [[np.nan, 0.5], [0.625, np.nan]])
    assert_allclose(found.matrix(FT), [[np.nan, 1.5], [np.nan, np.nan]])
    with pytest.raises(UnknownName, match="forward_transfer"):
        unwrap(type(found).matrix)(found, "foward_transfer")


@pytest.mark.parametrize("option", ["maintenance", "transfer", "aggregate", "averaging"])
def test_an_option_that_does_not_exist_is_refused(option):
    with pytest.raises(UnknownName, match=f"{option} named 'sum'"):
        unwrap(assess)(life(*TWO), **{option: "sum"})
