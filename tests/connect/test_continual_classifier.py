"""The estimator: it is a gradient learner, whatever comes in whatever portions, and it is never left half changed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from sklearn.base import clone

from lifelong import MLP, ContinualClassifier, Recipe, Replay
from lifelong.connect import memories
from lifelong.connect._growth import grown
from lifelong.connect._lived import Plan
from lifelong.connect._rows import Rows
from lifelong.errors import BadInput, Mismatch, UnknownName
from lifelong.keys import key_for
from lifelong.lab._clock import clocked
from lifelong.worlds import Batch, Lesson

SMALL = Recipe(MLP, width=16, depth=1)
FAST = Recipe(optax.adam, learning_rate=0.01)


def made(memory="none", **parameters):
    return ContinualClassifier(memory, **{"model": SMALL, "optimizer": FAST, "random_state": 0, **parameters})


def blobs(classes, rows=40, features=4, seed=0):
    """Return shuffled rows of well-separated classes, which are where they are whatever the seed."""
    centres, random = 3 * np.random.default_rng(99).normal(size=(30, features)), np.random.default_rng(seed)
    y = random.permutation(np.repeat(classes, rows))
    return centres[y] + random.normal(size=(len(y), features)), y


def weights(estimator):
    return jax.tree.leaves(eqx.filter(estimator.lived_.state.model, eqx.is_array))


def same(ones, others):
    return all(np.array_equal(a, b) for a, b in zip(ones, others, strict=True))


def test_it_is_a_gradient_learner_step_by_step():
    """Two calls of partial_fit, one of them with a half-filled batch, against the learner's own functions by hand."""
    estimator, x, y = made(Replay(20, 8), batch_size=16), *blobs([0, 1, 2], rows=14)
    plan = Plan.of(estimator.get_params(deep=False), 4)
    learner, seed = plan.learner(8), int(np.random.RandomState(0).randint(2**31))
    key, steps = jax.random.key(seed), 0
    state = eqx.filter_jit(learner.init)(plan.blank(8), key=key_for(key, "learner"))
    learn = eqx.filter_jit(learner.learn)
    for some in (slice(0, 32), slice(32, 42)):
        estimator.partial_fit(x[some], y[some], classes=[0, 1, 2])
        order = np.random.default_rng([seed, steps]).permutation(len(y[some]))
        for start in range(0, len(order), 16):
            rows = order[start : start + 16]
            full = np.pad(x[some][rows], ((0, 16 - len(rows)), (0, 0))).astype(np.float32)
            weight = np.float32(np.arange(16) < len(rows))
            codes = np.pad(y[some][rows], (0, 16 - len(rows))).astype(np.int32)
            batch = Batch(jnp.asarray(full), jnp.asarray(codes), jnp.zeros(16, jnp.int32), jnp.asarray(weight))
            state, _ = learn(state, batch, key=key_for(key, "learn", steps))
            steps += 1
    for by_hand, own in zip(jax.tree.leaves(state), jax.tree.leaves(estimator.lived_.state), strict=True):
        np.testing.assert_allclose(by_hand, own, atol=1e-5)
    answers = learner.answer(state, jnp.asarray(x, jnp.float32))
    np.testing.assert_array_equal(estimator.predict(x), answers.argmax(-1))
    np.testing.assert_allclose(estimator.predict_proba(x), jax.nn.softmax(answers[:, :3]), atol=1e-5)


def test_rows_are_handed_out_in_their_order_and_filled_up_with_weight_0():
    rows = Rows(jnp.arange(6.0)[:, None], jnp.arange(6), jnp.ones(6), jnp.int32(3), outputs=6)
    batch = rows.draw(Lesson(jnp.int32(3), jnp.int32(1)), 4, key=jax.random.key(0))
    assert batch.y[:2].tolist() == [4, 5] and batch.weight.tolist() == [1, 1, 0, 0] and batch.task.tolist() == [3] * 4
    review = rows.review(jnp.int32(3), 4)
    assert review.count == 2 and review.page(jnp.int32(1)).weight.tolist() == [1, 1, 0, 0]


