"""`lifelong ship`, and what comes of it: `list`, `show`, `verify`, `atlas build`."""

import json

import pytest
import tiny_study

from lifelong.lab import catalogue

STUDY, OTHER = tiny_study.SLUGS


@pytest.fixture
def file(cli, tmp_path):
    """Return the file of a shipped run."""
    cli(f"run {STUDY}")
    code, out, _ = cli(f"ship {STUDY}")
    assert code == 0 and "supported" in out
    return tmp_path / "results" / f"{STUDY}.json"


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_a_shipped_result_is_known_without_any_run(cli, as_json, file, tmp_path):
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    listed = {paper["slug"]: paper["verdict"] for paper in as_json("list")}
    assert listed == {paper.slug: "supported" if paper.slug == STUDY else None for paper in catalogue()}
    shown = as_json(f"show {STUDY}")
    assert shown["runs"] == [] and shown["shipped"]["verdict"]["outcome"] == "supported"
    assert "shipped" in cli(f"show {STUDY}")[1]
    (row,) = as_json("verify --all")["runs"]
    assert (row["study"], row["run"], row["state"], row["verdict"]) == (STUDY, "shipped", "as recorded", "supported")


def test_verify_finds_a_shipped_verdict_that_its_measures_do_not_bear(as_json, file):
    def swap(content):
        measures = content["findings"]["measures"]
        measures["replay"], measures["finetune"] = measures["finetune"], measures["replay"]

    edit(file, swap)
    row = as_json(f"verify {STUDY}", code=1)["runs"][0]
    assert (row["state"], row["verdict"]) == ("changed", "supported → refuted")


def test_verify_names_the_modules_that_changed_since(as_json, file):
    edit(file, lambda content: content["sources"].update({"life/_live.py": "another"}))
    row = as_json(f"verify {STUDY}", code=1)["runs"][0]
    assert (row["state"], row["what_differs"]) == ("stale", "changed since: life/_live.py")


def test_verify_tells_a_corrupt_result(as_json, file):
    file.write_text("no result")
    row = as_json(f"verify {STUDY}", code=2)["runs"][0]
    assert row["state"] == "unreadable" and str(file) in row["what_differs"]


def test_only_finished_full_runs_are_shipped(cli, as_json):
    assert cli("ship --all")[0] == 2 and cli(f"ship {STUDY} --all")[0] == 2
    cli(f"run {STUDY} --budget quick")
    cli(f"run {OTHER} --set gain=0.1")
    rows = as_json("ship --all", code=2)["studies"]
    assert {row["study"] for row in rows} == {STUDY, OTHER}
    assert all(row["verdict"] is None and "no full run" in row["file"] for row in rows)


def test_lives_of_other_code_are_not_shipped(cli, as_json, tmp_path):
    cli(f"run {STUDY}")
    other = tmp_path / "lifelong"
    other.mkdir()
    (other / "__init__.py").touch()
    (row,) = as_json(f"ship {STUDY} --source {tmp_path}", code=2)["studies"]
    assert row["verdict"] is None and "--source" in row["file"]
    assert not (tmp_path / "results").exists()
    (row,) = as_json(f"ship {STUDY} --source {tmp_path / 'nowhere'}", code=2)["studies"]
    assert "no checkout" in row["file"]


def test_atlas_build(cli, as_json, file, tmp_path):
    code, out, _ = cli(f"atlas build --out {tmp_path / 'site'}")
    assert code == 0 and f"{len(catalogue()) + 2} pages" in out
    index = (tmp_path / "site" / "index.html").read_text()
    assert all(f'id="{paper.slug}"' in index for paper in catalogue())
    assert "Replay forgets less." in (tmp_path / "site" / "studies" / f"{STUDY}.html").read_text()
    sizes = as_json(f"atlas build --out {tmp_path / 'site'}")["bytes"]
    assert len(sizes) == len(catalogue()) + 2 and max(sizes.values()) < 300_000


def test_the_atlas_leaves_out_what_its_study_has_outgrown(cli, as_json, file, tmp_path):
    edit(file, lambda content: content["settings"].update(another=1))
    code, _, err = cli(f"atlas build --out {tmp_path / 'site'}")
    page = (tmp_path / "site" / "studies" / f"{STUDY}.html").read_text()
    assert code == 0 and "nothing is known of the claim" in page and "another" in err
    assert "another" in as_json(f"verify {STUDY}", code=2)["runs"][0]["what_differs"]


def test_atlas_mistakes(cli, tmp_path):
    code, _, err = cli("atlas biuld")
    assert code == 2 and "build" in err
    code, _, err = cli(f"atlas build --results {tmp_path / 'nowhere'}")
    assert code == 2 and "lifelong ship" in err


def test_an_atlas_without_any_result_says_so(cli, tmp_path):
    assert cli(f"atlas build --out {tmp_path / 'site'}")[0] == 0
    assert "No study has been lived in full yet." in (tmp_path / "site" / "index.html").read_text()
