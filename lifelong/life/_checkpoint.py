"""Checkpoints: one safetensors file, replaced atomically, that says which life it belongs to."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

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
        with suppress(OSError):
            temporary.unlink()
        raise BadFile(f"'{path}' cannot be written: {error.strerror}; choose a folder you may write to") from error


def save_checkpoint(path: Path, tensors: Mapping[str, np.ndarray], life: str) -> None:
    """Store named arrays as the checkpoint of the life with this fingerprint."""
    ordered = {name: np.array(tensors[name], order="C") for name in sorted(tensors)}
    metadata = {"format": FORMAT, "life": life, "sha256": _digest(ordered)}
    write_atomically(path, save(ordered, metadata))


def load_checkpoint(path: Path, life: str) -> dict[str, np.ndarray]:
    """Return the arrays of a checkpoint; raise `BadFile` where it is corrupt, foreign or of another life.

    The file is never changed or removed.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise BadFile(f"'{path}' is not a readable checkpoint ({error}); it was left as it is: move it away") from error
    if metadata.get("format") != FORMAT:
        raise BadFile(f"'{path}' is not a checkpoint of this library; it was left as it is: choose another path")
    if metadata.get("sha256") != _digest(dict(sorted(tensors.items()))):
        raise BadFile(f"'{path}' is corrupt: its content does not match its checksum; it was left as it is")
    if metadata.get("life") != life:
        raise BadFile(
            f"'{path}' belongs to another life (other components, settings, seeds or data); it was left as it is: "
            "choose another path, or move it away to start afresh"
        )
    return tensors


def pack(tree: PyTree) -> dict[str, np.ndarray]:
    """Return the array leaves of a tree by number, keys as their data."""
    return {f"state.{i:05d}": np.asarray(_data(leaf)) for i, leaf in enumerate(_arrays(tree))}


def unpack(tensors: Mapping[str, np.ndarray], like: PyTree) -> PyTree:
    """Return `like` with its array leaves replaced by the packed ones."""
    leaves, structure = jax.tree.flatten(like)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
    for number, place in enumerate(places):
        leaves[place] = _like(tensors[f"state.{number:05d}"], leaves[place])
    return jax.tree.unflatten(structure, leaves)


def fingerprint(*described: object) -> str:
    """Return a short hash of trees: their structure, static fields, and the content of every array."""
    digest = hashlib.sha256()
    for tree in described:
        leaves, structure = jax.tree.flatten(tree)
        digest.update(_stable(str(structure)).encode())
        for leaf in leaves:
            if isinstance(leaf, jax.Array | np.ndarray):
                data = np.asarray(_data(leaf))
                digest.update(json.dumps([str(data.dtype), data.shape]).encode())
                digest.update(np.ascontiguousarray(data).tobytes())
            else:
                digest.update(_stable(repr(leaf)).encode())
    return digest.hexdigest()[:16]


def _stable(text: str) -> str:
    """Return a representation without memory addresses, which differ between processes."""
    return re.sub(r"0x[0-9a-f]+", "", text)


def _digest(tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
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
