"""The command line, mostly in this process; in one of its own where it matters what a process does."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import tiny_study
import xarray as xr

from lifelong import studies
from lifelong.cli import COMMANDS, EXIT_CODES, _doctor, main
from lifelong.cli._options import command_line, parse
from lifelong.cli._progress import Ticker
from lifelong.cli._running import Run
from lifelong.exams._statistics import paired_effect
from lifelong.lab import Store, bibtex, catalogue, entry, select
from lifelong.life import Moment
from lifelong.worlds import _registry

STUDY, OTHER = tiny_study.SLUGS
ARMS = ["finetune", "replay", "no-labels", "joint"]
OPTIONS = {
    "list": ["--family", "--role", "--status", "--kind"],
    "show": ["--full", "--out"],
    "run": ["--budget", "--seeds", "--set", "--arms", "--out", "--force", "--dry-run", "--strict"],
    "report": ["--budget", "--seeds", "--set", "--out", "--markdown", "--open"],
    "verify": ["--all", "--out"],
    "compare": ["--out"],
    "cite": ["--all"],
    "data": [],
    "doctor": ["--out"],
}


@pytest.fixture(autouse=True)
def at_home(monkeypatch, tmp_path):
    """Runs, data and compiled programs of a test are its own; the tiny study stands in for two real ones."""
    monkeypatch.setenv("LIFELONG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    monkeypatch.setattr(studies, "load", tiny_study.load)


@pytest.fixture
def cli(capsys):
    """Run a command line; return its exit code, what it printed, and its news."""

    def run(line):
        capsys.readouterr()
        code = main(shlex.split(line))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def as_json(cli):
    """Run a command line with --json and return what it printed, parsed."""

    def run(line, code=0):
        came, out, _ = cli(f"{line} --json")
        assert came == code
        return json.loads(out, parse_constant=pytest.fail)

    return run


def process(*words, **environment):
    """Start a Python process in the tests' folder."""
    here = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(here), **environment},
    )


def folder_of(as_json, line=f"run {STUDY}"):
    return Path(as_json(f"{line} --dry-run")["studies"][0]["folder"])


# help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_names_its_options(cli, name):
    code, out, err = cli(f"{name} --help")
    assert (code, err) == (0, "")
    assert all(option in out for option in [*OPTIONS[name], "--json"])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_options_its_help_must_name_and_no_more(cli, name):
    words = {word.strip("[],.") for word in cli(f"{name} --help")[1].split()}
    assert {word for word in words if word.startswith("--")} == {*OPTIONS[name], "--json", "--help"}


@pytest.mark.parametrize("line", ["--help", "-h", "help"])
def test_help_names_commands_and_exit_codes(cli, line):
    code, out, _ = cli(line)
    assert code == 0
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert all(f"\n  {number} " in out for number in EXIT_CODES)


def test_nothing_is_not_a_command(cli):
    code, out, err = cli("")
    assert (code, out) == (2, "")
    assert "usage: lifelong" in err


def test_version(cli):
    code, out, _ = cli("--version")
    assert code == 0 and out.startswith("lifelong ")


def test_commands_document_their_exit_codes():
    text = (Path(__file__).parents[1] / "docs" / "commands.md").read_text()
    assert all(f"`lifelong {name}" in text for name in COMMANDS)
    assert all(f"| {number} |" in text for number in EXIT_CODES)


def test_a_command_line_can_be_read_back():
    given = ["uer", STUDY, "--budget", "smoke", "--set", "a=b c", "d=1", "--arms", "x,y", "--force"]
    run = parse(Run, "run", given)
    line = command_line(run, "run", without=("force",))
    again = parse(Run, "run", shlex.split(line)[2:])
    assert "--force" not in line
    assert again == parse(Run, "run", given[:-1]) != run


# list, show, cite


def test_list_shows_every_paper_in_a_hundred_columns(cli):
    code, out, err = cli("list")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    for paper in catalogue():
        (line,) = [line for line in lines if line.split()[:1] == [paper.slug]]
        assert paper.status in line and paper.family in line and " ".join(paper.roles) in line


