"""Nearest means, herding and iCaRL against loops over examples."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import CrossEntropy
from lifelong.memory import ICaRL, NearestMean, Step, chain
from lifelong.memory._prototypes import UNCHOSEN, herd
from lifelong.nets import MLP
from lifelong.worlds import Batch, Pages

OUTPUTS = 6


def loss(model, batch, feedback=None):
    return CrossEntropy()(model, batch, key=jax.random.key(0))[0]


def net(seed):
    return MLP(inputs=3, outputs=OUTPUTS, width=7, depth=1, activation=jnp.tanh, key=jax.random.key(seed))


MODEL, LATER = net(0), net(1)


class Sheets(Pages):
    """Examples in two pages of 20, the last three of them padding."""

    batch: Batch
    count: int = eqx.field(static=True, default=2)

    def page(self, i):
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, i * 20, 20), self.batch)


def task(labels, seed):
    """40 examples of some classes, in no order; the last three are padding."""
    rng = np.random.default_rng(seed)
    y = jnp.asarray(rng.permutation(np.resize(labels, 40)), jnp.int32)
    x = jnp.asarray(rng.normal(size=(40, 3)) + np.asarray(y)[:, None], jnp.float32)
    return Batch(x, y, jnp.zeros(40, jnp.int32), jnp.ones(40).at[37:].set(0.0))


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def features_of(model, x):
    return unit(np.asarray(jax.vmap(model.features)(x), np.float64))


def herd_by_loop(features, quota):
    """Return the rows of one class in herding order."""
    mean, chosen = features.mean(0), []
    for k in range(1, min(quota, len(features)) + 1):
        distance = [
            np.inf if i in chosen else np.linalg.norm(mean - (features[i] + features[chosen].sum(0)) / k)
            for i in range(len(features))
        ]
        chosen.append(int(np.argmin(distance)))
    return chosen


def test_herding_chooses_as_a_loop_does():
    batch = task([0, 2, 3], seed=0)
    features = features_of(MODEL, batch.x)
    run = jax.jit(partial(herd, outputs=OUTPUTS))
    for quota in (1, 5, 30):
        places = run(jnp.asarray(features, jnp.float32), batch.y, batch.weight, quota=jnp.int32(quota))
        for label in (0, 2, 3):
            rows = np.flatnonzero((np.asarray(batch.y) == label) & (np.asarray(batch.weight) > 0))
            order = herd_by_loop(features[rows], quota)
            expected = np.full(len(rows), UNCHOSEN)
            expected[order] = np.arange(len(order))
            np.testing.assert_array_equal(np.asarray(places)[rows], expected)
        assert (np.asarray(places)[37:] == UNCHOSEN).all()


def test_herding_stands_for_its_class_better_than_chance():
    rng = np.random.default_rng(1)
    features = unit(rng.normal(size=(60, 8)))
    places = herd(jnp.asarray(features, jnp.float32), jnp.zeros(60, jnp.int32), jnp.ones(60), 1, jnp.int32(6))
    herded = np.linalg.norm(features[np.asarray(places) < 6].mean(0) - features.mean(0))
    by_chance = [np.linalg.norm(features[rng.permutation(60)[:6]].mean(0) - features.mean(0)) for _ in range(200)]
    assert herded < min(by_chance)


def nearest_by_loop(features, means):
    return [min(means, key=lambda label: np.linalg.norm(f - unit(means[label]))) for f in features]


@eqx.filter_jit
def meeting(memory, batch):
    m = memory.init(MODEL, batch, key=jax.random.key(0))
    halves = [jax.tree.map(lambda leaf, s=s: leaf[s], batch) for s in (slice(0, 11), slice(11, 40))]
    for half in halves:
        m = memory.keep(m, Step(half, None, MODEL, MODEL, None), key=jax.random.key(1))
    return m


@pytest.mark.parametrize("capacity", [None, 40])
def test_nearest_mean_answers_with_the_nearest_class(capacity):
    """Running means are those of all examples met, however they came in batches; a large buffer holds the same."""
    memory, batch = NearestMean(capacity), task([1, 2, 4], seed=2)
    m = meeting(memory, batch)
    real = slice(0, 37)
    features, y = features_of(MODEL, batch.x[real]), np.asarray(batch.y[real])
    means = {label: features[y == label].mean(0) for label in (1, 2, 4)}
    asked = task(range(OUTPUTS), seed=3).x
    logits = np.asarray(memory.answer(m, MODEL, asked))
    assert list(logits.argmax(1)) == nearest_by_loop(features_of(MODEL, asked), means)
    expected = -((features_of(MODEL, asked) - unit(means[2])) ** 2).sum(1)
    np.testing.assert_allclose(logits[:, 2], expected, atol=1e-5)
    assert np.isfinite(logits).all() and (logits[:, [0, 3, 5]] < -1e8).all()


def test_with_a_buffer_the_means_follow_the_features():
    memory, batch = NearestMean(40), task([1, 2, 4], seed=2)
    features, y = features_of(LATER, batch.x[:37]), np.asarray(batch.y[:37])
    means = {label: features[y == label].mean(0) for label in (1, 2, 4)}
    answers = memory.answer(meeting(memory, batch), LATER, batch.x).argmax(1)
    assert list(answers) == nearest_by_loop(features_of(LATER, batch.x), means)


@pytest.mark.parametrize("memory", [NearestMean(), NearestMean(8), ICaRL(8, 4)])
def test_without_any_mean_the_model_answers(memory):
    x = task([0], seed=4).x
    m = memory.init(MODEL, task([0], seed=4), key=jax.random.key(0))
    np.testing.assert_array_equal(memory.answer(m, MODEL, x), jax.vmap(MODEL)(x))
    np.testing.assert_array_equal(chain(memory).answer((m,), MODEL, x), jax.vmap(MODEL)(x))


ICARL = ICaRL(capacity=16, batch=16, strength=0.5, temperature=2.0)
FIRST, SECOND = task([0, 1], seed=5), task([2, 3, 4], seed=6)


@eqx.filter_jit
def consolidated(m, model, batch, memory=ICARL):
    return memory.consolidate(m, model, Sheets(batch), loss, key=jax.random.key(0))[1]


@pytest.fixture(scope="module")
def states():
    """iCaRL's state before, after its first task, and after its second under another model."""
    start = ICARL.init(MODEL, FIRST, key=jax.random.key(0))
    one = consolidated(start, MODEL, FIRST)
    return start, one, consolidated(one, LATER, SECOND)


