"""Plasticity: ranks against NumPy's singular values, units against cases worked out by hand."""

from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import entr

from lifelong.errors import BadInput, Mismatch
from lifelong.exams import Accuracy, Plasticity, effective_rank, several, srank
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.nets import MLP, ConvNet
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Pages, Split, World

KEY, RANDOM = jax.random.key(0), np.random.default_rng(0)
QUESTIONS, FEATURES = 23, 4
X = RANDOM.standard_normal((QUESTIONS, FEATURES)).astype(np.float32)


class Sheets(Pages):
    """Questions in pages, the last of them padded with questions that must not count."""

    x: jax.Array
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i):
        place = i * self.size + jnp.arange(self.size)
        real = place < len(self.x)
        none = jnp.zeros(self.size, jnp.int32)
        x = jnp.where(real.reshape(-1, *[1] * (self.x.ndim - 1)), self.x[jnp.minimum(place, len(self.x) - 1)], 100.0)
        return Batch(x, none, none, real.astype(jnp.float32))


class Elsewhere(World):
    x: jax.Array
    tasks: int = eqx.field(static=True, default=1)
    outputs: int = eqx.field(static=True, default=2)

    def papers(self, n: int) -> Any:
        return Sheets(self.x, n, -(-len(self.x) // n))


@eqx.filter_jit
def sat(exam, model, x):
    return exam.sit(SimpleNamespace(model=model), None, Elsewhere(jnp.asarray(x)), key=KEY)


@pytest.mark.parametrize(
    ("sigma", "rank", "hard"),
    [
        ([2.0, 2.0, 2.0], 3.0, 3),
        ([0.0, 5.0, 0.0], 1.0, 1),
        ([0.0, 0.0], 0.0, 0),
        ([3.0, 1.0], 4.0 / 27**0.25, 2),  # entropy of (¾, ¼) is 2 log 2 − ¾ log 3
        ([99.5, 0.5], None, 1),
        ([98.5, 1.5], None, 2),
    ],
)
def test_ranks_by_hand(sigma, rank, hard):
    if rank is not None:
        np.testing.assert_allclose(effective_rank(jnp.asarray(sigma)), rank, rtol=1e-5)
    assert srank(jnp.asarray(sigma)) == hard


def test_a_laxer_threshold_asks_for_fewer_singular_values():
    sigma = jnp.asarray([4.0, 3.0, 2.0, 1.0])
    assert [int(srank(sigma, delta)) for delta in (0.05, 0.15, 0.35, 0.65)] == [4, 3, 2, 1]


@pytest.mark.parametrize("page", [1, 7, 23, 50])
def test_the_ranks_of_features_are_those_of_numpys_singular_values(page):
    """However the questions are cut into pages, and although the last page is padded."""
    model = MLP(inputs=FEATURES, outputs=2, width=6, depth=2, key=KEY)
    result = sat(Plasticity(page=page), model, X)
    sigma = np.linalg.svd(np.asarray(jax.vmap(model.features)(jnp.asarray(X)), np.float64), compute_uv=False)
    p = sigma / sigma.sum()
    np.testing.assert_allclose(result["effective_rank"], np.exp(entr(p).sum()), rtol=1e-4)
    assert result["srank"] == np.flatnonzero(np.cumsum(sigma) >= 0.99 * sigma.sum())[0] + 1


def test_features_along_one_direction_have_rank_1():
    model = MLP(inputs=FEATURES, outputs=2, width=6, depth=1, activation=lambda h: h, key=KEY)
    model = eqx.tree_at(lambda m: m.hidden[0].bias, model, jnp.zeros(6))
    result = sat(Plasticity(), model, np.outer(RANDOM.standard_normal(9), [1.0, 2.0, -1.0, 0.5]).astype(np.float32))
    np.testing.assert_allclose(result["effective_rank"], 1.0, atol=1e-4)
    assert result["srank"] == 1


def with_units(weight, bias):
    model = MLP(inputs=2, outputs=1, width=len(bias), depth=1, key=KEY)
    line = model.hidden[0]
    line = eqx.tree_at(lambda layer: (layer.weight, layer.bias), line, (jnp.float32(weight), jnp.float32(bias)))
    return eqx.tree_at(lambda m: m.hidden[0], model, line)


UNITS = with_units([[1.0, 0.0], [0.0, 0.1], [-1.0, 0.0], [0.0, -1.0]], [0.0, 0.0, 0.0, 0.0])
ASKED = np.float32([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0], [-2.0, 2.0]])
"""Mean activations 1.5, 0.2, 0.5 and 0; active on 3, 4, 1 and 0 of the four questions."""


@pytest.mark.parametrize(("threshold", "dormant"), [(0.0, 0.25), (0.3, 0.25), (0.4, 0.5), (1.0, 0.75), (10.0, 1.0)])
def test_units_by_hand(threshold, dormant):
    """Their mean activation is 0.55, so the second unit has a score of 0.36 and the third one of 0.91."""
    result = sat(Plasticity(threshold), UNITS, ASKED)
    np.testing.assert_allclose(result["dormant_units"], [dormant])
    np.testing.assert_allclose(result["active_units"], [8 / 16])
    weights = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(eqx.filter(UNITS, eqx.is_array))])
    np.testing.assert_allclose(result["weight_norm"], np.linalg.norm(weights), rtol=1e-5)


