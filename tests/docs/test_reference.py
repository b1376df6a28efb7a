"""The reference leaves out no public name, whether its package imports it at once or when it is first used."""

import inspect
import sys
from importlib import import_module
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def _made_here(there):
    return not inspect.ismodule(there) and getattr(there, "__module__", "").startswith("lifelong.")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    sys.path.insert(0, str(DOCS))
    try:
        pages = import_module("reference_pages")
    finally:
        sys.path.remove(str(DOCS))
    folder = tmp_path_factory.mktemp("reference")
    pages.write(folder)
    return folder, pages


def test_every_package_has_its_page(reference):
    """Packages are found as folders, not as the list has them; those whose names begin with a line are nobody's business."""
    _, pages = reference
    source = DOCS.parent / "lifelong"
    found = {".".join(p.parent.relative_to(source).parts) for p in source.rglob("__init__.py")} - {""}
    assert {one for one in found if not one.startswith(("studies", "cli"))} == set(pages.PACKAGES)


@pytest.mark.parametrize("package", ["worlds", "connect", "lab", "memory", "exams.tracing"])
def test_every_public_name_is_described_once_and_in_a_sentence(reference, package):
    folder, _ = reference
    module = import_module(f"lifelong.{package}")
    names = {name for name in dir(module) if name[0] != "_" and _made_here(getattr(module, name))}
    assert len(names) > 5
    pages = "\n".join(page.read_text() for page in (folder / package).glob("*.rst") if page.name != "index.rst")
    index = (folder / package / "index.rst").read_text()
    for name in names:
        assert sum(pages.count(f".. {kind}:: {name}\n") for kind in ("autoclass", "autofunction", "py:data")) == 1, name
        words = index.partition(f":doc:`{name} <")[2].partition("     - ")[2].partition("\n")[0]
        assert len(words) > 10, name


def test_what_a_class_lists_itself_and_fields_without_words_are_not_said_again(reference):
    folder, _ = reference
    assert "   :exclude-members: classes_" in (folder / "connect" / "estimator.rst").read_text()
    ppo = (folder / "learners" / "ppo.rst").read_text()
    assert ppo.count("discount") == 1 and ":exclude-members:" in ppo


def test_a_sentence_does_not_end_with_the_authors_of_a_paper(reference):
    _, pages = reference
    assert pages.sentence("lifelong.learners", "lifelong.learners._dqn", "DQN").endswith('reinforcement learning").')
