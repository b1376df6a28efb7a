"""`lifelong run`, `report`, and the news of a run."""

import os
import signal
import sys
import time
import webbrowser
from pathlib import Path

import pytest
import tiny_study

from lifelong.cli._cache import keep_compiled
from lifelong.cli._progress import Ticker, saving_first
from lifelong.life import Moment

STUDY, OTHER = tiny_study.SLUGS
ARMS = ["finetune", "replay", "no-labels", "joint"]


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


def test_time_left_follows_the_pace_since_the_first_news(monkeypatch):
    """Half of `finetune` was lived before, perhaps yesterday; that `replay` needs a tuning makes its lives halves."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    ticker = Ticker(tiny_study.study(STUDY), ARMS)
    now[0] = 10.0
    ticker("finetune", "living", Moment(50, 100, 1.0, 8, 0))
    assert ticker.seconds_left() is None
    now[0] = 20.0
    ticker("finetune", "living", Moment(75, 100, 1.0, 8, 0))
    assert ticker.seconds_left() == pytest.approx(10 * 3.25 / 0.25)
    ticker("replay", "tuning", Moment(25, 100, 1.0, 8, 3))
    now[0] = 30.0
    ticker("replay", "tuning", Moment(50, 100, 1.0, 8, 3))
    assert ticker.seconds_left() == pytest.approx(20 * 3.0 / 0.375)
    assert ticker.line().startswith(
        f"{STUDY}: 0/4 arms · finetune living 75/100 · replay tuning 50/100, 3 of 8 diverged"
    )
    ticker("joint", "stored", None)
    assert ticker.seconds_left() == pytest.approx(20 * 2.0 / 0.375)
    for arm in ("finetune", "replay", "no-labels"):
        ticker(arm, "done", None)
    assert ticker.line() == f"{STUDY}: 4/4 arms · 0 s left"


def test_ctrl_c_saves_first_and_a_second_one_ends_the_process(capsys):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), saving_first():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before
    assert capsys.readouterr().err.startswith("stopping: ")


def test_what_is_compiled_is_kept_unless_the_user_has_decided(monkeypatch, tmp_path):
    names = [f"JAX_PERSISTENT_CACHE_MIN_{what}" for what in ("COMPILE_TIME_SECS", "ENTRY_SIZE_BYTES")]
    for name in ("JAX_COMPILATION_CACHE_DIR", *names):
        monkeypatch.delenv(name)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "7")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    keep_compiled()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "lifelong" / "xla")
    assert [os.environ[name] for name in names] == ["0.1", "7"]


def test_without_a_terminal_a_long_life_tells_every_minute_how_it_gets_on(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    with Ticker(tiny_study.study(STUDY), ARMS) as ticker:
        for now[0] in (30.0, 60.0, 90.0, 119.0, 120.0):
            ticker("finetune", "living", Moment(int(now[0]), 240, now[0], 8, 0))
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{STUDY}: 0/4 arms · finetune living 60/240 · 15 min 0 s left"
    assert second == f"{STUDY}: 0/4 arms · finetune living 120/240 · 14 min 0 s left"


def test_a_terminal_has_one_line_that_is_rewritten(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Ticker(tiny_study.study(STUDY), ARMS) as ticker:
        ticker("finetune", "living", Moment(50, 100, 1.0, 8, 0))
        ticker("finetune", "done", None)
    shown = capsys.readouterr().err
    assert "\n" not in shown and shown.count("\r\x1b[K") == 4 and shown.endswith("\r\x1b[K")
