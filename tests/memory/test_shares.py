"""A buffer in which every finished task has a share: who is in it, in which slots, after each task."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import CrossEntropy
from lifelong.memory import Replay, Step
from lifelong.memory._buffer import empty_buffer, purged
from lifelong.memory._shares import set_aside
from lifelong.nets import MLP
from lifelong.worlds import Batch, Pages

CAPACITY, KEY = 12, jax.random.key(0)


class Sheets(Pages):
    """Examples in pages of four, those of weight 0 among them."""

    batch: Batch
    count: int = eqx.field(static=True)

    def page(self, i):
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, 4 * i, 4), self.batch)


def review(task, rows=20):
    """Return a task's examples, numbered 100·task + 0, 1, 2 …, every fifth of them padding."""
    number = 100 * task + jnp.arange(rows, dtype=jnp.float32)
    weight = (jnp.arange(rows) % 5 < 4).astype(jnp.float32)
    batch = Batch(number[:, None], jnp.arange(rows) % 2, jnp.full(rows, task), weight)
    return Sheets(batch=batch, count=rows // 4)


def counted(task, n):
    """Return the numbers of the first n examples that count."""
    return [100 * task + i for i in range(20) if i % 5 < 4][:n]


@eqx.filter_jit
def ended(buffer, pages, tasks):
    return set_aside(buffer, pages, tasks, lambda page: 2 * page.x[:, 0])


def after(ends, tasks=None, rows=20):
    buffer = empty_buffer(review(0).page(0), CAPACITY, 2, jnp.zeros(1))
    for task in range(ends):
        buffer = ended(buffer, review(task, rows), tasks)
    return buffer


def held(buffer):
    n = int(buffer.filled)
    np.testing.assert_array_equal(buffer.extra[:n], 2 * buffer.examples.x[:n, 0])
    np.testing.assert_array_equal(buffer.examples.task[:n], buffer.examples.x[:n, 0] // 100)
    return np.asarray(buffer.examples.x)[:n, 0].tolist()


@pytest.mark.parametrize("ends", [1, 2, 3, 4, 5])
def test_all_tasks_have_equal_shares_and_old_ones_keep_their_first(ends):
    share = CAPACITY // ends
    buffer = after(ends)
    assert held(buffer) == [number for task in range(ends) for number in counted(task, share)]
    assert int(buffer.met) == 16 * ends


@pytest.mark.parametrize("ends", [1, 2, 3, 4])
def test_reserved_shares_stay_and_beyond_the_last_the_oldest_gives_way(ends):
    tasks = range(max(0, ends - 3), ends)
    assert held(after(ends, tasks=3)) == [number for task in tasks for number in counted(task, 4)]


def test_a_task_smaller_than_its_share_leaves_room():
    assert held(after(1, rows=4)) == [0, 1, 2, 3]
    assert held(after(3, tasks=2, rows=4)) == [100, 101, 102, 103, 200, 201, 202, 203]
    assert held(ended(after(1, rows=4), review(1), None)) == [0, 1, 2, 3, *counted(1, 6)]


def test_what_was_unlearned_leaves_its_room_to_the_tasks_that_follow():
    """Of three tasks one goes, and half of another's share: the next is the third of those still held."""
    released = purged(after(3), lambda batch: (batch.task == 1) | (batch.x[:, 0] == 201) | (batch.x[:, 0] == 203))
    assert held(released) == [*counted(0, 4), 200, 202]
    assert held(ended(released, review(3), None)) == [*counted(0, 4), 200, 202, *counted(3, 4)]


OUTPUTS = 3
MODEL = MLP(inputs=1, outputs=OUTPUTS, width=4, depth=1, key=jax.random.key(1))
MEMORY = Replay(CAPACITY, 8, policy="by_task", mix="blend", share=0.5, logits=1.0)
NOW = Batch(-1.0 - jnp.arange(8.0)[:, None], jnp.full(8, 2), jnp.full(8, 9), jnp.ones(8))


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=KEY)[0]


@eqx.filter_jit
def rehearsed(memory, m, key):
    """Return the state after a step, and the batch that the next one learns."""
    m = memory.keep(m, Step(NOW, memory.recall(m, key=key), MODEL, MODEL, None), key=key)
    return m, memory.blend(m, NOW, memory.recall(m, key=key))


@pytest.fixture(scope="module")
def start():
    return MEMORY.init(MODEL, NOW, key=KEY)


@eqx.filter_jit
def finish(m, task):
    return MEMORY.consolidate(m, MODEL, review(task), loss, key=KEY)[1]


def test_nothing_of_the_stream_enters_before_its_task_has_ended_and_nothing_is_blended_in(start):
    m, batch = rehearsed(MEMORY, start, KEY)
    assert int(m.buffer.filled) == 0 and MEMORY.consolidates
    jax.tree.map(np.testing.assert_array_equal, batch, NOW)


def test_blended_batches_have_old_examples_in_the_share_of_places_asked_for(start):
    m = finish(start, 0)
    np.testing.assert_allclose(m.buffer.extra, jax.vmap(MODEL)(m.buffer.examples.x), rtol=1e-6)
    batches = [rehearsed(MEMORY, m, key)[1] for key in jax.random.split(KEY, 60)]
    x = np.stack([batch.x[:, 0] for batch in batches])
    old = x >= 0
    spread = np.sqrt(0.25 / old.size)
    assert abs(old.mean() - 0.5) < 4 * spread
    assert set(x[old].tolist()) == set(counted(0, CAPACITY))
    np.testing.assert_array_equal(x[~old], np.broadcast_to(NOW.x[:, 0], x.shape)[~old])
    labels, tasks = (
        np.stack([leaf for leaf in leaves]) for leaves in zip(*((b.y, b.task) for b in batches), strict=True)
    )
    np.testing.assert_array_equal(labels[old], x[old] % 2)
    np.testing.assert_array_equal(tasks, np.where(old, 0, 9))
    assert all((row[row >= 0].size == np.unique(row[row >= 0]).size) for row in x), "an example came twice in a batch"


@pytest.mark.parametrize(("share", "old"), [(0.0, 0), (1.0, 8)])
def test_a_share_of_nothing_is_fine_tuning_and_of_all_is_rehearsal_alone(start, share, old):
    memory = eqx.tree_at(lambda one: one.share, MEMORY, jnp.float32(share))
    _, batch = rehearsed(memory, finish(start, 0), KEY)
    assert (np.asarray(batch.x) >= 0).sum() == old


def test_labels_are_learned_in_the_batch_alone(start):
    m = finish(start, 0)
    recalled = MEMORY.recall(m, key=KEY)
    assert MEMORY.weigh(m, NOW, recalled) == 1.0
    distance = ((jax.vmap(MODEL)(recalled.answered.x) - recalled.logits) ** 2).mean()
    np.testing.assert_allclose(MEMORY.penalty(m, MODEL, NOW, recalled, loss), distance, atol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="by the policy 'by_task', not tasks=3"):
        Replay(12, 8, tasks=3)
    with pytest.raises(BadInput, match="not tasks=13"):
        Replay(12, 8, policy="by_task", tasks=13)
    with pytest.raises(BadInput, match="share of a batch"):
        Replay(12, 8, mix="blend", share=1.5)
    with pytest.raises(BadInput, match="a feedback of its own"):
        Replay(12, 8, mix="blend", feedback=CrossEntropy())
    with pytest.raises(Mismatch, match="batches of 9, and the learner's have 8"):
        Replay(12, 9, mix="blend").init(MODEL, NOW, key=KEY)
