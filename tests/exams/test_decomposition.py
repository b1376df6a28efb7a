"""The exam of composites and their parts, sat by a solver that knows some operations."""

import jax
import jax.numpy as jnp
import numpy as np

from lifelong.exams import Decomposition
from lifelong.worlds import ComposedOperations

M, K = 5, 3


class Solver:
    """Answers rightly unless a problem has the operation it does not know."""

    def __init__(self, world, unknown):
        self.world, self.unknown = world, unknown

    def answer(self, state, x):
        value, wrong = x[:, 0], (x == M + self.unknown).any(1)
        for i in range(1, 4):
            value = jnp.where(x[:, i] < M + K, self.world.tables[jnp.minimum(x[:, i] - M, K - 1), value], value)
        return jax.nn.one_hot(jnp.where(wrong, (value + 1) % M, value), M)


def test_what_is_not_known_shows_in_parts_and_whole():
    world = ComposedOperations(modulus=M, operations=K, questions=8).open(key=jax.random.key(0))
    asked = jax.tree.map(np.asarray, world.composites())
    found = Decomposition().sit(None, Solver(world, unknown=1), world, key=jax.random.key(1))
    meets = asked.whole[:, 1:] == M + 1
    np.testing.assert_array_equal(found["whole"], ~meets.any(1))
    np.testing.assert_array_equal(found["parts"], asked.present & ~meets)
    np.testing.assert_array_equal(found["present"], asked.present)
    np.testing.assert_array_equal(found["withheld"], asked.withheld)
