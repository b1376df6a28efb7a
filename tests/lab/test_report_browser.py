"""The report in a real browser."""

import numpy as np
import pytest
from browsing import WIDEST
from miniature import drawn

from lifelong.lab import run
from lifelong.lab._report import report


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    arms = drawn().arms
    arms = arms | {"a-rather-long-name-of-an-arm": arms["joint"]}
    return report(run(drawn(16, tasks=10, arms=arms, diverge=(4,)), out=folder), folder / "study.html")


@pytest.mark.parametrize("width", [390, 900])
def test_the_page_fits_its_window(browser, page, tmp_path, width):
    browser.open(page, width, "light")
    assert browser.value("document.title").startswith("supported: UER")
    assert browser.value("document.documentElement.scrollWidth") <= width, browser.value(WIDEST)
    assert float(browser.value(WIDEST).split()[0]) <= width, browser.value(WIDEST)
    assert browser.screenshot(tmp_path / f"{width}.png").shape[1] == width


def test_text_in_pictures_can_be_read_on_a_phone(browser, page):
    browser.open(page, 390, "light")
    sizes = browser.value("[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)")
    assert min(sizes) >= 9


def test_the_page_is_light_or_dark_as_the_reader_wishes(browser, page, tmp_path):
    shots = {}
    for scheme in ("light", "dark"):
        browser.open(page, 900, scheme)
        shots[scheme] = browser.screenshot(tmp_path / f"{scheme}.png")
    assert np.median(shots["light"]) > 0.9
    assert np.median(shots["dark"]) < 0.2
    assert shots["light"].min() < 0.3 and shots["dark"].max() > 0.8


def test_nothing_is_asked_for_and_nothing_goes_wrong(browser, page):
    browser.open(page, 900, "light")
    asked = [event["request"]["url"] for event in browser.happened("Network.requestWillBeSent")]
    assert page.as_uri() in asked
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    assert browser.happened("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
