"""What DKT's matrix products alone take on this machine: python benchmarks/limit_dkt.py SETTINGS ATTEMPTS. Prints JSON.

`seconds` of an epoch of all folds: every batch of answers to learn from takes a product forwards and one backwards, each
waiting for the one before it, and its share of one that makes the gradient of the weights; every batch of answers to stop
by one forwards. No padding, no gates, no tables, no optimizer. Each core works through folds of its own, all at once; of
repeated passes the best counts, so that the limit is the machine's, not the day's.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
from continual import usable_cores

STEPS, REPEATS = 100, 60


def main(settings: dict, attempts: int) -> None:
    width, batch, folds = settings["width"], settings["batch"], settings["folds"]
    shown = attempts * (folds - 1) / folds
    learned, kept = 0.9 * shown / batch, 0.1 * shown / batch
    cores = usable_cores()
    with ThreadPoolExecutor(cores) as pool:
        forward, both = (
            max(pool.map(lambda _, way=way: best_seconds(way, width, batch), range(cores)))
            for way in (forwards, there_and_back)
        )
    seconds = folds / cores * (learned * both + kept * forward)
    numbers = folds * (3 * learned + kept) * 2 * batch * width * 4 * width
    print(json.dumps({"seconds": seconds, "gflops": numbers / seconds / 1e9}))


@jax.jit
def forwards(h: jax.Array, weight: jax.Array, turned: jax.Array) -> jax.Array:
    return jax.lax.fori_loop(0, STEPS, lambda _, h: (h @ weight)[:, : h.shape[1]], h)


@jax.jit
def there_and_back(h: jax.Array, weight: jax.Array, turned: jax.Array) -> tuple[jax.Array, jax.Array]:
    h = jax.lax.fori_loop(0, STEPS, lambda _, h: (h @ weight) @ turned, h)
    states = jnp.broadcast_to(h, (STEPS, *h.shape)).reshape(-1, h.shape[1])
    errors = jnp.ones((len(states), weight.shape[1]))
    return h, jax.lax.optimization_barrier(states).T @ jax.lax.optimization_barrier(errors)


def best_seconds(way: jax.stages.Wrapped, width: int, batch: int) -> float:
    """Return the seconds of one step."""
    h, weight = jnp.ones((batch, width)), jnp.full((width, 4 * width), 1 / width)
    turned, best = jnp.full((4 * width, width), 1 / (4 * width)), float("inf")
    jax.block_until_ready(way(h, weight, turned))
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(way(h, weight, turned))
        best = min(best, time.perf_counter() - start)
    return best / STEPS


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
