"""Multilayer perceptrons."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput


class MLP(eqx.Module):
    """A multilayer perceptron: `depth` hidden layers of `width` units and a linear head, on inputs of any shape.

    Args:
        inputs: number of input features (the input is flattened).
        outputs: number of logits.
        width, depth: hidden units per layer, hidden layers; a tuple of widths says both.
        head_bias: whether the head has a bias term.
        activation: applied after every hidden layer.
        key: draws the weights, uniform in ±1/√fan_in.
    """

    hidden: list[eqx.nn.Linear]
    head: eqx.nn.Linear
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int | tuple[int, ...] = 256,
        depth: int = 2,
        head_bias: bool = True,
        activation: Callable[[Array], Array] = jax.nn.relu,
        *,
        key: PRNGKeyArray,
    ):
        widths = width if isinstance(width, tuple) else (width,) * depth
        if min(inputs, outputs, *widths, 1 if isinstance(width, tuple) else width) < 1 or depth < 0:
            raise BadInput(
                f"an MLP needs positive sizes: inputs={inputs}, outputs={outputs}, width={width}, depth={depth}"
            )
        sizes = [inputs, *widths, outputs]
        *hidden, head = linears(sizes, [True] * len(widths) + [head_bias], key=key)
        self.hidden, self.head, self.activation = hidden, head, activation

    def activations(self, x: Float[Array, "*shape"]) -> list[Float[Array, " width"]]:
        """Return what every hidden layer makes of one input."""
        made = [x.reshape(-1)]
        for layer in self.hidden:
            made.append(self.activation(layer(made[-1])))
        return made[1:]

    def features(self, x: Float[Array, "*shape"]) -> Float[Array, " width"]:
        """Return what the last hidden layer makes of one input."""
        return [x.reshape(-1), *self.activations(x)][-1]

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one input."""
        return self.head(self.features(x))


def linears(sizes: Sequence[int], biases: Sequence[bool], *, key: PRNGKeyArray) -> list[eqx.nn.Linear]:
    """Return linear layers from size to size, weights and biases uniform in ±1/√fan_in, all from one draw.

    One draw for all layers, not two for each: every call of a random generator is compiled into a loop of its own.
    """
    counts = [m * n + m * bias for n, m, bias in zip(sizes, sizes[1:], biases, strict=False)]
    pieces = jnp.split(jax.random.uniform(key, (sum(counts),), minval=-1.0), np.cumsum(counts)[:-1])
    return [_linear(n, m, piece) for n, m, piece in zip(sizes, sizes[1:], pieces, strict=False)]


def _linear(fan_in: int, outputs: int, numbers: Float[Array, " count"]) -> eqx.nn.Linear:
    layer = eqx.filter_eval_shape(
        eqx.nn.Linear, fan_in, outputs, len(numbers) > fan_in * outputs, key=jax.random.key(0)
    )
    weight, bias = jnp.split(numbers / math.sqrt(fan_in), [fan_in * outputs])
    layer = eqx.tree_at(lambda line: line.weight, layer, weight.reshape(outputs, fan_in))
    return layer if layer.bias is None else eqx.tree_at(lambda line: line.bias, layer, bias)
