"""Contrastive losses against loops in NumPy, and losses on random views."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.feedback import (
    Augmented,
    CrossEntropy,
    class_means,
    prototype_contrast,
    supervised_contrast,
    unit_length,
)
from lifelong.nets import MLP
from lifelong.worlds import Batch, RandomViews

KEY, RANDOM = jax.random.key(0), np.random.default_rng(0)
N, WIDTH, OUTPUTS = 9, 4, 6


def sphere(n=N):
    v = RANDOM.standard_normal((n, WIDTH))
    return jnp.asarray(v / np.linalg.norm(v, axis=1, keepdims=True), jnp.float32)


Z, ZT = sphere(), sphere()
Y = jnp.asarray([0, 2, 2, 0, 4, 2, 5, 4, 0])
ONES = jnp.ones(N)
PADDED = jnp.asarray([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0])


prototypes = jax.jit(prototype_contrast, static_argnums=4)


def by_loops(z, group, weight, temperature):
    z, total, anchors = np.asarray(z, np.float64), 0.0, 0
    real = [i for i in range(len(z)) if weight[i] > 0]
    for i in real:
        rivals = [j for j in real if j != i]
        positives = [p for p in rivals if group[p] == group[i]]
        if not positives:
            continue
        scores = {j: np.exp(z[i] @ z[j] / temperature) for j in rivals}
        total -= np.mean([np.log(scores[p] / sum(scores.values())) for p in positives])
        anchors += 1
    return total / anchors


@pytest.mark.parametrize("weight", [ONES, PADDED], ids=["all", "padded"])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_supervised_contrast_is_that_of_loops(weight, temperature):
    found = jax.jit(supervised_contrast)(Z, Y, weight, temperature)
    np.testing.assert_allclose(found, by_loops(Z, Y, weight, temperature), rtol=1e-4)


def test_with_two_views_a_group_it_is_nt_xent():
    """Chen et al. 2020: cross-entropy of each view's partner among all other views."""
    both = jnp.concatenate([Z, ZT])
    similarity = np.asarray(both @ both.T, np.float64) / 0.5
    np.fill_diagonal(similarity, -np.inf)
    log_p = similarity - np.log(np.exp(similarity).sum(1, keepdims=True))
    expected = -log_p[np.arange(2 * N), (np.arange(2 * N) + N) % (2 * N)].mean()
    found = supervised_contrast(both, jnp.tile(jnp.arange(N), 2), jnp.ones(2 * N), 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_where_nothing_belongs_together_there_is_nothing_to_learn():
    value, slope = jax.jit(jax.value_and_grad(supervised_contrast))(Z, jnp.arange(N), ONES, 0.1)
    assert value == 0.0 and (slope == 0.0).all()


def test_class_means_are_means():
    means, counts = class_means(Z, Y, PADDED, OUTPUTS)
    np.testing.assert_array_equal(counts, [3, 0, 2, 0, 1, 1])
    np.testing.assert_allclose(means[2], (Z[1] + Z[5]) / 2, rtol=1e-6)
    assert (means[1] == 0).all() and (means[3] == 0).all()


@pytest.mark.parametrize("weight", [ONES, PADDED], ids=["all", "padded"])
def test_prototype_contrast_is_nt_xent_of_the_class_means_of_classes_present(weight):
    real = np.asarray(weight) > 0
    present = sorted(set(np.asarray(Y)[real]))
    rows = [np.asarray(view)[real & (np.asarray(Y) == c)].mean(0) for view in (Z, ZT) for c in present]
    rows = unit_length(jnp.asarray(rows))
    expected = by_loops(rows, np.tile(present, 2), np.ones(len(rows)), 0.5)
    found = prototypes(Z, ZT, Y, weight, OUTPUTS, 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_one_class_alone_has_no_rivals():
    value, slope = jax.jit(jax.value_and_grad(prototypes), static_argnums=4)(Z, ZT, jnp.full(N, 3), ONES, OUTPUTS, 0.5)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)
    assert np.isfinite(prototypes(Z, ZT, Y, jnp.zeros(N), OUTPUTS, 0.5))


def test_prototype_contrast_moves_prototypes_of_different_classes_apart():
    def cosine(z):
        means = unit_length(class_means(unit_length(z), Y, ONES, OUTPUTS)[0][jnp.asarray([0, 2, 4, 5])])
        return (means @ means.T).sum()

    def loss(z):
        return prototype_contrast(unit_length(z), unit_length(z), Y, ONES, OUTPUTS, 0.5)

    z = jax.jit(lambda z: jax.lax.fori_loop(0, 20, lambda _, z: z - 0.5 * jax.grad(loss)(z), z))(Z)
    assert cosine(z) < cosine(Z) - 0.5


IMAGES = Batch(jnp.asarray(RANDOM.random((5, 4, 4)), jnp.float32), Y[:5], Y[:5], jnp.ones(5))
NET = MLP(inputs=16, outputs=OUTPUTS, width=5, depth=1, key=KEY)


@eqx.filter_jit
def judged(feedback, batch):
    return feedback(NET, batch, key=KEY)


def test_an_augmented_feedback_sees_views_and_the_same_labels():
    mirrored = RandomViews(shift=0.0, flip=1.0, crop=1.0)
    loss, info = judged(Augmented(CrossEntropy(), mirrored), IMAGES)
    flipped = eqx.tree_at(lambda b: b.x, IMAGES, IMAGES.x[:, :, ::-1])
    np.testing.assert_allclose(loss, judged(CrossEntropy(), flipped)[0], rtol=1e-5)
    assert set(info) == {"loss", "accuracy"}
    still, _ = judged(Augmented(CrossEntropy(), RandomViews(0.0, 0.0, 1.0)), IMAGES)
    np.testing.assert_allclose(still, judged(CrossEntropy(), IMAGES)[0], rtol=1e-6)
    assert abs(still - loss) > 1e-3
