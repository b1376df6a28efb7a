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
    vectors: list[Array]
    rest: PyTree
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)

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
        born, self.rest = eqx.partition(network(key=for_network), eqx.is_inexact_array)
        leaves, self.structure = jax.tree.flatten(born)
        self.vectors = [leaf for leaf in leaves if _is_vector(leaf.shape)]
        self.shapes = tuple(leaf.shape for leaf in leaves)
        self.layers = _scaled([2 * code, *[width] * depth, -(-self.size // chunks)], key=for_layers)
        self.codes, self.chunks = jnp.split(jax.random.normal(for_codes, (tasks + chunks, code)), [tasks])

    @property
    def size(self) -> int:
        """How many numbers make up one network."""
        return sum(math.prod(shape) for shape in self.shapes)

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
        return jnp.concatenate([jnp.full(math.prod(shape), _scale(shape)) for shape in self.shapes])

    def network(self, written: Float[Array, " size"]) -> PyTree:
        """Return the network with the parameters that a flat vector stands for."""
        pieces = jnp.split(written, np.cumsum([math.prod(shape) for shape in self.shapes])[:-1])
        leaves = [_scale(shape) * piece.reshape(shape) for shape, piece in zip(self.shapes, pieces, strict=True)]
        places = [i for i, shape in enumerate(self.shapes) if _is_vector(shape)]
        for i, start in zip(places, self.vectors, strict=True):
            leaves[i] += jax.lax.stop_gradient(start)
        return eqx.combine(jax.tree.unflatten(self.structure, leaves), self.rest)

    def of(self, task: Int[Array, ""] | int) -> PyTree:
        """Return the network of one task."""
        return self.network(self.write(self.codes[task]))

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " outputs"]:
        """Return the logits of one input, by the network of every task."""
        return jax.vmap(lambda written: self.network(written)(x))(self.written()).reshape(-1)


def _is_vector(shape: tuple[int, ...]) -> bool:
    """Say whether a tensor is a vector, or a bias in the shape of an image: each of its outputs has one input."""
    return math.prod(shape[1:]) == 1


def _scale(shape: tuple[int, ...]) -> float:
    return VECTOR_SCALE if _is_vector(shape) else math.sqrt(2 / math.prod(shape[1:]))


def _scaled(sizes: list[int], *, key: PRNGKeyArray) -> list[eqx.nn.Linear]:
    """Return linear layers without bias at first, that keep the mean square of what passes ReLUs between them."""
    layers = linears(sizes, [True] * (len(sizes) - 1), key=key)
    gains = [math.sqrt(6)] * (len(layers) - 1) + [math.sqrt(3)]
    return [
        eqx.tree_at(lambda line: (line.weight, line.bias), layer, (gain * layer.weight, jnp.zeros(layer.out_features)))
        for layer, gain in zip(layers, gains, strict=True)
    ]
