"""Runs for other tools: the formats by their definition, and the tools themselves where they are installed.

Peers live in environments of their own, since they need older packages than this library:

    python3.11 -m venv .peers/l2metrics
    .peers/l2metrics/bin/pip install 'numpy<2' 'pandas<3' 'matplotlib<3.9' 'pyarrow<20' l2logger==1.8.2 l2metrics==3.1.0
    python3.11 -m venv .peers/rliable && .peers/rliable/bin/pip install 'pandas<3' rliable==1.2.0

LIFELONG_PEERS names another folder than .peers.
"""

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lifelong.connect import export
from lifelong.connect._l2logger import COLUMNS
from lifelong.errors import BadFile, BadInput, Mismatch, UnknownName
from lifelong.exams import LifetimeLog, assess, preprocess
from lifelong.lab import Arm, Claim, Store, Study
from lifelong.lab import measures as m

PEERS = Path(os.environ.get("LIFELONG_PEERS", Path(__file__).parents[2] / ".peers"))
TASKS, VISITS, STEPS, SEEDS = 3, 6, 40, 2


def peer(name):
    """Return the Python of a peer's environment, or skip."""
    python = PEERS / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{name} is not installed in {PEERS}; see the head of {Path(__file__).name}")
    return python


def final_accuracy(life):
    return m.final_accuracy(life).groupby("seed").mean(...)


def made_study():
    budgets = {name: {} for name in ("smoke", "quick", "full")}
    return Study(
        slug="uer",
        question="?",
        arms={
            "one": Arm("method", "visits every task twice"),
            "swept": Arm("variant", "is lived with two values of a dial"),
            "expert": Arm("positive control", "one task alone"),
            "mixed": Arm("baseline", "is taught all tasks at once"),
            "bare": Arm("baseline", "never lived"),
        },
        lifetime=lambda arm, settings, **options: xr.Dataset(),
        measures={"final_accuracy": final_accuracy, "worst": lambda life: life.accuracy.groupby("seed").min(...)},
        claim=Claim("one", "mixed", "final_accuracy", sentence="."),
        settings={"seeds": SEEDS},
        budgets=budgets,
    )


def drawn(taught, tasks=TASKS, seed=0, **dims):
    """Return a record whose accuracies rise from visit to visit; `taught` is the task of every visit."""
    random, lanes = np.random.default_rng(seed), {**dims, "seed": np.arange(SEEDS)}
    shape = tuple(len(values) for values in lanes.values())
    exams = STEPS * np.arange(len(taught) + 1)
    rise = np.linspace(0.2, 0.9, len(exams))[:, None]
    accuracy = np.float32(rise + 0.05 * random.normal(size=(*shape, len(exams), tasks)))
    learned = np.float32(np.linspace(0.2, 0.9, exams[-1]) + 0.05 * random.normal(size=(*shape, exams[-1])))
    variables = {
        "accuracy": ((*lanes, "exam", "task"), accuracy),
        "learning_accuracy": ((*lanes, "step"), learned),
        "taught": ((*lanes, "exam"), np.broadcast_to(np.float32([taught[0], *taught]), (*shape, len(exams)))),
    }
    attributes = {"ends": exams[1:], "when": "2026-11-21T10:20:30+00:00", "code": "some code"}
    return xr.Dataset(variables, {**lanes, "exam": exams, "step": 1 + np.arange(exams[-1])}, attributes)


