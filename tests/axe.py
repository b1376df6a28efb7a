"""What axe-core, run inside a page, finds against its accessibility."""

import json
from importlib.resources import files

SCRIPT = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}


def violations(browser):
    """Return every rule that the open page breaks, with the elements that do."""
    browser.value(SCRIPT + "; 0")
    found = browser(
        "Runtime.evaluate",
        expression=f"axe.run({json.dumps(RULES)}).then(found => JSON.stringify("
        "found.violations.map(v => [v.id, v.nodes.slice(0, 5).map(n => n.html.slice(0, 120))])))",
        awaitPromise=True,
        returnByValue=True,
    )
    return json.loads(found["result"]["value"])
