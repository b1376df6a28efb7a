"""More outputs for a learner that meets new classes, with all it has learned kept."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, PyTree

from lifelong.errors import Mismatch
from lifelong.learners import GradientState

TOLERANCE = 1e-5
"""How far a logit may move by rounding when outputs are added."""


def grown(old: GradientState, newborn: GradientState, like: Float32[np.ndarray, " features"]) -> GradientState:
    """Return a newborn of more outputs in which everything stands that an older one has learned.

    Every array of the old state is written over the first corner of the newborn's: rows of a head, momenta, buffers and
    anchors alike; what belongs to the new outputs stays as it was born. `like` is an input
    on which old and grown model are compared.

    Raises `Mismatch` where the model's other parts, too, depend on the number of outputs, so that what it has learned
    cannot be kept.
    """
    olds, news = jax.tree.leaves_with_path(old), jax.tree.leaves_with_path(newborn)
    if [path for path, _ in olds] != [path for path, _ in news]:
        raise _does_not_grow("it has other parts when it has more outputs")
    leaves = [_over_corner(small, large) for (_, small), (_, large) in zip(olds, news, strict=True)]
    state = jax.tree.unflatten(jax.tree.structure(newborn), leaves)
    before, after = (np.asarray(_logits(one.model, jnp.asarray(like))) for one in (old, state))
    apart = np.abs(before - after[: len(before)]).max()
    if not apart <= TOLERANCE * max(1.0, np.abs(before).max()):
        raise _does_not_grow("its answers for the classes it knew change when it gets more outputs")
    return state


@eqx.filter_jit
def _logits(model: PyTree, x: Float[Array, " features"]) -> Float[Array, " outputs"]:
    return model(x)


def _over_corner(small: Array, large: Array) -> Array:
    if not eqx.is_array(small):
        return large
    if small.ndim != large.ndim or any(n > m for n, m in zip(small.shape, large.shape, strict=True)):
        raise _does_not_grow(f"a part of shape {small.shape} became one of shape {large.shape}")
    whole = np.array(large)
    whole[tuple(slice(n) for n in small.shape)] = np.asarray(small)
    return jnp.asarray(whole)


def _does_not_grow(why: str) -> Mismatch:
    return Mismatch(
        f"the model cannot take in new classes: {why}; let only its last layer depend on `outputs`, or announce all "
        "classes at the first call with classes=…"
    )