@pytest.mark.parametrize(
    "filters",
    [{"family": "agents"}, {"role": "exam"}, {"status": "planned"}, {"kind": "survey", "family": "continual"}],
)
def test_list_filters(cli, as_json, filters):
    line = "list " + " ".join(f"--{name} {value}" for name, value in filters.items())
    expected = [paper.slug for paper in select(**filters)]
    assert 0 < len(expected) < 106
    assert [paper["slug"] for paper in as_json(line)] == expected
    assert f"{len(expected)} papers" in cli(line)[1]


def test_show_tells_what_the_catalogue_knows_of_a_planned_study(cli, as_json):
    paper = select(status="planned")[0]
    code, out, _ = cli(f"show {paper.slug} --full")
    assert code == 0
    assert "planned: " in out and paper.claim.split()[-1] in out and bibtex(paper) in out
    content = as_json(f"show {paper.slug}")
    assert content["claim"] == paper.claim and content["study"] is None and content["runs"] == []


def test_show_tells_stored_verdicts(cli, as_json):
    assert "no runs in" in cli(f"show {STUDY}")[1]
    cli(f"run {STUDY}")
    (run,) = as_json(f"show {STUDY}")["runs"]
    assert run["verdict"]["outcome"] == "supported" and run["budget"] == "full" and run["settings"]["seeds"] == 8
    assert "supported" in cli(f"show {STUDY}")[1]


def test_show_in_full_loads_the_study(cli, as_json):
    code, out, _ = cli(f"show {STUDY} --full")
    assert code == 0
    for words in ("Does replay help at all?", "knock-out", "learner.memory.labels: 0.5, 1", "1000, 1001, 1002, 1003"):
        assert words in out
    study = as_json(f"show {STUDY} --full")["study"]
    assert study["arms"]["replay"] == {
        "role": "method",
        "note": "replays labels",
        "tune": {"learner.memory.labels": [0.5, 1.0]},
    }
    assert study["budgets"]["smoke"] == {"seeds": 2} and study["claim"]["by"] == 0.05


def test_cite(cli, as_json):
    assert cli(f"cite {STUDY} {OTHER}")[1] == f"{bibtex(entry(STUDY))}\n\n{bibtex(entry(OTHER))}\n"
    assert cli("cite --all")[1].count("@misc{") == 106
    assert as_json(f"cite {STUDY}") == {STUDY: bibtex(entry(STUDY))}


@pytest.mark.parametrize("line", ["list", f"show {STUDY}", "cite --all", "data list", "run --help"])
def test_looking_does_not_load_jax(line):
    code = "import sys\nfrom lifelong.cli import main\nmain(sys.argv[1:])\nprint('LOADED', 'jax' in sys.modules)"
    began = time.perf_counter()
    out, err = process("-c", code, *shlex.split(line)).communicate(timeout=60)
    print(f"lifelong {line}: {time.perf_counter() - began:.2f} s")
    assert out.endswith("LOADED False\n"), err


# run, report


def test_run_prints_table_verdict_and_report(cli, tmp_path):
    code, out, err = cli(f"run {STUDY}")
    assert code == 0
    assert all(arm in out for arm in ARMS)
    assert "\nsupported: the gain of replay over finetune" in out
    report = Path(out.rsplit("report: ", 1)[1].strip())
    assert report.is_relative_to(tmp_path / "runs" / STUDY) and "<html" in report.read_text()
    assert sorted(line.split()[1] for line in err.splitlines() if "is done" in line) == sorted(ARMS)


def test_what_is_stored_is_not_lived_again_unless_forced(cli):
    cli(f"run {STUDY}")
    assert cli(f"run {STUDY}")[2].count("was stored already") == 4
    assert cli(f"run {STUDY} --force")[2].count("is done") == 4


