import linecache
import os
import types

import numpy as np
import pytest
import xarray as xr
from miniature import study

from lifelong.errors import BadFile
from lifelong.lab import Store
from lifelong.lab._store import address, code_fingerprint, missing_seeds

SMALL = study()


def lives(seeds, code="abc", seconds=1.0, ends=(5, 10)):
    """Return a raw record whose values tell their seed."""
    values = np.asarray(seeds)[:, None, None] + np.linspace(0, 0.5, 6).reshape(2, 3)
    attrs = {"ends": np.asarray(ends, int), "code": code, "run_seconds": seconds, "compile_seconds": 2.0, "chosen": 0.5}
    coords = {"seed": list(seeds), "exam": [5, 10]}
    return xr.Dataset({"accuracy": (("seed", "exam", "task"), values.astype(np.float32))}, coords, attrs)


def test_what_is_stored_comes_back(tmp_path):
    store = Store(tmp_path)
    stored = store.add("replay", lives([0, 1]))
    xr.testing.assert_identical(store.load("replay").drop_attrs(), stored.drop_attrs())
    for name, value in stored.attrs.items():
        np.testing.assert_array_equal(store.load("replay").attrs[name], value)
    assert store.load("joint") is None
    assert [path.name for path in tmp_path.iterdir()] == ["replay.nc"]


def test_an_arm_without_ends_of_tasks_comes_back(tmp_path):
    Store(tmp_path).add("joint", lives([0], ends=()))
    assert np.size(Store(tmp_path).load("joint").attrs["ends"]) == 0


def test_seeds_lived_later_are_put_in_their_place(tmp_path):
    store = Store(tmp_path)
    store.add("replay", lives([0, 3]))
    both = store.add("replay", lives([2, 1], code="def", seconds=4.0))
    assert both.seed.values.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(both.accuracy, lives([0, 1, 2, 3]).accuracy)
    assert both.attrs["run_seconds"] == 5.0
    assert both.attrs["compile_seconds"] == 4.0
    assert both.attrs["code"] == "abc, def"
    assert missing_seeds(both, [0, 2, 4, 5]) == [4, 5]
    assert missing_seeds(None, [0, 1]) == [0, 1]


def broken(whole: bytes) -> dict[str, bytes]:
    random = np.random.default_rng(0)
    flipped = bytearray(whole)
    flipped[:8] = b"        "
    return {
        "empty": b"",
        "text": b"not a result at all",
        "noise": random.bytes(len(whole)),
        "without its beginning": bytes(flipped),
        **{f"cut at {share}": whole[: int(share * len(whole))] for share in (0.05, 0.3, 0.6, 0.9)},
    }


def test_a_broken_file_is_named_and_left_alone(tmp_path):
    store = Store(tmp_path)
    store.add("replay", lives([0, 1]))
    path = store.path("replay")
    for what, content in broken(path.read_bytes()).items():
        path.write_bytes(content)
        for use in (lambda: store.load("replay"), lambda: store.add("replay", lives([2]))):
            with pytest.raises(BadFile, match=r"replay\.nc' is not a readable result .* left as it is"):
                use()
        assert path.read_bytes() == content, what


def test_a_foreign_file_is_named_and_left_alone(tmp_path):
    xr.Dataset({"x": ("y", [1.0, 2.0])}).to_netcdf(tmp_path / "replay.nc", engine="h5netcdf")
    with pytest.raises(BadFile, match="not a readable result"):
        Store(tmp_path).load("replay")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadFile, match=r"results cannot be written to .*file/deep.*--out"):
        Store(tmp_path / "file" / "deep").prepare()
    with pytest.raises(BadFile, match=r"replay\.nc' cannot be written"):
        Store(tmp_path / "gone").add("replay", lives([0]))


def test_a_store_touches_nothing_until_it_is_used(tmp_path):
    store = Store.of(SMALL, SMALL.configured(), tmp_path)
    assert store.load("replay") is None
    assert not list(tmp_path.iterdir())
    store.prepare()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_folder_depends_on_settings_but_not_on_seeds(tmp_path):
    here = Store.of(SMALL, SMALL.configured(), tmp_path)
    assert here.folder.parent == tmp_path / "uer"
    assert here == Store.of(SMALL, SMALL.configured(changes={"seeds": 9}), str(tmp_path))
    assert here != Store.of(SMALL, SMALL.configured(changes={"steps": 9}), tmp_path)


