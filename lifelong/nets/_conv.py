"""Small convolutional networks."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput


class ConvNet(eqx.Module):
    """A small convolutional classifier: 3×3 convolutions, each halving the image by max-pooling, and a linear head.

    Args:
        shape: (height, width) or (height, width, channels) of the images.
        outputs: number of logits.
        channels: feature maps of each convolution.
        width: units of the fully connected layer before the head.
        activation: applied after every layer but the head.
        key: draws the weights, uniform in ±1/√fan_in.
    """

    convolutions: tuple[eqx.nn.Conv2d, ...]
    dense: eqx.nn.Linear
    head: eqx.nn.Linear
    shape: tuple[int, ...] = eqx.field(static=True)
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        channels: tuple[int, ...] = (16, 32),
        width: int = 128,
        activation: Callable[[Array], Array] = jax.nn.relu,
        *,
        key: PRNGKeyArray,
    ):
        if len(shape) not in (2, 3) or min(shape[:2]) < 2 ** len(channels):
            raise BadInput(
                f"{len(channels)} halvings need images of at least {2 ** len(channels)} pixels a side, "
                f"given as (height, width[, channels]), and the shape is {shape}"
            )
        *conv_keys, dense_key, head_key = jax.random.split(key, len(channels) + 2)
        planes = [shape[2] if len(shape) == 3 else 1, *channels]
        self.convolutions = tuple(
            eqx.nn.Conv2d(n, m, 3, padding=1, key=k) for n, m, k in zip(planes, planes[1:], conv_keys, strict=False)
        )
        area = (shape[0] >> len(channels)) * (shape[1] >> len(channels))
        self.dense = eqx.nn.Linear(area * planes[-1], width, key=dense_key)
        self.head = eqx.nn.Linear(width, outputs, key=head_key)
        self.shape, self.activation = tuple(shape), activation

    def planes(self, x: Float[Array, "*shape"]) -> Float[Array, " size"]:
        """Return what the convolutions make of one image: all feature maps, one after the other."""
        return self._maps(x)[-1].reshape(-1)

    def activations(self, x: Float[Array, "*shape"]) -> list[Float[Array, "units ..."]]:
        """Return what every hidden layer makes of one image: feature maps [channels, h, w], then the units before the head."""
        maps = self._maps(x)
        return [*maps[1:], self.activation(self.dense(maps[-1].reshape(-1)))]

    def features(self, x: Float[Array, "*shape"]) -> Float[Array, " width"]:
        """Return what the fully connected layer makes of one image."""
        return self.activations(x)[-1]

    def _maps(self, x: Float[Array, "*shape"]) -> list[Float[Array, "channels h w"]]:
        """Return the image and the feature maps of every convolution."""
        made = [x.reshape((*self.shape[:2], -1))]
        for convolution in self.convolutions:
            made.append(_halve(self.activation(convolved(convolution, made[-1]))))
        return [jnp.moveaxis(maps, -1, 0) for maps in made]

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one image."""
        return self.head(self.features(x))


def convolved(layer: eqx.nn.Conv2d, maps: Float[Array, "*n h w c"], stride: int = 1) -> Float[Array, "*n h2 w2 m"]:
    """Return the 3×3 convolution at every `stride`-th pixel, with zeros around, as one product of patches and weights.

    With weights that differ from lane to lane the compiler's own convolution is a grouped one, on a CPU ten times as slow.
    """
    height, width, channels = maps.shape[-3:]
    padded = jnp.pad(maps, [(0, 0)] * (maps.ndim - 3) + [(1, 1), (1, 1), (0, 0)])
    places = [(slice(i, i + height, stride), slice(j, j + width, stride)) for i in range(3) for j in range(3)]
    patches = jnp.concatenate([padded[..., rows, columns, :] for rows, columns in places], -1)
    weights = layer.weight.transpose(2, 3, 1, 0).reshape(9 * channels, -1)
    bias = 0.0 if layer.bias is None else layer.bias[:, 0, 0]
    flat = patches.reshape(-1, 9 * channels) @ weights
    return flat.reshape(*patches.shape[:-1], -1) + bias


def _halve(maps: Float[Array, "h w c"]) -> Float[Array, "h2 w2 c"]:
    height, width, channels = maps.shape
    blocks = maps[: height // 2 * 2, : width // 2 * 2].reshape(height // 2, 2, width // 2, 2, channels)
    return blocks.max(axis=(1, 3))