def test_run_as_json(as_json):
    (run,) = as_json(f"run {STUDY} --budget quick --set gain=0.1 --seeds 9")["studies"]
    assert (run["study"], run["budget"], run["arms"], run["stale"]) == (STUDY, "quick", ARMS, [])
    assert run["settings"]["gain"] == 0.1 and run["settings"]["steps"] == 5
    assert len(run["measures"]["replay"]["final_accuracy"]) == 9
    assert run["verdict"]["outcome"] == "supported" and run["p_adjusted"] == run["verdict"]["effect"]["p"]
    assert Path(run["report"]).is_file() and Path(run["folder"]).is_dir()


def test_diverged_seeds_are_null_in_json(as_json):
    (run,) = as_json(f"run {STUDY} --set diverge=1")["studies"]
    assert run["measures"]["replay"]["final_accuracy"][1] is None
    assert run["verdict"]["diverged"]["replay"] == 1


def test_strict_makes_a_verdict_that_is_not_supported_an_exit_code(cli):
    assert cli(f"run {STUDY} --strict")[0] == 0
    code, out, _ = cli(f"run {STUDY} --set gain=-0.3 --strict")
    assert code == 3 and "refuted: " in out
    assert cli(f"run {STUDY} --set gain=-0.3")[0] == 0


def test_several_studies_end_in_adjusted_p_values(cli, as_json):
    line = f"run {STUDY} {OTHER} --seeds 12"
    code, out, _ = cli(line)
    assert code == 0 and "adjusted p" in out.rsplit("report: ", 1)[1]
    runs = as_json(line)["studies"]
    p = [run["verdict"]["effect"]["p"] for run in runs]
    assert [run["study"] for run in runs] == [STUDY, OTHER]
    assert [run["p_adjusted"] for run in runs] == pytest.approx([max(p), max(p)])


def test_dry_run_lives_and_writes_nothing(cli, as_json, tmp_path):
    code, out, _ = cli(f"run {STUDY} --seeds 3 --dry-run")
    assert code == 0 and out.count("seeds 0, 1, 2\n") == 4
    assert not (tmp_path / "runs").exists()
    cli(f"run {STUDY} --seeds 3 --arms joint")
    (plan,) = as_json(f"run {STUDY} --seeds 5 --dry-run")["studies"]
    assert plan["seeds_to_live"] == {arm: [3, 4] if arm == "joint" else [0, 1, 2, 3, 4] for arm in ARMS}
    assert "nothing: it is stored" in cli(f"run {STUDY} --seeds 3 --arms joint --dry-run")[1]
    forced = as_json(f"run {STUDY} --seeds 3 --arms joint --dry-run --force")["studies"][0]
    assert forced["seeds_to_live"] == {"joint": [0, 1, 2]}


def test_every_study_is_checked_before_the_first_is_lived(cli, tmp_path):
    assert cli(f"run {STUDY} no-such-study")[0] == 2
    assert not (tmp_path / "runs").exists()


