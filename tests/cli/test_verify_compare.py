"""`lifelong verify`, `compare`."""

import json
from pathlib import Path

import pytest
import tiny_study
import xarray as xr

from lifelong.exams._statistics import paired_effect

STUDY, OTHER = tiny_study.SLUGS


def test_verify_finds_everything_as_recorded_and_changes_nothing(cli, as_json, tmp_path):
    cli(f"run {STUDY} --set diverge=1")
    cli(f"run {OTHER} --seeds 3")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    code, out, _ = cli("verify --all")
    assert code == 0 and out.count("as recorded") == 2
    (row,) = as_json(f"verify {STUDY}")["runs"]
    assert (row["study"], row["state"], row["verdict"]) == (STUDY, "as recorded", "supported")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before


def test_verify_finds_a_changed_verdict(cli, as_json, folder_of):
    cli(f"run {STUDY}")
    record = folder_of(f"run {STUDY}") / "verdict.json"
    content = json.loads(record.read_text())
    content["verdict"]["outcome"] = "refuted"
    content["measures"]["joint"]["forgetting"][2] += 1e-6
    record.write_text(json.dumps(content))
    (row,) = as_json(f"verify {STUDY}", code=1)["runs"]
    assert (row["state"], row["verdict"]) == ("changed", "refuted → supported")
    assert "verdict.outcome" in row["what_differs"] and "measures.joint.forgetting[2]" in row["what_differs"]


def test_verify_finds_changed_lives(cli, as_json, folder_of):
    cli(f"run {STUDY}")
    path = folder_of(f"run {STUDY}") / "replay.nc"
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        life = stored.load()
    (life * 0.5).assign_attrs(life.attrs).to_netcdf(path, engine="h5netcdf")
    (row,) = as_json(f"verify {STUDY}", code=1)["runs"]
    assert row["state"] == "changed" and row["verdict"].startswith("supported → ")


def test_verify_finds_lives_of_other_code(cli, as_json, folder_of):
    cli(f"run {STUDY}")
    path = folder_of(f"run {STUDY}") / "replay.nc"
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        life = stored.load()
    life.assign_attrs(code="another").to_netcdf(path, engine="h5netcdf")
    (row,) = as_json(f"verify {STUDY}", code=1)["runs"]
    assert (row["state"], row["what_differs"]) == ("stale", "other code lived replay")


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"no result")])
def test_verify_names_a_missing_or_corrupt_result(cli, as_json, damage, folder_of):
    cli(f"run {STUDY}")
    path = folder_of(f"run {STUDY}") / "replay.nc"
    damage(path)
    (row,) = as_json("verify --all", code=2)["runs"]
    assert row["state"] == "unreadable" and str(path) in row["what_differs"]
    assert not path.exists() or path.read_bytes() == b"no result"


def test_verify_tells_a_run_that_was_not_finished(cli, as_json):
    cli(f"run {STUDY} --arms replay,joint")
    (row,) = as_json("verify --all", code=2)["runs"]
    assert row["state"] == "unfinished" and f"lifelong run {STUDY}" in row["what_differs"]


def test_compare_finds_exactly_what_was_changed(cli, as_json, folder_of):
    cli(f"run {STUDY} --seeds 9")
    cli(f"run {STUDY} --seeds 8 --set gain=0.1")
    a, b = folder_of(f"run {STUDY}"), folder_of(f"run {STUDY} --set gain=0.1")
    found = as_json(f"compare {a} {b}")
    assert found["settings_that_differ"] == {"seeds": [9, 8], "gain": [0.0, 0.1]}
    rows = {(row["arm"], row["measure"]): row for row in found["measures"]}
    assert len(rows) == 8 and all(row["seeds"] == list(range(8)) for row in rows.values())
    assert rows["replay", "final_accuracy"]["effect"]["mean"] == pytest.approx(0.1)
    assert rows["replay", "final_accuracy"]["effect"]["p"] == 2 / 2**8
    assert rows["joint", "final_accuracy"]["effect"]["mean"] == 0
    code, out, _ = cli(f"compare {STUDY} {a.name} {b.name[:6]}")
    assert code == 0 and "0.1 (0.1 to 0.1)" in out and "gain: 0.0 → 0.1" in out


def test_compare_pairs_seeds(as_json):
    """Runs whose seeds differ in noise: the effect is that of the shared seeds, worked out by hand."""
    lines = [f"run {STUDY}", f"run {STUDY} --budget quick --set gain=0.2"]
    runs = [as_json(line)["studies"][0] for line in lines]
    row = as_json(f"compare {runs[0]['folder']} {runs[1]['folder']}")["measures"][0]
    a, b = (run["measures"][row["arm"]][row["measure"]] for run in runs)
    assert row["effect"]["mean"] == paired_effect(b, a).mean


def test_compare_says_why_an_effect_is_undefined(cli, as_json, folder_of):
    cli(f"run {STUDY}")
    cli(f"run {STUDY} --set diverge='1 2'")
    folders = [folder_of(line) for line in (f"run {STUDY}", f"run {STUDY} --set diverge='1 2'")]
    rows = as_json(f"compare {folders[0]} {folders[1]}")["measures"]
    assert all(row["effect"] is None and "2 of b" in row["reason"] for row in rows)
    assert "undefined on 0 seeds of a and 2 of b" in " ".join(cli(f"compare {folders[0]} {folders[1]}")[1].split())
