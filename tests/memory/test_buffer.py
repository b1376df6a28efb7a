"""Who stays in a buffer, checked against what each policy promises."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from lifelong.memory._buffer import empty_buffer, insert, purged, sample, write
from lifelong.worlds import Batch


def batch_of(numbers, labels=None, weight=None):
    """Examples whose only feature is their number in the stream."""
    n = len(numbers)
    labels = jnp.zeros(n, jnp.int32) if labels is None else jnp.asarray(labels, jnp.int32)
    weight = jnp.ones(n) if weight is None else jnp.asarray(weight, jnp.float32)
    return Batch(jnp.asarray(numbers, jnp.float32)[:, None], labels, jnp.zeros(n, jnp.int32), weight)


@partial(jax.jit, static_argnames=("policy", "capacity", "step"))
def pass_through(policy, capacity, labels, step, *, key, weight=None):
    """Return the buffer after every batch of a stream 0, 1, 2 …, stacked along the first axis."""
    n = len(labels)
    stream = batch_of(jnp.arange(n), labels, weight)
    pages = jax.tree.map(lambda leaf: leaf.reshape(n // step, step, *leaf.shape[1:]), stream)

    def offer(buffer, page_and_key):
        page, k = page_and_key
        buffer = insert(buffer, page, {"double": 2 * page.x[:, 0]}, policy, key=k)
        return buffer, buffer

    like = jax.tree.map(lambda leaf: leaf[:1], stream)
    start = empty_buffer(like, capacity, 4, {"double": jnp.zeros(1)})
    return jax.lax.scan(offer, start, (pages, jax.random.split(key, n // step)))[1]


def last(buffers):
    return jax.tree.map(lambda leaf: leaf[-1], buffers)


def held_numbers(policy, capacity, labels, step, keys, **options):
    """Return what the buffer holds at the end of the stream, for every key."""

    def one(key):
        buffer = last(pass_through(policy, capacity, labels, step, key=key, **options))
        return buffer.examples.x[:, 0], buffer.filled

    numbers, filled = jax.jit(jax.vmap(one))(keys)
    assert (np.asarray(filled) == capacity).all()
    return np.asarray(numbers).astype(int)


def p_of_equal_inclusion(counts, draws, held):
    """Return the p-value of 'every one of N is held equally often', `held` of them in each draw."""
    n = len(counts)
    share = held / n
    spread = draws * share * (1 - share) * n / (n - 1)
    return chi2.sf(((counts - draws * share) ** 2).sum() / spread, n - 1)


def test_reservoir_holds_every_example_of_the_stream_equally_often():
    draws = 4000
    labels = np.zeros(40, int)
    held = held_numbers("reservoir", 8, labels, 5, jax.random.split(jax.random.key(0), draws))
    assert all(len(set(row)) == 8 for row in held)
    assert p_of_equal_inclusion(np.bincount(held.ravel(), minlength=40), draws, 8) > 1e-3


def test_the_test_of_equal_inclusion_can_fail():
    """Keeping the newest with a fixed probability (not a reservoir) is found out."""
    rng = np.random.default_rng(0)
    counts = np.zeros(40)
    for _ in range(4000):
        store = list(range(8))
        for t in range(8, 40):
            if rng.random() < 0.4:
                store[rng.integers(8)] = t
        counts[store] += 1
    assert p_of_equal_inclusion(counts, 4000, 8) < 1e-6


@pytest.mark.parametrize("policy", ["reservoir", "balanced", "greedy"])
def test_what_every_policy_promises(policy):
    """Padding is neither held nor counted, companions stay with their examples, and while there is room all enter."""
    labels, weight = np.arange(24) % 3, np.tile([1, 1, 1, 0], 6)
    buffers = pass_through(policy, 9, labels, 4, key=jax.random.key(1), weight=weight)
    offered = [i for i in range(24) if weight[i]]
    numbers = np.asarray(buffers.examples.x[..., 0]).astype(int)
    np.testing.assert_array_equal(buffers.filled, [3, 6, 9, 9, 9, 9])
    np.testing.assert_array_equal(buffers.met, [3, 6, 9, 12, 15, 18])
    np.testing.assert_array_equal(numbers[2], offered[:9])
    assert set(numbers[-1]) <= set(offered) and len(set(numbers[-1])) == 9
    np.testing.assert_array_equal(buffers.extra["double"], 2 * numbers)
    np.testing.assert_array_equal(buffers.examples.y[-1], labels[numbers[-1]])


SKEWED = np.random.default_rng(5).permutation(np.repeat([0, 1, 2, 3], [84, 24, 9, 3]))


def test_balanced_keeps_classes_balanced_on_a_skewed_stream_and_is_a_reservoir_within_each():
    """Of 20 slots the rarest class gets all 3 of its examples, and the others share the rest as evenly as they can."""
    draws = 1500
    held = held_numbers("balanced", 20, SKEWED, 6, jax.random.split(jax.random.key(4), draws))
    sizes = np.stack([np.bincount(SKEWED[row], minlength=4) for row in held])
    assert (sizes[:, 3] == 3).all()
    assert (np.ptp(sizes[:, :3], axis=1) <= 1).all()
    counts = np.bincount(held.ravel(), minlength=len(SKEWED))
    for label in (0, 1, 2):
        of_class = counts[SKEWED == label]
        assert p_of_equal_inclusion(of_class, draws, of_class.sum() / draws) > 1e-3


def test_greedy_follows_its_rule_at_every_step():
    """Prabhu et al. 2020, algorithm 1, replayed example by example."""
    labels, capacity = np.concatenate([np.zeros(14, int), SKEWED]), 10
    buffers = jax.device_get(pass_through("greedy", capacity, labels, 1, key=jax.random.key(7)))
    before, met = np.zeros(4, int), set()
    for t, label in enumerate(labels):
        filled = int(buffers.filled[t])
        after = np.bincount(np.asarray(buffers.examples.y[t, :filled]), minlength=4)
        change = after - before
        if label in met and before[label] >= capacity / len(met):
            assert not change.any()
        elif before.sum() < capacity:
            assert change[label] == 1 and abs(change).sum() == 1
        else:
            (loser,) = np.flatnonzero(change == -1)
            assert change[label] == 1 and abs(change).sum() == 2 and before[loser] == before.max()
        before, met = after, met | {label}
    assert before.sum() == capacity and before.min() >= 2


def test_of_several_writes_to_one_slot_the_last_stays():
    start = empty_buffer(batch_of([0]), 4, 1, jnp.zeros(1))
    numbers = jnp.arange(10.0, 16.0)
    buffer = jax.jit(write)(start, jnp.asarray([2, 0, 2, 4, 2, 7]), batch_of(numbers), numbers)
    np.testing.assert_array_equal(buffer.examples.x[:, 0], [11, 0, 14, 0])
    np.testing.assert_array_equal(buffer.extra, [11, 0, 14, 0])


def filled_with(n):
    """A buffer of 16 with the first n of a stream."""
    start = empty_buffer(batch_of([0]), 16, 1)
    offered = batch_of(jnp.arange(12), weight=jnp.arange(12) < n)
    return insert(start, offered, None, "reservoir", key=jax.random.key(8))


def test_sampling_is_without_replacement_and_even():
    draws = 4000
    seeds = jax.random.bits(jax.random.key(9), (draws,), jnp.uint32)
    drawn, _ = jax.jit(jax.vmap(lambda seed: sample(filled_with(11), 4, seed)))(seeds)
    numbers = np.asarray(drawn.x[..., 0]).astype(int)
    assert (np.asarray(drawn.weight) == 1).all()
    assert all(len(set(row)) == 4 for row in numbers)
    assert p_of_equal_inclusion(np.bincount(numbers.ravel(), minlength=11), draws, 4) > 1e-3


def test_where_too_few_are_held_the_rest_has_weight_0():
    draw = jax.jit(jax.vmap(lambda n: sample(filled_with(n), 5, jnp.uint32(10))[0]))
    drawn = draw(jnp.asarray([0, 1, 3]))
    for filled, x, weight in zip([0, 1, 3], drawn.x[..., 0], drawn.weight, strict=True):
        assert sorted(np.asarray(x)[np.asarray(weight) > 0]) == list(range(filled))


@pytest.mark.parametrize("policy", ["reservoir", "balanced"])
def test_a_purged_buffer_closes_up_and_goes_on_without_gaps(policy):
    labels = jnp.arange(24) % 3
    buffer = last(pass_through(policy, 12, labels, 4, key=jax.random.key(2)))
    less = jax.jit(lambda buffer: purged(buffer, lambda batch: batch.y == 1))(buffer)
    kept = np.asarray(buffer.examples.x)[np.asarray(buffer.examples.y) != 1]
    assert less.filled == len(kept) < 12 and less.met == round(24 * len(kept) / 12)
    np.testing.assert_array_equal(less.examples.x[: len(kept)], kept)
    np.testing.assert_array_equal(less.extra["double"][: len(kept)], 2 * kept[:, 0])
    assert (np.asarray(less.examples.x[len(kept) :]) == 0).all() and less.met_of[1] == 0
    more = insert(less, batch_of(100 + jnp.arange(4)), {"double": jnp.zeros(4)}, policy, key=jax.random.key(3))
    newcomers = min(4, 12 - len(kept))
    np.testing.assert_array_equal(more.examples.x[len(kept) : len(kept) + newcomers, 0], 100 + np.arange(newcomers))
    assert more.filled == len(kept) + newcomers
