"""`lifelong data`, `doctor`."""

import pytest

from lifelong.cli import _doctor
from lifelong.worlds import _registry


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