ORDER = [1, 0, 2, 1, 0, 2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a stored run."""
    store = Store(tmp_path_factory.mktemp("runs") / "uer" / "0123")
    store.prepare()
    store.write_json("manifest.json", {"study": "uer", "budget": "full", "settings": {"seeds": SEEDS}})
    one = drawn(ORDER)
    one.accuracy[1, 3, 2] = one.learning_accuracy[1, 7] = np.nan
    store.add("one", one)
    store.add("swept", drawn([0, 1], dial=np.array([0.5, 2.0])))
    store.add("expert", drawn([1], seed=3))
    store.add("mixed", drawn([-1, -1]))
    return store.folder


def rows_of(path, delimiter=","):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_l2logger_gets_a_scenario_for_each_life(run, tmp_path):
    about = export(run, made_study(), "l2logger", tmp_path / "logs")
    names = {path.name for path in (tmp_path / "logs").iterdir()}
    swept = {f"swept-dial{dial}-seed{seed}" for dial in ("0.5", "2") for seed in range(SEEDS)}
    assert names == {"one-seed0", "one-seed1", "expert-seed0", "expert-seed1", "lifelong-export.json"} | swept
    assert about["left_out"] == {"mixed": "it was taught mixtures of tasks"}
    assert json.loads((tmp_path / "logs" / "lifelong-export.json").read_text()) == about
    scenario = json.loads((tmp_path / "logs" / "one-seed1" / "scenario_info.json").read_text())
    assert (scenario["scenario_type"], scenario["arm"], scenario["seed"]) == ("custom", "one", 1)
    assert json.loads((tmp_path / "logs" / "expert-seed0" / "scenario_info.json").read_text())["scenario_type"] == "ste"
    logger = json.loads((tmp_path / "logs" / "one-seed1" / "logger_info.json").read_text())
    assert logger == {"metrics_columns": ["accuracy"], "log_format_version": "1.1"}


def test_its_blocks_are_the_life_as_it_was_lived(run, tmp_path):
    export(run, made_study(), "l2logger", tmp_path / "logs")
    worker, life = tmp_path / "logs" / "one-seed1" / "worker-default", Store(run).load("one").isel(seed=1)
    blocks = sorted(worker.iterdir(), key=lambda path: int(path.name.split("-")[0]))
    assert [path.name for path in blocks] == [f"{i}-{'train' if i % 2 else 'test'}" for i in range(2 * VISITS + 1)]
    rows = [row for block in blocks for row in rows_of(block / "data-log.tsv", "\t")]
    assert tuple(rows[0]) == (*COLUMNS, "accuracy") and [int(row["exp_num"]) for row in rows] == list(range(len(rows)))
    assert {row["timestamp"] for row in rows} == {"20261121T102030.000000"}
    trained = [row for row in rows if row["block_type"] == "train"]
    assert [row["task_name"] for row in trained] == [f"uer_{task}" for task in ORDER for _ in range(STEPS)]
    np.testing.assert_array_equal([float(row["accuracy"]) for row in trained], life.learning_accuracy)
    tested = [float(row["accuracy"]) for row in rows if row["block_type"] == "test"]
    np.testing.assert_array_equal(tested, life.accuracy.values.ravel())
    incomplete = [row["exp_num"] for row in rows if row["exp_status"] == "incomplete"]
    assert incomplete == [row["exp_num"] for row in rows if row["accuracy"] == "nan"] and len(incomplete) == 2
    assert {row["block_num"] for row in rows_of(blocks[3] / "data-log.tsv", "\t")} == {"3"}


def test_tables_hold_every_number_once(run, tmp_path):
    about = export(run, made_study(), "csv", tmp_path / "tables")
    assert about["files"] == ["accuracy.csv", "learning_accuracy.csv", "measures.csv", "taught.csv"]
    rows = rows_of(tmp_path / "tables" / "accuracy.csv")
    lives = {arm: Store(run).load(arm) for arm in ("one", "swept", "expert", "mixed")}
    assert len(rows) == sum(life.accuracy.size for life in lives.values())
    (row,) = (
        r for r in rows if (r["arm"], r["dial"], r["seed"], r["exam"], r["task"]) == ("swept", "2.0", "1", "80", "2")
    )
    assert np.float32(row["accuracy"]) == lives["swept"].accuracy.sel(dial=2, seed=1, exam=80)[2]
    assert {r["dial"] for r in rows if r["arm"] == "one"} == {""}
    measures = rows_of(tmp_path / "tables" / "measures.csv")
    values = [float(r["value"]) for r in measures if (r["arm"], r["measure"]) == ("expert", "final_accuracy")]
    np.testing.assert_array_equal(values, lives["expert"].accuracy[:, -1].mean("task"))


def test_scores_are_runs_by_tasks(run, tmp_path):
    export(run, made_study(), "rliable", tmp_path / "scores")
    scores = dict(np.load(tmp_path / "scores" / "scores.npz"))
    assert set(scores) == {"one", "swept, dial=0.5", "swept, dial=2", "expert", "mixed"}
    assert all(matrix.shape == (SEEDS, TASKS) and matrix.dtype == np.float64 for matrix in scores.values())
    np.testing.assert_array_equal(scores["swept, dial=2"], Store(run).load("swept").accuracy[1, :, -1])
    about = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert (
        about["arms"]["one"] == {"seeds": [0, 1], "diverged": [], "tasks": TASKS} and about["layout"] == "runs × tasks"
    )


def test_nothing_is_overwritten_unless_it_is_an_earlier_export(run, tmp_path):
    out = tmp_path / "out"
    export(run, made_study(), "csv", out)
    with pytest.raises(BadFile, match="there already"):
        export(run, made_study(), "rliable", out)
    assert (out / "measures.csv").exists()
    export(run, made_study(), "rliable", out, force=True)
    assert {path.name for path in out.iterdir()} == {"lifelong-export.json", "scores.json", "scores.npz"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all my work")
    with pytest.raises(BadFile, match="not an earlier export"):
        export(run, made_study(), "csv", tmp_path / "mine", force=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    assert {path.name for path in tmp_path.iterdir()} == {"out", "mine"}


def test_a_failed_export_leaves_nothing_behind_and_the_old_one_whole(run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    export(run, made_study(), "rliable", out)
    real, calls = os.replace, []

    def fail(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BadFile, match="No space left"):
        export(run, made_study(), "csv", out, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (out / "scores.npz").exists()


def test_what_cannot_be_exported_says_why(run, tmp_path):
    study, out = made_study(), tmp_path / "out"
    with pytest.raises(UnknownName, match="did you mean 'l2logger'"):
        export(run, study, "l2loger", out)
    with pytest.raises(BadFile, match=r"no manifest.json"):
        export(tmp_path, study, "csv", out)
    empty = Store(tmp_path / "empty")
    empty.prepare()
    empty.write_json("manifest.json", {"study": "uer", "budget": "full", "settings": {}})
    with pytest.raises(BadInput, match="no finished arm"):
        export(empty.folder, study, "csv", out)
    empty.add("one", drawn([0]).drop_vars("taught"))
    with pytest.raises(BadInput, match=r"does not say what was taught.*--to csv"):
        export(empty.folder, study, "l2logger", out)
    empty.write_json("manifest.json", {"study": "l2-metrics", "budget": "full", "settings": {}})
    with pytest.raises(Mismatch, match=r"a run of 'l2-metrics'.*'uer'"):
        export(empty.folder, study, "csv", out)
    assert not out.exists()


def log_in(folder):
    """Return a scenario's log, read from its files."""
    paths = sorted(folder.glob("worker-default/*/data-log.tsv"), key=lambda path: int(path.parent.name.split("-")[0]))
    rows = [row for path in paths for row in rows_of(path, "\t")]
    told = [(int(r["block_num"]), r["block_type"], r["task_name"], float(r["accuracy"])) for r in rows]
    return LifetimeLog.from_rows(told)


def test_l2metrics_computes_from_it_what_our_own_metrics_are(run, tmp_path):
    python = peer("l2metrics")
    export(run, made_study(), "l2logger", tmp_path / "logs")
    environment = {**os.environ, "L2DATA": str(tmp_path / "l2data"), "PYTHONPATH": "", "MPLBACKEND": "agg"}

    def tool(*words):
        subprocess.run(
            [python, "-m", *words], check=True, env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    logs = tmp_path / "logs"
    tool("l2logger.validate", str(logs / "one-seed0"))
    tool("l2metrics", "-l", str(logs / "expert-seed0"), "-s", "w")
    for life in ("one-seed0", "one-seed1"):
        tool("l2metrics", "-l", str(logs / life), "-p", "accuracy", "--no-plot", "-O", "found")
        theirs = json.loads((tmp_path / "found" / f"{life}_metrics.json").read_text())
        expert = log_in(logs / "expert-seed0")
        experts = {"uer_1": [expert.performance[expert.kind == "train"]]}
        ours = assess(*preprocess(log_in(logs / life), experts, clamp=False)).lifetime
        names = {
            "perf_maintenance_mrlep": "performance_maintenance",
            "forward_transfer_ratio": "forward_transfer",
            "backward_transfer_ratio": "backward_transfer",
            "ste_rel_perf": "relative_performance",
            "sample_efficiency": "sample_efficiency",
            "avg_train_perf": "mean_training",
            "avg_eval_perf": "mean_evaluation",
        }
        for name, own in names.items():
            assert theirs[name] == pytest.approx(ours[own], rel=1e-6), (life, own)


READ = """
import sys, numpy as np
from rliable import library, metrics
scores = dict(np.load(sys.argv[1]))
means, intervals = library.get_interval_estimates(scores, lambda s: np.array([metrics.aggregate_iqm(s)]), reps=50)
print({arm: round(float(value[0]), 6) for arm, value in means.items()})
"""


def test_rliable_reads_the_scores(run, tmp_path):
    from scipy.stats import trim_mean

    python = peer("rliable")
    export(run, made_study(), "rliable", tmp_path / "scores")
    scores = dict(np.load(tmp_path / "scores" / "scores.npz"))
    words = [python, "-W", "ignore", "-c", READ, str(tmp_path / "scores" / "scores.npz")]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    found = json.loads(done.stdout.replace("'", '"'))
    for arm, matrix in scores.items():
        assert found[arm] == pytest.approx(trim_mean(matrix, 0.25, axis=None), abs=1e-5)
