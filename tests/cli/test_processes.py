"""What only a process of its own can show: signals, pipes, terminals."""

import json
import shlex
import signal
import time

import pytest
import tiny_study
import xarray as xr

STUDY, _ = tiny_study.SLUGS

TWO_PROGRAMS = """
from lifelong.cli._cache import keep_compiled
keep_compiled()
import jax
print(jax.jit(lambda x: 2 * x)(3.0), jax.jit(lambda x: x + 5)(3.0))
"""


def test_python_m_lifelong(process):
    run = process("-m", "lifelong", "cite", "refresh-lerning")
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (2, "") and err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error(process):
    with process("-m", "lifelong", "list", "--json") as run:
        assert run.stdout.read(1) == "["
        run.stdout.close()
        assert run.stderr.read() == "" and run.wait(60) == 0


def test_one_sentence_tells_of_all_compiled_programs_that_cannot_be_read(process, tmp_path):
    """JAX itself would warn of each of them in every run, and not say what helps."""
    kept = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def compile_two() -> str:
        with process("-c", TWO_PROGRAMS, **kept) as run:
            out, err = run.communicate(timeout=60)
        assert (run.returncode, out) == (0, "6.0 8.0\n")
        return err

    assert compile_two() == compile_two() == ""
    programs = list(tmp_path.glob("*-cache"))
    for program in programs:
        program.write_bytes(program.read_bytes()[:100])
    told = compile_two()
    assert len(programs) > 1 and told.count("\n") == 1 and str(tmp_path) in told and "delete the folder" in told


def test_a_run_goes_on_after_ctrl_c(cli, tmp_path, folder_of, process):
    """Interrupted while the second of two arms is lived, and finished by the command it names: as if nothing was."""
    line = (
        f"run {STUDY} --arms finetune,no-labels --set world={tiny_study.points(tmp_path)} looks=8 epochs=10 --seeds 2"
    )
    words = shlex.split(line)
    run = process("-m", "tiny_study", *words, TINY_PAUSE="0.1")
    first = run.stderr.readline()
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert "is done" in first and (run.returncode, out) == (130, "")
    assert "stopping: what is being lived will be saved" in err and "1 of 2 arms are finished" in err
    folder = folder_of(line)
    left = sorted(path.name.split(".")[:2] for path in (folder / "unfinished").iterdir())
    assert left == [["no-labels", "living"], ["no-labels", "seconds"]]
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
def test_a_real_study_goes_on_after_ctrl_c(tmp_path, process):
    """Two arms that share a program; the second process finds it among the compiled ones."""
    words = ["-m", "lifelong", "run", "refresh-learning", "--budget", "smoke", "--arms", "finetune,er"]
    run = process(*words)
    assert "is done" in run.stderr.readline()
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=500)
    assert run.returncode == 130 and "to go on: lifelong run refresh-learning --budget smoke" in err
    assert list((tmp_path / "cache").iterdir())
    run = process(*words, "--json")
    out, err = run.communicate(timeout=500)
    assert run.returncode == 0 and "finetune was stored already" in err and "er is done" in err
    (found,) = json.loads(out)["studies"]
    assert found["arms"] == ["finetune", "er"] and len(found["measures"]["er"]["final_accuracy"]) == 2
    assert found["verdict"]["outcome"] == "broken" and "is missing" in found["verdict"]["reason"]


def test_a_terminal_without_the_characters_is_no_error(process):
    run = process("-m", "lifelong", "show", "uer", PYTHONIOENCODING="ascii")
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, "") and "@misc{uer" in out
