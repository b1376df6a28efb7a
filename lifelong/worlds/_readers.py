"""Readers for arrays on disk, idx and NPZ: nothing is unpickled, and every flaw is named with its place."""

import io
import lzma
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.errors import BadFile

PathLike = str | os.PathLike[str]

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

NPZ_NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x", "y"),
    ("X", "y"),
    ("data", "target"),
    ("images", "labels"),
)


def read_raw(path: PathLike) -> bytes:
    """Read a file as it lies on disk.

    Raises BadFile where it is missing or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise BadFile(f"{path}: there is no such file") from None
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from error


def decompress(raw: bytes) -> tuple[bytes, str]:
    """Undo gzip or xz, recognised by their first bytes, and return the content with a phrase on what is wrong, or ''.

    Where the compressed data break off, the content that came before is returned.
    """
    if raw.startswith(b"\x1f\x8b"):
        return _join_streams(raw, lambda: zlib.decompressobj(wbits=31))
    if raw.startswith(b"\xfd7zXZ\x00"):
        return _join_streams(raw, lzma.LZMADecompressor)
    return raw, ""


def _join_streams(raw: bytes, decompressor: Callable[[], Any]) -> tuple[bytes, str]:
    parts, rest = [], raw
    while rest:
        stream = decompressor()
        try:
            parts.append(stream.decompress(rest))
        except (zlib.error, lzma.LZMAError) as error:
            return b"".join(parts), f"its compressed data are corrupt ({error})"
        if not stream.eof:
            return b"".join(parts), f"its compressed data break off at byte {len(raw)}"
        rest = stream.unused_data.lstrip(b"\0")
    return b"".join(parts), ""


def read_bytes(path: PathLike) -> bytes:
    """Read the content of a plain, gzip or xz file.

    Raises BadFile where it is missing, truncated or corrupt.
    """
    content, flaw = decompress(read_raw(path))
    if flaw:
        raise _not_whole(path, flaw)
    return content


def _not_whole(path: PathLike, flaw: str) -> BadFile:
    return BadFile(f"{path} is not whole: {flaw}")


def read_idx(path: PathLike) -> np.ndarray:
    """Read an idx file, plain or gzip, in its own data type (native byte order) and shape.

    The format is two zero bytes, a type byte, the number of dimensions, each dimension as a big-endian 32-bit number,
    and the values, big-endian, last dimension fastest. Raises BadFile where the file is missing, truncated, too long or
    something else; a truncated file is named with the byte where its content ends and the bytes expected.
    """
    content, flaw = decompress(read_raw(path))
    if flaw and not content:
        raise _not_whole(path, flaw)
    array = parse_idx(content, path)
    if flaw:
        raise _not_whole(path, flaw)
    return array


def parse_idx(content: bytes, path: PathLike) -> np.ndarray:
    """Turn the content of an idx file into an array; `path` only names the file in errors, those of `read_idx`."""
    dtype, dimensions = _idx_magic(content, path)
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise BadFile(f"{path} is truncated: it ends at byte {len(content)}, within its header of {header} bytes")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    expected = header + math.prod(shape) * dtype.itemsize
    if len(content) < expected:
        raise BadFile(f"{path} is truncated: it ends at byte {len(content)}, where {expected} bytes were expected")
    if len(content) > expected:
        extra = len(content) - expected
        raise BadFile(f"{path} is not an idx file of shape {shape}: {extra} more bytes follow the {expected} expected")
    values = np.frombuffer(content, dtype, offset=header).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _idx_magic(content: bytes, path: PathLike) -> tuple[np.dtype, int]:
    magic = content[:4]
    if len(magic) < 4:
        raise BadFile(f"{path} is truncated: it ends at byte {len(magic)}, within the 4 bytes of the idx magic number")
    if magic[:2] != b"\0\0" or magic[2] not in IDX_TYPES or magic[3] == 0:
        raise BadFile(
            f"{path} is not an idx file: it begins with the bytes {magic.hex(' ')}, where 00 00, "
            "a type (08, 09, 0b, 0c, 0d or 0e) and a number of dimensions were expected"
        )
    return np.dtype(IDX_TYPES[magic[2]]), magic[3]


def read_npz(path: PathLike, x: str | None = None, y: str | None = None) -> tuple[np.ndarray, ...]:
    """Read `(x, y)` or `(x_train, y_train, x_test, y_test)` from an NPZ file; Python objects are never unpickled.

    Without names the usual ones are tried (`NPZ_NAMES`); of two arrays, one name tells both. Raises BadFile where the
    file is missing, truncated, corrupt or something else, or lacks the arrays, with the names of those found.
    """
    raw = read_bytes(path)
    try:
        archive = np.load(io.BytesIO(raw), allow_pickle=False)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise BadFile(f"{path} is not a whole NPZ file: no list of arrays at its end, byte {len(raw)}") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise BadFile(f"{path} holds a single array: an NPZ file with two named arrays or four was expected")
    with archive:
        return tuple(_npz_array(archive, name, path) for name in _npz_names(archive.files, x, y, path))


def _npz_array(archive: Any, name: str, path: PathLike) -> np.ndarray:
    try:
        return archive[name]
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadFile(f"{path} is corrupt: array '{name}' cannot be read ({error})") from error
    except ValueError as error:
        raise BadFile(f"{path}: array '{name}' is not plain numbers or text ({error}); save it as such") from error


def _npz_names(found: Sequence[str], x: str | None, y: str | None, path: PathLike) -> tuple[str, ...]:
    listed = ", ".join(found) or "none"
    for name in (x, y):
        if name is not None and name not in found:
            raise BadFile(f"{path} has no array '{name}'; arrays found: {listed}")
    if x is None and y is None:
        usual = next((names for names in NPZ_NAMES if set(names) <= set(found)), None)
    else:
        others = [name for name in found if name not in (x, y)]
        usual = (x or others[0], y or others[0]) if len(others) == 1 or (x and y) else None
    if usual is None:
        raise BadFile(f"{path}: it is not clear which arrays are x and y; arrays found: {listed}; rename them x and y")
    return usual