def test_a_dead_network_is_all_dormant_and_of_rank_0():
    result = sat(Plasticity(), with_units(np.zeros((3, 2)), [-1.0, -1.0, -1.0]), ASKED)
    assert result["dormant_units"] == 1.0 and result["active_units"] == 0.0
    assert result["effective_rank"] == 0.0 and result["srank"] == 0


def test_a_feature_map_is_one_unit():
    model = ConvNet((4, 4), 2, channels=(3,), width=5, key=KEY)
    images = RANDOM.standard_normal((6, 4, 4)).astype(np.float32)
    result = sat(Plasticity(0.9), model, images)
    maps, dense = (np.asarray(layer) for layer in jax.vmap(model.activations)(jnp.asarray(images)))
    assert maps.shape == (6, 3, 2, 2) and dense.shape == (6, 5)
    np.testing.assert_allclose(result["active_units"], [(maps > 0).mean(), (dense > 0).mean()], rtol=1e-6)
    sizes = [np.abs(maps).mean((0, 2, 3)), np.abs(dense).mean(0)]
    np.testing.assert_allclose(result["dormant_units"], [(s <= 0.9 * s.mean()).mean() for s in sizes], rtol=1e-6)


def test_in_a_life_it_stands_beside_accuracy_with_layers_named(tiny):
    net = Recipe(MLP, inputs=8, outputs=6, width=7, depth=2)
    learner = GradientLearner(net, optimizer=Recipe(optax.sgd, learning_rate=0.05), batch=10)
    exam = several(Accuracy(), Plasticity())
    world, teacher = Split(tiny, tasks=3), OneByOne(3, 10)
    life = live(learner, world, teacher, exam, steps=30, seeds=2, progress=silent).to_xarray()
    assert life.active_units.dims == ("seed", "exam", "layer") and life.sizes["layer"] == 2
    assert life.srank.dims == life.weight_norm.dims == ("seed", "exam")
    assert (life.weight_norm.isel(exam=-1) > life.weight_norm.isel(exam=0)).all()
    assert ((life.effective_rank >= 1) & (life.effective_rank <= 7)).all()


class Opaque(eqx.Module):
    """A model that does not show its units."""

    def __call__(self, x):
        return x


def test_models_without_activations_and_empty_pages_are_refused():
    with pytest.raises(Mismatch, match="Opaque has no method `activations"):
        sat(Plasticity(), Opaque(), X)
    with pytest.raises(BadInput, match="at least one question"):
        Plasticity(page=0)
