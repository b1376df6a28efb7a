"""`lifelong export`."""

import pytest
import tiny_study
from test_mistakes import assert_refused

STUDY, OTHER = tiny_study.SLUGS


def test_a_run_is_exported_by_folder_or_by_name(cli, as_json, folder_of, tmp_path):
    cli(f"run {STUDY}")
    folder, out = folder_of(f"run {STUDY}"), tmp_path / "out"
    code, printed, _ = cli(f"export {folder} --to csv --out {out}")
    assert code == 0 and "2 files" in printed and (out / "measures.csv").exists()
    found = as_json(f"export {STUDY} {folder.name[:6]} --to rliable --out {out} --force")
    assert found["format"] == "rliable" and found["files"] == ["scores.json", "scores.npz"]
    assert found["run"] == str(folder) and not (out / "measures.csv").exists()


def test_mistakes_are_named_and_nothing_is_written(cli, folder_of, tmp_path):
    out = tmp_path / "out"
    assert_refused(cli(f"export {STUDY} --to csv --out {out}"), "there are no runs")
    cli(f"run {STUDY}")
    assert_refused(cli(f"export {STUDY} --to cvs --out {out}"), "did you mean 'csv'?")
    assert_refused(cli(f"export {STUDY}"), "--to l2logger|csv|rliable --out DIR")
    assert_refused(cli(f"export {STUDY} zzz --to csv --out {out}"), "names 0 runs")
    assert_refused(cli(f"export {STUDY}x --to csv --out {out}"), f"did you mean '{STUDY}'?")
    assert_refused(cli(f"export {STUDY} --to l2logger --out {out}"), "no 'accuracy' while learning")
    assert not out.exists()
    out.mkdir()
    assert_refused(cli(f"export {STUDY} --to csv --out {out}"), "is there already")
    assert_refused(cli(f"export {STUDY} --to csv --out {out} --force"), "not an earlier export")


@pytest.mark.parametrize("world", ["digits"])
def test_a_life_that_was_really_lived_says_what_was_taught(cli, as_json, tmp_path, world):
    cli(f"run {OTHER} --arms replay --seeds 2 --set world={world} epochs=1")
    found = as_json(f"export {OTHER} --to l2logger --out {tmp_path / 'out'}")
    blocks = {name.split("/")[2] for name in found["files"] if name.endswith("data-log.tsv")}
    assert "1-train" in blocks and "0-test" in blocks
