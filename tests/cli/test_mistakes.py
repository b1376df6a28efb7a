"""What a user can do wrong: one sentence on standard error, exit code 2, and nothing is touched."""

import numpy as np
import pytest
import safetensors.numpy
import tiny_study

from lifelong import studies
from lifelong.lab import Store, select

STUDY, OTHER = tiny_study.SLUGS


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
    "NaN": (
        lambda t: tiny_study.points(t, spoil="nan,0,a"),
        "points.csv, row 42, column 'one': 'nan' is not a finite number",
    ),
    "NaN in arrays": (lambda t: arrays(t, x_train=np.full((4, 4), np.nan)), "row 0"),
    "truncated idx": (truncated_idx, "train-images-idx3-ubyte is truncated: it ends at byte 18"),
    "truncated NPZ": (truncated_npz, "arrays.npz is not a whole NPZ file: no list of arrays at its end, byte 200"),
    "truncated CSV": (lambda t: tiny_study.points(t, spoil="1.0"), "points.csv, row 42: it has 1 fields"),
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
    code, out, err = cli(f"run {STUDY}", fault=True)
    assert (code, out) == (70, "") and "Traceback" in err and "ZeroDivisionError" in err


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
        ("batch=5000", "at least 1"),
        ("batch=0", "batch"),
    ],
)
def test_impossible_sizes(cli, tmp_path, settings, words):
    assert_refused(cli(f"run {STUDY} --set world={tiny_study.points(tmp_path)} {settings}"), words)


def test_an_output_folder_that_cannot_be_written(cli, tmp_path):
    (tmp_path / "file").touch()
    words = f"results cannot be written to '{tmp_path / 'file'}"
    assert_refused(cli(f"run {STUDY} --out {tmp_path / 'file'}"), words)


def test_a_corrupt_result_is_left_untouched(cli, folder_of):
    path = folder_of(f"run {STUDY}") / "joint.nc"
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
def test_a_checkpoint_that_cannot_be_used_is_left_untouched(cli, tmp_path, content, words, folder_of):
    line = f"run {STUDY} --arms joint --set world={tiny_study.points(tmp_path)}"
    path = Store(folder_of(line)).checkpoint("joint", "living", range(8))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert_refused(cli(line), f"'{path}' {words}")
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["manifest.json", "verdict.json"])
@pytest.mark.parametrize("content", ["{", "[1]", "{}"])
def test_a_corrupt_record_is_left_untouched(cli, folder_of, name, content):
    cli(f"run {STUDY}")
    path = folder_of(f"run {STUDY}") / name
    path.write_text(content)
    assert_refused(cli(f"show {STUDY}"), f"'{path}' ")
    assert path.read_text() == content


def test_runs_of_two_studies_cannot_be_compared(cli, folder_of):
    cli(f"run {STUDY} {OTHER}")
    folders = [folder_of(f"run {slug}") for slug in (STUDY, OTHER)]
    assert_refused(cli(f"compare {folders[0]} {folders[1]}"), f"these are of '{STUDY}' and of '{OTHER}'")
