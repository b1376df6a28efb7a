"""Instruments: a prediction made before looking, a measurement, a null predictor, and a way to break the assumption."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._collapse import neural_collapse
from ._descent import dense, descend, hidden, outputs
from ._laws import fit_power_law, mode_strength
from ._sharpness import sharpness
from ._width import Widths, scaled_by_leaf


class Reading(NamedTuple):
    """What an instrument read, one value a seed: the error of the theory, that of the null predictor, and the tolerance.

    `measured` is what was measured, in the unit that the instrument names.
    """

    error: Float[np.ndarray, " seeds"]
    null_error: Float[np.ndarray, " seeds"]
    measured: Float[np.ndarray, " seeds"]
    tolerance: float


Keys = PRNGKeyArray
Images = tuple[Float[Array, "n pixels"], Int[Array, " n"]]


def _read(one: Callable[..., tuple[Array, Array, Array]], tolerance: float, keys: Keys, *data: Array) -> Reading:
    """Compile an instrument for all seeds at once."""
    found = jax.jit(jax.vmap(one, in_axes=(0, *[None] * len(data))))(keys, *data)
    error, null_error, measured = (np.asarray(values) for values in found)
    return Reading(error, null_error, measured, tolerance)


def linear_modes(keys: Keys, images: Images, broken: bool = False) -> Reading:
    """Modes of a two-layer linear network over time, max |a − a(t)|/s within 5 %; null: s(1 − e^(−2st)).

    Three modes s = 3, 1.5, 0.75 from a₀ = 10⁻³, η = 10⁻², 1,500 steps. Broken: the same products from a first layer of 1.
    """
    s, start, rate, steps = jnp.array([3.0, 1.5, 0.75]), 1e-3, 1e-2, 1500

    def one(key: PRNGKeyArray) -> tuple[Array, Array, Array]:
        u, v, r = (jax.random.orthogonal(k, 3) for k in jax.random.split(key, 3))
        target, low = (u * s) @ v.T, 1.0 if broken else start**0.5
        first, second = low * r @ v.T, start / low * u @ r.T

        def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
            first, second = carry
            wrong = target - second @ first
            made = (first + rate * second.T @ wrong, second + rate * wrong @ first.T)
            return made, jnp.diagonal(u.T @ made[1] @ made[0] @ v)

        modes = jax.lax.scan(step, (first, second), None, steps)[1]
        time = rate * jnp.arange(1, steps + 1)[:, None]
        errors = [
            jnp.max(jnp.abs(modes - p) / s) for p in (mode_strength(time, s, start), s * (1 - jnp.exp(-2 * s * time)))
        ]
        return errors[0], errors[1], modes[steps // 2, 1]

    return _read(one, 0.05, keys)


def lazy_slope(keys: Keys, images: Images, broken: bool = False) -> Reading:
    """Relative movement of weights over the output scale α: log-log slope −1 ± 0.15; null: slope 0.

    α = 4 … 64 with a tanh network 8-64-64-1 on 32 Gaussian examples, loss/α². Broken: α = 0.25 … 1, which is not large.
    """
    scales = jnp.array([0.25, 0.354, 0.5, 0.707, 1.0] if broken else [4.0, 8.0, 16.0, 32.0, 64.0])

    def one(key: PRNGKeyArray) -> tuple[Array, Array, Array]:
        for_net, for_x, for_teacher = jax.random.split(key, 3)
        start, x = dense((8, 64, 64, 1), key=for_net), jax.random.normal(for_x, (32, 8))
        y = outputs(dense((8, 16, 1), key=for_teacher), x, jnp.tanh)
        f = partial(outputs, x=x, activation=jnp.tanh)

        def moved(scale: Array) -> Array:
            def loss(weights: list[Array]) -> Array:
                return 0.5 * jnp.mean((scale * (f(weights) - f(start)) - y) ** 2) / scale**2

            end, _ = descend(loss, start, optax.sgd(0.2), 1000)
            return optax.tree.norm(jax.tree.map(jnp.subtract, end, start)) / optax.tree.norm(start)

        logs = jnp.log(jax.lax.map(moved, scales))
        centred = jnp.log(scales) - jnp.log(scales).mean()
        slope = (centred * logs).sum() / (centred**2).sum()
        return jnp.abs(slope + 1), jnp.abs(slope), slope

    return _read(one, 0.15, keys)


def edge_of_stability(keys: Keys, images: Images, broken: bool = False) -> Reading:
    """Sharpness·η/2 over the last quarter of full-batch descent: 1 ± 0.1; null: the sharpness at the start.

    A tanh network 20-32-32-10 on 200 digits in 20 principal components, mean of ½‖f − y‖², η = 0.2, 4,000 steps.
    Broken: η = 0.05, too small to sharpen so far in that time.
    """
    rate, looks = (0.05 if broken else 0.2), 10
    x, y = _components(images, 200, 20)

    def loss(weights: list[Array], x: Array, y: Array) -> Array:
        return 0.5 * jnp.mean(((outputs(weights, x, jnp.tanh) - jax.nn.one_hot(y, 10)) ** 2).sum(-1))

    def one(key: PRNGKeyArray, x: Array, y: Array) -> tuple[Array, Array, Array]:
        weights = dense((20, 32, 32, 10), key=key)
        direction = jax.random.normal(jax.random.fold_in(key, 1), (sum(w.size for w in weights),))

        def quarter(carry: tuple[list[Array], Array], _: None) -> tuple[tuple[list[Array], Array], Array]:
            weights, v = carry
            top, v = sharpness(loss, weights, v, x, y)
            return (descend(loss, weights, optax.sgd(rate), 100, x, y)[0], v), top

        tops = jax.lax.scan(quarter, (weights, direction), None, 4 * looks)[1]
        late = tops[3 * looks :].mean()
        return jnp.abs(late * rate / 2 - 1), jnp.abs(late / tops[0] - 1), late * rate / 2

    return _read(one, 0.1, keys, x, y)


def power_law(keys: Keys, images: Images, broken: bool = False) -> Reading:
    """Test loss at n = 256 and 512, extrapolated from n ≤ 128, within 15 %; null: the loss at n = 128.

    Least-norm regression without noise on 2,048 Gaussian features of variances i^(−1.5). Broken: all variances alike.
    """
    sizes, features = (16, 32, 64, 128, 256, 512), 2048
    spectrum = np.ones(features) if broken else np.arange(1, features + 1) ** -1.5

    def one(key: PRNGKeyArray, spread: Array) -> tuple[Array, ...]:
        for_x, for_w = jax.random.split(key)
        whole, w = jax.random.normal(for_x, (sizes[-1], features)) * spread, jax.random.normal(for_w, (features,))

        def loss(n: int) -> Array:
            x = whole[:n]
            gram = x @ x.T
            ridge = 1e-6 * jnp.trace(gram) / n * jnp.eye(n)
            return jnp.sum((spread * (w - x.T @ jnp.linalg.solve(gram + ridge, x @ w))) ** 2)

        return tuple(loss(n) for n in sizes)

    spread = jnp.asarray(spectrum**0.5, jnp.float32)
    losses = np.stack(jax.jit(lambda keys, s: jax.lax.map(lambda k: one(k, s), keys))(keys, spread), 1)
    laws = [fit_power_law(np.array(sizes[:4]), row[:4]) for row in losses]
    predicted = np.stack([law(np.array(sizes[4:])) for law in laws])
    errors = [np.abs(p / losses[:, 4:] - 1).max(1) for p in (predicted, losses[:, 3:4])]
    return Reading(errors[0], errors[1], np.array([law.exponent for law in laws]), 0.15)


RATES = tuple(2.0**-k for k in range(10, 3, -1))


def width_transfer(keys: Keys, images: Images, broken: bool = False) -> Reading:
    """What the learning rate that is best at width 16 costs at width 128 under muP: at most 10 % of loss; null: standard.

    ReLU networks 64-w-w-10, Adam, batches of 32, 200 steps, seven rates; the loss is that of all training images at the end.
    Broken: hidden layers keep their learning rate.
    """
    x, y = images
    muP = Widths.maximal_update(8)
    wide = (muP._replace(hidden_rate=1.0) if broken else muP, Widths.standard())
    cases = [jnp.asarray(numbers) for numbers in zip(*wide, strict=True)]

    def trained(key: PRNGKeyArray, width: int, widths: Widths, rate: Array, x: Array, y: Array) -> Array:
        weights = dense((x.shape[1], width, width, 10), key=key)
        weights = [*weights[:-1], weights[-1] * widths.spread]

        def loss(weights: list[Array], x: Array, y: Array) -> Array:
            logits = widths.readout * outputs(weights, x, jax.nn.relu)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        adam = scaled_by_leaf(optax.adam(rate), widths.rates(weights))

        def step(carry: tuple[Any, Any], k: PRNGKeyArray) -> tuple[tuple[Any, Any], None]:
            weights, state = carry
            rows = jax.random.randint(k, (32,), 0, len(y))
            updates, state = adam.update(jax.grad(loss)(weights, x[rows], y[rows]), state)
            return (optax.apply_updates(weights, updates), state), None

        keys = jax.random.split(jax.random.fold_in(key, 1), 200)
        (weights, _), _ = jax.lax.scan(step, (weights, adam.init(weights)), keys)
        return loss(weights, x, y)

    def one(key: PRNGKeyArray, x: Array, y: Array) -> tuple[Array, Array, Array]:
        rates = jnp.array(RATES)
        best = jnp.nanargmin(jax.vmap(lambda r: trained(key, 16, Widths.standard(), r, x, y))(rates))
        over = jax.vmap(lambda *c: jax.vmap(lambda r: trained(key, 128, Widths(*c), r, x, y))(rates))(*cases)
        regret = over[:, best] / jnp.nanmin(over, 1) - 1
        return regret[0], regret[1], rates[jnp.nanargmin(over[0])] / rates[best]

    return _read(one, 0.10, keys, x, y)


def simplex(keys: Keys, images: Images, broken: bool = False) -> Reading:
    """Cosines of centred class means late in training: −1/(C−1), the furthest pair within 0.1; null: those at the start.

    A ReLU network 64-64-64-3 on 30 digits of each of three classes, weight decay 5·10⁻³, 3,000 steps at η = 0.1.
    Broken: stopped after 20 steps, long before the end of training.
    """
    x, y = images
    chosen = np.concatenate([np.flatnonzero(np.asarray(y) == k)[:30] for k in range(3)])
    steps = 20 if broken else 3000

    def one(key: PRNGKeyArray, x: Array, y: Array) -> tuple[Array, Array, Array]:
        start = dense((x.shape[1], 64, 64, 3), key=key)

        def loss(weights: list[Array], x: Array, y: Array) -> Array:
            return optax.softmax_cross_entropy_with_integer_labels(outputs(weights, x, jax.nn.relu), y).mean()

        sgd = optax.chain(optax.add_decayed_weights(5e-3), optax.sgd(0.1))
        end, _ = descend(loss, start, sgd, steps, x, y)
        before, after = (neural_collapse(hidden(w, x, jax.nn.relu), y, 3).cosines for w in (start, end))
        return jnp.abs(after + 0.5).max(), jnp.abs(after - before).max(), after.mean()

    return _read(one, 0.1, keys, x[chosen], y[chosen])


def _components(images: Images, n: int, components: int) -> Images:
    """Return n images in principal components, scaled together to a mean square of 1."""
    x = images[0][:n] - images[0][:n].mean(0)
    made = x @ jnp.linalg.svd(x, full_matrices=False)[2][:components].T
    return made / jnp.sqrt((made**2).mean()), images[1][:n]


INSTRUMENTS: dict[str, Callable[..., Reading]] = {
    "linear_modes": linear_modes,
    "lazy_slope": lazy_slope,
    "edge_of_stability": edge_of_stability,
    "power_law": power_law,
    "width_transfer": width_transfer,
    "simplex": simplex,
}
"""What measures the five families of theories: solvable settings, limits, simple laws (two), widths, universal shapes."""