def exemplars_of(m, label):
    """Return a class's exemplars, which lie one after the other in herding order."""
    store, filled = m.store, int(m.store.filled)
    of_class = np.flatnonzero(np.asarray(store.examples.y)[:filled] == label)
    assert (np.diff(of_class) == 1).all()
    return np.asarray(store.examples.x)[of_class]


def chosen_by_loop(model, batch, label, quota):
    rows = np.flatnonzero((np.asarray(batch.y) == label) & (np.asarray(batch.weight) > 0))
    return np.asarray(batch.x)[rows[herd_by_loop(features_of(model, batch.x[rows]), quota)]]


def test_exemplars_are_herded_at_the_end_of_a_task_and_old_classes_keep_their_first(states):
    """16 exemplars are 8 for each of 2 classes, then 3 for each of 5."""
    _, one, two = states
    for label in (0, 1):
        np.testing.assert_array_equal(exemplars_of(one, label), chosen_by_loop(MODEL, FIRST, label, 8))
        np.testing.assert_array_equal(exemplars_of(two, label), exemplars_of(one, label)[:3])
    for label in (2, 3, 4):
        np.testing.assert_array_equal(exemplars_of(two, label), chosen_by_loop(LATER, SECOND, label, 3))
    assert int(one.store.filled) == 16 and int(two.store.filled) == 15


def test_with_room_reserved_every_class_has_its_share_from_the_start():
    reserved = ICaRL(capacity=18, batch=4, classes=OUTPUTS)
    one = consolidated(reserved.init(MODEL, FIRST, key=jax.random.key(0)), MODEL, FIRST, reserved)
    two = consolidated(one, LATER, SECOND, reserved)
    for label in (0, 1):
        np.testing.assert_array_equal(exemplars_of(one, label), chosen_by_loop(MODEL, FIRST, label, 3))
        np.testing.assert_array_equal(exemplars_of(two, label), exemplars_of(one, label))
    assert int(one.store.filled) == 6 and int(two.store.filled) == 15
    with pytest.raises(BadInput, match=r"reserved for 6 \(all\) … 18 classes, not for 4"):
        ICaRL(capacity=18, batch=4, classes=4).init(MODEL, FIRST, key=jax.random.key(0))


