"""Networks whose layers can be taken apart: stacks, stacks with a mirror image, and stacks with wires back."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch

from ._mlp import linears

hold = jax.lax.stop_gradient


class Stack(eqx.Module):
    """Linear layers without biases, with an activation between them, on inputs of any shape: A_l = φ(W_l A_{l−1}).

    Args:
        inputs, outputs: numbers in an input (flattened), logits.
        width, depth: units of a hidden layer, hidden layers.
        activation: after every layer but the last.
        key: draws the weights, uniform in ±1/√fan_in.
    """

    layers: list[eqx.nn.Linear]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 128,
        depth: int = 5,
        activation: Callable[[Array], Array] = jax.nn.elu,
        *,
        key: PRNGKeyArray,
    ):
        if min(inputs, outputs, width, depth + 1) < 1:
            raise BadInput(f"a stack needs positive sizes: {inputs=}, {outputs=}, {width=}, {depth=}")
        sizes = [inputs, *[width] * depth, outputs]
        self.layers, self.activation = linears(sizes, [False] * (depth + 1), key=key), activation

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one input."""
        return climb(self.layers, self.activation, x.reshape(-1))[-1]


def layers_of(model: PyTree) -> list[eqx.nn.Linear]:
    """Return the linear layers that a model is a chain of; raise `Mismatch` for a model that is none.

    `Stack` and `MLP` are such chains: a list `layers`, or a list `hidden` and a `head`, each taking what the last one gave.
    """
    found = getattr(model, "layers", None)
    if found is None and hasattr(model, "hidden") and hasattr(model, "head"):
        found = [*model.hidden, model.head]
    chained = isinstance(found, list | tuple) and all(isinstance(layer, eqx.nn.Linear) for layer in found)
    if not chained or not found or not hasattr(model, "activation"):
        raise Mismatch(
            f"a local rule needs a chain of linear layers, and {type(model).__name__} cannot be split into one; "
            "take Stack or MLP"
        )
    return list(found)


def climb(
    layers: list[eqx.nn.Linear], activation: Callable[[Array], Array], x: Float[Array, " inputs"], local: bool = False
) -> list[Float[Array, " width"]]:
    """Return the input and what every layer makes of it; where `local`, no gradient leaves a layer through its input."""
    made = [x]
    for layer in layers:
        before = hold(made[-1]) if local else made[-1]
        made.append(layer(before) if layer is layers[-1] else activation(layer(before)))
    return made


class DualNetwork(eqx.Module):
    """A network and its mirror image, which takes the target and runs the other way; they share no weights.

    A_0 = x, A_l = φ(W_l A_{l−1}); B_L = target, B_l = φ(V_l B_{l+1}); the last layer of both is linear (Kao and Hariharan
    2024, "Counter-Current Learning", section 3). It answers with A_L.

    Args:
        model: called with `key=` it returns the network, such as `Recipe(Stack, inputs=196, outputs=10)`.
        key: draws the weights of both.

    Raises Mismatch for a network that is not a chain of linear layers.
    """

    forward: PyTree
    feedback: list[eqx.nn.Linear]

    def __init__(self, model: Callable[..., PyTree], *, key: PRNGKeyArray):
        for_forward, for_feedback = jax.random.split(key)
        self.forward = model(key=for_forward)
        layers = layers_of(self.forward)
        sizes = [int(layer.out_features) for layer in reversed(layers)] + [int(layers[0].in_features)]
        self.feedback = linears(sizes, [False] * len(layers), key=for_feedback)

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one input."""
        return self.forward(x)

    def ascent(self, x: Float[Array, "*shape"]) -> list[Float[Array, " width"]]:
        """Return A_0 … A_L; the gradient of A_l reaches W_l alone."""
        return climb(layers_of(self.forward), self.forward.activation, x.reshape(-1), local=True)

    def descent(self, target: Float[Array, " outputs"]) -> list[Float[Array, " width"]]:
        """Return B_0 … B_L; the gradient of B_l reaches V_l alone."""
        return climb(self.feedback, self.forward.activation, target, local=True)[::-1]


class FeedbackAligned(eqx.Module):
    """A network whose errors travel back through fixed random weights: feedback alignment.

    In the gradient ∂L/∂A_{l−1} = W_lᵀ ∂L/∂z_l the transposed weights are replaced by a random matrix R_lᵀ that is never
    learned; answers are those of the network (Lillicrap et al. 2016, "Random Synaptic Feedback Weights").

    Args:
        model: as for `DualNetwork`.
        key: draws all weights; R_l is uniform in ±1/√fan_in, as W_l is.
    """

    forward: PyTree
    back: list[eqx.nn.Linear]

    def __init__(self, model: Callable[..., PyTree], *, key: PRNGKeyArray):
        for_forward, for_back = jax.random.split(key)
        self.forward = model(key=for_forward)
        layers = layers_of(self.forward)
        sizes = [int(layers[0].in_features), *[int(layer.out_features) for layer in layers]]
        self.back = linears(sizes, [False] * len(layers), key=for_back)

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one input."""
        layers = layers_of(self.forward)
        made = x.reshape(-1)
        for layer, back in zip(layers, self.back, strict=True):
            wire = hold(back.weight) @ made
            made = layer(hold(made)) + wire - hold(wire)
            made = made if layer is layers[-1] else self.forward.activation(made)
        return made


def alignment(a: Float[Array, "n width"], b: Float[Array, "n other"]) -> Float[Array, ""]:
    """Return linear CKA, ‖BᵀA‖² / (‖AᵀA‖ ‖BᵀB‖) of centred columns: 1 where the two are the same up to rotation and scale.

    Kornblith et al. 2019, "Similarity of Neural Network Representations Revisited", equation 3.
    """
    a, b = a - a.mean(0), b - b.mean(0)
    shared = (jnp.square(b.T @ a)).sum()
    return shared / jnp.maximum(jnp.linalg.norm(a.T @ a) * jnp.linalg.norm(b.T @ b), 1e-12)