def test_report_reads_what_was_lived(cli, as_json, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    lived = as_json(f"run {STUDY} --seeds 9 --set gain=0.1")["studies"][0]
    Path(lived["report"]).unlink()
    line = f"report {STUDY} --seeds 9 --set gain=0.1"
    reported = as_json(line)
    lived.pop("p_adjusted")
    assert reported == lived and Path(lived["report"]).is_file()
    assert "\nsupported: " in cli(line)[1]
    assert "| replay | method |" in cli(f"{line} --markdown")[1]
    assert cli(f"{line} --open")[0] == 0 and opened == [Path(lived["report"]).as_uri()]


def test_report_of_what_was_not_lived_says_so_and_makes_no_folder(cli, tmp_path):
    code, out, err = cli(f"report {STUDY}")
    assert (code, out) == (2, "") and f"run it with: lifelong run {STUDY}" in err
    assert not (tmp_path / "runs").exists()


# progress


def news(ticker, fraction):
    ticker("replay", "living", Moment(int(100 * fraction), 100, 1.0, 8, 0))


def test_time_left_follows_the_share_that_is_lived(monkeypatch):
    ticker = Ticker(tiny_study.study(STUDY), ARMS)
    monkeypatch.setattr(time, "perf_counter", lambda: ticker.began + 10)
    assert ticker.seconds_left() is None
    ticker("finetune", "living", Moment(50, 100, 1.0, 8, 0))
    assert ticker.seconds_left() == pytest.approx(10 * 3.5 / 0.5)
    ticker("replay", "tuning", Moment(50, 100, 1.0, 8, 3))
    assert ticker.seconds_left() == pytest.approx(10 * 3.25 / 0.75)
    assert ticker.line().startswith(
        f"{STUDY}: 0/4 arms · finetune living 50/100 · replay tuning 50/100, 3 of 8 diverged"
    )
    for arm in ARMS:
        ticker(arm, "done", None)
    assert ticker.line() == f"{STUDY}: 4/4 arms · 0 s left"


def test_a_terminal_has_one_line_that_is_rewritten(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Ticker(tiny_study.study(STUDY), ARMS) as ticker:
        ticker("finetune", "living", Moment(50, 100, 1.0, 8, 0))
        ticker("finetune", "done", None)
    shown = capsys.readouterr().err
    assert "\n" not in shown and shown.count("\r\x1b[K") == 4 and shown.endswith("\r\x1b[K")


# verify, compare


def test_verify_finds_everything_as_recorded_and_changes_nothing(cli, as_json, tmp_path):
    cli(f"run {STUDY} --set diverge=1")
    cli(f"run {OTHER} --seeds 3")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    code, out, _ = cli("verify --all")
    assert code == 0 and out.count("as recorded") == 2
    (row,) = as_json(f"verify {STUDY}")["runs"]
    assert (row["study"], row["state"], row["verdict"]) == (STUDY, "as recorded", "supported")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before


def test_verify_finds_a_changed_verdict(cli, as_json):
    cli(f"run {STUDY}")
    record = folder_of(as_json) / "verdict.json"
    content = json.loads(record.read_text())
    content["verdict"]["outcome"] = "refuted"
    content["measures"]["joint"]["forgetting"][2] += 1e-6
    record.write_text(json.dumps(content))
    (row,) = as_json(f"verify {STUDY}", code=1)["runs"]
    assert (row["state"], row["verdict"]) == ("changed", "refuted → supported")
    assert "verdict.outcome" in row["what_differs"] and "measures.joint.forgetting[2]" in row["what_differs"]


def test_verify_finds_changed_lives(cli, as_json):
    cli(f"run {STUDY}")
    path = folder_of(as_json) / "replay.nc"
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        life = stored.load()
    (life * 0.5).assign_attrs(life.attrs).to_netcdf(path, engine="h5netcdf")
    (row,) = as_json(f"verify {STUDY}", code=1)["runs"]
    assert row["state"] == "changed" and row["verdict"].startswith("supported → ")


def test_verify_finds_lives_of_other_code(cli, as_json):
    cli(f"run {STUDY}")
    path = folder_of(as_json) / "replay.nc"
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        life = stored.load()
    life.assign_attrs(code="another").to_netcdf(path, engine="h5netcdf")
    (row,) = as_json(f"verify {STUDY}", code=1)["runs"]
    assert (row["state"], row["what_differs"]) == ("stale", "other code lived replay")


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"no result")])
def test_verify_names_a_missing_or_corrupt_result(cli, as_json, damage):
    cli(f"run {STUDY}")
    path = folder_of(as_json) / "replay.nc"
    damage(path)
    (row,) = as_json("verify --all", code=2)["runs"]
    assert row["state"] == "unreadable" and str(path) in row["what_differs"]
    assert not path.exists() or path.read_bytes() == b"no result"


def test_verify_tells_a_run_that_was_not_finished(cli, as_json):
    cli(f"run {STUDY} --arms replay,joint")
    (row,) = as_json("verify --all", code=2)["runs"]
    assert row["state"] == "unfinished" and f"lifelong run {STUDY}" in row["what_differs"]


