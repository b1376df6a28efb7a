"""Rehearsal of whole tasks against a queue in plain Python."""

from collections import deque

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.feedback import CrossEntropy
from lifelong.memory import SetReplay, Step
from lifelong.nets import MLP
from lifelong.worlds import Batch, Pages

KEY = jax.random.key(0)
MODEL = MLP(inputs=2, outputs=3, width=4, depth=1, key=KEY)


class Sheets(Pages):
    """A task in pages of four."""

    batch: Batch
    count: int = eqx.field(static=True, default=2)

    def page(self, i):
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, i * 4, 4), self.batch)


def task(number, size):
    """Examples that say in their first feature which they are; the rest of two pages is padding."""
    x = jnp.stack([100.0 * number + jnp.arange(8), jnp.ones(8)], -1)
    y = jnp.full(8, number % 3, jnp.int32)
    return Batch(x, y, jnp.full(8, number, jnp.int32), (jnp.arange(8) < size).astype(jnp.float32))


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=KEY)[0]


@eqx.filter_jit
def ended(memory, m, batch):
    return memory.consolidate(m, MODEL, Sheets(batch), loss, key=jax.random.fold_in(KEY, m.finished))[1]


@pytest.mark.parametrize("sizes", [(4, 4, 4, 4, 4), (3, 8, 1, 5, 7), (8, 8, 2)])
def test_what_is_held_is_what_a_queue_would_hold(sizes):
    memory = SetReplay(capacity=10, batch=4)
    assert memory.consolidates
    m = eqx.filter_jit(memory.init)(MODEL, task(0, 8), key=KEY)
    queue = deque(maxlen=10)
    for number, size in enumerate(sizes):
        m = ended(memory, m, task(number, size))
        queue.extend(100 * number + i for i in range(size))
        held = np.asarray(m.buffer.examples.x)[: int(m.buffer.filled), 0]
        assert sorted(held.tolist()) == sorted(queue)
        drawn = memory.recall(m, key=KEY).labelled
        counted = np.asarray(drawn.x)[np.asarray(drawn.weight) > 0, 0]
        assert len(set(counted.tolist())) == min(4, len(queue)) and set(counted.tolist()) <= set(queue)


def test_of_the_current_task_nothing_is_rehearsed_and_both_batches_count_as_one():
    memory = SetReplay(capacity=8, batch=4)
    m = eqx.filter_jit(memory.init)(MODEL, task(0, 8), key=KEY)

    @eqx.filter_jit
    def kept(m, batch):
        return memory.keep(m, Step(batch, memory.recall(m, key=KEY), MODEL, MODEL, None), key=KEY)

    m = kept(m, task(0, 8))
    assert m.buffer.filled == 0 and (np.asarray(m.recalled.labelled.weight) == 0).all()
    assert memory.weigh(m, task(0, 8), m.recalled) == 1.0
    m = kept(ended(memory, m, task(0, 8)), task(1, 6))
    assert set(np.asarray(m.recalled.labelled.task)) == {0}
    now, then = task(1, 6), m.recalled.labelled
    total = memory.weigh(m, now, m.recalled) * loss(MODEL, now) + memory.penalty(m, MODEL, now, m.recalled, loss)
    whole = Batch(*(jnp.concatenate([getattr(now, p), getattr(then, p)]) for p in ("x", "y", "task", "weight")))
    np.testing.assert_allclose(total, loss(MODEL, whole), rtol=1e-5)
