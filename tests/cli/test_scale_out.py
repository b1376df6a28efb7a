"""Many studies at once, blocks of seeds, Ray, several hosts: whatever is killed, nothing is lost and nothing differs."""

import os
import re
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_study
import xarray as xr

from lifelong import studies
from lifelong.cli import _plan
from lifelong.errors import BadInput
from lifelong.lab import select

STUDY, OTHER = tiny_study.SLUGS
ARMS = ["finetune", "replay", "no-labels", "joint"]


def lives_in(folder):
    """Return what lies in the folder of a run: the raw lives of every arm, without the seconds they took."""
    return {path.stem: xr.open_dataset(path, engine="h5netcdf").load().drop_attrs() for path in folder.glob("[!.]*.nc")}


def assert_same_lives(folder, other):
    one, two = lives_in(folder), lives_in(other)
    assert set(one) == set(two) and one
    for arm in one:
        xr.testing.assert_identical(one[arm], two[arm])


def test_all_studies_are_planned_by_cost(cli, as_json, monkeypatch):
    plans = as_json("run --all --budget quick --dry-run")["studies"]
    slugs = [plan["study"] for plan in plans]
    assert set(slugs) == {paper.slug for paper in select(status="ready")}
    assert "unknown" in cli("run --all --budget quick --dry-run")[1]
    monkeypatch.setattr("lifelong.cli._running.cost", {slug: -place for place, slug in enumerate(slugs)}.get)
    again = as_json("run --all --budget quick --dry-run")["studies"]
    assert [plan["study"] for plan in again] == slugs[::-1]


def test_the_dearest_blocks_come_first(monkeypatch):
    monkeypatch.setattr(_plan, "costs", lambda slug: {"finetune": 4.0, "replay": 9.0, "joint": 1.0})
    plan = _plan.Plan(tiny_study.STUDIES[STUDY], "full", {}, ("joint", "finetune", "replay"), None)
    blocks = _plan.blocks_of([plan], 4)
    assert [(block.arm, block.seeds) for block in blocks[:2]] == [("replay", (0, 1, 2, 3)), ("replay", (4, 5, 6, 7))]
    assert [block.cost for block in blocks] == [4.5, 4.5, 2.0, 2.0, 0.5, 0.5]
    assert [block.tuned for block in blocks] == [False, False, True, True, True, True]


def test_blocks_of_seeds_are_lived_as_all_at_once(cli, folder_of, tmp_path):
    cli(f"run {STUDY} --out {tmp_path / 'whole'}")
    assert cli(f"run {STUDY} --block 3")[0] == 0
    folder = folder_of(f"run {STUDY}")
    assert_same_lives(folder, tmp_path / "whole" / STUDY / folder.name)


def test_what_goes_wrong_with_one_study_is_not_the_fault_of_the_others(cli, monkeypatch):
    def lifetime(*_, **__):
        raise BadInput("this one cannot live")

    broken = replace(tiny_study.STUDIES[STUDY], lifetime=lifetime)
    monkeypatch.setattr(studies, "load", lambda slug: broken if slug == STUDY else tiny_study.load(slug))
    code, out, err = cli(f"run {STUDY} {OTHER}")
    assert code == 2 and "supported" in out
    assert f"lifelong: {STUDY} was left unfinished: this one cannot live" in err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"run {STUDY} --on rya", "did you mean 'ray'?"),
        (f"run {STUDY} --block 0", "--block takes a number of seeds from 1 on"),
        (f"run {STUDY} --all", "and not both"),
        (f"run {STUDY} --on ray", "pip install 'lifelong[ray]'"),
    ],
)
def test_a_place_that_does_not_exist_is_refused(cli, monkeypatch, line, words):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = cli(line)
    assert (code, out) == (2, "") and words in err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"JAX_COORDINATOR_ADDRESS": "localhost:1"}, "JAX_NUM_PROCESSES is not"),
        ({"JAX_COORDINATOR_ADDRESS": "h:1", "JAX_NUM_PROCESSES": "two", "JAX_PROCESS_ID": "0"}, "'two'"),
        ({"JAX_COORDINATOR_ADDRESS": "h:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "2"}, "below the first"),
    ],
)
def test_half_an_environment_of_hosts_is_refused(cli, monkeypatch, given, words):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    code, _, err = cli(f"run {STUDY}")
    assert code == 2 and words in err


