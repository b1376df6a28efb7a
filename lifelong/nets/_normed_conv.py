"""A convolutional network with batch normalisation: a net of whole batches, not of single examples."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput

from ._batch_norm import EPSILON, moments_of, normalised
from ._conv import convolved


class NormedConvNet(eqx.Module):
    """Convolutions of 3×3 that halve the image by their stride, normalised over the batch, and a linear head on mean maps.

    h_l = relu( γ_l (W_l ∗ h_{l−1} − μ) / √(σ² + ε) + β_l ), with μ and σ² of every map over the images of the batch at hand
    and their pixels. A bias before the normalisation would be without effect, so convolutions have none. Four convolutions
    of 64 maps are the network for Omniglot of Finn et al. 2017, "Model-Agnostic Meta-Learning", section 5.2.

    Args:
        shape: (height, width) or (height, width, channels) of the images.
        outputs: number of logits.
        channels: maps of each convolution.
        epsilon: ε.
        key: draws the weights: of convolutions uniform in ±√(6/(fan_in + fan_out)) (Glorot and Bengio 2010, "Understanding
            the difficulty of training deep feedforward neural networks", equation 16), of the head uniform in ±1/√fan_in.

    Raises BadInput for other shapes, and for sizes below 1.
    """

    convolutions: list[eqx.nn.Conv2d]
    scales: list[Float[Array, " channels"]]
    shifts: list[Float[Array, " channels"]]
    head: eqx.nn.Linear
    shape: tuple[int, ...] = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        channels: tuple[int, ...] = (64, 64, 64, 64),
        epsilon: float = EPSILON,
        *,
        key: PRNGKeyArray,
    ):
        if len(shape) not in (2, 3) or not channels or min(*shape, outputs, *channels) < 1:
            raise BadInput(
                "a convolutional network needs images given as (height, width[, channels]), at least one convolution and "
                f"positive sizes: {shape=}, {outputs=}, {channels=}"
            )
        *keys, for_head = jax.random.split(key, len(channels) + 1)
        planes = [shape[2] if len(shape) == 3 else 1, *channels]
        self.convolutions = [_glorot(n, m, key=k) for n, m, k in zip(planes, planes[1:], keys, strict=False)]
        self.scales, self.shifts = [jnp.ones(m) for m in channels], [jnp.zeros(m) for m in channels]
        self.head = eqx.nn.Linear(channels[-1], outputs, key=for_head)
        self.shape, self.epsilon = tuple(shape), epsilon

    def __call__(self, x: Float[Array, "n *shape"]) -> Float[Array, "n outputs"]:
        """Return the logits of a batch, normalised by its own moments."""
        h = x.reshape(len(x), *self.shape[:2], -1)
        for convolution, scale, shift in zip(self.convolutions, self.scales, self.shifts, strict=True):
            h = convolved(convolution, h, stride=2)
            h = jax.nn.relu(normalised(h, moments_of(h), scale, shift, self.epsilon))
        return jax.vmap(self.head)(h.mean((1, 2)))


def _glorot(planes: int, maps: int, *, key: PRNGKeyArray) -> eqx.nn.Conv2d:
    layer = eqx.nn.Conv2d(planes, maps, 3, stride=2, padding=1, use_bias=False, key=key)
    weight = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)(key, layer.weight.shape)
    return eqx.tree_at(lambda conv: conv.weight, layer, weight)