def test_compare_finds_exactly_what_was_changed(cli, as_json):
    cli(f"run {STUDY} --seeds 9")
    cli(f"run {STUDY} --seeds 8 --set gain=0.1")
    a, b = folder_of(as_json), folder_of(as_json, f"run {STUDY} --set gain=0.1")
    found = as_json(f"compare {a} {b}")
    assert found["settings_that_differ"] == {"seeds": [9, 8], "gain": [0.0, 0.1]}
    rows = {(row["arm"], row["measure"]): row for row in found["measures"]}
    assert len(rows) == 8 and all(row["seeds"] == list(range(8)) for row in rows.values())
    assert rows["replay", "final_accuracy"]["effect"]["mean"] == pytest.approx(0.1)
    assert rows["replay", "final_accuracy"]["effect"]["p"] == 2 / 2**8
    assert rows["joint", "final_accuracy"]["effect"]["mean"] == 0
    code, out, _ = cli(f"compare {STUDY} {a.name} {b.name[:6]}")
    assert code == 0 and "0.1 (0.1 to 0.1)" in out and "gain: 0.0 → 0.1" in out


def test_compare_pairs_seeds(cli, as_json):
    """Runs whose seeds differ in noise: the effect is that of the shared seeds, worked out by hand."""
    lines = [f"run {STUDY}", f"run {STUDY} --budget quick --set gain=0.2"]
    runs = [as_json(line)["studies"][0] for line in lines]
    row = as_json(f"compare {runs[0]['folder']} {runs[1]['folder']}")["measures"][0]
    a, b = (run["measures"][row["arm"]][row["measure"]] for run in runs)
    assert row["effect"]["mean"] == paired_effect(b, a).mean


def test_compare_says_why_an_effect_is_undefined(cli, as_json):
    cli(f"run {STUDY}")
    cli(f"run {STUDY} --set diverge='1 2'")
    folders = [folder_of(as_json, line) for line in (f"run {STUDY}", f"run {STUDY} --set diverge='1 2'")]
    rows = as_json(f"compare {folders[0]} {folders[1]}")["measures"]
    assert all(row["effect"] is None and "2 of b" in row["reason"] for row in rows)
    assert "undefined on 0 seeds of a and 2 of b" in " ".join(cli(f"compare {folders[0]} {folders[1]}")[1].split())


# data, doctor


@pytest.fixture
def few_sources(monkeypatch):
    """Leave the large data sets out, which a machine may have."""
    for name in ("mnist", "fashion-mnist"):
        monkeypatch.delitem(_registry.SOURCES, name)


def test_data_list_names_every_data_set(cli, as_json, few_sources):
    assert [one["name"] for one in as_json("data list")] == list(_registry.SOURCES)
    code, out, _ = cli("data list")
    assert code == 0 and all(name in out for name in _registry.SOURCES)
    assert [one["state"] for one in as_json("data list digits")] == ["present"]


def test_data_check_tells_missing_and_corrupt(cli, as_json, tmp_path, few_sources):
    assert cli("data check digits")[0] == 0
    code, _, err = cli("data check gsm8k")
    assert code == 2 and "lifelong data get gsm8k" not in err and "gsm8k.jsonl" in err
    folder = tmp_path / "data" / "reasoning"
    folder.mkdir(parents=True)
    (folder / "gsm8k.jsonl").write_text("cut off")
    code, _, err = cli("data check")
    assert code == 2 and str(folder / "gsm8k.jsonl") in err
    assert (folder / "gsm8k.jsonl").read_text() == "cut off"
    assert "corrupt" in {one["state"] for one in as_json("data check", code=2)}


