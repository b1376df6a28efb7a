"""Lanes: the seeds and swept values that one compiled life lives side by side."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray, UInt32

from lifelong.errors import BadInput, UnknownName

from ._programs import Parts


class Lanes(NamedTuple):
    """The lanes of a life: what they are called, their keys, and the components with swept leaves set apart."""

    dims: dict[str, np.ndarray]
    """Name and values of each dimension; lanes count through them in this order, the last (seed) fastest."""
    keys: Key[Array, " lanes"]
    swept: Parts
    shared: Parts

    @property
    def count(self) -> int:
        """How many lanes there are."""
        return len(self.keys)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return tuple(len(values) for values in self.dims.values())

    def examined(self) -> "Lanes":
        """Return the lanes as an exam sees them that does not look at all of a learner."""
        return self._replace(swept=self.swept.examined(), shared=self.shared.examined())


def lay_out(parts: Parts, seeds: int | Sequence[int], sweep: Mapping[str, Sequence[float]], key: PRNGKeyArray) -> Lanes:
    """Return one lane for every combination of swept values and seed.

    Raises `BadInput` for no seeds, repeated seeds, empty sweeps or leaves that cannot be swept, `UnknownName` for paths
    that lead nowhere.
    """
    numbers = _numbers(seeds)
    dims: dict[str, np.ndarray] = {path: np.asarray(values, np.float64) for path, values in sweep.items()}
    if empty := [path for path, values in dims.items() if not len(values)]:
        raise BadInput(f"the sweep over '{empty[0]}' has no values")
    dims["seed"] = numbers
    combinations = list(product(*dims.values()))
    keys = _keys(key, np.asarray([c[-1] for c in combinations], np.uint32))
    swept, shared = jax.tree.map(lambda _: None, parts), parts
    for place, path in enumerate(sweep):
        values = jnp.asarray([c[place] for c in combinations], jnp.float32)
        swept, shared = _set_apart(swept, shared, path, values)
    return Lanes(dims, keys, swept, shared)


@jax.jit
def _keys(key: PRNGKeyArray, seeds: UInt32[Array, " lanes"]) -> Key[Array, " lanes"]:
    return jax.vmap(jax.random.fold_in, (None, 0))(key, seeds)


def _numbers(seeds: int | Sequence[int]) -> np.ndarray:
    given = list(range(seeds) if isinstance(seeds, int | np.integer) else seeds)
    if not given:
        raise BadInput("a life needs at least one seed, and none was given")
    if odd := [seed for seed in given if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32]:
        raise BadInput(f"seeds must be whole numbers from 0 to 2³²−1, and one of them is {odd[0]!r}")
    if len(set(given)) < len(given):
        raise BadInput("the seeds of a life must differ from each other")
    return np.asarray(given, np.int64)


def _set_apart(swept: Parts, shared: Parts, path: str, values: Any) -> tuple[Parts, Parts]:
    """Move the leaf at `path` from the shared components to the swept ones, with one value a lane."""
    names = path.split(".")
    if names[0] not in ("learner", "world", "teacher", "exam"):
        names = ["learner", *names]

    def where(parts: Parts) -> Any:
        return _follow(parts, names, path)

    leaf = where(shared)
    if not eqx.is_array(leaf):
        raise BadInput(f"'{path}' cannot be swept: it is {type(leaf).__name__}, not an array leaf; live once per value")
    lanes = values.reshape(-1, *[1] * leaf.ndim) * jnp.ones_like(leaf)
    is_none = lambda node: node is None  # noqa: E731
    return (
        eqx.tree_at(where, swept, lanes.astype(leaf.dtype), is_leaf=is_none),
        eqx.tree_at(where, shared, None, is_leaf=is_none),
    )


def _follow(node: Any, names: Sequence[str], path: str) -> Any:
    """Walk from a component along attribute names, keys and indices."""
    for name in names:
        if isinstance(node, Mapping) and name in node:
            node = node[name]
        elif isinstance(node, tuple | list) and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        elif not isinstance(node, Mapping) and hasattr(node, name):
            node = getattr(node, name)
        else:
            raise UnknownName(f"hyperparameter in '{path}'", name, _names(node))
    return node


def _names(node: Any) -> list[str]:
    if isinstance(node, Mapping):
        return list(node)
    if isinstance(node, tuple | list):
        return [str(i) for i in range(len(node))]
    return list(getattr(type(node), "__dataclass_fields__", {}))
