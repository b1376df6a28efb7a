"""Data sets known by name: where their files lie, whether they are whole, how to get them.

The package ships none of them. Files are looked for in the user's own folder, then in that of the system's package.
Each is known by the bytes and SHA-256 of its content, that is, after gzip or xz are undone, so that every packing of it
counts.
"""

import contextlib
import hashlib
import http.client
import os
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lifelong.errors import BadFile, UnknownName

from ._data_sources import SOURCES, DataFile, DataSource
from ._readers import decompress, read_raw

PACKINGS = ("", ".gz", ".xz")
CHUNK = 1 << 16
PATIENCE = 30  # seconds without a byte before a download is given up

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that have come and the bytes in all, None where the server does not say."""


@dataclass(frozen=True)
class DataStatus:
    """One line on one data set: is it here, and is it whole?

    `where` is its folder (or the Python package it is part of), empty where it is missing; `bytes` the size of its
    content; `problem` the sentence that says what is missing or corrupt, empty where nothing is.
    """

    name: str
    state: Literal["present", "missing", "corrupt"]
    where: str
    bytes: int
    licence: str
    problem: str


def find_source(name: str) -> DataSource:
    """Return what is known about a data set; raises UnknownName where nothing is."""
    if name not in SOURCES:
        raise UnknownName("data set", name, SOURCES)
    return SOURCES[name]


def data_folder() -> Path:
    """Return the user's data folder: $LIFELONG_DATA, or `lifelong` where the platform keeps a user's data."""
    if own := os.environ.get("LIFELONG_DATA"):
        return Path(own).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "lifelong"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "lifelong"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "lifelong"


def locate(name: str) -> dict[str, Path]:
    """Return where each file of a data set lies, plain, `.gz` or `.xz`, without reading it.

    Raises UnknownName, and BadFile where a file is missing, with the ways to get it.
    """
    source = find_source(name)
    paths = {file.name: _find(file, source) for file in source.files}
    if missing := [file for file, path in paths.items() if path is None]:
        raise BadFile(_how_to_get(source, missing))
    return {file: path for file, path in paths.items() if path is not None}


def _find(file: DataFile, source: DataSource) -> Path | None:
    folders = [data_folder() / source.folder, *([Path(source.system)] if source.system else [])]
    candidates = (folder / f"{file.name}{packing}" for folder in folders for packing in PACKINGS)
    return next((path for path in candidates if path.is_file()), None)


def _how_to_get(source: DataSource, missing: list[str]) -> str:
    folder = data_folder() / source.folder
    one = f"`lifelong data get {source.name}` downloads it"
    other = f"or put it into {folder} yourself (from {source.address})"
    if source.debian:
        other = f"or `apt-get install {source.debian}` brings it"
    if not source.downloadable:
        one = f"it is made from {source.address} and cannot be downloaded as such: put your copy into {folder}"
        other = f"or set LIFELONG_DATA to a folder that holds it in {source.folder}/"
    return f"{source.name} is not at hand: no {', '.join(missing)} in {folder}; {one}, {other}"


def read(name: str) -> dict[str, bytes]:
    """Return the content of each file of a data set, checked; the errors are those of `check`."""
    source, paths = find_source(name), locate(name)
    return {file.name: _checked(file, paths[file.name], source) for file in source.files}


def check(name: str) -> dict[str, Path]:
    """Verify the SHA-256 of every file of a data set and return where each lies.

    Raises UnknownName, and BadFile where a file is missing, truncated or not the one that is known.
    """
    read(name)
    return locate(name)


def _checked(file: DataFile, path: Path, source: DataSource) -> bytes:
    content, flaw = _inspect(file, read_raw(path))
    if flaw:
        raise BadFile(f"{path} is not {file.name} of {source.name}: {flaw}; move it away and get it again")
    return content


def _inspect(file: DataFile, raw: bytes) -> tuple[bytes, str]:
    """Return the content of a file and a phrase on how it differs from the one that is known, or ''."""
    content, flaw = decompress(raw)
    digest = hashlib.sha256(content).hexdigest()
    if not flaw and digest != file.sha256:
        flaw = (
            f"its content has {len(content)} bytes and SHA-256 {digest[:12]}…, "
            f"where {file.bytes} bytes and {file.sha256[:12]}… were expected"
        )
    return content, flaw


def status() -> list[DataStatus]:
    """Look for every data set and read it through; nothing is raised and nothing is downloaded."""
    return [_status(source) for source in SOURCES.values()]


def _status(source: DataSource) -> DataStatus:
    state, where, problem = "missing", "", ""
    try:
        paths = locate(source.name)
        state, where = "corrupt", ", ".join(dict.fromkeys(str(path.parent) for path in paths.values()))
        check(source.name)
        state, where = "present", where or source.package
    except BadFile as error:
        problem = str(error)
    return DataStatus(source.name, state, where, source.bytes, source.licence, problem)


def get(name: str, progress: Progress | None = None) -> dict[str, Path]:
    """Download what is missing of a data set into the user's folder and return where each file lies.

    A file is kept only once it is whole and its SHA-256 is right; nothing that is there is changed. Raises UnknownName,
    and BadFile where a file that is there is corrupt, cannot be downloaded or written, or is not the one that is known.
    """
    source = find_source(name)
    if not source.downloadable:
        return check(name)
    for file in source.files:
        if path := _find(file, source):
            _checked(file, path, source)
        else:
            _download(file, data_folder() / source.folder, progress)
    return locate(name)


def _download(file: DataFile, folder: Path, progress: Progress | None) -> None:
    raw = _fetch(file, progress)
    if flaw := _inspect(file, raw)[1]:
        raise BadFile(f"{file.url} did not give {file.name}: {flaw}; nothing was kept")
    target = folder / f"{file.name}{'.gz' if file.url.endswith('.gz') else ''}"
    part = folder / f"{target.name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(raw)
        part.replace(target)
    except OSError as error:
        raise BadFile(f"{target} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _fetch(file: DataFile, progress: Progress | None) -> bytes:
    """Download a file; raises BadFile where there is no network or it breaks off."""
    raw = bytearray()
    try:
        with urllib.request.urlopen(file.url, timeout=PATIENCE) as response:
            length = response.headers["Content-Length"]
            total = int(length) if length else None
            while chunk := response.read(CHUNK):
                raw += chunk
                if progress:
                    progress(file.name, len(raw), total)
    except (OSError, http.client.HTTPException) as error:
        raise BadFile(f"{file.url} cannot be downloaded: {error}; is there a network?") from error
    if total is not None and len(raw) < total:
        raise BadFile(f"{file.url} broke off at byte {len(raw)} of {total}; nothing was kept, try again")
    return bytes(raw)
