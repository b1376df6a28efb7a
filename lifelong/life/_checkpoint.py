"""Checkpoints: one safetensors file, replaced atomically, that says which life it belongs to."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from errno import EISDIR
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from types import CodeType, FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lifelong.errors import BadFile

FORMAT = "lifelong-checkpoint-1"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that at every moment either the old or the new content is there, whole, on disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def check_writable(path: Path) -> None:
    """Raise `BadFile` where a file could not be written, before there is anything to lose."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> BadFile:
    return BadFile(f"'{path}' cannot be written: {error.strerror}; choose a folder you may write to")


def save_checkpoint(path: Path, tensors: Mapping[str, np.ndarray], life: str) -> None:
    """Store named arrays as the checkpoint of the life with this fingerprint."""
    write_tensors(path, tensors, {"format": FORMAT, "life": life})


def load_checkpoint(path: Path, life: str, state: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Return the arrays of a checkpoint; raise `BadFile` where it is corrupt, foreign or of another life.

    `state` are arrays that must be among them, of the same shapes and types. The file is never changed or removed.
    """
    tensors, metadata = read_tensors(path, FORMAT, "checkpoint")
    if metadata.get("life") != life or any(
        not _alike(tensors.get(name), value) for name, value in (state or {}).items()
    ):
        raise BadFile(
            f"'{path}' belongs to another life (other components, settings, seeds or data); it was left as it is: "
            "choose another path, or move it away to start afresh"
        )
    return tensors


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Store named arrays and texts about them atomically, with a checksum of both."""
    ordered = {name: np.array(tensors[name], order="C") for name in sorted(tensors)}
    write_atomically(path, save(ordered, {**metadata, "sha256": _digest(ordered, metadata)}))


def read_tensors(path: Path, form: str, kind: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays and texts of a file; raise `BadFile` where it is unreadable, not of this form, or corrupt."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise BadFile(f"'{path}' is not a readable {kind} ({error}); it was left as it is: move it away") from error
    if metadata.get("format") != form:
        raise BadFile(f"'{path}' is not a {kind} of this library; it was left as it is: choose another path")
    if metadata.pop("sha256", None) != _digest(dict(sorted(tensors.items())), metadata):
        raise BadFile(f"'{path}' is corrupt: its content does not match its checksum; it was left as it is")
    return tensors, metadata


def _alike(stored: np.ndarray | None, value: np.ndarray) -> bool:
    return stored is not None and stored.shape == value.shape and stored.dtype == value.dtype


def pack(state: PyTree) -> dict[str, np.ndarray]:
    """Return the array leaves of a state by number, keys as their data."""
    return {f"state.{i:05d}": np.asarray(_data(leaf)) for i, leaf in enumerate(_arrays(state))}


def unpack(tensors: Mapping[str, np.ndarray], like: PyTree) -> PyTree:
    """Return a state that is `like` this one, with its array leaves from the packed ones."""
    leaves, structure = jax.tree.flatten(like)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
    for number, place in enumerate(places):
        leaves[place] = _like(tensors[f"state.{number:05d}"], leaves[place])
    return jax.tree.unflatten(structure, leaves)


def fingerprint(*described: object) -> str:
    """Return a short hash of components: every field, the content of every array, and the code of every function.

    Functions are told apart by their instructions and by what they enclose, not by where they are written or kept.
    """
    digest, met = hashlib.sha256(), []
    for piece in _described(described, met):
        digest.update(piece + b"\0")
    return digest.hexdigest()[:16]


def _described(node: Any, met: list[Any]) -> Iterator[bytes]:
    """Yield what tells one component from another; `met` are the functions on the way, which may enclose themselves."""
    if isinstance(node, jax.Array | np.ndarray):
        data = np.asarray(_data(node))
        yield json.dumps([str(data.dtype), data.shape]).encode() + data.tobytes()
        return
    parts = _parts(node, met)
    yield _stable(repr(node) if parts is None else f"{type(node).__qualname__} {len(parts)}").encode()
    for part in parts or ():
        yield from _described(part, met)


def _parts(node: Any, met: list[Any]) -> list[Any] | None:
    """Return what a thing is made of, or None if its representation says it all."""
    if is_dataclass(node) and not isinstance(node, type):
        return [part for field in fields(node) for part in (field.name, getattr(node, field.name, None))]
    if isinstance(node, Mapping):
        return [part for item in node.items() for part in item]
    if isinstance(node, partial):
        return [node.func, node.args, node.keywords]
    if isinstance(node, CodeType):
        return [node.co_code.hex(), node.co_names, node.co_consts]
    if isinstance(node, FunctionType) and not any(node is one for one in met):
        met.append(node)
        named = [node.__module__, node.__qualname__, node.__code__, node.__defaults__, node.__kwdefaults__]
        return [*named, *_enclosed(node)]
    return list(node) if isinstance(node, tuple | list) else None


def _enclosed(function: FunctionType) -> Iterator[Any]:
    """Yield what a function encloses; a cell that is still empty raises ValueError."""
    for cell in function.__closure__ or ():
        with suppress(ValueError):
            yield cell.cell_contents


def _stable(text: str) -> str:
    """Return a representation without memory addresses, which differ between processes."""
    return re.sub(r"0x[0-9a-f]+", "", text)


def _digest(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, value in tensors.items():
        digest.update(f"{name}{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _arrays(tree: PyTree) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _data(leaf: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    return jax.random.key_data(leaf) if isinstance(leaf, jax.Array) and _is_key(leaf) else leaf


def _like(value: np.ndarray, leaf: jax.Array) -> jax.Array:
    if _is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(leaf))
    return jnp.asarray(value)