def test_data_get_shows_progress_and_prints_where_files_are(cli, as_json, monkeypatch, tmp_path):
    def get(name, progress):
        progress("mnist.gz", 500_000, 1_000_000)
        progress("mnist.gz", 1_000_000, 1_000_000)
        return {"mnist": tmp_path / name}

    monkeypatch.setattr(_registry, "get", get)
    code, out, err = cli("data get mnist")
    assert (code, err) == (0, "mnist.gz: 1.0 MB of 1.0 MB\n") and str(tmp_path / "mnist") in out
    assert as_json("data get mnist") == {"mnist": {"mnist": str(tmp_path / "mnist")}}


def test_doctor(as_json, tmp_path, monkeypatch, few_sources):
    monkeypatch.setattr(_doctor, "SECONDS", 0.05)
    content = as_json("doctor")
    assert content["packages"]["jax"] and content["devices"] and content["hang_guard"]
    assert content["compile_cache"]["folder"] == str(tmp_path / "cache")
    assert content["data"]["digits"] == "present" and content["runs"]["writable"] is True
    assert content["matrix_products"]["GFLOP/s"] > 0
    (tmp_path / "a-file").touch()
    assert as_json(f"doctor --out {tmp_path / 'a-file' / 'runs'}")["runs"]["writable"] is False


# mistakes


def points(tmp_path, classes="abcd", spoil=None):
    """Write a small table of separable classes, and return its path."""
    generator = np.random.default_rng(0)
    rows = [
        f"{3 * k + generator.normal():.3f},{generator.normal():.3f},{c}"
        for c in classes * 20
        for k in [classes.index(c)]
    ]
    if spoil:
        rows[40] = spoil
    path = tmp_path / "points.csv"
    path.write_text("\n".join(["one,two,class", *rows]))
    return path


def arrays(tmp_path, **changes):
    parts = {"x_train": np.eye(4), "y_train": np.arange(4), "x_test": np.eye(4), "y_test": np.arange(4)}
    np.savez(tmp_path / "arrays.npz", **{**parts, **changes})
    return tmp_path / "arrays.npz"


def truncated_npz(tmp_path):
    path = arrays(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    return path


def truncated_idx(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2]))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    return tmp_path


WORLDS = {
    "label outside": (lambda t: arrays(t, y_test=np.array([0, 1, 2, 9])), "y_test, row 3: label '9' is outside"),
    "NaN": (lambda t: points(t, spoil="nan,0,a"), "points.csv, row 42, column 'one': 'nan' is not a finite number"),
    "NaN in arrays": (lambda t: arrays(t, x_train=np.full((4, 4), np.nan)), "row 0"),
    "truncated idx": (truncated_idx, "train-images-idx3-ubyte is truncated: it ends at byte 18"),
    "truncated NPZ": (truncated_npz, "arrays.npz is not a whole NPZ file: no list of arrays at its end, byte 200"),
    "truncated CSV": (lambda t: points(t, spoil="1.0"), "points.csv, row 42: it has 1 fields"),
    "no file": (lambda t: t / "nothing.csv", "nothing.csv: there is no such file"),
    "unknown world": (lambda t: "mnits", "did you mean 'mnist'?"),
}


