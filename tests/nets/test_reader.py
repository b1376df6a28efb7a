"""The recurrent reader: order matters, blanks do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.nets import Reader


def test_it_reads_as_the_cell_does():
    reader, h = Reader(symbols=6, outputs=3, width=4, key=jax.random.key(0)), jnp.zeros(4)
    for symbol in (1, 2, 0):
        h = reader.cell(reader.embedding[symbol], h)
    np.testing.assert_allclose(reader.features(jnp.array([1, 2, 5, 0])), h, atol=1e-6)


def test_blanks_change_nothing_and_order_does():
    reader = Reader(symbols=6, outputs=3, width=4, key=jax.random.key(0))
    short, padded, turned = (reader(jnp.array(x)) for x in ([1, 2], [1, 5, 2, 5], [2, 1]))
    np.testing.assert_allclose(short, padded, atol=1e-6)
    assert short.shape == (3,) and np.abs(short - turned).max() > 1e-3
    with pytest.raises(BadInput, match="positive sizes"):
        Reader(symbols=0, outputs=3, key=jax.random.key(0))
