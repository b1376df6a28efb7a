"""Where raw results are kept: one folder a configuration, one file an arm, more seeds added as they are lived."""

import hashlib
import inspect
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import lifelong
from lifelong.errors import BadFile
from lifelong.life import write_atomically

from ._folders import default_folder
from ._study import Settings, Study

ABANDONED = 3600.0
"""Seconds after which nobody writes a file any more."""


@dataclass(frozen=True)
class Store:
    """The results of one study under one configuration."""

    folder: Path

    def prepare(self) -> None:
        """Make the folder, without what killed processes left half written; raise `BadFile` where it cannot be written to."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".{os.getpid()}.probe"
            probe.touch()
            probe.unlink()
            for path in self.folder.rglob(".*.tmp"):
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise BadFile(
                f"results cannot be written to '{self.folder}': {error.strerror}; choose another folder with --out"
            ) from error

    @classmethod
    def of(cls, study: Study, settings: Settings, out: str | Path | None = None) -> "Store":
        """Return the store of a configuration: its folder is named by study and content of the configuration."""
        return cls(Path(out or default_folder()) / study.slug / address(study, settings))

    def path(self, arm: str) -> Path:
        """Return the file of an arm's raw record."""
        return self.folder / f"{arm}.nc"

    def parts(self, arm: str) -> list[Path]:
        """Return the files of blocks of an arm's seeds that were stored apart."""
        return sorted((self.folder / "parts").glob(f"{arm}.*.nc"))

    def load(self, arm: str) -> xr.Dataset | None:
        """Return an arm's raw record with its parts, None where it was not lived; raise `BadFile` where one is corrupt."""
        return _joined([self._read(path) for path in (self.path(arm), *self.parts(arm)) if path.exists()])

    def _read(self, path: Path) -> xr.Dataset:
        try:
            with xr.open_dataset(path, engine="h5netcdf") as stored:
                stored["seed"]
                return stored.load()
        except Exception as error:  # what HDF5 makes of broken bytes is of many kinds
            raise BadFile(f"'{path}' is not a readable result ({error}); it was left as it is: move it away") from error

    def add(self, arm: str, lives: xr.Dataset) -> xr.Dataset:
        """Store lives beside those of other seeds already there; return them all, sorted by seed."""
        parts, stored = self.parts(arm), self.load(arm)
        every = _joined([lives] if stored is None else [stored, lives])
        assert every is not None
        self._settle(arm, every, parts)
        return every

    def _settle(self, arm: str, lives: xr.Dataset, parts: Sequence[Path]) -> None:
        """Write the whole record of an arm, then remove what it makes superfluous."""
        self._write(self.path(arm), lives)
        for path in (*parts, self.folder / _choice(arm)):
            path.unlink(missing_ok=True)

    def add_part(self, arm: str, lives: xr.Dataset) -> None:
        """Store lives in a file of their own, named by their seeds: whoever else lives the arm is not in the way."""
        path = self.folder / "parts" / f"{arm}.{_short(str(lives.seed.values.tolist()))}.nc"
        path.parent.mkdir(exist_ok=True)
        self._write(path, lives)

    def gather(self, arm: str) -> xr.Dataset | None:
        """Return an arm's raw record, its parts joined to one file."""
        parts, lives = self.parts(arm), self.load(arm)
        if parts and lives is not None:
            self._settle(arm, lives, parts)
        return lives

    def _write(self, path: Path, lives: xr.Dataset) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            lives.to_netcdf(temporary, engine="h5netcdf")
            write_atomically(path, temporary.read_bytes())
        except OSError as error:
            raise BadFile(f"'{path}' cannot be written: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def chosen(self, arm: str) -> float | None:
        """Return the hyperparameter that was chosen for an arm, None where none was yet."""
        lives = self.load(arm)
        if lives is not None and "chosen" in lives.attrs:
            return float(lives.attrs["chosen"])
        return self.read_json(_choice(arm))

    def choose(self, arm: str, value: float) -> float:
        """Note the hyperparameter that was chosen for an arm, and return it."""
        self.write_json(_choice(arm), value)
        return value

    def checkpoint(self, arm: str, purpose: str, seeds: Sequence[int]) -> Path:
        """Return where an unfinished life of an arm with these seeds is saved."""
        return self.folder / "unfinished" / f"{arm}.{purpose}.{_short(str(list(seeds)))}.safetensors"

    def seconds(self, arm: str, seeds: Sequence[int]) -> Path:
        """Return where it is noted how long an unfinished arm has taken with these seeds."""
        return self.folder / "unfinished" / f"{arm}.seconds.{_short(str(list(seeds)))}.json"

    def forget(self, arm: str) -> None:
        """Remove what was lived of an arm, finished or not."""
        for path in (self.path(arm), *self.parts(arm), *(self.folder / "unfinished").glob(f"{arm}.*")):
            path.unlink(missing_ok=True)

    def write_json(self, name: str, content: Any) -> Path:
        """Write a small file of plain values."""
        write_atomically(self.folder / name, json.dumps(content, indent=1, default=_plain).encode())
        return self.folder / name

    def read_json(self, name: str) -> Any:
        """Read one back; None where it is not there."""
        path = self.folder / name
        try:
            return json.loads(path.read_text()) if path.exists() else None
        except ValueError as error:
            raise BadFile(f"'{path}' is not readable JSON ({error}); it was left as it is: move it away") from error


def _choice(arm: str) -> str:
    """Return the name of the file in which the hyperparameter of an unfinished arm is noted."""
    return f"unfinished/{arm}.chosen.json"


def _joined(lives: Sequence[xr.Dataset]) -> xr.Dataset | None:
    """Return lives of several seeds as one record, sorted by seed; a seed that is there twice counts once."""
    if len(lives) < 2:
        return lives[0] if lives else None
    every = xr.concat(
        lives,
        "seed",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs=_extended,
    )
    return every.drop_duplicates("seed").sortby("seed")


def _extended(attributes: Sequence[dict[str, Any]], context: Any = None) -> dict[str, Any]:
    """Return what is known of lives that were lived apart: seconds add up, other codes are all named."""
    first, shared = attributes[0], set.intersection(*map(set, attributes))
    seconds = {name: sum(one[name] for one in attributes) for name in shared if name.endswith("_seconds")}
    codes = dict.fromkeys(code for one in attributes for code in str(one.get("code", "")).split(", ") if code)
    return first | seconds | ({"code": ", ".join(codes)} if codes else {})


def missing_seeds(stored: xr.Dataset | None, seeds: Sequence[int]) -> list[int]:
    """Return the seeds that were not lived yet."""
    there = set() if stored is None else set(stored.seed.values.tolist())
    return [seed for seed in seeds if seed not in there]


def address(study: Study, settings: Settings) -> str:
    """Return a short hash of what a result depends on, but for seeds: the study's own source and its settings."""
    content = {name: value for name, value in settings.items() if name != "seeds"}
    return _short(json.dumps(content, sort_keys=True, default=str) + _source(study))


def _source(study: Study) -> str:
    """Return the text of the study's module or, where that is no file (a notebook), of its lifetime and arms."""
    with suppress(OSError, TypeError):
        return inspect.getsource(study.module)  # type: ignore[arg-type]
    parts = [study.lifetime, *(part for arm in study.arms.values() for part in (arm, arm.build))]
    return "".join(_source_of(part) for part in parts)


def _source_of(part: Any) -> str:
    """Return the text of a function or class; of anything else what it prints, without addresses in memory."""
    with suppress(OSError, TypeError):
        return inspect.getsource(part)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(part))


@cache
def code_fingerprint(root: Path = Path(lifelong.__file__).parent) -> str:
    """Return a short hash of a library's source (this one's); a stored result with another one may be stale."""
    return _short("".join(path.read_text() for path in sorted(root.rglob("*.py"))))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
