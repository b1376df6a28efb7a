"""Where all randomness comes from: keys folded from what they are for."""

from zlib import crc32

import jax
from jaxtyping import Array, PRNGKeyArray


def key_for(key: PRNGKeyArray, purpose: str, step: Array | int | None = None) -> PRNGKeyArray:
    """Return the key of one purpose (at one step), independent of every other purpose's and step's.

    Folding, not splitting: what is drawn for one purpose does not move when another purpose is added, so arms that
    share seeds stay paired.
    """
    key = jax.random.fold_in(key, crc32(purpose.encode()))
    return key if step is None else jax.random.fold_in(key, step)
