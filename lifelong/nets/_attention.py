"""Attention over what came before, with rotated positions, and the cache that spares computing it twice."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

UNSEEN = -1e30
"""The score of what a token may not attend to."""


class Cache(eqx.Module):
    """Keys and values of the tokens so far, layer by layer, in `capacity` slots; `real` marks slots that hold no blank."""

    keys: Float[Array, "layers n capacity kv_heads head_width"]
    values: Float[Array, "layers n capacity kv_heads head_width"]
    real: Bool[Array, "n capacity"]
    length: Int[Array, ""]
    """How many slots are taken."""

    @property
    def capacity(self) -> int:
        """How many tokens there is room for."""
        return self.real.shape[1]


def rms_normed(x: Float[Array, "*n width"], scale: Float[Array, " width"], epsilon: float) -> Float[Array, "*n width"]:
    """Return x / √(mean x² + ε) ⊙ scale (Zhang and Sennrich 2019)."""
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + epsilon) * scale


def rotation(
    slots: Int[Array, " t"], head_width: int, theta: float | None
) -> tuple[Float[Array, "t 1 half"], Float[Array, "t 1 half"]] | None:
    """Return cos and sin of slot·θ^(−2i/head_width), the angles by which pairs of numbers are turned (Su et al. 2021).

    Without θ nothing is turned.
    """
    if theta is None:
        return None
    pace = theta ** (-2 * jnp.arange(head_width // 2) / head_width)
    angle = slots[:, None, None] * pace
    return jnp.cos(angle), jnp.sin(angle)


def rotated(
    x: Float[Array, "n t heads head_width"], turn: tuple[Float[Array, "t 1 half"], Float[Array, "t 1 half"]]
) -> Float[Array, "n t heads head_width"]:
    """Return every head's numbers turned in pairs, the i-th with the one half a head further."""
    cos, sin = turn
    one, other = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([one * cos - other * sin, other * cos + one * sin], axis=-1)


def attend(
    query: Float[Array, "n t heads head_width"],
    keys: Float[Array, "n s kv_heads head_width"],
    values: Float[Array, "n s kv_heads head_width"],
    visible: Bool[Array, "n t s"],
) -> Float[Array, "n t all_heads"]:
    """Return softmax(q·kᵀ/√head_width)·v over what is visible; heads in groups share keys and values (Ainslie et al. 2023)."""
    n, t, heads, width = query.shape
    grouped = query.reshape(n, t, keys.shape[2], -1, width)
    scores = jnp.einsum("ntkgd,nskd->nkgts", grouped, keys) / math.sqrt(width)
    weights = jax.nn.softmax(jnp.where(visible[:, None, None], scores, UNSEEN))
    return jnp.einsum("nkgts,nskd->ntkgd", weights, values).reshape(n, t, heads * width)
