"""Actors and critics: what to do in a situation, and what it is worth."""

from math import prod, sqrt
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput

from ._mlp import MLP
from ._policies import Categorical, Gaussian, Policy


class ActorCritic(eqx.Module):
    """Two perceptrons, one that acts and one that judges, on the same observation.

    Hidden layers are orthogonal with gain √2 and tanh, the actor's head has gain 0.01 and the critic's 1 (Huang et al. 2022,
    "The 37 Implementation Details of Proximal Policy Optimization", details 2 and 3).

    Args:
        inputs: numbers in an observation.
        outputs: actions to choose from, or numbers in one.
        width, depth: of both perceptrons' hidden layers.
        continuous: whether an action is made of numbers, drawn around a mean with a spread that is learned.
        key: draws the weights.
    """

    actor: MLP
    critic: MLP
    log_spread: Float[Array, " outputs"] | None

    recurrent = False

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = 2,
        continuous: bool = False,
        *,
        key: PRNGKeyArray,
    ):
        for_actor, for_critic = jax.random.split(key)
        self.actor = orthogonal(MLP(inputs, outputs, width, depth, activation=jnp.tanh, key=key), 0.01, key=for_actor)
        self.critic = orthogonal(MLP(inputs, 1, width, depth, activation=jnp.tanh, key=key), 1.0, key=for_critic)
        self.log_spread = jnp.zeros(outputs) if continuous else None

    def rest(self) -> None:
        """Return the state of mind at the start of an episode: none."""
        return None

    def __call__(self, x: Float[Array, "*shape"], mind: None) -> tuple[Policy, Float[Array, ""], None]:
        """Return what to do about an observation, what it is worth, and the state of mind."""
        return _policy(self.actor(x), self.log_spread), self.critic(x)[0], None

    def unroll(
        self, x: Float[Array, "t *shape"], fresh: Bool[Array, " t"], mind: None
    ) -> tuple[Policy, Float[Array, " t"]]:
        """Return policies and values of successive observations."""
        policy, value, _ = jax.vmap(lambda x: self(x, None))(x)
        return policy, value


class RecurrentActorCritic(eqx.Module):
    """A gated recurrent core that remembers what it has seen in an episode, with one head to act and one to judge.

    h′ = GRU(tanh(W o), h); its state is 0 where an episode starts.

    Args:
        inputs, outputs, width, continuous: as for `ActorCritic`; the core and its input layer have `width` units.
        key: draws the weights.
    """

    encoder: eqx.nn.Linear
    core: eqx.nn.GRUCell
    actor: eqx.nn.Linear
    critic: eqx.nn.Linear
    log_spread: Float[Array, " outputs"] | None
    width: int = eqx.field(static=True)

    recurrent = True

    def __init__(self, inputs: int, outputs: int, width: int = 64, continuous: bool = False, *, key: PRNGKeyArray):
        if min(inputs, outputs, width) < 1:
            raise BadInput(f"a recurrent actor-critic needs positive sizes: {inputs=}, {outputs=}, {width=}")
        keys = jax.random.split(key, 4)
        self.encoder = orthogonal(eqx.nn.Linear(inputs, width, key=key), sqrt(2), key=keys[0])
        self.core = eqx.nn.GRUCell(width, width, key=keys[1])
        self.actor = orthogonal(eqx.nn.Linear(width, outputs, key=key), 0.01, key=keys[2])
        self.critic = orthogonal(eqx.nn.Linear(width, 1, key=key), 1.0, key=keys[3])
        self.log_spread = jnp.zeros(outputs) if continuous else None
        self.width = width

    def rest(self) -> Float[Array, " width"]:
        """Return the state of mind at the start of an episode."""
        return jnp.zeros(self.width)

    def __call__(
        self, x: Float[Array, "*shape"], mind: Float[Array, " width"]
    ) -> tuple[Policy, Float[Array, ""], Float[Array, " width"]]:
        """Return what to do about an observation, what it is worth, and the state of mind after it."""
        mind = self.core(jnp.tanh(self.encoder(x.reshape(-1))), mind)
        return _policy(self.actor(mind), self.log_spread), self.critic(mind)[0], mind

    def unroll(
        self, x: Float[Array, "t *shape"], fresh: Bool[Array, " t"], mind: Float[Array, " width"]
    ) -> tuple[Policy, Float[Array, " t"]]:
        """Return policies and values of successive observations, of which some are the first of an episode."""

        def see(mind: Array, now: tuple[Array, Array]) -> tuple[Array, tuple[Policy, Array]]:
            x, fresh = now
            policy, value, mind = self(x, jnp.where(fresh, 0.0, mind))
            return mind, (policy, value)

        return jax.lax.scan(see, mind, (x, fresh))[1]


def _policy(outputs: Float[Array, " outputs"], log_spread: Float[Array, " outputs"] | None) -> Policy:
    return Categorical(outputs) if log_spread is None else Gaussian(outputs, log_spread)


def orthogonal(net: PyTree, head: float, *, key: PRNGKeyArray) -> Any:
    """Return a net whose weights are orthogonal, with gain √2 but for the last layer's `head`, and whose biases are 0.

    All weights come from one draw, and each layer's from the decomposition of its share of it.
    """
    layers, treedef = jax.tree.flatten(net, is_leaf=lambda node: isinstance(node, eqx.nn.Linear))
    linear = [i for i, layer in enumerate(layers) if isinstance(layer, eqx.nn.Linear)]
    shapes = [layers[i].weight.shape for i in linear]
    draw = jax.random.normal(key, (sum(map(prod, shapes)),))
    for i, shape, piece in zip(linear, shapes, jnp.split(draw, np.cumsum([prod(s) for s in shapes])[:-1]), strict=True):
        gain = head if i == linear[-1] else sqrt(2)
        biased = layers[i].bias is not None
        where = (lambda layer: (layer.weight, layer.bias)) if biased else (lambda layer: (layer.weight,))
        new = (gain * _orthogonal(piece.reshape(shape)), *([jnp.zeros(shape[0])] if biased else []))
        layers[i] = eqx.tree_at(where, layers[i], new)
    return jax.tree.unflatten(treedef, layers)


def _orthogonal(normal: Float[Array, "outputs inputs"]) -> Float[Array, "outputs inputs"]:
    """Return a matrix with orthonormal rows, or columns where there are fewer, uniform among all such.

    By Gram and Schmidt, each row twice against those before it. LAPACK's decomposition waits, within a thread of XLA's pool,
    for others of that pool: two at once on a machine of two cores wait for each other for ever.
    """
    wide = normal.shape[0] < normal.shape[1]
    rows = normal if wide else normal.T

    def add(i: Int[Array, ""], found: Array) -> Array:
        row = rows[i]
        for _ in range(2):
            row = row - (found @ row) @ found
        return found.at[i].set(row / jnp.linalg.norm(row))

    found = jax.lax.fori_loop(0, len(rows), add, jnp.zeros_like(rows))
    return found if wide else found.T
