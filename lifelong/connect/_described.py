"""Components as plain values for JSON, and back: no code is stored, only names in this library, JAX and Optax."""

from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lifelong.errors import BadInput

TRUSTED = ("lifelong", "optax", "jax")
"""Packages whose names may stand in a file; reading a file imports nothing else."""


class Unnamed(Exception):
    """Something that has no public name; its message is how it prints."""


def described(value: Any) -> Any:
    """Return a value as plain values; raise `Unnamed` where it, or a part of it, cannot be named."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return described(value.item())
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return {"is": type(value).__name__, "parts": [described(part) for part in value]}
    if isinstance(value, dict):
        return {"is": "dict", "parts": {str(name): described(part) for name, part in value.items()}}
    if isinstance(value, np.ndarray | jax.Array) and not jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return {"is": "array", "type": str(value.dtype), "values": np.asarray(value).tolist()}
    if isinstance(value, eqx.Module) and is_dataclass(value):
        parts = {field.name: described(getattr(value, field.name)) for field in fields(value)}
        return {"is": "component", "name": public_name(type(value)), "parts": parts}
    return {"is": "name", "name": public_name(value)}


def restored(plain: Any) -> Any:
    """Return what was described; raise `BadInput` for a name that is not trusted or is not there any more."""
    if not isinstance(plain, dict):
        return plain
    parts = plain.get("parts")
    match plain["is"]:
        case "tuple" | "list":
            values = [restored(part) for part in parts or ()]
            return tuple(values) if plain["is"] == "tuple" else values
        case "dict":
            return {name: restored(part) for name, part in (parts or {}).items()}
        case "array":
            return jnp.asarray(plain["values"], plain["type"])
        case "component":
            return _assembled(named(plain["name"]), {name: restored(part) for name, part in (parts or {}).items()})
        case _:
            return named(plain["name"])


def _assembled(kind: Any, parts: dict[str, Any]) -> Any:
    """Return a component with these parts, as they were when they had been checked at its making."""
    if not (isinstance(kind, type) and issubclass(kind, eqx.Module)):
        raise BadInput(f"{kind!r} is no component")
    component = object.__new__(kind)
    for name, part in parts.items():
        object.__setattr__(component, name, part)
    return component


def public_name(thing: Any) -> str:
    """Return the name by which a class or function of a trusted package can be imported; raise `Unnamed`.

    Names in private modules are of use in this library alone, whose versions are known to each other.
    """
    module, name = getattr(thing, "__module__", None) or "", getattr(thing, "__qualname__", "")
    public = [part for part in module.split(".") if not part.startswith("_")]
    homes = [".".join(public[:length]) for length in range(len(public), 0, -1)]
    for home in (*homes, *([module] if public[:1] == ["lifelong"] else [])):
        if public[0] in TRUSTED and _found(home, name) is thing:
            return f"{home}.{name}"
    raise Unnamed(repr(thing))


def named(whole: str) -> Any:
    """Return the class or function of a name."""
    module, _, name = whole.rpartition(".")
    thing = _found(module, name) if module.split(".")[0] in TRUSTED else None
    if thing is None:
        raise BadInput(f"'{whole}' is no name in {', '.join(TRUSTED)} as they are installed here")
    return thing


def _found(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None
