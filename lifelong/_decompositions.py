"""Batches of matrix decompositions on the CPU, one matrix after the other, or programs could wait for ever.

A batch of LAPACK's decompositions (a vmapped `qr`, `solve`, `eigh`, `svd`, …) is dealt to the pool of threads of JAX's CPU
runtime by one of its own threads, which then waits for the others. The pool has as many threads as the machine has cores:
when as many batches wait at once, of one program or of several, they wait for each other for ever (jaxlib 0.10.2). A loop
over the matrices of a batch gives the same numbers and waits for nobody; groups of lanes still run abreast.

The alternative is a larger pool: on two cores, 3 threads cost every life a fifth more processor time (benchmarks/pool.py).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax._src.interpreters.mlir import _platform_specific_lowerings as rules_of
from jax.interpreters import mlir

from ._runtime import FAULTY

NAMES = frozenset(
    "cholesky eig eigh geqp3 geqrf hessenberg householder_product lu ormqr schur svd triangular_solve tridiagonal".split()
)
"""JAX's primitives whose CPU kernels deal their batches to the pool. Not all of them have a public name, nor the table of
rules that holds them, so this module is for one jaxlib only."""


def one_by_one(primitive: Any, kernel: Callable) -> Callable:
    """Return a rule that lowers a batch to a loop, and a single matrix as the rule `kernel` does."""

    def lowered(ctx: Any, *operands: Any, **options: Any) -> Any:
        batch = ctx.avals_in[0].shape[:-2]
        if math.prod(batch) < 2:
            return kernel(ctx, *operands, **options)

        def loop(*operands: jax.Array, **options: Any) -> Any:
            matrices = [x.reshape(-1, *x.shape[len(batch) :]) for x in operands]
            made = jax.lax.map(lambda one: primitive.bind(*one, **options), matrices)
            return jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), made)

        return mlir.lower_fun(loop, multiple_results=primitive.multiple_results)(ctx, *operands, **options)

    return lowered


def install() -> None:
    """Give those primitives such rules on the CPU."""
    for primitive, entry in list(rules_of["cpu"].items()):
        if str(primitive) in NAMES:
            mlir.register_lowering(primitive, one_by_one(primitive, entry.rule), platform="cpu")


if jax.__version__.startswith(FAULTY):
    install()
