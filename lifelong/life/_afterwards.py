"""Exams that are too long to be sat on the way."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from lifelong.exams import Exam
from lifelong.keys import key_for
from lifelong.learners import Learner
from lifelong.teachers import Teacher
from lifelong.worlds import World

from . import _programs as programs
from ._abreast import Abreast, on_host
from ._lanes import Lanes
from ._life import Life
from ._programs import Parts

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
    parts = Parts(learner, world, Teacher(), exam)
    call = Abreast(Lanes({**life.dims}, keys, jax.tree.map(lambda _: None, parts), parts))
    results = on_host(call(programs.sit_once_more, life.state))
    own = {name: exam.dims.get(name, tuple(f"{name}_{i}" for i in range(v.ndim - 1))) for name, v in results.items()}
    labelled = {name: ((*life.dims, *own[name]), v.reshape(*seeds.shape, *v.shape[1:])) for name, v in results.items()}
    return xr.Dataset(labelled, dict(life.dims))
