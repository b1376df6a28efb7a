"""Mixtures of close classes: probabilities against SciPy, frequencies of draws, and the loss with two labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.special import softmax
from scipy.stats import chisquare
from sklearn.metrics import log_loss

from lifelong.feedback import CrossEntropy
from lifelong.memory import draw_of_class, draw_pairs, mix, pair_probabilities
from lifelong.memory._buffer import empty_buffer, insert
from lifelong.nets import MLP
from lifelong.worlds import Batch

RANDOM, OUTPUTS = np.random.default_rng(0), 5
PROTOTYPES = jnp.asarray(RANDOM.standard_normal((OUTPUTS, 3)), jnp.float32)
ALL = jnp.ones(OUTPUTS, bool)


@pytest.mark.parametrize("focus", [1.0, 3.0])
def test_pairs_are_as_likely_as_the_softmax_of_inverse_distances(focus):
    pairs, probability = pair_probabilities(PROTOTYPES, ALL, focus)
    assert pairs.T.tolist() == [[a, b] for a in range(OUTPUTS) for b in range(a + 1, OUTPUTS)]
    np.testing.assert_allclose(probability, softmax(focus / pdist(np.asarray(PROTOTYPES))), rtol=1e-4)


def test_without_focus_all_known_pairs_are_alike_and_unknown_classes_are_left_out():
    known = jnp.asarray([True, False, True, True, False])
    pairs, probability = pair_probabilities(PROTOTYPES, known, 0.0)
    expected = [1 / 3 if {a, b} <= {0, 2, 3} else 0.0 for a, b in pairs.T]
    np.testing.assert_allclose(probability, expected, atol=1e-6)


def test_coincident_prototypes_neither_overflow_nor_take_all_when_there_are_several():
    close = PROTOTYPES.at[1].set(PROTOTYPES[0]).at[3].set(PROTOTYPES[2] + 1e-6)
    pairs, probability = pair_probabilities(close, ALL, 1.0)
    twins = [pairs.T.tolist().index([0, 1]), pairs.T.tolist().index([2, 3])]
    np.testing.assert_allclose(probability[jnp.asarray(twins)], 0.5, atol=1e-4)


def test_pairs_are_drawn_in_proportion():
    pairs, probability = pair_probabilities(PROTOTYPES, ALL, 2.0)
    drawn = np.asarray(draw_pairs(pairs, probability, jnp.asarray(RANDOM.random(5000), jnp.float32)))
    counts = [((drawn.T == pair).all(1)).sum() for pair in pairs.T]
    assert sum(counts) == 5000
    assert chisquare(counts, 5000 * np.asarray(probability, np.float64) / np.asarray(probability).sum()).pvalue > 1e-3
    edges = draw_pairs(pairs, probability, jnp.asarray([0.0, 0.9999999]))
    assert edges.T.tolist() == [[0, 1], [3, 4]]


def held():
    """Return a buffer with three examples of class 0, two of class 2 and free slots."""
    y = jnp.asarray([0, 2, 0, 0, 2])
    batch = Batch(jnp.arange(10.0).reshape(5, 2), y, jnp.zeros(5, jnp.int32), jnp.ones(5))
    return insert(empty_buffer(batch, 8, OUTPUTS), batch, None, "reservoir", key=jax.random.key(0))


def test_examples_of_a_class_are_drawn_alike_and_any_stands_in_for_a_class_not_held():
    words = jax.random.bits(jax.random.key(1), (3000,), jnp.uint32)
    for y, rows in ((0, [0, 4, 6]), (2, [2, 8]), (3, [0, 2, 4, 6, 8])):
        drawn = jax.jit(draw_of_class)(held(), jnp.full(3000, y), words)
        first, counts = np.unique(drawn.x[:, 0], return_counts=True)
        assert first.tolist() == rows and chisquare(counts).pvalue > 1e-3
        np.testing.assert_array_equal(drawn.y, jnp.where(jnp.isin(drawn.x[:, 0], jnp.asarray([2.0, 8.0])), 2, 0))
        assert (drawn.weight == 1).all()


def test_an_empty_buffer_gives_examples_without_weight():
    empty = empty_buffer(Batch(jnp.zeros((1, 2)), jnp.zeros(1, int), jnp.zeros(1, int), jnp.ones(1)), 4, OUTPUTS)
    assert (draw_of_class(empty, jnp.asarray([0, 1]), jnp.asarray([7, 8], jnp.uint32)).weight == 0).all()


def test_the_loss_of_a_mixture_is_that_of_both_labels_in_their_shares():
    a, b = (
        Batch(jnp.asarray(RANDOM.standard_normal((6, 3)), jnp.float32), jnp.asarray(y), jnp.zeros(6, int), jnp.ones(6))
        for y in ([0, 1, 2, 3, 4, 0], [1, 1, 0, 4, 2, 3])
    )
    a = Batch(a.x, a.y, a.task, a.weight.at[2].set(0.0))
    share = jnp.asarray([0.0, 0.25, 0.5, 1.0, 0.4, 0.1])
    mixed = mix(a, b, share)
    np.testing.assert_allclose(mixed.x, (1 - share)[:, None] * a.x + share[:, None] * b.x, rtol=1e-6)
    net = MLP(inputs=3, outputs=OUTPUTS, width=4, depth=1, key=jax.random.key(0))
    p = np.asarray(jax.nn.softmax(jax.vmap(net)(mixed.x)), np.float64)
    losses = [-np.log(p[np.arange(6), np.asarray(y)]) for y in (a.y, b.y)]
    each = (1 - np.asarray(share)) * losses[0] + np.asarray(share) * losses[1]
    found = CrossEntropy()(net, mixed.as_batch(), key=jax.random.key(0))[0]
    np.testing.assert_allclose(found, np.delete(each, 2).mean(), rtol=1e-5)
    plain = mix(a, a, jnp.zeros(6)).as_batch()
    p = softmax(np.asarray(jax.vmap(net)(a.x), np.float64), axis=1)
    whole = log_loss(a.y, p, labels=range(OUTPUTS), sample_weight=a.weight)
    np.testing.assert_allclose(CrossEntropy()(net, plain, key=jax.random.key(0))[0], whole, rtol=1e-5)
