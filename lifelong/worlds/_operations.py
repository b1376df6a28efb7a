"""Arithmetic modulo 11 with eight operations: what chains and searches are made of."""

import numpy as np

MODULUS = 11
OPERATIONS = ("add1", "add3", "add4", "mul2", "mul3", "mul5", "sq", "neg")
NOTHING = len(OPERATIONS)
"""The number of the operation that does nothing, `id`."""

_X = np.arange(MODULUS)
TABLE = np.stack([_X + 1, _X + 3, _X + 4, _X * 2, _X * 3, _X * 5, _X**2, -_X, _X]) % MODULUS
"""The result of every operation [9, 11] on every number."""

NUMBERS = tuple(map(str, range(MODULUS)))