@pytest.mark.slow
def test_a_driver_that_was_killed_loses_nothing(cli, as_json, process, folder_of, tmp_path):
    line = f"run {STUDY} --set world={tiny_study.points(tmp_path)} --seeds 4 --block 2"
    driver = process("-m", "tiny_study", *line.split(), TINY_PAUSE="0.2")
    folder = folder_of(line)
    await_files(folder, "[!.]*.nc", driver)
    driver.kill()
    driver.communicate()
    (left,) = as_json(f"{line} --dry-run")["studies"]
    assert 0 < sum(map(len, left["seeds_to_live"].values())) < 4 * len(ARMS)
    assert cli(line)[0] == 0
    cli(f"{line} --out {tmp_path / 'whole'}")
    assert_same_lives(folder, tmp_path / "whole" / STUDY / folder.name)
    assert not [*folder.glob("parts/*"), *folder.glob("unfinished/*")]


def await_files(folder, pattern, process, count=1):
    """Wait until a process has written so many files."""
    until = time.monotonic() + 120
    while len(list(folder.glob(pattern))) < count:
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.05)


def workers_of(name):
    """Return the processes of Ray that live a block at this moment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "cmdline").read_bytes().startswith(name.encode()):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_ray_loses_nothing_with_a_worker_or_the_driver(cli, process, tmp_path, monkeypatch):
    """A real study: a worker is killed while it lives a block, then the driver; the same command finishes it."""
    pytest.importorskip("ray")
    monkeypatch.setattr(studies, "load", tiny_study.really_load)
    line = "run aias --budget quick --block 4"
    folder = _plan.Plan(studies.load("aias"), "quick", {}, (), tmp_path / "ray").store.folder
    words = ["-m", "lifelong", *line.split(), "--on", "ray", "--out", str(tmp_path / "ray")]
    urgent = {"RAY_worker_niceness": "0"}  # else its workers starve where other tests keep the machine busy
    driver = process(*words, **urgent)
    await_files(folder, "parts/[!.]*.nc", driver, 2)
    killed = kill_a_worker(driver)
    await_files(folder, "parts/[!.]*.nc", driver, 6)
    driver.kill()
    driver.communicate()
    there = len(list(folder.glob("parts/[!.]*.nc")))
    assert killed and 6 <= there < 20 and not list(folder.glob("[!.]*.nc"))
    again = process(*words, **urgent)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    lived = int(re.findall(r"\(1 of (\d+)\)", err)[0])  # a worker may have finished a block after its driver's end
    assert 0 < lived <= 20 - there and "supported" in out
    cli(f"{line} --out {tmp_path / 'plain'}")
    assert_same_lives(folder, tmp_path / "plain" / "aias" / folder.name)


def kill_a_worker(driver):
    """Kill a process of Ray as soon as one lives a block."""
    while driver.poll() is None:
        for worker in workers_of("ray::_live"):
            os.kill(worker, signal.SIGKILL)
            return worker
    return None


@pytest.mark.slow
def test_hosts_of_one_job_share_the_work(cli, process, folder_of, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    line = f"run {STUDY} --set world={tiny_study.points(tmp_path)} --seeds 4 --block 2"
    hosts = [
        process(
            "-m",
            "tiny_study",
            *line.split(),
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(place),
        )
        for place in range(2)
    ]
    told = [host.communicate(timeout=300) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], told
    assert "report: " in told[0][0] and told[1][0] == ""
    assert all("is done (4 of 4)" in err for _, err in told)
    cli(f"{line} --out {tmp_path / 'plain'}")
    folder = folder_of(line)
    assert_same_lives(folder, tmp_path / "plain" / STUDY / folder.name)
