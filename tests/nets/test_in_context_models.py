"""Models that learn in context: they never look ahead, and references are what brute force says."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from lifelong.nets import (
    AttentionOnly,
    InContextLSTM,
    InContextTransformer,
    InductionHead,
    NearestExample,
    OnlineRegression,
    interleaved,
)
from lifelong.worlds import labelled

F, O, T = 3, 2, 6
MODELS = {
    "transformer": lambda key: InContextTransformer(F, O, 8, 2, 2, 16, key=key),
    "paired": lambda key: InContextTransformer(F, O, 8, 2, 2, 16, paired=True, key=key),
    "lstm": lambda key: InContextLSTM(F, O, 8, key=key),
    "nearest": lambda key: NearestExample(F, O, key=key),
    "regression": lambda key: OnlineRegression(F, O, 0.3, key=key),
}


@pytest.fixture(scope="module")
def sequences():
    random = np.random.default_rng(0)
    return jnp.asarray(random.normal(size=(4, T, F)), jnp.float32), jnp.asarray(random.integers(0, O, (4, T)))


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param](jax.random.key(0))


read = eqx.filter_jit(lambda model, x: model.read(x))


def test_no_label_is_seen_before_it_is_answered_and_none_is_missed_afterwards(model, sequences):
    x, y = sequences
    before, after = (read(model, labelled(x, labels, O)) for labels in (y, y.at[:, 2].set(1 - y[:, 2])))
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert (jnp.abs(before[:, 3:] - after[:, 3:]).max((0, 2)) > 1e-5).all()


def test_no_item_is_seen_before_its_turn(model, sequences):
    x, y = sequences
    before, after = (read(model, labelled(items, y, O)) for items in (x, x.at[:, 3].add(1.0)))
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-6)


def test_one_sequence_is_answered_as_among_many(model, sequences):
    x = labelled(*sequences, O)
    np.testing.assert_allclose(jax.vmap(model)(x), read(model, x)[:, -1], atol=1e-5)


@pytest.mark.parametrize("paired", [False, True])
def test_a_window_of_one_forgets_what_is_two_layers_away(paired, sequences):
    x, y = sequences
    x = labelled(x, y, O)
    whole = InContextTransformer(F, O, 8, 2, 2, 16, paired=paired, key=jax.random.key(0))
    narrow = eqx.tree_at(lambda model: model.window, whole, jnp.int32(1))
    wide = eqx.tree_at(lambda model: model.window, whole, jnp.int32(T))
    np.testing.assert_array_equal(read(whole, x), read(wide, x))
    moved = x.at[:, 0].add(1.0)
    assert np.abs(read(whole, x)[:, -1] - read(whole, moved)[:, -1]).max() > 1e-4
    np.testing.assert_allclose(read(narrow, x)[:, -1], read(narrow, moved)[:, -1], atol=1e-6)


def test_the_nearest_example_is_that_of_scikit_learn(sequences):
    x, y = (np.asarray(part) for part in sequences)
    found = read(NearestExample(F, O, key=jax.random.key(0)), labelled(jnp.asarray(x), jnp.asarray(y), O)).argmax(-1)
    for own, labels, answers in zip(x, y, np.asarray(found), strict=True):
        for t in range(1, T):
            assert answers[t] == KNeighborsClassifier(1).fit(own[:t], labels[:t]).predict(own[t : t + 1])[0]


def test_online_regression_takes_the_steps_of_its_equation(sequences):
    x, y = (np.asarray(part) for part in sequences)
    found = np.asarray(
        read(OnlineRegression(F, O, 0.3, key=jax.random.key(0)), labelled(jnp.asarray(x), jnp.asarray(y), O))
    )
    weights = np.zeros((O, F + 1))
    for t in range(T):
        item = np.append(x[0, t], 1.0)
        logits = weights @ item
        np.testing.assert_allclose(found[0, t], logits, atol=1e-5)
        odds = np.exp(logits) / np.exp(logits).sum()
        weights -= 0.3 * np.outer(odds - np.eye(O)[y[0, t]], item)


def test_items_and_labels_take_turns():
    tokens = interleaved(jnp.array([[1.0, 2, 0, 1], [3, 4, 1, 0], [5, 6, 0, 0]]), 2)
    np.testing.assert_array_equal(tokens, [[1, 2, 0, 0], [0, 0, 0, 1], [3, 4, 0, 0], [0, 0, 1, 0], [5, 6, 0, 0]])


def test_a_head_with_large_logits_copies_the_label_of_the_item_like_the_target():
    eye = jnp.eye(4, 8)
    x = labelled(jnp.concatenate([eye, eye[2:3]]), jnp.array([0, 3, 1, 2, 1]), 4)
    head = InductionHead(8, 4, 4, key=jax.random.key(0))
    numbers = (jnp.float32(20.0), jnp.float32(20.0), jnp.float32(5.0), jnp.float32(1.0))
    head = eqx.tree_at(lambda h: (h.previous, h.match, h.label, h.gain), head, numbers)
    first, second = head.attention(x)
    np.testing.assert_allclose(np.diagonal(first, -1), 1.0, atol=1e-4)
    np.testing.assert_allclose(second[-1, 5], 1.0, atol=1e-3)
    np.testing.assert_allclose(head(x) - head.known(x[-1, :8]), [0, 1, 0, 0], atol=1e-3)


def test_attention_of_the_network_is_causal_and_sums_to_one(sequences):
    x, y = sequences
    net = AttentionOnly(F, O, T, layers=2, depth=1, key=jax.random.key(0))
    for weights in net.attention(labelled(x[0], y[0], O)):
        np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-5)
        assert np.abs(np.triu(weights, 1)).max() == 0