def test_a_year_of_ragged_batches_compiles_nothing_new():
    estimator, random = made("replay"), np.random.default_rng(1)
    x, y = blobs(range(6), rows=400)
    estimator.partial_fit(x[:7], y[:7]).predict(x[:3])
    with clocked() as clock:
        for _ in range(12):
            rows = random.integers(len(y), size=random.integers(1, 1500))
            estimator.partial_fit(x[rows], y[rows])
            estimator.predict(x[: random.integers(1, 1500)])
    assert clock.compiling == 0
    assert estimator.report().updates[-1].accuracy > 0.9


def test_outputs_double_and_nothing_learned_is_lost():
    estimator, (x, y), (new_x, new_y) = made("der++"), blobs(range(8)), blobs(range(8, 20), rows=4)
    for _ in range(4):
        estimator.partial_fit(x, y)
    before, held = estimator.predict_proba(x), estimator.report().kept
    assert estimator.lived_.outputs == 8 and estimator.score(x, y) > 0.8
    told = estimator.lived_.told(np.arange(20), x[0].astype(np.float32))
    assert told.outputs == 32 and same(
        told.state.memory.within.buffer.examples.x, estimator.lived_.state.memory.within.buffer.examples.x
    )
    momenta = [one.state.optimizer[0].mu.head.weight for one in (estimator.lived_, told)]
    np.testing.assert_array_equal(momenta[1][:8], momenta[0])
    assert not momenta[1][8:].any()
    logits = told.logits(x.astype(np.float32))[:, :8]
    np.testing.assert_allclose(jax.nn.softmax(logits), before, atol=1e-5)
    estimator.partial_fit(new_x, new_y)
    kept = estimator.report().kept
    assert sum(kept.values()) == 500 and sum(kept[c] for c in range(8)) < sum(held.values())
    assert estimator.classes_.tolist() == list(range(20))


@pytest.mark.parametrize("name", memories())
def test_every_memory_grows_and_can_be_named(name):
    plan = Plan.of(made(name).get_params(deep=False), 3)
    small, large = (eqx.filter_eval_shape(plan.learner(n).init, plan.blank(n), key=jax.random.key(0)) for n in (4, 8))
    old, new = (
        jax.tree.map(lambda s, v=v: jnp.full(s.shape, v, s.dtype), tree) for tree, v in ((small, 1), (large, 0))
    )
    state = grown(old, new, np.zeros(3, np.float32))
    for before, after in zip(jax.tree.leaves(old), jax.tree.leaves(state), strict=True):
        assert after.sum() == before.size and after[tuple(slice(n) for n in before.shape)].all()


def widening(inputs, outputs, *, key):
    return MLP(inputs, outputs, width=outputs, depth=1, key=key)