def assert_refused(result, words):
    """One sentence, exit code 2, nothing on standard output, no traceback."""
    code, out, err = result
    assert (code, out) == (2, ""), err
    *news, sentence = err.splitlines()
    assert sentence.startswith("lifelong: ") and words in sentence
    assert not any("Traceback" in line for line in news)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lst", "there is no command named 'lst'; did you mean 'list'?"),
        ("--versoin", "did you mean '--version'?"),
        ("list --famly continual", "'--famly'; did you mean '--family'?"),
        ("list --family=continal", "there is no family named 'continal'; did you mean 'continual'?"),
        ("list --role mmory", "did you mean 'memory'?"),
        ("list --status redy", "did you mean 'ready'?"),
        ("list --kind metod", "did you mean 'method'?"),
        ("list --family", "--family: expected one argument"),
        ("list continual", "takes no further argument, and 'continual' came"),
        ("show refresh-lerning", "did you mean 'refresh-learning'?"),
        ("show", "STUDY"),
        ("run", "STUDY"),
        ("run refresh-lerning", "there is no study named 'refresh-lerning'; did you mean 'refresh-learning'?"),
        (f"run {STUDY} --budget ful", "there is no budget named 'ful'; did you mean 'full'?"),
        (f"run {STUDY} --arms replai", "there is no arm named 'replai'; did you mean 'replay'?"),
        (f"run {STUDY} --arms joint,x --dry-run", "there is no arm named 'x'; known: "),
        (f"run {STUDY} --set bacth=4", "there is no setting named 'bacth'; did you mean 'batch'?"),
        (f"run {STUDY} --set batch", "--set takes NAME=VALUE, and 'batch' came"),
        (f"run {STUDY} --set batch=four", "the setting 'batch' is a int such as 8, and 'four' is none"),
        (f"run {STUDY} --seeds many", "--seeds: a whole number was expected, and 'many' came"),
        (f"run {STUDY} --seeds 0", "a study needs between 1 and 999 seeds, not 0"),
        (f"run {STUDY} --seeds 1000", "not 1000"),
        (f"run {STUDY} --json --budgt full", "'--budgt'; did you mean '--budget'?"),
        (f"report {STUDY} --budget fast", "there is no budget named 'fast'"),
        ("verify", "name the studies to verify, or give --all"),
        (f"verify --all {STUDY}", "not both"),
        ("verify --all", "there is nothing to verify"),
        (f"verify {STUDY}", "there is nothing to verify"),
        ("verify no-such", "there is no study named 'no-such'"),
        ("compare one", "two folders of runs, or a study and two of its runs"),
        ("compare one two", "'one' is not the folder of a run: it has no manifest.json"),
        (f"compare {STUDY} a b", f"'a' names 0 runs of '{STUDY}' where one was expected; there are: none"),
        ("cite", "name the studies to cite, or give --all"),
        ("cite refresh-lerning", "did you mean 'refresh-learning'?"),
        ("data", "ACTION"),
        ("data lst", "there is no data command named 'lst'; did you mean 'list'?"),
        ("data get", "name the data sets to get"),
        ("data get mnits", "there is no data set named 'mnits'; did you mean 'mnist'?"),
        ("data check mnits", "did you mean 'mnist'?"),
        ("doctor now", "takes no further argument"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(cli, line, words):
    assert_refused(cli(line), words)


def test_a_fault_of_its_own_is_told_from_a_mistake(cli, monkeypatch):
    monkeypatch.setattr(studies, "load", lambda slug: 1 / 0)
    code, out, err = cli(f"run {STUDY}")
    assert (code, out) == (70, "") and "Traceback" in err and "ZeroDivisionError" in err


def test_a_terminal_without_the_characters_is_no_error():
    run = process("-m", "lifelong", "show", "uer", PYTHONIOENCODING="ascii")
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, "") and "@misc{uer" in out


def test_a_planned_study_cannot_be_run(cli):
    assert_refused(cli(f"run {select(status='planned')[0].slug}"), "is planned but not written yet")


@pytest.mark.parametrize(("world", "words"), WORLDS.values(), ids=WORLDS)
def test_data_that_cannot_be_used_is_named_with_its_place(cli, tmp_path, world, words):
    assert_refused(cli(f"run {STUDY} --set tasks=2 world={world(tmp_path)}"), words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("tasks=3", "4 classes cannot be dealt evenly over 3 tasks"),
        ("tasks=0", "at least one task"),
        ("batch=5000", "of at least 1"),
        ("batch=0", "batch"),
    ],
)
def test_impossible_sizes(cli, tmp_path, settings, words):
    assert_refused(cli(f"run {STUDY} --set world={points(tmp_path)} {settings}"), words)


def test_an_output_folder_that_cannot_be_written(cli, tmp_path):
    (tmp_path / "file").touch()
    words = f"results cannot be written to '{tmp_path / 'file'}"
    assert_refused(cli(f"run {STUDY} --out {tmp_path / 'file'}"), words)