def test_a_store_larger_than_the_task_holds_all_of_it_and_no_padding():
    roomy = ICaRL(capacity=200, batch=4)
    m = consolidated(roomy.init(MODEL, FIRST, key=jax.random.key(0)), MODEL, FIRST, roomy)
    assert int(m.store.filled) == 37
    held = np.asarray(m.store.examples.x)[:37]
    np.testing.assert_array_equal(np.sort(held[:, 0]), np.sort(np.asarray(FIRST.x)[:37, 0]))


def test_the_next_task_finds_its_place_after_some_exemplars_were_unlearned(states):
    """Of class 0 the first two exemplars go: it keeps its third, fourth and fifth, and no class loses what is its own."""
    _, one, _ = states
    first = exemplars_of(one, 0)
    m = ICARL.release(one, lambda batch: (batch.x[:, None, 0] == first[:2, 0]).any(1))
    assert int(m.store.filled) == 14
    two = consolidated(m, LATER, SECOND)
    np.testing.assert_array_equal(exemplars_of(two, 0), first[2:5])
    np.testing.assert_array_equal(exemplars_of(two, 1), exemplars_of(one, 1)[:3])
    assert [len(exemplars_of(two, label)) for label in range(5)] == [3] * 5


def test_a_class_met_again_gets_its_exemplars_anew(states):
    _, one, _ = states
    again = consolidated(one, LATER, task([1, 2], seed=7))
    np.testing.assert_array_equal(exemplars_of(again, 0), exemplars_of(one, 0)[:5])
    for label in (1, 2):
        np.testing.assert_array_equal(exemplars_of(again, label), chosen_by_loop(LATER, task([1, 2], seed=7), label, 5))


def test_the_old_model_is_the_one_at_the_end_of_the_last_task(states):
    _, one, two = states
    jax.tree.map(np.testing.assert_array_equal, one.old, eqx.filter(MODEL, eqx.is_array))
    jax.tree.map(np.testing.assert_array_equal, two.old, eqx.filter(LATER, eqx.is_array))


def test_answers_are_those_of_the_nearest_mean_of_exemplars(states):
    _, _, two = states
    means = {label: features_of(MODEL, exemplars_of(two, label)).mean(0) for label in range(5)}
    asked = task(range(OUTPUTS), seed=8).x
    logits = ICARL.answer(two, MODEL, asked)
    assert list(logits.argmax(1)) == nearest_by_loop(features_of(MODEL, asked), means)
    assert (np.asarray(logits)[:, 5] < -1e8).all()


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def bce(logits, target):
    p = sigmoid(logits)
    return -(target * np.log(p) + (1 - target) * np.log(1 - p))


def now_and_then(m):
    """Return a batch of the running task with the classes 0 … 4 seen, and the rehearsed exemplars."""
    seen = jnp.broadcast_to(jnp.arange(OUTPUTS) < 5, (40, OUTPUTS))
    batch = eqx.tree_at(lambda b: b.allowed, SECOND, seen, is_leaf=lambda leaf: leaf is None)
    return batch, ICARL.recall(m, key=jax.random.key(9))


@pytest.mark.parametrize("form", ["binary", "softened"])
@pytest.mark.parametrize("finished", [0, 1])
def test_the_forms_with_losses_of_their_own_by_hand(states, finished, form):
    """Old classes are asked for the old outputs and new ones for the labels, on the batch and the exemplars alike."""
    m, memory = states[finished], ICaRL(capacity=16, batch=16, strength=0.5, temperature=2.0, form=form)
    batch, recalled = now_and_then(m)
    assert int(recalled.weight.sum()) == 16 * finished
    old = np.arange(OUTPUTS) < 2 * finished
    new = ~old & (np.arange(OUTPUTS) < 5)
    total = 0.0
    for part in (batch, recalled):
        h, o = jax.vmap(LATER)(part.x), jax.vmap(eqx.combine(m.old, LATER))(part.x)
        labelled = bce(h, np.eye(OUTPUTS)[np.asarray(part.y)]) @ new
        kept = 4.0 * bce(h / 2, sigmoid(o / 2)) if form == "binary" else bce(h, sigmoid(o / 2))
        total += np.asarray(part.weight) @ (labelled + 0.5 * kept @ old)
    penalty = memory.penalty(m, LATER, batch, recalled, loss)
    np.testing.assert_allclose(penalty, total / (37 + 16 * finished), rtol=1e-5)
    assert memory.weigh(m, batch, recalled) == 0.0


AMONG = ICaRL(capacity=40, batch=40, mix="among")


