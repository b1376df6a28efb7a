"""Other views of the same image: small random changes that leave its label alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput, Mismatch


def _leaf(value: float) -> Array:
    return jnp.asarray(value, jnp.float32)


class RandomViews(eqx.Module):
    """Shift, mirror and crop every image at random, each in a way of its own, with one resampling for all three.

    Along each axis of length L, with c = (L − 1)/2, pixel i of the view shows the image at

        c + m · (s · (i − c) + p · (1 − s) · c) + d

    read bilinearly, with zeros beyond the edge: a crop of the share s ~ U(crop, 1) of the axis, at the place p ~ U(−1, 1)
    between its ends and stretched to the full size (both axes share s); shifted by d whole pixels, uniform in −shift …
    shift; and, horizontally, mirrored (m = −1) with probability `flip`. The defaults are weaker than the published
    augmentations for photographs, to suit images of 14 × 14 pixels.

    Args:
        shift: pixels at most, 0 for none.
        flip: the probability of mirroring left and right.
        crop: the least share of an axis that is kept, 1 for no crop.

    Raises `BadInput` for numbers out of range, `Mismatch` where examples are not images.
    """

    shift: Float[Array, ""] = eqx.field(converter=_leaf, default=2.0)
    flip: Float[Array, ""] = eqx.field(converter=_leaf, default=0.5)
    crop: Float[Array, ""] = eqx.field(converter=_leaf, default=0.8)

    def __check_init__(self):
        numbers = (self.shift, self.flip, self.crop)
        if any(isinstance(number, Tracer) for number in numbers):
            return
        if self.shift < 0 or not 0 <= self.flip <= 1 or not 0 < self.crop <= 1:
            shift, flip, crop = map(float, numbers)
            raise BadInput(
                f"views need shift ≥ 0, 0 ≤ flip ≤ 1 and 0 < crop ≤ 1, and they are {shift:g}, {flip:g} and {crop:g}"
            )

    def __call__(self, x: Float[Array, "n *shape"], *, key: PRNGKeyArray) -> Float[Array, "n *shape"]:
        """Return one view of every image, [n, height, width] or [n, height, width, channels]."""
        if x.ndim not in (3, 4):
            raise Mismatch(
                f"only images have views, (height, width[, channels]), and examples have shape {x.shape[1:]}"
            )
        numbers = jax.random.uniform(key, (6, len(x)))
        share = self.crop + (1 - self.crop) * numbers[0]
        mirrored = jnp.where(numbers[1] < self.flip, -1.0, 1.0)
        offsets = jnp.floor(numbers[2:4] * (2 * jnp.floor(self.shift) + 1)) - jnp.floor(self.shift)
        places = 2 * numbers[4:] - 1
        rows = _hats(x.shape[1], share, places[0], offsets[0], jnp.ones(len(x)))
        columns = _hats(x.shape[2], share, places[1], offsets[1], mirrored)
        return jnp.einsum("nih,nhw...,njw->nij...", rows, x, columns)


def _hats(length: int, share: Array, place: Array, offset: Array, mirrored: Array) -> Float[Array, "n length length"]:
    """Return for every image which pixels of an axis make up each pixel of the view: bilinear weights."""
    pixel, centre = jnp.arange(length), (length - 1) / 2
    stretched = share[:, None] * (pixel - centre) + (place * (1 - share) * centre)[:, None]
    source = centre + mirrored[:, None] * stretched + offset[:, None]
    return jnp.maximum(1 - jnp.abs(source[:, :, None] - pixel), 0.0)
