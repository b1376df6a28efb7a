"""Exams that are too long to be sat on the way."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from lifelong.exams import Exam
from lifelong.keys import key_for
from lifelong.learners import Learner
from lifelong.worlds import World

from ._life import Life
from ._programs import LifeState, compiler_options

if TYPE_CHECKING:
    import xarray as xr


def sit_afterwards(
    life: Life, learner: Learner, world: World, exam: Exam, *, key: PRNGKeyArray | None = None
) -> "xr.Dataset":
    """Sit one more exam with every lane of a life that was lived, and return its results by lane and their own dimensions.

    `learner` and `world` are those that lived it; values that were swept play no part. Lanes of one seed share the key.
    """
    import xarray as xr

    key = jax.random.key(0) if key is None else key
    seeds = np.broadcast_to(life.dims["seed"], [len(values) for values in life.dims.values()])
    keys = jax.vmap(lambda seed: jax.random.fold_in(key_for(key, "afterwards"), seed))(
        jnp.asarray(seeds.ravel(), jnp.uint32)
    )
    results = {name: np.asarray(values) for name, values in _sit(life.state, keys, learner, world, exam).items()}
    own = {name: exam.dims.get(name, tuple(f"{name}_{i}" for i in range(v.ndim - 1))) for name, v in results.items()}
    labelled = {name: ((*life.dims, *own[name]), v.reshape(*seeds.shape, *v.shape[1:])) for name, v in results.items()}
    return xr.Dataset(labelled, dict(life.dims))


def _sit_in_lanes(
    states: LifeState, keys: Key[Array, " lanes"], learner: Learner, world: World, exam: Exam
) -> dict[str, Any]:
    def lane(state: LifeState, key: PRNGKeyArray, learner: Learner, world: World, exam: Exam) -> dict[str, Any]:
        return exam.sit(state.learner, learner, state.within(world), key=key)

    over = eqx.if_array(0)
    return eqx.filter_vmap(lane, in_axes=(over, 0, None, None, None))(states, keys, learner, world, exam)


_sit: Callable[..., dict[str, Any]] = eqx.filter_jit(_sit_in_lanes, compiler_options=compiler_options())  # pyright: ignore[reportCallIssue]
