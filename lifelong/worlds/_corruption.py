"""Images that are hard to see: a part is covered, or pixels are replaced by noise."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from lifelong.recipe import Number, number


class Corruption(eqx.Module):
    """Cover a square of an image, and replace a share of its pixels.

    A square of side round(f · min(height, width)), at a place drawn uniformly from those within the image, is set to 0,
    the background; then every pixel is, with probability p, replaced by a number uniform in 0 … 1. Numbers outside 0 … 1
    act as the nearer of the two.

    Args:
        occlusion: f.
        noise: p.
    """

    occlusion: Number = number(0.0)
    noise: Number = number(0.0)

    def __call__(self, image: Float[Array, "height width *channels"], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """Return the image as it is seen; all channels of a pixel share its fate."""
        height, width = image.shape[:2]
        drawn = jax.random.uniform(key, (2 + 2 * height * width,))
        side = jnp.round(jnp.clip(self.occlusion, 0.0, 1.0) * min(height, width))
        covered = _within(drawn[0], side, height)[:, None] & _within(drawn[1], side, width)[None, :]
        chance, value = drawn[2:].reshape(2, height, width, *[1] * (image.ndim - 2))
        image = jnp.where(covered.reshape(chance.shape), 0.0, image)
        return jnp.where(chance < self.noise, value, image)


def _within(chance: Float[Array, ""], side: Float[Array, ""], length: int) -> Bool[Array, " length"]:
    """Return which of 0 … length−1 lie in a span of `side` that starts at a place picked by chance."""
    start = jnp.floor(chance * (length - side + 1))
    return (jnp.arange(length) >= start) & (jnp.arange(length) < start + side)
