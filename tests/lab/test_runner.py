import json
import os
import shutil
import signal
import time
from dataclasses import replace
from functools import partial
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from miniature import LABELS, NEVER, draw, drawn, study

from lifelong.errors import BadFile, BadInput, UnknownName
from lifelong.lab import Claim, Control, Interrupted, Outcome, run, stored
from lifelong.lab._clock import clocked
from lifelong.lab._store import code_fingerprint

SMALL = study()


class News:
    """What a run told: for every arm what it was doing; `at` a moment it does something of its own."""

    def __init__(self, at=None, do=None):
        self.told, self.at, self.do = [], at, do

    def __call__(self, arm, doing, moment):
        self.told.append((arm, doing))
        if self.at and (arm, doing) == self.at[:2] and moment and moment.step >= self.at[2]:
            at, self.at = self.at, None
            self.do(at)

    def of(self, arm):
        return list(dict.fromkeys(doing for who, doing in self.told if who == arm))


def stop(at):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a run of all arms of the small study, with real learners, lived in one go."""
    return run(SMALL, out=tmp_path_factory.mktemp("whole"))


def assert_same_lives(one, other):
    assert list(one.lives) == list(other.lives)
    for arm in one.lives:
        xr.testing.assert_identical(one.lives[arm].drop_attrs(), other.lives[arm].drop_attrs())


def test_a_run_lives_every_arm_and_keeps_what_it_found(whole):
    assert list(whole.lives) == list(whole.measures) == list(SMALL.arms)
    files = {path.name for path in whole.store.folder.iterdir() if path.is_file()}
    assert files == {"manifest.json", "verdict.json", *(f"{arm}.nc" for arm in SMALL.arms)}
    for arm, own in whole.measures.items():
        expected = whole.lives[arm].accuracy.values[:, -1].mean(-1)
        np.testing.assert_allclose(own["final_accuracy"], expected)
        assert whole.lives[arm].seed.values.tolist() == [0, 1]
    kept = whole.store.read_json("verdict.json")
    assert kept["verdict"]["outcome"] == whole.verdict.outcome
    assert kept["measures"]["joint"]["final_accuracy"] == whole.measures["joint"]["final_accuracy"].tolist()
    assert whole.store.read_json("manifest.json")["settings"] == dict(SMALL.configured())


def test_the_arms_do_what_they_are_there_for(whole):
    final = {arm: own["final_accuracy"] for arm, own in whole.measures.items()}
    assert np.all(final["joint"] > 0.8)
    assert final["replay"].mean() > final["finetune"].mean()
    assert abs(final["shuffled"].mean() - 0.25) < 0.1
    assert all(check.passed for check in whole.verdict.controls)
    assert whole.verdict.outcome == Outcome.INCONCLUSIVE
    assert "fewer than eight seeds" in whole.verdict.reason


def test_lives_tell_where_they_come_from(whole):
    for arm, life in whole.lives.items():
        about = life.attrs
        assert (about["code"], about["lifelong"], about["jax"]) == (
            code_fingerprint(),
            version("lifelong"),
            jax.__version__,
        )
        assert about["device"] == jax.devices()[0].device_kind
        assert about["compile_seconds"] >= 0
        assert about["run_seconds"] >= 0
        assert about["settings"] == str(dict(SMALL.configured()))
        assert about["chosen"] == {"finetune": 0, "replay": 1, "joint": 0, "shuffled": 1}[arm]
    assert whole.stale == []


def test_lives_of_other_code_are_stale(whole):
    lives = dict(whole.lives) | {"joint": whole.lives["joint"].assign_attrs(code="another")}
    assert replace(whole, lives=lives).stale == ["joint"]


def test_all_arms_make_one_data_set(whole):
    together = whole.to_xarray()
    assert together.accuracy.dims == ("arm", "seed", "exam", "task")
    for arm, life in whole.lives.items():
        np.testing.assert_array_equal(together.accuracy.sel(arm=arm), life.accuracy)


def test_what_is_stored_is_not_lived_again(whole):
    news = News()
    again = run(SMALL, out=whole.store.folder.parent.parent, news=news)
    assert {doing for _, doing in news.told} == {"stored"}
    assert_same_lives(again, whole)
    assert again.verdict == whole.verdict


def test_stored_lives_are_weighed_again_without_a_trace(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.store.folder.rglob("*")}
    again = stored(SMALL, out=whole.store.folder.parent.parent)
    assert_same_lives(again, whole)
    assert again.verdict == whole.verdict
    fewer = stored(SMALL, changes={"seeds": 1}, out=whole.store.folder.parent.parent)
    first = whole.measures["joint"]["final_accuracy"][:1]
    np.testing.assert_array_equal(fewer.measures["joint"]["final_accuracy"], first)
    assert before == {path: path.stat().st_mtime_ns for path in whole.store.folder.rglob("*")}


def test_what_is_not_stored_is_named_with_the_command_that_lives_it(whole, tmp_path):
    with pytest.raises(BadInput, match=r"arm 'finetune'.*lifelong run uer --budget full --set seeds=9"):
        stored(SMALL, changes={"seeds": 9}, out=whole.store.folder.parent.parent)
    with pytest.raises(BadInput, match="has not been lived"):
        stored(SMALL, out=tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_more_seeds_extend_what_is_stored(tmp_path):
    at_once = run(drawn(6), out=tmp_path / "at once")
    few = run(drawn(6), changes={"seeds": 2}, out=tmp_path)
    news = News()
    more = run(drawn(6), out=tmp_path, news=news)
    assert {doing for _, doing in news.told} == {"living", "done"}
    assert_same_lives(more, at_once)
    assert more.verdict == at_once.verdict
    for arm, life in more.lives.items():
        assert life.attrs["run_seconds"] >= few.lives[arm].attrs["run_seconds"]
    assert run(drawn(6), changes={"seeds": 3}, out=tmp_path).lives["joint"].seed.values.tolist() == [0, 1, 2]


def test_force_lives_again_what_is_chosen(whole, tmp_path):
    quickly = partial(run, drawn(4), out=tmp_path)
    quickly()
    news = News()
    quickly(arms=["joint", "finetune"], force=True, news=news)
    assert sorted(arm for arm, doing in news.told if doing == "done") == ["finetune", "joint"]
    news = News()
    quickly(news=news)
    assert {doing for _, doing in news.told} == {"stored"}


@pytest.mark.parametrize(
    "at", [("finetune", "living", 24), ("replay", "tuning", 24), ("replay", "living", 24), ("joint", "living", 24)]
)
def test_an_interrupted_run_goes_on_to_the_same_results(whole, tmp_path, at):
    with pytest.raises(Interrupted):
        run(SMALL, out=tmp_path, news=News(at, stop))
    saved = [path.name.split(".")[:2] for path in tmp_path.rglob("unfinished/*.safetensors")]
    assert list(at[:2]) in saved
    assert not list(tmp_path.rglob(f"{at[0]}.nc"))
    resumed = run(SMALL, out=tmp_path)
    assert_same_lives(resumed, whole)
    assert resumed.verdict == whole.verdict
    assert not list(tmp_path.rglob("unfinished/*"))


@pytest.fixture
def heard():
    """Ctrl-C raises KeyboardInterrupt, whatever a test before has made of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_in_the_main_thread_stops_all_arms(whole, tmp_path):
    with pytest.raises(Interrupted):
        run(SMALL, out=tmp_path, news=News(("finetune", "living", 24), press_ctrl_c))
    assert not list(tmp_path.rglob("replay.nc"))
    assert_same_lives(run(SMALL, out=tmp_path), whole)


