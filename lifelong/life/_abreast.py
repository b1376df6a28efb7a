"""Lanes abreast: dealt evenly to the devices of the machine, of which every core of a CPU is one."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from ._lanes import Lanes
from ._programs import BY_LANE, LANES, WHOLE


class Abreast:
    """Calls compiled programs for all lanes, as many on each device as on any other.

    Sharing out the small products of a few lanes among threads gains little, so every core is a device of its own (see
    `lifelong._runtime`). Nothing passes between devices, for nothing passes between lanes. What lanes share lies on every
    device, once for each object of this class.
    """

    def __init__(self, lanes: Lanes):
        self.mesh = Mesh(_devices(lanes.count), (LANES,))
        self.swept, self.keys = self._dealt(lanes.swept), self._dealt(lanes.keys)
        self.shared = self._dealt(lanes.shared, WHOLE)

    def __call__(self, program: Callable, state: PyTree, *rest: Any) -> Any:
        """Return what a program makes of the state of all lanes."""
        given = self.swept, self.shared, self.keys, self._dealt(state)
        return jax.block_until_ready(program(self.mesh, *given, *rest))

    def _dealt(self, tree: PyTree, how: PartitionSpec = BY_LANE) -> PyTree:
        """Return a tree with its arrays on the devices, split by lane unless stated."""
        return _moved(tree, NamedSharding(self.mesh, how))


def _devices(lanes: int) -> np.ndarray:
    """Return as many of this process's devices as lanes can be dealt to evenly."""
    devices = jax.local_devices()
    most = max(count for count in range(1, len(devices) + 1) if lanes % count == 0)
    return np.asarray(devices[:most])


def on_host(tree: PyTree) -> PyTree:
    """Return the arrays of a tree as NumPy arrays."""
    return jax.tree.map(np.asarray, tree)


def together(tree: PyTree) -> PyTree:
    """Return a tree with its arrays on one device, where whoever lived it goes on with it."""
    return _moved(tree, jax.local_devices()[0])


def _moved(tree: PyTree, where: Any) -> PyTree:
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, where), rest)
