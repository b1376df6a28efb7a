"""Results small enough to come with the library: nothing that a verdict rests on is lost, and what they depend on is known."""

import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from miniature import drawn

from lifelong import studies
from lifelong.errors import BadFile, Mismatch
from lifelong.lab import entry, run
from lifelong.lab._report import as_html
from lifelong.lab._ship import revived, shipped_from, write_shipped
from lifelong.lab._shipped import all_shipped, shipped
from lifelong.lab._sources import changed_sources, sources_of

UER = entry("uer")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(drawn(16, diverge=(4,)), out=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def again(done, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    write_shipped(shipped_from(done), folder)
    one = shipped(UER, folder)
    assert one is not None
    return revived(one, done.study)


def test_a_verdict_comes_back_as_it_was(done, again):
    assert again.findings()["verdict"] == done.findings()["verdict"]
    assert again.findings()["secondary"] == done.findings()["secondary"]
    assert again.verdict.diverged["replay"] == 1


def test_what_claims_name_is_kept_in_full_and_the_rest_to_four_digits(done, again):
    for arm, own in done.measures.items():
        np.testing.assert_array_equal(again.measures[arm]["final_accuracy"], own["final_accuracy"])
        for name, values in own.items():
            np.testing.assert_allclose(again.measures[arm][name], values, rtol=1e-3)


def test_a_report_draws_the_same_lives(done, again):
    for arm, life in done.lives.items():
        assert again.lives[arm].attrs["run_seconds"] == life.attrs["run_seconds"]
        np.testing.assert_array_equal(again.lives[arm].diverged_at >= 0, life.diverged_at >= 0)
        exams = life.accuracy.sel(exam=again.lives[arm].exam)
        np.testing.assert_allclose(again.lives[arm].accuracy, exams, rtol=1e-2, atol=1e-4)
    page, whole = as_html(again), as_html(done)
    assert page.count("<svg") == whole.count("<svg") and page.count("<h2") == whole.count("<h2")
    assert "Nothing that these lives depended on" in page


def test_of_many_exams_those_at_ends_of_tasks_are_kept(tmp_path):
    many = run(drawn(2, tasks=20), out=tmp_path)
    one = shipped_from(many)
    assert one.lives["replay"]["curve"]["exam"] == list(range(10, 201, 10))
    told_no_ends = one.lives["joint"]["curve"]["exam"]
    assert 8 <= len(told_no_ends) <= 16 and set(told_no_ends) <= set(range(10, 201, 10))


def test_lives_of_other_code_are_refused(done):
    lives = dict(done.lives) | {"joint": done.lives["joint"].assign_attrs(code="another")}
    with pytest.raises(Mismatch, match=r"another.*--source"):
        shipped_from(replace(done, lives=lives))


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"format": 0}', '{"format": 1, "study": "uer"}'])
def test_a_file_that_is_none_is_named(damage, tmp_path):
    (tmp_path / "uer.json").write_text(damage)
    with pytest.raises(BadFile, match=r"uer\.json"):
        shipped(UER, tmp_path)


@pytest.mark.parametrize("slug", all_shipped())
def test_what_comes_with_the_library_bears_its_verdicts(slug):
    one = all_shipped()[slug]
    study = studies.load(slug)
    again = revived(one, study)
    found = again.findings()
    assert found["verdict"]["outcome"] == one.outcome
    for now, then in zip(
        (found["verdict"], *found["secondary"]),
        (one.findings["verdict"], *one.findings["secondary"]),
        strict=True,
    ):
        assert now["outcome"] == then["outcome"] and now["claim"] == then["claim"]
        if then["effect"]:
            assert now["effect"]["mean"] == pytest.approx(then["effect"]["mean"], rel=1e-9)
    if not again.changed:
        assert one.settings == dict(study.configured("full")) and set(one.lives) == set(study.arms)
    size = (files("lifelong") / "studies" / "results" / f"{slug}.json").read_bytes()
    assert len(size) < 250_000 and json.loads(size)["format"] == 1


@pytest.fixture
def library(tmp_path):
    """A library of a few modules: the study uses one of two parts that a package re-exports."""
    root = tmp_path / "lifelong"
    modules = {
        "__init__.py": "",
        "studies/continual/uer.py": "from lifelong.memory import Kept as K\nfrom lifelong.lab import Study, measures as m\n",
        "memory/__init__.py": "from ._a import A as Kept\nfrom ._b import B as B\n",
        "memory/_a.py": '"""Prose."""\nfrom ..keys import key_for\nfrom . import _shares as shares\n\nA = 1  # so\n',
        "memory/_b.py": "B = 2\n",
        "memory/_shares.py": "S = 3\n",
        "keys.py": "import numpy\n\ndef key_for():\n    '''Prose.'''\n    return 1\n",
        "lab/__init__.py": "from ._study import Study as Study\n",
        "lab/_study.py": "class Study: ...\n",
        "lab/measures.py": "from lifelong.memory import B\n",
    }
    for name, text in modules.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


USED = ["keys.py", "lab/measures.py", "memory/_a.py", "memory/_b.py", "memory/_shares.py", "studies/continual/uer.py"]


def test_imports_are_followed_to_where_names_are_defined(library):
    assert list(sources_of(UER, library)) == USED


def test_the_real_studies_depend_on_what_they_import_and_on_nothing_beside():
    used = sources_of(UER)
    assert {"studies/continual/uer.py", "memory/_replay.py", "life/_live.py", "exams/_bias.py"} <= set(used)
    assert not {"memory/_onpro.py", "nets/_vae.py", "lab/_verdict.py", "studies/continual/uncle.py"} & set(used)
    assert changed_sources(UER, used) == []
    assert changed_sources(UER, used | {"life/_progress.py": "as it talked before"}) == []


@pytest.mark.parametrize(
    ("place", "old", "new", "counts"),
    [
        ("memory/_a.py", '"""Prose."""', '"""Other\n\nprose."""', False),
        ("memory/_a.py", "A = 1", "# a remark\n\nA = 1", False),
        ("keys.py", "'''Prose.'''", "'''Other prose.'''", False),
        ("memory/__init__.py", "import A", "import  A", False),
        ("memory/_a.py", "A = 1", "A = 2", True),
        ("keys.py", "return 1", "return 2", True),
    ],
)
def test_code_counts_and_prose_does_not(library, tmp_path, place, old, new, counts):
    before = sources_of(UER, library)
    other = tmp_path / "other" / "lifelong"
    other.parent.mkdir()
    library.rename(other)
    (other / place).write_text((other / place).read_text().replace(old, new))
    after = sources_of(UER, other)
    assert [name for name in USED if before[name] != after[name]] == ([place] if counts else [])
