"""What representations are worth: probes against scikit-learn, and monitors of collapse at both ends."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from lifelong.errors import BadInput
from lifelong.exams import NuisanceProbe, Representation, neighbours_vote, spread
from lifelong.worlds import NeuralPopulation, Split

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


class Seeing(NamedTuple):
    """A learner that answers with a function of what it is asked."""

    how: object

    def answer(self, state, x):
        return self.how(x)


def sit(exam, how, world):
    return {name: float(v) for name, v in jax.jit(lambda w: exam.sit(None, Seeing(how), w, key=KEY))(world).items()}


def test_spread_is_1_in_all_directions_and_0_where_all_is_one():
    np.testing.assert_allclose(spread(jnp.asarray(RANDOM.normal(size=(5000, 16)))), 1.0, rtol=0.02)
    np.testing.assert_allclose(spread(jnp.ones((50, 16)) * jnp.arange(1, 51)[:, None]), 0.0, atol=1e-5)
    two = jnp.asarray(RANDOM.normal(size=(5000, 2))) @ jnp.asarray(RANDOM.normal(size=(2, 16)))
    unit = two / jnp.linalg.norm(two, axis=1, keepdims=True)
    np.testing.assert_allclose(spread(two), 4 * np.asarray(unit).std(0).mean(), rtol=1e-4)


def test_a_collapsed_representation_is_at_chance_and_is_seen_to_be_collapsed(tiny):
    world = Split(tiny, 1)
    seen = sit(Representation(), lambda x: x, world)
    blind = sit(Representation(), lambda x: jnp.ones((len(x), 4)), world)
    line = sit(Representation(), lambda x: x[:, :1] * jnp.ones(4), world)
    assert seen["probe_accuracy"] > 0.95 and seen["effective_rank"] > 4
    np.testing.assert_allclose(
        [blind["probe_accuracy"], blind["spread"], blind["effective_rank"]], [1 / 6, 0, 0], atol=1e-5
    )
    assert line["effective_rank"] < 1.01 and line["probe_accuracy"] < 0.6


def test_neighbours_vote_as_in_scikit_learn():
    known, asked = RANDOM.normal(size=(80, 4)), RANDOM.normal(size=(30, 4))
    y = RANDOM.integers(0, 3, 80)
    oracle = KNeighborsClassifier(5, metric="cosine").fit(known, y)
    votes = neighbours_vote(jnp.asarray(known), jnp.asarray(y, jnp.int32), jnp.asarray(asked), 3)
    np.testing.assert_allclose(votes / 5, oracle.predict_proba(asked), atol=1e-6)


def test_probes_are_those_of_scikit_learn():
    world = jax.jit(lambda: NeuralPopulation(neurons=8, trials=32, test_trials=16, bins=4).open(key=KEY))()
    found = sit(Representation(codes=world.codes), lambda x: x, world)
    y, asked = (np.asarray(world._angle(jnp.arange(len(x)))) for x in (world.x, world.x_test))
    scale = StandardScaler().fit(world.x)
    known, features = scale.transform(world.x), scale.transform(world.x_test)
    codes = np.asarray(world.codes)
    said = Ridge(alpha=1e-3 * len(y)).fit(known, codes[y]).predict(features)
    angle = np.arctan2(said[:, 1], said[:, 0])
    off = np.abs((angle - 2 * np.pi * asked / 8 + np.pi) % (2 * np.pi) - np.pi)
    np.testing.assert_allclose(found["probe_accuracy"], (off < np.pi / 8).mean(), atol=1e-6)
    gains = Ridge(alpha=1e-3 * len(y)).fit(known, world.nuisance).predict(features)
    r2 = sit(NuisanceProbe(), lambda x: x, world)["nuisance"]
    np.testing.assert_allclose(r2, r2_score(world.nuisance_test, gains), atol=1e-3)
    np.testing.assert_allclose(sit(NuisanceProbe(), lambda x: x * 0, world)["nuisance"], 0.0, atol=0.1)


def test_somebody_has_to_vote():
    with pytest.raises(BadInput, match="at least one neighbour"):
        Representation(neighbours=0)
