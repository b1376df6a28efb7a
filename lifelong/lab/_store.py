"""Where raw results are kept: one folder a configuration, one file an arm, more seeds added as they are lived."""

import hashlib
import inspect
import json
import os
import re
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


@dataclass(frozen=True)
class Store:
    """The results of one study under one configuration."""

    folder: Path

    def prepare(self) -> None:
        """Make the folder; raise `BadFile` where it cannot be written to."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".{os.getpid()}.probe"
            probe.touch()
            probe.unlink()
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

    def load(self, arm: str) -> xr.Dataset | None:
        """Return an arm's raw record, or None where it was not lived; raise `BadFile` where the file is corrupt."""
        path = self.path(arm)
        if not path.exists():
            return None
        try:
            with xr.open_dataset(path, engine="h5netcdf") as stored:
                stored["seed"]
                return stored.load()
        except Exception as error:  # what HDF5 makes of broken bytes is of many kinds
            raise BadFile(f"'{path}' is not a readable result ({error}); it was left as it is: move it away") from error

    def add(self, arm: str, lives: xr.Dataset) -> xr.Dataset:
        """Store lives beside those of other seeds already there; return them all, sorted by seed."""
        stored = self.load(arm)
        if stored is not None:
            lives = xr.concat(
                [stored, lives],
                "seed",
                data_vars="minimal",
                coords="minimal",
                compat="override",
                join="override",
                combine_attrs=_extended,
            ).sortby("seed")
        temporary = self.folder / f".{arm}.{os.getpid()}.nc"
        try:
            lives.to_netcdf(temporary, engine="h5netcdf")
            write_atomically(self.path(arm), temporary.read_bytes())
        except OSError as error:
            raise BadFile(f"'{self.path(arm)}' cannot be written: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)
        return lives

    def checkpoint(self, arm: str, purpose: str, seeds: Sequence[int]) -> Path:
        """Return where an unfinished life of an arm with these seeds is saved."""
        return self.folder / "unfinished" / f"{arm}.{purpose}.{_short(str(list(seeds)))}.safetensors"

    def forget(self, arm: str) -> None:
        """Remove what was lived of an arm, finished or not."""
        for path in (self.path(arm), *(self.folder / "unfinished").glob(f"{arm}.*.safetensors")):
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


def _extended(attributes: Sequence[dict[str, Any]], context: Any = None) -> dict[str, Any]:
    """Return what is known of lives that were lived one after the other: seconds add up, other codes are all named."""
    first, last = attributes[0], attributes[-1]
    seconds = {name: first[name] + last[name] for name in first.keys() & last.keys() if name.endswith("_seconds")}
    codes = dict.fromkeys(str(known["code"]) for known in attributes if "code" in known)
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
