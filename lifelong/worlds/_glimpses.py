"""What a step of self-supervised learning is shown: pairs that belong together, and a pool to look for more."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from lifelong.keys import key_for

from ._batch import Batch, Lesson, Mixture
from ._world import World


class Glimpses(eqx.Module):
    """Pairs of examples that belong together, examples in search of views, and a pool of candidates for them.

    `may` says which candidates could be a view of each example that is asked about: not it itself, nor, in a world of
    recordings, another moment of its own recording. Labels of `asked` and `pool` are for measuring, not for learning.
    """

    one: Float[Array, "n *shape"]
    other: Float[Array, "n *shape"]
    asked: Batch
    pool: Batch
    may: Bool[Array, "n m"]


def glimpses(world: World, lesson: Lesson | Mixture, n: int, candidates: int, *, key: PRNGKeyArray) -> Glimpses:
    """Return `n` pairs and a pool of a world's own making (`world.glimpses`), or of examples drawn from any data world.

    There both of a pair are the same example, to be told apart by random views, and candidates are drawn with replacement.
    """
    own: Any = getattr(world, "glimpses", None)
    if own is not None:
        return own(lesson, n, candidates, key=key)
    batch = world.draw(lesson, n, key=key_for(key, "batch"))
    weights = lesson.weights if isinstance(lesson, Mixture) else (jnp.arange(world.tasks) == lesson.task) * 1.0
    pool = world.draw(Mixture(weights), candidates, key=key_for(key, "pool"))
    may = (batch.x.reshape(n, 1, -1) != pool.x.reshape(1, candidates, -1)).any(-1)
    return Glimpses(batch.x, batch.x, batch, pool, may)
