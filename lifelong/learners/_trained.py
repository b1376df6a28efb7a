"""Models that are there already, where a learner asks for a new one."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree, UInt32

from lifelong.errors import BadInput
from lifelong.keys import key_for


class Trained(eqx.Module):
    """One model for every lifetime: `PolicyLearner(Trained(model))`."""

    model: PyTree

    def __call__(self, *, key: PRNGKeyArray) -> PyTree:
        """Return the model, whatever the key."""
        return self.model


class Inherited(eqx.Module):
    """Every seed's own model, from an earlier life with the same seeds and the same root key.

        school = live(pupil, world, teacher, steps=1000, seeds=8)
        live(PolicyLearner(Inherited(school.state.learner.model, seeds=8)), world, teacher, steps=50, seeds=8)

    So arms of a study begin with the same model where they have the same seed. A lifetime whose seed is none of these gets NaN
    for numbers: it diverges, and says so.

    Args:
        models: the model of every seed, all arrays with a leading axis.
        seeds: how many seeds, or which, as in `live`.
        key: the root of all randomness of both lives, as in `live`.

    Raises BadInput where there are not as many models as seeds.
    """

    models: PyTree
    keys: UInt32[Array, "seeds 2 words"]

    def __init__(self, models: PyTree, seeds: int | Sequence[int], key: PRNGKeyArray | None = None):
        numbers = np.arange(seeds) if isinstance(seeds, int | np.integer) else np.asarray(seeds)
        sizes = {len(leaf) for leaf in jax.tree.leaves(eqx.filter(models, eqx.is_array))}
        if sizes != {len(numbers)}:
            raise BadInput(
                f"there are {len(numbers)} seeds, and the arrays of the models have leading axes of {sorted(sizes)}"
            )
        root = jax.random.key(0) if key is None else key
        self.models, self.keys = models, jnp.stack([_birth(root, int(number)) for number in numbers])

    def __call__(self, *, key: PRNGKeyArray) -> PyTree:
        """Return the model of the seed that a newborn learner's key belongs to."""
        same = (self.keys == jax.random.key_data(key)).all(-1).any(-1)
        which, found = jnp.argmax(same), same.any()

        def of_seed(leaf: Any) -> Any:
            if not eqx.is_array(leaf):
                return leaf
            mine = leaf[which]
            return jnp.where(found, mine, jnp.nan) if eqx.is_inexact_array(leaf) else mine

        return jax.tree.map(of_seed, self.models)


def _birth(root: PRNGKeyArray, seed: int) -> UInt32[Array, "2 words"]:
    """Return the key that `live` gives a learner of a seed, and the one that gradient learners make their model with."""
    learner = key_for(jax.random.fold_in(root, seed), "learner")
    return jax.random.key_data(jnp.stack([learner, jax.random.split(learner)[0]]))
