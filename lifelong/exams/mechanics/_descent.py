"""Small training jobs, compiled whole."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

Loss = Callable[..., Float[Array, ""]]


def descend(
    loss: Loss, weights: PyTree, optimizer: optax.GradientTransformation, steps: int, *data: Array
) -> tuple[PyTree, Float[Array, " steps"]]:
    """Return the weights after so many steps on the whole of the data, and the loss before each step."""

    def step(carry: tuple[PyTree, PyTree], _: None) -> tuple[tuple[PyTree, PyTree], Float[Array, ""]]:
        weights, state = carry
        value, slope = jax.value_and_grad(loss)(weights, *data)
        updates, state = optimizer.update(slope, state, weights)
        return (optax.apply_updates(weights, updates), state), value

    (weights, _), losses = jax.lax.scan(step, (weights, optimizer.init(weights)), None, steps)
    return weights, losses


def dense(sizes: tuple[int, ...], *, key: PRNGKeyArray) -> list[Float[Array, "above below"]]:
    """Return weight matrices, normal with variance 1/fan_in; there are no biases."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [jax.random.normal(k, (b, a)) / jnp.sqrt(a) for k, a, b in zip(keys, sizes, sizes[1:], strict=False)]


def hidden(
    weights: list[Array], x: Float[Array, "n inputs"], activation: Callable[[Array], Array]
) -> Float[Array, "n units"]:
    """Return what the last hidden layer makes of inputs."""
    for weight in weights[:-1]:
        x = activation(x @ weight.T)
    return x


def outputs(
    weights: list[Array], x: Float[Array, "n inputs"], activation: Callable[[Array], Array]
) -> Float[Array, "n outputs"]:
    """Return the outputs of a network of dense layers."""
    return hidden(weights, x, activation) @ weights[-1].T
