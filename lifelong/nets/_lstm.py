"""Long short-term memory, laid out for the CPU: one product and one tanh of all gates a step, and little that is kept."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray


class _Gates(NamedTuple):
    """What the gates of a step let through, and the tanh of the cell after it."""

    enter: Array
    keep: Array
    new: Array
    show: Array
    shown: Array


class _Slopes(NamedTuple):
    """Derivatives of a step: of its cell to the sums of three gates and of its state to that of the last (`gates`), of its
    cell to the cell before (`past`), and of its state to its cell (`seen`).
    """

    gates: Array
    past: Array
    seen: Array


def recur(
    given: Float[Array, "length batch gates"], weight: Float[Array, "width gates"]
) -> Float[Array, "length batch width"]:
    """Return the state before every step, h_t = σ(o)·tanh(c_t), c_t = σ(f)·c_{t−1} + σ(i)·tanh(g).

    It starts at h = c = 0; (i, f, g, o) = `given`_t + h_{t−1}·`weight`, four times `width` numbers; `given` is what inputs
    and biases add up to, in one step or more, and that of the last step changes nothing. The gradient towards the weight is
    one product over all steps, not one a step.
    """
    return _recur(given, weight)


def recur_held(
    given: Float[Array, "length batch gates"], weight: Float[Array, "width gates"], hold: Bool[Array, "length batch"]
) -> tuple[Float[Array, "length batch w"], Float[Array, "length batch w"]]:
    """Return what `recur` does where steps marked `hold` leave the state as it was, and what each step would make of it."""

    def step(state: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        after, _ = _step(state, now[0], weight)
        h, c = (jnp.where(now[1][:, None], old, new) for old, new in zip(state, after, strict=True))
        return (h, c), (h, after[0])

    return jax.lax.scan(step, _start(given, weight), (given, hold))[1]


def _start(given: Array, weight: Array) -> tuple[Array, Array]:
    zero = jnp.zeros((given.shape[1], len(weight)), given.dtype)
    return zero, zero


def _step(state: tuple[Array, Array], given: Array, weight: Array) -> tuple[tuple[Array, Array], _Gates]:
    h, c = state
    enter, keep, new, show = jnp.split(_squashed(given + h @ weight), 4, axis=-1)
    c = keep * c + enter * new
    shown = jax.lax.optimization_barrier(jnp.tanh(c))
    return (show * shown, c), _Gates(enter, keep, new, show, shown)


def _squashed(gates: Array) -> Array:
    """Return σ of the sums of three gates and tanh of the third one's, all by one tanh: σ(x) = ½ + ½·tanh(½·x)."""
    width = gates.shape[-1] // 4
    half = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), width)
    return half * jax.lax.optimization_barrier(jnp.tanh(half * gates)) + (1 - half)


@jax.custom_vjp
def _recur(given: Array, weight: Array) -> Array:
    def step(state: tuple[Array, Array], now: Array) -> tuple[tuple[Array, Array], Array]:
        return _step(state, now, weight)[0], state[0]

    return jax.lax.scan(step, _start(given, weight), given)[1]


def _forward(given: Array, weight: Array) -> tuple[Array, tuple]:
    """Return the states, and what the way back needs; slopes are put in the place of the sums, so that little is moved."""
    (length, batch, _), width = given.shape, len(weight)

    def step(t: Array, carry: tuple) -> tuple:
        cell, before, slopes = carry
        (h, after), gates = _step((_at(before, t), cell), _at(slopes.gates, t), weight)
        to_sums, past, seen = _slopes(gates, cell)
        now = _Slopes(_put_each(slopes.gates, to_sums, t), _put(slopes.past, past, t), _put(slopes.seen, seen, t))
        return after, _put(before, h, t + 1), now

    h, cell = _start(given, weight)
    before, past, seen = (jax.lax.empty((length, batch, width), given.dtype) for _ in range(3))
    carry = cell, _put(before, h, 0), _Slopes(given, past, seen)
    _, before, slopes = jax.lax.fori_loop(0, length - 1, step, carry)
    return before, (before, slopes, weight)


def _at(values: Array, t: Array | int) -> Array:
    return jax.lax.dynamic_index_in_dim(values, t, keepdims=False)


def _put(values: Array, now: Array, t: Array | int) -> Array:
    return jax.lax.dynamic_update_index_in_dim(values, now, t, 0)


def _put_each(values: Array, parts: tuple[Array, ...], t: Array | int) -> Array:
    """Return values with parts side by side at t; each is written where it belongs, none is copied."""
    for place, part in enumerate(parts):
        values = jax.lax.dynamic_update_slice(values, part[None], (t, 0, place * part.shape[-1]))
    return values


def _slopes(gates: _Gates, cell: Array) -> tuple[tuple[Array, ...], Array, Array]:
    enter, keep, new, show, shown = gates
    to_sums = (
        new * enter * (1 - enter),
        cell * keep * (1 - keep),
        enter * (1 - new**2),
        shown * show * (1 - show),
    )
    return to_sums, keep, show * (1 - shown**2)


def _backward(kept: tuple, wanted: Array) -> tuple[Array, Array]:
    """Return the gradients; states are turned in memory before their product, not by it.

    XLA leaves a product whose left side lies across to Eigen, which shares it among cores at the price of much more time
    on all of them together; lanes that have a core each cannot spare it.
    """
    before, slopes, weight = kept
    turned, length = weight.T, len(before)

    def step(number: Array, carry: tuple) -> tuple:
        to_h, to_c, to_given = carry
        t = length - 2 - number
        to_c = to_c + to_h * _at(slopes.seen, t)
        now = jnp.concatenate((to_c, to_c, to_c, to_h), axis=-1) * _at(to_given, t)
        return now @ turned + _at(wanted, t), to_c * _at(slopes.past, t), _put(to_given, now, t)

    last = _put(slopes.gates, jnp.zeros_like(slopes.gates[-1]), length - 1)
    to_given = jax.lax.fori_loop(0, length - 1, step, (wanted[-1], jnp.zeros_like(wanted[-1]), last))[2]
    states = jnp.transpose(before, (2, 0, 1)).reshape(len(weight), -1)
    return to_given, states @ to_given.reshape(-1, to_given.shape[-1])


_recur.defvjp(_forward, _backward)


class LSTM(eqx.Module):
    """A layer of long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    Args:
        inputs, width: numbers that come in at a step, and numbers of the state.
        key: draws the weights, uniform in ±1/√width; the forget gates start one unit more open (Jozefowicz et al. 2015).
    """

    inputs: Float[Array, "inputs gates"]
    recurrent: Float[Array, "width gates"]
    bias: Float[Array, " gates"]

    def __init__(self, inputs: int, width: int, *, key: PRNGKeyArray):
        drawn = jax.random.uniform(key, (inputs + width, 4 * width), minval=-1.0) / math.sqrt(width)
        self.inputs, self.recurrent = drawn[:inputs], drawn[inputs:]
        self.bias = jnp.zeros(4 * width).at[width : 2 * width].set(1.0)

    def __call__(
        self, x: Float[Array, "length batch inputs"], hold: Bool[Array, "length batch"] | None = None
    ) -> tuple[Float[Array, "length batch width"], Float[Array, "length batch width"]]:
        """Return the state after every step, which steps marked `hold` leave as it was, and what each would make of it."""
        if hold is None:
            one_more = jnp.pad(x, ((0, 1), (0, 0), (0, 0)))
            after = recur(one_more @ self.inputs + self.bias, self.recurrent)[1:]
            return after, after
        return recur_held(x @ self.inputs + self.bias, self.recurrent, hold)