@eqx.filter_jit
def blended(memory, m, key):
    return memory.blend(m, SECOND, memory.recall(m, key=key))


def test_among_the_batch_exemplars_are_as_frequent_as_in_task_and_store_together():
    """After one task of 37 examples all of them are held: in the next, every second place is an exemplar's."""
    start = AMONG.init(MODEL, SECOND, key=jax.random.key(0))
    m = consolidated(start, MODEL, FIRST, AMONG)
    assert int(m.store.filled) == 37 and int(m.finished) == 1
    batches = [blended(AMONG, m, key) for key in jax.random.split(jax.random.key(1), 60)]
    old = np.stack([np.asarray(b.y) < 2 for b in batches])
    drawn = 37 / 40  # the last three of a draw are empty
    assert abs(old.mean() - drawn / 2) < 4 * np.sqrt(0.25 / old.size)
    jax.tree.map(np.testing.assert_array_equal, blended(AMONG, start, jax.random.key(2)), SECOND)


@pytest.mark.parametrize("form", ["binary", "learner"])
def test_among_the_batch_nothing_is_learned_beside_it(form):
    memory = eqx.tree_at(lambda one: one.strength, ICaRL(40, 40, form=form, mix="among"), jnp.float32(0.0))
    m = consolidated(memory.init(MODEL, SECOND, key=jax.random.key(0)), MODEL, FIRST, memory)
    batch = blended(memory, m, jax.random.key(3))
    total = memory.weigh(m, batch, batch) * loss(LATER, batch) + memory.penalty(m, LATER, batch, batch, loss)
    h, weight = jax.vmap(LATER)(batch.x), np.asarray(batch.weight)
    own = weight @ (bce(h, np.eye(OUTPUTS)[np.asarray(batch.y)])[:, 2:].sum(1)) / weight.sum()
    np.testing.assert_allclose(total, own if form == "binary" else loss(LATER, batch), rtol=1e-5)


def test_without_strength_the_learners_form_is_its_loss_on_both_batches(states):
    memory, m = ICaRL(capacity=16, batch=16, strength=0.0, form="learner"), states[1]
    batch, recalled = now_and_then(m)
    bare = [Batch(b.x, b.y, b.task, b.weight) for b in (batch, recalled)]
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), *bare)
    total = memory.weigh(m, *bare) * loss(LATER, bare[0]) + memory.penalty(m, LATER, *bare, loss)
    np.testing.assert_allclose(total, loss(LATER, both), rtol=1e-5)


def test_holding_on_to_the_old_outputs_has_its_minimum_at_the_old_model(states):
    """With nothing but old classes allowed the gradient of the penalty vanishes at the old model, at any temperature."""
    m = states[1]
    batch, recalled = now_and_then(m)
    batch = eqx.tree_at(lambda b: b.allowed, batch, jnp.broadcast_to(jnp.arange(OUTPUTS) < 2, (40, OUTPUTS)))
    slope = eqx.filter_jit(eqx.filter_grad(lambda model: ICARL.penalty(m, model, batch, recalled, loss)))
    assert max(float(abs(leaf).max()) for leaf in jax.tree.leaves(slope(MODEL))) < 1e-6
    assert max(float(abs(leaf).max()) for leaf in jax.tree.leaves(slope(LATER))) > 1e-2


@pytest.fixture
def unchecked():
    """Let wrong types through to the library's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_what_cannot_work_is_refused(unchecked):
    headless = eqx.nn.Linear(3, OUTPUTS, key=jax.random.key(0))
    for memory in (NearestMean(), ICARL):
        with pytest.raises(Mismatch, match="features"):
            memory.init(headless, FIRST, key=jax.random.key(0))
    with pytest.raises(BadInput, match="fewer than one for each of 6"):
        ICaRL(capacity=5, batch=2).init(MODEL, FIRST, key=jax.random.key(0))
    with pytest.raises(Mismatch, match="batches of 39, and the learner's have 40"):
        ICaRL(40, 39, mix="among").init(MODEL, FIRST, key=jax.random.key(0))
    for wrong in ({"batch": 0}, {"capacity": 3, "batch": 4}, {"form": "softmax"}, {"mix": "apart"}):
        with pytest.raises(BadInput):
            ICaRL(**wrong)
    with pytest.raises(BadInput):
        NearestMean(0)
    with pytest.raises(BadInput):
        NearestMean(5, policy="newest")
