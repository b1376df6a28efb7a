"""Where runs lie on disk; read with the standard library alone, so that looking never waits for JAX."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong.errors import BadFile


def default_folder() -> Path:
    """Return where runs are kept unless stated: $LIFELONG_RUNS, or `runs` in the current folder."""
    return Path(os.environ.get("LIFELONG_RUNS", "runs"))


@dataclass(frozen=True)
class Recorded:
    """What a run left behind: its folder, which study, budget and settings, and its findings (None: unfinished)."""

    folder: Path
    study: str
    budget: str
    settings: dict[str, Any]
    findings: dict[str, Any] | None


def recorded(folder: Path) -> Recorded:
    """Read what a run left in its folder; raise `BadFile` where that is no run, or is corrupt."""
    manifest = _read(folder / "manifest.json", "study", "budget", "settings")
    if manifest is None:
        raise BadFile(f"'{folder}' is not the folder of a run: it has no manifest.json")
    findings = _read(folder / "verdict.json", "verdict", "measures")
    return Recorded(folder, manifest["study"], manifest["budget"], manifest["settings"], findings)


def runs_of(slug: str, out: Path | None = None) -> list[Path]:
    """Return the folders of a study's runs, by name."""
    folder = (out or default_folder()) / slug
    return sorted(path.parent for path in folder.glob("*/manifest.json"))


def _read(path: Path, *names: str) -> dict[str, Any] | None:
    """Return what a JSON file says under these names; None where there is no file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise BadFile(f"'{path}' is not readable JSON ({error}); it was left as it is: move it away") from error
    if content is not None and not (isinstance(content, dict) and set(names) <= set(content)):
        raise BadFile(f"'{path}' says nothing under {', '.join(names)}; it was left as it is: move it away")
    return content
