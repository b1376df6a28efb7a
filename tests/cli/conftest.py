import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_study

from lifelong import studies
from lifelong.cli import main
from lifelong.lab import _shipped


@pytest.fixture(autouse=True)
def at_home(monkeypatch, tmp_path):
    """Runs, shipped results, data and compiled programs of a test are its own; the tiny study stands in for two real ones."""
    monkeypatch.setattr(_shipped, "results_folder", lambda: tmp_path / "results")
    monkeypatch.setenv("LIFELONG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    monkeypatch.setattr(studies, "load", tiny_study.load)


@pytest.fixture
def cli(capsys):
    """Run a command line; return its exit code, what it printed, and its news."""

    def run(line, fault=False):
        capsys.readouterr()
        code = main(shlex.split(line))
        out, err = capsys.readouterr()
        assert fault or code != 70, err
        return code, out, err

    return run


@pytest.fixture
def as_json(cli):
    """Run a command line with --json and return what it printed, parsed."""

    def run(line, code=0):
        came, out, err = cli(f"{line} --json")
        assert came == code, err
        return json.loads(out, parse_constant=pytest.fail)

    return run


@pytest.fixture
def folder_of(as_json):
    """Return where a command line keeps the lives of its first study."""
    return lambda line: Path(as_json(f"{line} --dry-run")["studies"][0]["folder"])


@pytest.fixture
def process():
    """Start a Python process that can import the tiny study."""

    def start(*words, **environment):
        return subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **environment},
        )

    return start