def press_ctrl_c(at):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)


def test_an_unfinished_life_of_other_seeds_is_not_in_the_way(whole, tmp_path):
    folder = shutil.copytree(whole.store.folder, tmp_path / "uer" / whole.store.folder.name)
    with pytest.raises(Interrupted):
        run(SMALL, changes={"seeds": 4}, arms=["finetune"], out=tmp_path, news=News(("finetune", "living", 24), stop))
    (folder / "finetune.nc").unlink()
    assert_same_lives(run(SMALL, out=tmp_path), whole)
    assert len(list(folder.glob("unfinished/finetune.living.*"))) == 1


def test_a_fault_of_one_arm_is_the_fault_of_the_run(tmp_path):
    def lifetime(arm, settings, **options):
        if arm.build == "joint":
            raise BadInput("this arm cannot live")
        return draw(arm, settings, **options)

    with pytest.raises(BadInput, match="this arm cannot live"):
        run(drawn(4, lifetime=lifetime), out=tmp_path)


def test_results_that_cannot_be_read_or_written_are_named(tmp_path):
    done = run(drawn(4), out=tmp_path)
    broken = done.store.path("joint")
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(BadFile, match=r"joint\.nc"):
        run(drawn(4), out=tmp_path)
    assert broken.stat().st_size == 1000
    assert np.all(run(drawn(4), out=tmp_path, force=True).measures["joint"]["final_accuracy"] > 0)
    (tmp_path / "file").touch()
    with pytest.raises(BadFile, match="results cannot be written"):
        run(drawn(4), out=tmp_path / "file")