def branching(inputs, outputs, *, key):
    return MLP(inputs, outputs, width=4, depth=outputs // 8, key=key)


class Stirring(eqx.Module):
    """A model that answers with logits minus their mean: one more class changes all its answers."""

    inner: MLP

    def __call__(self, x):
        return self.inner(x) - self.inner(x).mean()


def stirring(inputs, outputs, *, key):
    return Stirring(MLP(inputs, outputs, width=4, key=key))


@pytest.mark.parametrize(
    ("model", "words"), [(widening, "answers for the classes"), (branching, "other parts"), (stirring, "answers for")]
)
def test_a_model_that_cannot_take_in_classes_is_refused_and_nothing_has_changed(model, words):
    estimator = made(model=model).partial_fit(*blobs(range(8), rows=4))
    before = weights(estimator)
    with pytest.raises(Mismatch, match=f"new classes.*{words}"):
        estimator.partial_fit(*blobs([8], rows=4))
    assert same(weights(estimator), before) and len(estimator.classes_) == 8


def test_classes_come_when_they_come_in_any_kind_of_label():
    names = np.array(["pear", "fig", "apple"])
    (x, y), estimator = blobs(range(3)), made()
    for _ in range(9):
        estimator.partial_fit(x[y < 2], names[y[y < 2]], classes=["pear", "fig", "zucchini"])
    assert set(estimator.predict(x)) == {"pear", "fig"}
    assert estimator.predict_proba(x)[:, list(estimator.classes_).index("zucchini")].max() == 0
    for _ in range(20):
        estimator.partial_fit(x, names[y])
    assert estimator.classes_.tolist() == ["apple", "fig", "pear", "zucchini"]
    assert estimator.score(x, names[y]) > 0.95
    odds = estimator.predict_proba(x)
    np.testing.assert_allclose(odds.sum(1), 1)
    np.testing.assert_array_equal(estimator.classes_[odds.argmax(1)], estimator.predict(x))
    assert [update.new_classes for update in estimator.report().updates][0::9][:2] == [2, 1]


def test_equal_seeds_are_equal_and_others_are_not():
    x, y = blobs(range(3))
    first, again, other = (made("replay", random_state=seed).fit(x, y) for seed in (3, 3, 4))
    assert same(weights(first), weights(again)) and not same(weights(first), weights(other))
    assert same(weights(clone(first).fit(x, y)), weights(first))
    assert same(weights(first.fit(x, y)), weights(again)), "fit starts afresh"


def test_replay_remembers_what_plain_learning_forgets():
    tasks = [blobs(classes, rows=60, seed=5) for classes in ([0, 1], [2, 3], [4, 5])]
    scores = {}
    for memory in ("none", "replay"):
        estimator = made(memory, update_epochs=10)
        for x, y in tasks:
            estimator.partial_fit(x, y)
        scores[memory] = [estimator.score(x, y) for x, y in tasks]
    assert scores["none"][0] < 0.6 and scores["none"][-1] > 0.95
    assert min(scores["replay"]) > 0.9


def test_rows_of_many_passes_are_kept_once():
    """A reservoir larger than the stream holds every row once, however often it was learned; labels are known by then."""
    (x, y), estimator = blobs(range(3)), made(Replay(500, 8, logits=0.5), epochs=30)
    buffer = estimator.fit(x, y).lived_.state.memory.within.buffer
    assert int(buffer.filled) == int(buffer.met) == len(y)
    held = np.asarray(buffer.examples.x)[: len(y)]
    np.testing.assert_array_equal(np.sort(held[:, 0]), np.sort(x[:, 0].astype(np.float32)))
    stored = np.asarray(buffer.extra)[: len(y), :3].argmax(1)
    assert (stored == np.asarray(buffer.examples.y)[: len(y)]).mean() > 0.9


def test_an_update_reports_how_its_rows_were_answered_before():
    (x, y), estimator = blobs(range(4), rows=8), made("replay", batch_size=32)
    estimator.partial_fit(x[:16], y[:16], classes=range(4))
    new = np.isin(y, y[:16])
    x, y = x[new], y[new]
    expected = estimator.score(x, y)
    update = estimator.partial_fit(x, y).report().updates[-1]
    assert update.accuracy == pytest.approx(expected) and update.rows == len(y)


def test_the_end_of_a_task_is_optional_and_counts_where_it_is_looked_back():
    (x, y), estimator = blobs(range(3)), made("ewc")
    estimator.partial_fit(x, y)
    assert len(estimator.lived_.unfinished.y) == len(y)
    assert not any(leaf.any() for leaf in jax.tree.leaves(estimator.lived_.state.memory.within.importance))
    estimator.end_task()
    assert any(leaf.any() for leaf in jax.tree.leaves(estimator.lived_.state.memory.within.importance))
    assert len(estimator.lived_.unfinished.y) == 0 and estimator.report().tasks == 1
    plain = made("replay").partial_fit(x, y)
    assert len(plain.lived_.unfinished.y) == 0 and plain.end_task().report().tasks == 1


def test_of_many_rows_of_a_task_a_uniform_sample_is_kept():
    x = np.arange(4000.0)[:, None] / 4000
    estimator = made("si", task_rows=1000, model=Recipe(MLP, width=2, depth=1))
    for some in np.split(x, 8):
        estimator.partial_fit(some, np.arange(500) % 2)
    kept = estimator.lived_.unfinished.x[:, 0]
    assert len(kept) == 1000 and (np.diff(kept) > 0).all(), "in the order in which they came"
    shares = np.histogram(kept, bins=8, range=(0, 1))[0]
    assert (np.abs(shares - 125) < 4 * np.sqrt(125 * 7 / 8)).all()


@pytest.mark.filterwarnings("ignore:overflow")
def test_where_learning_diverges_the_estimator_is_left_as_it_was():
    (x, y), wild = blobs(range(3)), Recipe(optax.sgd, learning_rate=1e30)
    estimator = made(optimizer=wild)
    with pytest.raises(BadInput, match=r"diverged.*left as it was"):
        estimator.fit(x, y)
    assert not hasattr(estimator, "lived_")
    good = made(optimizer=Recipe(optax.sgd, learning_rate=0.1)).partial_fit(x, y)
    before = weights(good)
    with pytest.raises(BadInput, match=r"diverged.*largest is \d.*e\+"):
        good.partial_fit(x * 1e20, y)
    assert same(weights(good), before) and len(good.report().updates) == 1


def test_names_of_columns_are_known_and_their_order_matters():
    x, y = blobs(range(3))
    table = pd.DataFrame(x, columns=list("abcd"))
    estimator = made().partial_fit(table, pd.Series(y))
    assert estimator.feature_names_in_.tolist() == list("abcd") and estimator.n_features_in_ == 4
    with pytest.raises(BadInput, match="same order"):
        estimator.partial_fit(table[list("bacd")], y)


X, Y = blobs(range(3), rows=4)

MISTAKES = {
    "unknown memory": (lambda: made("repaly"), UnknownName, "did you mean 'replay'"),
    "no memory": (lambda: made(7), BadInput, "a name such as 'replay' or a Memory, not 7"),
    "batch": (lambda: made(batch_size=0), BadInput, "batch_size must be a whole number of at least 1, not 0"),
    "epochs": (lambda: made(epochs=2.5), BadInput, "epochs must be a whole number of at least 1, not 2.5"),
    "optimizer": (lambda: made(optimizer=optax.adam), BadInput, r"Recipe\(optax.sgd, learning_rate=0.05\)"),
    "model": (lambda: made(model=lambda key: None), Mismatch, r"model\(inputs=…, outputs=…, key=…\)"),
    "model for others": (lambda: made(model=Recipe(MLP, width=4, depht=1)), Mismatch, "depht"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_parameters_that_cannot_be_used_are_refused_by_fit(mistake):
    build, error, words = MISTAKES[mistake]
    with pytest.raises(error, match=words):
        build().fit(X, Y)


@pytest.mark.parametrize(
    ("rows", "labels", "words"),
    [
        (np.full((12, 4), np.nan), Y, "NaN"),
        (X[:, :3], Y, "3 features"),
        (X, Y[:5], "inconsistent"),
        (X[:0], Y[:0], "0 sample"),
        (X, X[:, 0], "Unknown label type"),
        (X, np.array(["a"] * 12), "numbers and these labels are text"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_and_nothing_has_changed(rows, labels, words):
    estimator = made().partial_fit(X, Y)
    before = weights(estimator)
    with pytest.raises(BadInput, match=words):
        estimator.partial_fit(rows, labels)
    assert same(weights(estimator), before) and estimator.classes_.tolist() == [0, 1, 2]


def test_its_report_says_what_was_learned_and_kept():
    x, y = blobs(range(3), rows=300)
    estimator = made("replay").fit(x, y)
    report = estimator.report()
    assert report.rows == {0: 300, 1: 300, 2: 300} and sum(report.kept.values()) == 500
    assert max(report.kept.values()) < 220
    assert report.steps == 20 * -(-900 // 32) and report.tasks == 1 and report.outputs == 8
    assert report.weights == 4 * 16 + 16 + 16 * 8 + 8
    assert "900 in 580 steps" in str(report) and "<table>" in report._repr_html_()
    assert report.to_dict()["updates"][0]["rows"] == 900
