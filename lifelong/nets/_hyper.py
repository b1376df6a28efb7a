"""A network that writes the weights of another, from a code of the task, chunk by chunk."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput

from ._mlp import linears

VECTOR_SCALE = 0.01
"""How much of a written number is added to a bias or another vector."""


class Hypernetwork(eqx.Module):
    """A chunked hypernetwork: one set of weights φ and a short code for each task, instead of a network for each task.

    What it writes for task t is a flat vector, in chunks: h(e_t) = (g(e_t, c_1), …, g(e_t, c_C)) with g a multilayer
    perceptron, e_t the code of the task and c_j that of the chunk, all of them learned (von Oswald et al. 2020,
    "Continual learning with hypernetworks", section 2). It becomes the parameters of `network` tensor by tensor:

        matrices and kernels  W = √(2/fan_in) · h      vectors  b = b_0 + 0.01 · h      with b_0 the initial b of `network`.

    At birth every number of h has mean 0 and variance about 1, so that what is written looks like an untrained network.

    It answers one input with the logits of all tasks' networks, task after task: for worlds in which the task is known
    and task t has the classes t·k … t·k + k − 1 (`Transformed`, and `Split` with its classes in order).

    Args:
        network: called with `key=` it returns the network to be written, any Equinox module; its integer arrays and
            everything that is not an array stay as they are.
        tasks: how many codes.
        chunks: in how many pieces a network is written.
        code: numbers in a code, of a task or of a chunk.
        width, depth: hidden units per layer and hidden layers of g.
        key: draws weights and codes.
    """

    layers: list[eqx.nn.Linear]
    codes: Float[Array, "tasks code"]
    chunks: Float[Array, "chunks code"]
    frame: PyTree

    def __init__(
        self,
        network: Callable[..., PyTree],
        tasks: int,
        chunks: int = 20,
        code: int = 16,
        width: int = 64,
        depth: int = 2,
        *,
        key: PRNGKeyArray,
    ):
        if min(tasks, chunks, code, width) < 1 or depth < 0:
            raise BadInput(
                f"a hypernetwork needs positive sizes: tasks={tasks}, chunks={chunks}, code={code}, width={width}, "
                f"depth={depth}"
            )
        for_network, for_layers, for_codes = jax.random.split(key, 3)
        self.frame = _framed(network(key=for_network))
        size = -(-self.size // chunks)
        self.layers = _scaled([2 * code, *[width] * depth, size], key=for_layers)
        self.codes, self.chunks = jnp.split(jax.random.normal(for_codes, (tasks + chunks, code)), [tasks])

    @property
    def size(self) -> int:
        """How many numbers make up one network."""
        return sum(math.prod(leaf.shape) for leaf in self._leaves())

    def _leaves(self) -> list[Any]:
        return jax.tree.leaves(eqx.filter(self.frame, _is_written))

    def write(self, code: Float[Array, " code"]) -> Float[Array, " size"]:
        """Return h, the flat vector written for one code."""

        def chunk(c: Float[Array, " code"]) -> Float[Array, " chunk"]:
            h = jnp.concatenate([code, c])
            for layer in self.layers[:-1]:
                h = jax.nn.relu(layer(h))
            return self.layers[-1](h)

        return jax.vmap(chunk)(self.chunks).reshape(-1)[: self.size]

    def written(self) -> Float[Array, "tasks size"]:
        """Return what is written for every task."""
        return jax.vmap(self.write)(self.codes)

    def scale(self) -> Float[Array, " size"]:
        """Return by how much each written number is multiplied on its way into a parameter."""
        return jnp.concatenate([jnp.full(math.prod(leaf.shape), _scale(leaf)) for leaf in self._leaves()])

    def network(self, written: Float[Array, " size"]) -> PyTree:
        """Return the network with the parameters that a flat vector stands for."""
        places, rest = eqx.partition(self.frame, _is_written)
        leaves, structure = jax.tree.flatten(places)
        ends = np.cumsum([math.prod(leaf.shape) for leaf in leaves])
        pieces = jnp.split(written, ends[:-1])
        filled = [_parameter(leaf, piece.reshape(leaf.shape)) for leaf, piece in zip(leaves, pieces, strict=True)]
        return eqx.combine(jax.tree.unflatten(structure, filled), rest)

    def of(self, task: Int[Array, ""] | int) -> PyTree:
        """Return the network of one task."""
        return self.network(self.write(self.codes[task]))

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one input, by the network of every task."""
        return jax.vmap(lambda written: self.network(written)(x))(self.written()).reshape(-1)


def _framed(network: PyTree) -> PyTree:
    """Return a network with only the shapes of its matrices and kernels: their values are written over anyway."""

    def outline(leaf: Any) -> Any:
        if not eqx.is_inexact_array(leaf) or _fan_in(leaf) == 1:
            return leaf
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)

    return jax.tree.map(outline, network)


def _is_written(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct) or eqx.is_inexact_array(leaf)


def _fan_in(leaf: Any) -> int:
    """Return the inputs of each of a tensor's outputs; 1 for vectors, and for biases in the shape of an image."""
    return math.prod(leaf.shape[1:])


def _scale(leaf: Any) -> float:
    return VECTOR_SCALE if eqx.is_array(leaf) else math.sqrt(2 / _fan_in(leaf))


def _parameter(leaf: Any, written: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    parameter = _scale(leaf) * written
    return parameter + jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else parameter


def _scaled(sizes: list[int], *, key: PRNGKeyArray) -> list[eqx.nn.Linear]:
    """Return linear layers without bias at first, that keep the mean square of what passes ReLUs between them."""
    layers = linears(sizes, [True] * (len(sizes) - 1), key=key)
    gains = [math.sqrt(6)] * (len(layers) - 1) + [math.sqrt(3)]
    return [
        eqx.tree_at(lambda line: (line.weight, line.bias), layer, (gain * layer.weight, jnp.zeros(layer.out_features)))
        for layer, gain in zip(layers, gains, strict=True)
    ]
