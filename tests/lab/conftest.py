import os

import pytest
from browsing import CHROMIUM, Browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        missing = "no browser: neither chromium nor chromium-browser is on the PATH (apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()