def test_runs_lie_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELONG_RUNS", str(tmp_path / "mine"))
    assert Store.of(SMALL, SMALL.configured()).folder.parent.parent == tmp_path / "mine"


CELL = """
def lifetime(arm, settings, **options):
    return arm.build(settings)

def build(settings):
    return {value}
"""


def notebook_study(name, value, monkeypatch, readable=True):
    """Return a study whose functions were typed into a notebook cell: no file holds them, at most IPython does."""
    text = CELL.format(value=value)
    module = types.ModuleType("__notebook__")
    monkeypatch.setitem(__import__("sys").modules, "__notebook__", module)
    if readable:
        monkeypatch.setitem(linecache.cache, name, (len(text), None, text.splitlines(keepends=True), name))
    exec(compile(text, name, "exec"), vars(module))
    arms = {arm: type(one)(one.role, one.note, module.build, one.tune) for arm, one in SMALL.arms.items()}
    return study(lifetime=module.lifetime, arms=arms)


def test_a_study_in_a_notebook_has_a_place_that_depends_on_its_text(monkeypatch):
    settings = SMALL.configured()
    first, again, other = (
        address(notebook_study(f"<cell {i}>", value, monkeypatch), settings) for i, value in enumerate([1, 1, 2])
    )
    assert first == again != other
    assert address(notebook_study("<gone>", 1, monkeypatch, readable=False), settings)


def test_checkpoints_of_other_seeds_or_purposes_do_not_meet(tmp_path):
    store = Store(tmp_path)
    paths = {store.checkpoint("a", doing, seeds) for doing in ("living", "tuning") for seeds in ([0, 1], [2, 3])}
    assert len(paths) == 4
    assert store.checkpoint("a", "living", (0, 1)) == store.checkpoint("a", "living", [0, 1])


def test_forgetting_an_arm_leaves_the_others(tmp_path):
    store = Store(tmp_path)
    for arm in ("replay", "joint"):
        store.add(arm, lives([0]))
        store.checkpoint(arm, "living", [0]).parent.mkdir(exist_ok=True)
        store.checkpoint(arm, "living", [0]).touch()
    store.forget("replay")
    left = sorted(path.name.split(".")[0] for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["joint", "joint"]


def test_plain_values_come_back_from_json(tmp_path):
    store = Store(tmp_path)
    content = {"a": np.float64(0.5), "b": np.arange(2), "c": SMALL.configured(), "d": tmp_path}
    store.write_json("x.json", content)
    expected = {"a": 0.5, "b": [0, 1], "c": dict(SMALL.configured()), "d": str(tmp_path)}
    assert store.read_json("x.json") == expected
    assert store.read_json("y.json") is None
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(BadFile, match=r"x\.json' is not readable JSON"):
        store.read_json("x.json")


def test_the_code_has_a_fingerprint():
    assert len(code_fingerprint()) == 12


def test_parts_of_an_arm_are_read_as_one_and_gathered(tmp_path):
    store, whole = Store(tmp_path), lives(range(6))
    for seeds in ([4, 5], [0, 1], [1, 2, 3]):
        store.add_part("replay", whole.sel(seed=seeds))
    assert len(store.parts("replay")) == 3 and not store.path("replay").exists()
    gathered = store.gather("replay")
    assert gathered.identical(store.load("replay")) and not store.parts("replay")
    xr.testing.assert_identical(gathered.drop_attrs(), whole.drop_attrs())
    assert (gathered.attrs["run_seconds"], gathered.attrs["code"]) == (3.0, "abc")


def test_a_choice_is_noted_until_the_life_that_holds_it_is_stored(tmp_path):
    store = Store(tmp_path)
    assert store.chosen("replay") is None
    assert store.choose("replay", 0.25) == store.chosen("replay") == 0.25
    store.add("replay", lives([0, 1]))
    assert store.chosen("replay") == 0.5 and not list(tmp_path.glob("unfinished/*"))


def test_what_a_killed_process_left_half_written_goes(tmp_path):
    old, new = tmp_path / ".replay.nc.1.tmp", tmp_path / ".joint.nc.2.tmp"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    Store(tmp_path).prepare()
    assert not old.exists() and new.exists()
