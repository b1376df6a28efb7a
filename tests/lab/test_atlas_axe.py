"""The atlas, looked through by axe-core: pages with a verdict, without one, and the index, in the light and in the dark."""

import pytest
from axe import violations
from miniature import drawn

from lifelong import studies
from lifelong.lab import entry, run
from lifelong.lab._anchors import anchors, compared
from lifelong.lab._atlas import build_atlas
from lifelong.lab._ship import revived, shipped_from

PAPERS = [entry(slug) for slug in ("uer", "onpro", "adaptive-rr")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder, lived = tmp_path_factory.mktemp("site"), run(drawn(8), out=tmp_path_factory.mktemp("runs"))
    written = {"onpro": studies.load("onpro")}
    build_atlas(PAPERS, {"uer": revived(shipped_from(lived), lived.study)}, compared(anchors()), folder, written, "../")
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["index.html", *(f"studies/{paper.slug}.html" for paper in PAPERS)])
def test_axe_finds_nothing(browser, site, page, scheme):
    browser.open(site / page, 1100 if scheme == "light" else 390, scheme)
    browser.value("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(browser) == []
