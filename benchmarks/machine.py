"""What this machine can do: float32 matrix products through JAX, in GFLOP/s.

    python benchmarks/machine.py '[[seeds, examples, inputs, outputs], …]'

Prints one line of JSON: `large` for one product of two large square matrices, and `batched` for a layer of each given
shape, one weight matrix a seed: the mean over its three products (forward and both of the backward pass), each weighted
by the time it takes. Every product is the best of repeated calls, so that the limit is the machine's, not the day's.
"""

import json
import sys
import time

import jax
import jax.numpy as jnp

LARGE, SECONDS = 2048, 1.0


def main(shapes: str) -> None:
    one = jnp.ones((LARGE, LARGE))
    report = {
        "large": LARGE**3 * 2 / best_seconds("ij,jk->ik", one, one) / 1e9,
        "batched": [layer(*shape) for shape in json.loads(shapes)],
    }
    print(json.dumps(report))


def layer(seeds: int, examples: int, inputs: int, outputs: int) -> float:
    x, w = jnp.ones((seeds, examples, inputs)), jnp.ones((seeds, inputs, outputs))
    error = jnp.ones((seeds, examples, outputs))
    products = (("sni,sio->sno", x, w), ("sni,sno->sio", x, error), ("sno,sio->sni", error, w))
    seconds = sum(best_seconds(*product) for product in products)
    return 3 * 2 * seeds * examples * inputs * outputs / seconds / 1e9


def best_seconds(equation: str, a: jax.Array, b: jax.Array) -> float:
    product = jax.jit(lambda a, b: jnp.einsum(equation, a, b))
    product(a, b).block_until_ready()
    best, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        start = time.perf_counter()
        product(a, b).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main(*sys.argv[1:])
