"""Groups of lanes, lived abreast on the cores of the machine, or one group sharded over its devices."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from ._lanes import Lanes

LEAST = 4
"""Lanes that a group has at least, so that what a step costs besides its arithmetic is shared."""

BY_LANE, WHOLE = PartitionSpec("lanes"), PartitionSpec()
"""How arrays lie on several devices: split along their first axis, or all of them on each."""


class Abreast:
    """Calls compiled programs for all lanes: for equal groups of them at once, each in a thread of its own.

    XLA's CPU runtime spreads one large matrix product over the cores, but works through the many small ones of vmapped
    lanes one after the other. Groups have the same size, so they share every program. On a machine of several devices
    the lanes are one group, dealt evenly to the devices; nothing passes between them, for nothing passes between lanes.
    """

    def __init__(self, lanes: Lanes):
        self.devices = _devices(lanes.count)
        self.groups = [
            one._replace(keys=self._dealt(one.keys), swept=self._dealt(one.swept))
            for one in lanes.split(groups_of(lanes.count, _cores()))
        ]
        self.shared, self.compiled = self._dealt(lanes.shared, WHOLE), set[Callable]()
        self.pool = ThreadPoolExecutor(max(1, len(self.groups) - 1), "lanes")

    def __call__(self, program: Callable, states: Sequence[PyTree], *rest: Any) -> tuple[Any, ...]:
        """Return what a program makes of each group's state; its first call is compiled by one thread, alone."""
        states = states or (None,) * len(self.groups)

        def of_group(i: int) -> Any:
            group, state = self.groups[i], self._dealt(states[i])
            return jax.block_until_ready(program(group.swept, self.shared, group.keys, state, *rest))

        first = of_group(0) if program not in self.compiled else None
        self.compiled.add(program)
        others = [self.pool.submit(of_group, i) for i in range(1, len(self.groups))]
        first = of_group(0) if first is None else first
        return (first, *(other.result() for other in others))

    def _dealt(self, tree: PyTree, how: PartitionSpec = BY_LANE) -> PyTree:
        """Return a tree with its arrays on the devices, split by lane unless stated."""
        if len(self.devices) < 2:
            return tree
        arrays, rest = eqx.partition(tree, eqx.is_array)
        return eqx.combine(jax.device_put(arrays, NamedSharding(Mesh(self.devices, ("lanes",)), how)), rest)


def groups_of(lanes: int, cores: int) -> int:
    """Return into how many equal groups lanes are dealt: as many as there are cores, if each has enough lanes."""
    most = max(1, min(cores, lanes // LEAST))
    return max(count for count in range(1, most + 1) if lanes % count == 0)


def _cores() -> int:
    """Return the cores that lanes may be spread over: one where the device is not the CPU, or there are several."""
    if jax.default_backend() != "cpu" or jax.local_device_count() > 1:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _devices(lanes: int) -> np.ndarray:
    """Return as many of this process's devices as lanes can be dealt to evenly."""
    devices = jax.local_devices()
    most = max(count for count in range(1, len(devices) + 1) if lanes % count == 0)
    return np.asarray(devices[:most])


def on_host(trees: Sequence[PyTree]) -> PyTree:
    """Return the arrays of all groups as one tree of NumPy arrays."""
    return jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *trees)


def together(trees: Sequence[PyTree]) -> PyTree:
    """Return the states of all groups as one state, None where there is none yet."""
    if len(trees) < 2:
        return trees[0] if trees else None

    def join(*leaves: Any) -> Any:
        return jnp.concatenate(leaves) if isinstance(leaves[0], jax.Array) else leaves[0]

    return jax.tree.map(join, *trees)
