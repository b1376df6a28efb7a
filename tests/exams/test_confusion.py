"""Confusion and closeness of classes, against scikit-learn and NumPy."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix
from sklearn.metrics.pairwise import cosine_similarity

from lifelong.exams import Closeness, Confusion
from lifelong.learners import Learner
from lifelong.nets import MLP, Projected
from lifelong.recipe import Recipe
from lifelong.worlds import Dataset, Split

KEY, RANDOM = jax.random.key(0), np.random.default_rng(0)
CLASSES, FEATURES = 4, 5


def noise(counts):
    y = RANDOM.permutation(np.repeat(np.arange(CLASSES), counts)).astype(np.int32)
    return RANDOM.standard_normal((len(y), FEATURES)).astype(np.float32), y


DATA = Dataset(*noise((1, 2, 3, 1)), *noise((9, 4, 13, 7)), tuple("abcd"))
WORLD = Split(DATA, tasks=2)
NET = Recipe(MLP, inputs=FEATURES, outputs=CLASSES, width=6, depth=1, activation=jnp.tanh)


class Frozen(Learner):
    """A learner that never learns."""

    def answer(self, state, x, allowed=None):
        return jax.vmap(state.model)(x)


@eqx.filter_jit
def sat(exam, model):
    return exam.sit(SimpleNamespace(model=model), Frozen(), WORLD, key=KEY)


@pytest.mark.parametrize("page", [7, 50])
def test_confusion_is_that_of_scikit_learn(page):
    model = NET(key=KEY)
    answered = np.asarray(jax.vmap(model)(jnp.asarray(DATA.x_test))).argmax(1)
    expected = confusion_matrix(DATA.y_test, answered, labels=range(CLASSES), normalize="true")
    np.testing.assert_allclose(sat(Confusion(page), model)["confusion"], expected, rtol=1e-5)


@pytest.mark.parametrize("page", [7, 50])
@pytest.mark.parametrize("projected", [True, False])
def test_closeness_is_the_cosine_of_class_means_on_the_sphere(page, projected):
    model = Projected(NET, width=3, key=KEY) if projected else NET(key=KEY)
    z = np.asarray(jax.vmap(model.project if projected else model.features)(jnp.asarray(DATA.x_test)))
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    means = np.stack([z[DATA.y_test == c].mean(0) for c in range(CLASSES)])
    np.testing.assert_allclose(sat(Closeness(page), model)["closeness"], cosine_similarity(means), atol=1e-5)


def test_their_results_have_names_for_their_dimensions_and_need_no_more_than_answers_and_model():
    assert Confusion().dims == {"confusion": ("asked", "answered")}
    assert Closeness().dims == {"closeness": ("class", "other")}
    assert not Confusion().whole and not Closeness().whole