def test_an_arm_that_does_not_exist_gets_a_suggestion(tmp_path):
    with pytest.raises(UnknownName, match="no arm named 'jiont'; did you mean 'joint'"):
        run(SMALL, arms=["jiont"], out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_verdict_on_some_arms_does_not_replace_the_one_on_all(tmp_path):
    done = run(drawn(8), out=tmp_path)
    part = run(drawn(8), arms=["replay", "joint"], out=tmp_path)
    assert list(part.measures) == ["replay", "joint"]
    assert part.verdict.outcome == Outcome.BROKEN
    assert done.store.read_json("verdict.json")["verdict"]["outcome"] == done.verdict.outcome == Outcome.SUPPORTED


class Watched:
    """A made-up lifetime that writes down which seeds it was given for what."""

    __module__ = "miniature"

    def __init__(self, best=None):
        self.calls, self.best = [], best

    def __call__(self, arm, settings, *, seeds, sweep, **options):
        self.calls.append((arm.build, tuple(seeds), {path: tuple(values) for path, values in sweep.items()}))
        life = draw(arm, settings, seeds=seeds, sweep=sweep, **options)
        return life if self.best is None or not sweep else self.best(life)


def test_the_best_value_on_tuning_seeds_is_evaluated_on_others(tmp_path):
    watched = Watched()
    done = run(drawn(4, lifetime=watched), out=tmp_path)
    assert [call[1:] for call in watched.calls if call[0] == "replay"] == [
        ((1000, 1001), {"memory.labels": (0.0, 0.05)}),
        ((0, 1, 2, 3), {"memory.labels": (0.05,)}),
    ]
    assert done.lives["replay"].attrs["chosen"] == 0.05
    assert "memory.labels" not in done.lives["replay"].coords
    assert {seeds for build, seeds, _ in watched.calls if build != "replay"} == {(0, 1, 2, 3)}


def test_more_seeds_keep_the_value_that_was_chosen(tmp_path):
    run(drawn(4, lifetime=Watched()), out=tmp_path)
    watched = Watched()
    run(drawn(6, lifetime=watched), out=tmp_path)
    assert [call[1:] for call in watched.calls if call[0] == "replay"] == [((4, 5), {"memory.labels": (0.05,)})]


def test_a_value_that_makes_a_seed_diverge_is_never_chosen(tmp_path):
    def diverging(life):
        return life.assign(diverged_at=xr.where((life["memory.labels"] > 0) & (life.seed == 1000), 5, life.diverged_at))

    done = run(drawn(4, lifetime=Watched(best=diverging)), out=tmp_path)
    assert done.lives["replay"].attrs["chosen"] == 0.0


def test_where_smaller_is_better_the_smallest_is_chosen(tmp_path):
    less = Claim("replay", "finetune", "final_accuracy", higher_is_better=False)
    assert run(drawn(4, claim=less), out=tmp_path).lives["replay"].attrs["chosen"] == 0.0


def test_one_value_needs_no_tuning(whole):
    assert SMALL.arms["finetune"].tune == NEVER
    assert LABELS not in whole.lives["finetune"].coords


def test_a_study_whose_control_fails_is_broken(tmp_path):
    impossible = Control("finetune", "final_accuracy", at_least=0.99, because="nobody forgets")
    done = run(drawn(8, controls=(impossible,)), out=tmp_path)
    assert done.verdict.outcome == Outcome.BROKEN
    assert "nobody forgets" in done.verdict.reason


def test_time_that_is_spent_compiling_is_counted_once():
    inner = jax.jit(lambda x: jnp.linalg.norm(jnp.sort(x) @ jnp.tanh(x)))
    outer = jax.jit(lambda x: jax.lax.scan(lambda s, _: (jnp.outer(x, x).sum() + inner(s * x), None), 0.0, length=7)[0])
    x = jnp.arange(3.0)
    began = time.perf_counter()
    with clocked() as clock:
        outer(x).block_until_ready()
    assert 0.1 * clock.total < clock.compiling <= clock.total <= time.perf_counter() - began
    with clocked() as warm:
        outer(x).block_until_ready()
        time.sleep(0.05)
    assert warm.compiling < 0.02 < warm.total


@pytest.mark.parametrize("damaged", [None, "{", "[]", "3", '{"compiling": 0, "total": "long"}', '{"compiling": null}'])
def test_time_before_ctrl_c_is_counted(tmp_path, damaged):
    """A note that cannot be read counts nothing: no life is lost for it."""
    noted = tmp_path / "unfinished" / "arm.seconds.json"
    with pytest.raises(KeyboardInterrupt), clocked(noted):
        time.sleep(0.05)
        raise KeyboardInterrupt
    before = json.loads(noted.read_text())["total"]
    if damaged:
        noted.write_text(damaged)
    began = time.perf_counter()
    with clocked(noted) as second:
        time.sleep(0.05)
    own = time.perf_counter() - began
    assert not noted.exists()
    assert second.total >= before + 0.05 >= 0.1 if damaged is None else second.total <= own


def test_time_before_a_fault_is_not_noted(tmp_path):
    with pytest.raises(BadInput), clocked(tmp_path / "noted"):
        raise BadInput("this arm cannot live")
    assert not list(tmp_path.iterdir())