def test_a_corrupt_result_is_left_untouched(cli, as_json):
    path = folder_of(as_json) / "joint.nc"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"precious")
    assert_refused(cli(f"run {STUDY}"), f"'{path}' is not a readable result")
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"precious", "is not a readable checkpoint"),
        (safetensors.numpy.save({"a": np.ones(2)}), "is not a checkpoint of this library"),
        (safetensors.numpy.save({"a": np.ones(2)})[:-3], "is not a readable checkpoint"),
    ],
    ids=["corrupt", "foreign", "truncated"],
)
def test_a_checkpoint_that_cannot_be_used_is_left_untouched(cli, as_json, tmp_path, content, words):
    line = f"run {STUDY} --arms joint --set world={points(tmp_path)}"
    path = Store(folder_of(as_json, line)).checkpoint("joint", "living", range(8))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert_refused(cli(line), f"'{path}' {words}")
    assert path.read_bytes() == content


def test_runs_of_two_studies_cannot_be_compared(cli, as_json):
    cli(f"run {STUDY} {OTHER}")
    folders = [folder_of(as_json, f"run {slug}") for slug in (STUDY, OTHER)]
    assert_refused(cli(f"compare {folders[0]} {folders[1]}"), f"these are of '{STUDY}' and of '{OTHER}'")


# processes


def test_python_m_lifelong():
    run = process("-m", "lifelong", "cite", "refresh-lerning")
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (2, "") and err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    with process("-m", "lifelong", "list", "--json") as run:
        assert run.stdout.read(1) == "["
        run.stdout.close()
        assert run.stderr.read() == "" and run.wait(60) == 0


def test_a_run_goes_on_after_ctrl_c(cli, as_json, tmp_path):
    """Interrupted while the second of two arms is lived, and finished by the command it names: as if nothing was."""
    line = f"run {STUDY} --arms finetune,no-labels --set world={points(tmp_path)} looks=8 epochs=10 --seeds 2"
    words = shlex.split(line)
    run = process("-m", "tiny_study", *words, TINY_PAUSE="0.1")
    first = run.stderr.readline()
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert "is done" in first and (run.returncode, out) == (130, "")
    assert "stopping: what is being lived will be saved" in err and "1 of 2 arms are finished" in err
    folder = folder_of(as_json, line)
    assert [path.name.split(".")[0] for path in (folder / "unfinished").iterdir()] == ["no-labels"]
    assert "unfinished lives are saved of: no-labels" in err
    again = err.rsplit("to go on: lifelong ", 1)[1]
    code, _, err = cli(again)
    assert code == 0 and "finetune was stored already" in err and "no-labels is done" in err
    assert not list((folder / "unfinished").iterdir())
    cli(f"{line} --out {tmp_path / 'whole'}")
    for arm in ("finetune", "no-labels"):
        stored, whole = (
            xr.open_dataset(path / f"{arm}.nc", engine="h5netcdf").load()
            for path in (folder, tmp_path / "whole" / STUDY / folder.name)
        )
        xr.testing.assert_identical(stored.drop_attrs(), whole.drop_attrs())


@pytest.mark.slow
def test_a_real_study_goes_on_after_ctrl_c(tmp_path):
    words = ["-m", "lifelong", "run", "refresh-learning", "--budget", "smoke"]
    run = process(*words, LIFELONG_RUNS=str(tmp_path))
    assert "is done" in run.stderr.readline()
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=300)
    assert run.returncode == 130 and "to go on: lifelong run refresh-learning --budget smoke" in err
    run = process(*words, "--json", LIFELONG_RUNS=str(tmp_path))
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0 and "was stored already" in err
    assert json.loads(out)["studies"][0]["verdict"]["outcome"] in ("inconclusive", "refuted", "broken")
    run = process("-m", "lifelong", "verify", "--all", LIFELONG_RUNS=str(tmp_path))
    out, _ = run.communicate(timeout=300)
    assert run.returncode == 0 and "as recorded" in out
