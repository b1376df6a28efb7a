"""Runs for other tools: a folder written as a whole, or not at all."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lifelong import __version__
from lifelong.errors import BadFile, BadInput, Mismatch, UnknownName
from lifelong.lab import Store, Study
from lifelong.lab._folders import Recorded, recorded

from . import _csv, _l2logger, _rliable

MARK = "lifelong-export.json"
"""The file by which a folder is known as an export, which alone may be replaced."""

FORMATS = {"l2logger": _l2logger.files, "csv": _csv.files, "rliable": _rliable.files}
"""What turns a stored run into files, by the name of the format."""


@dataclass(frozen=True)
class StoredRun:
    """A run as it lies on disk: its record, its study, and the raw lives of every arm that was lived."""

    record: Recorded
    study: Study
    lives: Mapping[str, xr.Dataset]

    @classmethod
    def read(cls, folder: Path, study: Study) -> "StoredRun":
        """Return the run of a folder; raise `BadFile` where it is none, `Mismatch` or `BadInput` where it does not do."""
        record, store = recorded(folder), Store(folder)
        if record.study != study.slug:
            raise Mismatch(f"'{folder}' is a run of '{record.study}', and the study given is '{study.slug}'")
        found = {arm: store.load(arm) for arm in study.arms}
        lives = {arm: life for arm, life in found.items() if life is not None}
        if not lives:
            raise BadInput(f"the run '{folder}' has no finished arm yet; lifelong run {study.slug} goes on with it")
        return cls(record, study, lives)

    def lanes(self, life: xr.Dataset) -> Iterator[tuple[dict[str, Any], xr.Dataset]]:
        """Yield what tells each life of an arm from the others, its seed and swept values, and its record."""
        dims = [str(dim) for dim in life[self.study.curve].dims if dim not in ("exam", "task")]
        for place in np.ndindex(*(life.sizes[dim] for dim in dims)):
            lane = life.isel(dict(zip(dims, place, strict=True)))
            yield {dim: lane[dim].item() for dim in dims}, lane


def export(run: str | Path, study: Study, to: str, out: str | Path, *, force: bool = False) -> dict[str, Any]:
    """Write a stored run into a new folder, for another tool; return what was written.

    Args:
        run: the folder of a run.
        study: the study that was run.
        to: 'l2logger' (a log folder of TSV format 1.1 for each life, for l2metrics), 'csv' (a tidy table for each raw
            variable, and one of all measures), or 'rliable' (a score matrix, runs × tasks, for each arm).
        out: the folder to write; it appears whole or not at all.
        force: replace an earlier export of that name; any other folder is left alone.

    What is returned also lies in the folder, as `lifelong-export.json`; `left_out` says which arms the format could not
    hold, and why. Raises `UnknownName` for another format, `BadFile` where the run cannot be read or the folder exists
    or cannot be written, `Mismatch` for a run of another study, `BadInput` where there is nothing to write.
    """
    if to not in FORMATS:
        raise UnknownName("export format", to, FORMATS)
    out = Path(out)
    _check_free(out, force)
    stored = StoredRun.read(Path(run), study)
    files, left_out = FORMATS[to](stored)
    if not files:
        whys = "; ".join(f"{arm}: {why}" for arm, why in left_out.items())
        raise BadInput(f"'{to}' can hold no arm of this run ({whys}); try --to csv")
    about = {
        "lifelong": __version__,
        "format": to,
        "study": study.slug,
        "budget": stored.record.budget,
        "settings": stored.record.settings,
        "code": {arm: life.attrs.get("code") for arm, life in stored.lives.items()},
        "left_out": left_out,
        "files": sorted(files),
    }
    _write(out, {MARK: json.dumps(about, indent=1), **files})
    return about


def _check_free(out: Path, force: bool) -> None:
    if not out.exists():
        return
    if not force:
        raise BadFile(f"'{out}' is there already; choose another folder, or --force to replace an earlier export")
    if not (out / MARK).is_file():
        raise BadFile(
            f"'{out}' is not an earlier export (it has no {MARK}), so it is left alone; choose another folder"
        )


def _write(out: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files into a folder beside the final one, and move it there when all is written."""
    draft, old = (out.with_name(f".{out.name}.{os.getpid()}.{kind}") for kind in ("new", "old"))
    try:
        for name, content in files.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if out.exists():
            os.replace(out, old)
        os.replace(draft, out)
    except OSError as error:
        if old.exists() and not out.exists():
            os.replace(old, out)
        raise BadFile(f"'{out}' cannot be written: {error.strerror or error}; choose another folder") from error
    finally:
        for folder in (draft, old):
            shutil.rmtree(folder, ignore_errors=True)
