"""Multilayer perceptrons."""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput


class MLP(eqx.Module):
    """A multilayer perceptron: `depth` hidden layers of `width` units and a linear head, on inputs of any shape.

    Args:
        inputs: number of input features (the input is flattened).
        outputs: number of logits.
        width, depth: hidden units per layer, hidden layers.
        head_bias: whether the head has a bias term.
        activation: applied after every hidden layer.
        key: draws the weights, uniform in ±1/√fan_in.
    """

    hidden: tuple[eqx.nn.Linear, ...]
    head: eqx.nn.Linear
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 256,
        depth: int = 2,
        head_bias: bool = True,
        activation: Callable[[Array], Array] = jax.nn.relu,
        *,
        key: PRNGKeyArray,
    ):
        if min(inputs, outputs, width) < 1 or depth < 0:
            raise BadInput(
                f"an MLP needs positive sizes: inputs={inputs}, outputs={outputs}, width={width}, depth={depth}"
            )
        sizes = [inputs, *[width] * depth]
        *hidden_keys, head_key = jax.random.split(key, depth + 1)
        self.hidden = tuple(eqx.nn.Linear(n, m, key=k) for n, m, k in zip(sizes, sizes[1:], hidden_keys, strict=False))
        self.head = eqx.nn.Linear(sizes[-1], outputs, use_bias=head_bias, key=head_key)
        self.activation = activation

    def features(self, x: Float[Array, "*shape"]) -> Float[Array, " width"]:
        """Return what the last hidden layer makes of one input."""
        x = x.reshape(-1)
        for layer in self.hidden:
            x = self.activation(layer(x))
        return x

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one input."""
        return self.head(self.features(x))
