"""Batches of decompositions one by one: the same numbers, and programs abreast that come to their end.

Without the rules, the programs of the last two tests stand still at once on two cores.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from test_runtime import run

import lifelong.life  # noqa: F401

A = np.random.default_rng(0).normal(size=(2, 3, 5, 5)).astype(np.float32)
SYMMETRIC = A @ A.swapaxes(-1, -2) + np.eye(5, dtype=np.float32)

DECOMPOSED = {
    "qr": (lambda a: jnp.linalg.qr(a)[0] @ jnp.linalg.qr(a)[1], A, A),
    "svd": (lambda a: jnp.linalg.svd(a, compute_uv=False), A, np.linalg.svd(A, compute_uv=False)),
    "eigh": (lambda a: jnp.linalg.eigvalsh(a), SYMMETRIC, np.linalg.eigvalsh(SYMMETRIC)),
    "cholesky": (jnp.linalg.cholesky, SYMMETRIC, np.linalg.cholesky(SYMMETRIC)),
    "solve": (lambda a: jnp.linalg.solve(a, jnp.ones((5, 2))), SYMMETRIC, np.linalg.solve(SYMMETRIC, np.ones((5, 2)))),
    "determinant": (jnp.linalg.det, A, np.linalg.det(A)),
    "eig": (lambda a: jnp.linalg.eig(a)[0].sum(-1).real, A, A.trace(axis1=-2, axis2=-1)),
    "triangular": (
        lambda a: jax.scipy.linalg.solve_triangular(jnp.triu(a), jnp.ones(5)),
        SYMMETRIC,
        np.stack([scipy.linalg.solve_triangular(np.triu(a), np.ones(5)) for a in SYMMETRIC.reshape(6, 5, 5)]).reshape(
            2, 3, 5
        ),
    ),
}


@pytest.mark.parametrize("name", DECOMPOSED)
def test_a_batch_equals_numpy_and_its_matrices_alone_bit_for_bit(name):
    function, a, expected = DECOMPOSED[name]
    batched = jax.jit(jax.vmap(jax.vmap(function)))(a)
    np.testing.assert_allclose(batched, expected, rtol=2e-3, atol=2e-4)
    alone = np.stack([jax.jit(function)(one) for one in a.reshape(6, 5, 5)])
    np.testing.assert_array_equal(batched, alone.reshape(batched.shape))


def test_gradients_pass_through():
    grad = jax.jit(jax.vmap(jax.grad(lambda a: jnp.linalg.slogdet(a)[1])))(SYMMETRIC[0])
    np.testing.assert_allclose(grad, np.linalg.inv(SYMMETRIC[0]).swapaxes(-1, -2), rtol=1e-3, atol=1e-4)


def test_no_batch_reaches_a_kernel_of_lapack():
    text = jax.jit(jax.vmap(jnp.linalg.qr)).lower(A[0]).as_text()
    assert "while" in text and "tensor<3x5x5xf32>)" not in next(line for line in text.splitlines() if "lapack" in line)


BY_HAND = """
import threading
import jax, jax.numpy as jnp
import lifelong.life

@jax.jit
@jax.vmap
def decomposed(key):
    a = jax.random.normal(key, (48, 48))
    values, vectors = jnp.linalg.eigh(a @ a.T)
    return values.sum() + jnp.linalg.qr(a)[0].sum() + jnp.linalg.solve(a, vectors).sum()

keys = jax.random.split(jax.random.key(0), 16)
again = lambda: [decomposed(keys).block_until_ready() for _ in range(20)]
threads = [threading.Thread(target=again) for _ in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print("done")
"""

LIVED = """
import jax, jax.numpy as jnp
from lifelong import MLP, Exam, GradientLearner, OneByOne, Recipe, Split, live
from lifelong.life import _abreast

class Decomposed(Exam):
    def sit(self, state, learner, world, *, key):
        a = jax.random.normal(key, (48, 48))
        values, vectors = jnp.linalg.eigh(a @ a.T)
        return {"all": values.sum() + jnp.linalg.qr(a)[0].sum() + jnp.linalg.solve(a, vectors).sum()}

_abreast._cores = lambda: 2
learner = GradientLearner(Recipe(MLP, inputs=64, outputs=10, width=8), batch=8)
life = live(
    learner, Split("digits", tasks=5), OneByOne(5, 10), Decomposed(), steps=50, every=2, seeds=16, progress=lambda _: None
)
print(len(life.exams["all"]), "lives")
"""


@pytest.mark.parametrize(
    ("program", "said"), [(BY_HAND, "done"), pytest.param(LIVED, "16 lives", marks=pytest.mark.slow)]
)
def test_programs_abreast_that_decompose_come_to_their_end(program, said):
    assert run(program, timeout=120, NPROC="2") == said
