"""Where runs lie on disk; read with the standard library alone, so that looking never waits for JAX."""

import json
import os
from collections.abc import Iterator
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
    manifest = _read(folder / "manifest.json")
    if manifest is None:
        raise BadFile(f"'{folder}' is not the folder of a run: it has no manifest.json")
    try:
        return Recorded(
            folder, manifest["study"], manifest["budget"], manifest["settings"], _read(folder / "verdict.json")
        )
    except (KeyError, TypeError) as error:
        raise BadFile(f"'{folder / 'manifest.json'}' is not the manifest of a run: no {error}") from error


def runs_of(slug: str, out: Path | None = None) -> Iterator[Path]:
    """Return the folders of a study's runs, by name."""
    folder = (out or default_folder()) / slug
    return iter(sorted(path.parent for path in folder.glob("*/manifest.json")))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise BadFile(f"'{path}' is not readable JSON ({error}); it was left as it is: move it away") from error
