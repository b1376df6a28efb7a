"""Losses of views against SciPy and NumPy, and what they must not move: the target, and whatever was mined."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from lifelong.errors import Mismatch
from lifelong.feedback import BYOL, MYOW, InfoNCE, SwappedClusters, Views, balanced_codes, cosine_distance, info_nce
from lifelong.nets import NormedMLP, ViewNetwork
from lifelong.recipe import Recipe

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(2, 12, 5)).astype(np.float32)
NET = Recipe(
    ViewNetwork,
    encoder=Recipe(NormedMLP, inputs=6, outputs=4, width=(7,)),
    features=4,
    projection=3,
    width=5,
    mined_projection=2,
    mined_width=4,
    prototypes=3,
)


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def seen():
    model, target = (NET(key=jax.random.key(i)) for i in (1, 2))
    x = RANDOM.normal(size=(3, 12, 6)).astype(np.float32)
    mined = RANDOM.normal(size=(12, 4)).astype(np.float32)
    return model, Views(*jnp.asarray(x), jnp.asarray(mined), target, jnp.int32(500))


def test_cosine_distance_is_that_of_unit_vectors():
    expected = ((unit(A) - unit(B)) ** 2).sum(-1).mean()
    np.testing.assert_allclose(cosine_distance(jnp.asarray(A), jnp.asarray(B)), expected, rtol=1e-5)
    np.testing.assert_allclose(cosine_distance(jnp.asarray(A), jnp.asarray(3 * A)), 0.0, atol=1e-5)
    np.testing.assert_allclose(cosine_distance(jnp.asarray(A), jnp.asarray(-A)), 4.0, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_info_nce_is_that_of_scipy(temperature):
    likeness = unit(A) @ unit(B).T / temperature
    expected = (logsumexp(likeness, axis=1) - np.diag(likeness)).mean()
    np.testing.assert_allclose(info_nce(jnp.asarray(A), jnp.asarray(B), temperature), expected, rtol=1e-4)


def test_info_nce_of_what_has_collapsed_is_that_of_a_guess():
    same = jnp.ones((12, 5))
    np.testing.assert_allclose(info_nce(same, same), np.log(12), rtol=1e-5)


def test_codes_are_distributions_that_use_all_prototypes_alike():
    scores = RANDOM.normal(size=(40, 4)) + 3 * np.eye(4)[0]
    codes = np.asarray(balanced_codes(jnp.asarray(scores), 1.0, rounds=200))
    np.testing.assert_allclose(codes.sum(1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(codes.sum(0), 10.0, rtol=1e-3)
    q = np.exp(scores)
    for _ in range(3):
        q = q / q.sum(0)
        q = q / q.sum(1, keepdims=True)
    np.testing.assert_allclose(balanced_codes(jnp.asarray(scores), 1.0), q, rtol=1e-4)


@pytest.mark.parametrize("feedback", [BYOL(), MYOW(), InfoNCE(), SwappedClusters()], ids=lambda f: type(f).__name__)
def test_no_gradient_reaches_the_target_or_what_was_mined(seen, feedback):
    """All that the slow copy and the mined representations get is exactly 0, and the model gets something."""
    model, views = seen
    frozen = eqx.filter_grad(lambda v: feedback(model, v, key=KEY)[0])(views)
    for leaf in jax.tree.leaves((frozen.target, frozen.mined)):
        np.testing.assert_array_equal(leaf, 0.0)
    moved = eqx.filter_grad(lambda m: feedback(m, views, key=KEY)[0])(model)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(moved.encoder)) > 1e-4


def test_byol_is_the_distance_of_a_prediction_from_the_target(seen):
    model, views = seen
    said = model.predict(model.project(model.represent(views.one)))
    goal = views.target.project(views.target.represent(views.other))
    np.testing.assert_allclose(
        BYOL()(model, views, key=KEY)[0], ((unit(said) - unit(goal)) ** 2).sum(-1).mean(), rtol=1e-4
    )


def test_the_mined_loss_rises_from_warm_up_to_ramp():
    feedback = MYOW(weight=0.5, warm_up=100.0, ramp=300.0)
    strengths = [float(feedback.strength(jnp.int32(step))) for step in (0, 100, 200, 300, 9000)]
    np.testing.assert_allclose(strengths, [0.0, 0.0, 0.25, 0.5, 0.5])


@pytest.mark.parametrize("layout", ["cascaded", "parallel", "shared"])
def test_both_losses_are_weighed_and_without_mining_byol_is_left(seen, layout):
    _, views = seen
    model, target = (
        Recipe(NET.make, **NET.numbers, **dict(NET.settings), layout=layout)(key=k) for k in map(jax.random.key, (1, 2))
    )
    views = eqx.tree_at(lambda v: v.target, views, target)
    byol, _ = BYOL()(model, views, key=KEY)
    loss, info = MYOW(weight=0.5)(model, views, key=KEY)
    strength = 0.5 * 300 / 600
    np.testing.assert_allclose(loss, (byol + strength * info["mined"]) / (1 + strength), rtol=1e-5)
    np.testing.assert_allclose(MYOW(weight=0.5, mining=0.0)(model, views, key=KEY)[0], byol / (1 + strength), rtol=1e-5)
    np.testing.assert_allclose(MYOW(weight=0.0)(model, views, key=KEY)[0], byol, rtol=1e-6)
    y = model.represent(views.asked)
    v = {
        "cascaded": lambda net, y: net.mined_projector(net.projector(y)),
        "parallel": lambda net, y: net.mined_projector(y),
        "shared": lambda net, y: net.projector(y),
    }[layout]
    r = model.predictor if layout == "shared" else model.mined_predictor
    expected = ((unit(r(v(model, y))) - unit(v(target, views.mined))) ** 2).sum(-1).mean()
    np.testing.assert_allclose(info["mined"], expected, rtol=1e-4)


def test_swapped_clusters_are_cross_entropies_of_numpy(seen):
    model, views = seen
    z = [unit(np.asarray(model.project(model.represent(x)))) for x in (views.one, views.other)]
    one, other = (view @ unit(np.asarray(model.prototypes)).T for view in z)
    codes = [np.asarray(balanced_codes(jnp.asarray(scores))) for scores in (one, other)]
    crossed = [
        -(q * np.log(softmax(s / 0.1, axis=1))).sum(1).mean() for q, s in zip(codes[::-1], (one, other), strict=True)
    ]
    np.testing.assert_allclose(SwappedClusters()(model, views, key=KEY)[0], np.mean(crossed), rtol=1e-3)


def test_mined_views_that_are_missing_are_asked_for(seen):
    model, views = seen
    with pytest.raises(Mismatch, match="none were mined"):
        MYOW()(model, eqx.tree_at(lambda v: v.mined, views, None), key=KEY)
