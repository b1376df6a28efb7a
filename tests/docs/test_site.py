"""The documentation as a site, beside the atlas: built without a warning, and read in a real browser."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe import violations
from browsing import WIDEST

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PAGES = [
    "index.html",
    "nouns.html",
    "recipes.html",
    "guide/verdicts.html",
    "reference/learners/index.html",
    "reference/memory/anchors.html",
    "decisions/index.html",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    for words in (
        ["sphinx", "-q", "-W", "-b", "html", "docs", str(folder)],
        ["lifelong", "atlas", "build", "--out", str(folder / "atlas"), "--docs", "../"],
    ):
        built = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
    return folder


class Links(HTMLParser):
    """Where a page leads and what it loads."""

    def __init__(self, page):
        super().__init__()
        self.leads, self.loads = [], []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.leads.append(given["href"])
        self.loads += [given[name] for name in ("src", "href") if tag in ("script", "link", "img") and given.get(name)]


def test_every_page_is_small_and_leads_somewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 400 and max(page.stat().st_size for page in pages if page.name != "genindex.html") < 300_000
    for page in pages:
        links = Links(page)
        assert not [one for one in links.loads if "//" in one], page
        for lead in links.leads:
            where = lead.partition("#")[0]
            if where and "//" not in where and not where.startswith("mailto:"):
                assert (page.parent / where).exists(), f"{page.relative_to(site)} leads to {lead}"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_a_page_can_be_read_by_everybody(browser, site, page, width, scheme):
    browser.open(site / page, width, scheme)
    assert browser.value("document.documentElement.scrollWidth") <= width, browser.value(WIDEST)
    assert violations(browser) == []
    asked = [event["request"]["url"] for event in browser.happened("Network.requestWillBeSent")]
    assert asked and not [url for url in asked if not url.startswith(("file://", "data:"))]
    assert browser.happened("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []


def test_what_is_searched_for_is_found(browser, site):
    browser.open(site / "search.html", 1200, "light", "?q=sharding")
    for _ in range(100):
        found = browser.value("[...document.querySelectorAll('#search-results li a')].map(a => a.getAttribute('href'))")
        if any("guide/scale" in one for one in found or ()):
            return
    pytest.fail(f"'sharding' was not found on the page about it, but in {found}")


def test_documentation_and_atlas_lead_to_each_other(browser, site):
    for page in ("index.html", "guide/verdicts.html"):
        browser.open(site / page, 1200, "light")
        leads = browser.value("[...document.querySelectorAll('aside a')].map(a => a.href)")
        assert (site / "atlas" / "index.html").as_uri() in leads
    for page in ("atlas/index.html", "atlas/studies/uer.html", "atlas/studies/adaptive-rr.html"):
        browser.open(site / page, 1200, "light")
        leads = browser.value("[...document.querySelectorAll('header a')].map(a => a.href)")
        assert (site / "index.html").as_uri() in leads


def test_the_keyboard_reaches_the_pages(browser, site):
    browser.open(site / "index.html", 1200, "light")
    reached = []
    for _ in range(25):
        for kind in ("keyDown", "keyUp"):
            browser("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(browser.value("document.activeElement.getAttribute('href') || document.activeElement.name"))
    assert {"getting-started.html", "nouns.html", "q"} <= set(reached)
