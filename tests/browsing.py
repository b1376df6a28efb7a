"""A real browser to look at pages with, driven over its pipe."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess

import pytest
from matplotlib.image import imread

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
).split()
WIDEST = """[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide, pre, svg'))
  .map(e => [e.getBoundingClientRect().right, e.tagName + '.' + e.className])
  .reduce((a, b) => a[0] > b[0] ? a : b).join(' ')"""
"""The element that reaches furthest to the right, but for those that scroll by themselves."""


class Browser:
    """A page of a headless Chromium, told what to do in the DevTools protocol: JSON between null bytes on a pipe."""

    def __init__(self, folder):
        theirs, self.to = os.pipe()
        self.back, ours = os.pipe()
        command = f'exec "$@" 3<&{theirs} 4>&{ours}'
        flags = [*FLAGS, f"--user-data-dir={folder}"]
        self.process = subprocess.Popen(
            ["bash", "-c", command, "browser", CHROMIUM, *flags], pass_fds=(theirs, ours), stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(ours)
        self.numbers, self.events, self.rest, self.session = itertools.count(1), [], b"", None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method, **params):
        """Return the answer to one command; what happens meanwhile is kept."""
        message = {"id": next(self.numbers), "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != message["id"]:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self):
        while b"\0" not in self.rest:
            answered, _, _ = select.select([self.back], [], [], 60)
            more = os.read(self.back, 1 << 20) if answered else b""
            assert more, "the browser has gone, or does not answer"
            self.rest += more
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def open(self, path, width, scheme, fragment=""):
        """Open a file, at a fragment if one is given, as a window of so many pixels shows it."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self("Page.navigate", url=path.as_uri() + fragment)
        while not self.happened("Page.loadEventFired"):
            self.events.append(self._read())

    def value(self, expression):
        return self("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, path):
        shot = self("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return imread(path)[..., :3]

    def happened(self, *methods):
        return [event["params"] for event in self.events if event.get("method") in methods]

    def close(self):
        self.session = None
        self("Browser.close")
        self.process.wait(timeout=20)
        os.close(self.to)
        os.close(self.back)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Return a browser of the module's own."""
    if CHROMIUM is None:
        missing = "no browser: neither chromium nor chromium-browser is on the PATH (apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()
