"""What is left after unlearning, measured: against scikit-learn, simulation, and models whose past is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import roc_auc_score

from lifelong.errors import BadInput
from lifelong.exams import (
    accuracy_on,
    agreement,
    audit,
    membership_auc,
    prediction_distance,
    relearning_curve,
    steps_to_reach,
)
from lifelong.feedback import CrossEntropy
from lifelong.memory import GradientAscent, GradientUnlearner, Retrain
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Batch

KEY = jax.random.key(0)
RATE = Recipe(optax.adam, learning_rate=1e-2)


def loss(model, batch):
    return CrossEntropy()(model, batch, key=KEY)[0]


def net(key, features=16):
    return MLP(inputs=features, outputs=2, width=32, depth=1, key=key)


def examples(n, seed, kind=0, noise=0.0):
    """Examples of one of four kinds far apart, labelled by the sign of a feature of their own, a share at random."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 16)).astype(np.float32)
    y = (x[:, kind] > 0) ^ (random.random(n) < noise)
    x[:, 12:] = 3 * np.eye(4)[kind]
    leaves = (x, y.astype(np.int32), np.zeros(n, np.int32), np.ones(n, np.float32))
    return Batch(*(jnp.asarray(leaf) for leaf in leaves))


def joined(*batches):
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *batches)


@eqx.filter_jit
def carried_out(unlearner, model, forget, retain):
    return unlearner.forget(model, forget, retain, loss, key=KEY)


@pytest.mark.parametrize("ties", [False, True])
def test_the_auc_is_that_of_scikit_learn(ties):
    random = np.random.default_rng(1)
    members, others = random.normal(0, 1, 40), random.normal(0.4, 2, 70)
    if ties:
        members, others = members.round(), others.round()
    truth = roc_auc_score([1] * 40 + [0] * 70, -np.concatenate([members, others]))
    found = membership_auc(members, others)
    assert found.value == pytest.approx(truth)
    assert found.low < truth < found.high
    turned = membership_auc(others, members)
    assert turned.value == pytest.approx(1 - truth) and turned.low == pytest.approx(1 - found.high)


@pytest.mark.parametrize(("shift", "truth"), [(0.0, 0.5), (1.0, 0.7602)])
def test_its_interval_covers_the_truth_about_as_often_as_it_says(shift, truth):
    """Normal losses with means `shift` apart have AUC Φ(shift/√2)."""
    random = np.random.default_rng(2)
    found = [membership_auc(random.normal(0, 1, 30), random.normal(shift, 1, 50)) for _ in range(1000)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.93 < covered < 0.98


def test_losses_that_are_all_apart_have_an_interval_all_the_same():
    found = membership_auc(np.zeros(20), np.ones(20))
    assert found.value == found.high == 1.0 and 0.8 < found.low < 0.95
    assert membership_auc(np.zeros(20), np.zeros(20)).value == 0.5


@pytest.mark.parametrize("losses", [[1.0], [1.0, np.nan], [[1.0], [2.0]]])
def test_losses_that_cannot_be_compared_are_refused(losses):
    with pytest.raises(BadInput, match="two or more finite numbers"):
        membership_auc(losses, [1.0, 2.0])


def test_steps_to_reach_a_level():
    curve = np.array([[0.1, 0.5, 0.9, 0.4], [0.1, 0.2, 0.3, 0.4], [0.95, 0.1, 0.1, 0.1]])
    np.testing.assert_array_equal(steps_to_reach(curve, 0.9), [2, 4, 0])
    np.testing.assert_array_equal(steps_to_reach(curve, [0.5, 0.2, 0.99], every=5), [5, 5, 20])


def test_what_is_known_is_relearned_at_once_and_looks_do_not_change_the_course():
    train, test = examples(200, 1), examples(200, 2)
    knowing = carried_out(Retrain(net, RATE, steps=200), net(KEY), train, train)
    jitted = eqx.filter_jit(relearning_curve)
    curve = jitted(net(KEY), train, test, loss, optimizer=RATE, steps=30, key=KEY)
    again = jitted(knowing, train, test, loss, optimizer=RATE, steps=30, key=KEY)
    assert steps_to_reach(again, 0.85) == 0 < steps_to_reach(curve, 0.85)
    np.testing.assert_allclose(curve[0], accuracy_on(net(KEY), test))
    sparse = jitted(net(KEY), train, test, loss, optimizer=RATE, steps=30, every=10, key=KEY)
    np.testing.assert_allclose(sparse, curve[::10], atol=1e-6)


def test_agreement_and_distance_of_predictions():
    one, other, batch = net(KEY), net(jax.random.key(1)), examples(50, 3)
    p, q = (np.asarray(jax.nn.softmax(jax.vmap(model)(batch.x))) for model in (one, other))
    np.testing.assert_allclose(prediction_distance(one, other, batch), ((p - q) ** 2).sum(1).mean(), rtol=1e-5)
    np.testing.assert_allclose(agreement(one, other, batch), (p.argmax(1) == q.argmax(1)).mean())
    assert prediction_distance(one, one, batch) == 0 and agreement(one, one, batch) == 1


@pytest.fixture(scope="module")
def audits():
    """Audits of a model that memorised noisy labels: not unlearned at all, unlearned by ascent, and retrained."""
    forgotten, held_out = examples(150, 11, noise=0.2), examples(200, 12, noise=0.2)
    retain = examples(200, 13, kind=1)
    before = carried_out(Retrain(net, RATE, steps=600), net(KEY), forgotten, joined(forgotten, retain))
    retrained = carried_out(Retrain(net, RATE, steps=600), net(KEY), forgotten, retain)
    ascent = GradientAscent(ceiling=0.7, optimizer=RATE, steps=60)
    models = {
        "idle": carried_out(GradientUnlearner(steps=1), before, forgotten, None),
        "ascent": carried_out(ascent, before, forgotten, retain),
        "retrained": retrained,
    }
    options = {"retrained": retrained, "steps": 60, "regain": 0.95, "optimizer": RATE, "key": KEY}
    return {name: audit(before, model, forgotten, held_out, loss, **options) for name, model in models.items()}


def test_a_model_that_was_not_unlearned_is_found_out(audits):
    numbers = audits["idle"].numbers
    assert numbers["accuracy_forgotten"] > 0.95 > numbers["accuracy_held_out"] > 0.55
    assert numbers["membership_auc_low"] > 0.5
    assert numbers["steps_to_relearn"] == 0 < numbers["steps_saved_low"]
    assert "still show by lower losses" in str(audits["idle"])
    assert "something is left" in str(audits["idle"])


def test_a_model_that_never_met_the_data_passes(audits):
    numbers = audits["retrained"].numbers
    assert numbers["membership_auc_low"] < 0.5 < numbers["membership_auc_high"]
    assert numbers["agreement_forgotten"] == 1 and numbers["distance_held_out"] == 0
    assert numbers["steps_saved"] == 0
    assert "a stronger one might" in str(audits["retrained"])
    assert "no head start" in str(audits["retrained"])


def test_the_control_is_at_one_half_whatever_was_done(audits):
    for one in audits.values():
        assert 0.4 < one.numbers["membership_auc_control"] < 0.6


def test_answers_at_chance_do_not_pass_for_a_model_that_never_met_the_data(audits):
    """Ascent brings accuracy to chance and below; membership or relearning still finds traces."""
    numbers = audits["ascent"].numbers
    assert numbers["accuracy_forgotten"] < 0.55
    assert numbers["distance_forgotten"] > 0.05
    assert numbers["membership_auc_low"] > 0.5 or numbers["membership_auc_high"] < 0.5 or numbers["steps_saved_low"] > 0
    sentences = [finding.sentence for finding in audits["ascent"].findings]
    assert len(sentences) == 4 and "does not show that nothing is left" in sentences[0]


def test_relearning_is_compared_with_what_the_model_never_met_where_there_is_no_reference():
    batch, test = examples(60, 1), examples(60, 2)
    knowing = carried_out(Retrain(net, RATE, steps=600), net(KEY), batch, batch)
    never = examples(60, 3, kind=2), examples(60, 4, kind=2)
    found = audit(knowing, knowing, batch, test, loss, never=never, steps=20, optimizer=RATE, key=KEY)
    assert found.numbers["steps_to_relearn"] == 0 < found.numbers["steps_saved_low"]
    assert len(found.findings) == 3
    alone = audit(knowing, knowing, batch, test, loss, steps=20, optimizer=RATE, key=KEY)
    assert "does not say whether anything is left" in str(alone) and "steps_saved" not in alone.numbers


@pytest.mark.parametrize(
    ("odd", "match"),
    [({"regain": 0.0}, "must lie above 0"), ({"held": 3}, "4 held-out"), ({"forgotten": 1}, "2 forgotten")],
)
def test_an_audit_of_too_little_is_refused(odd, match):
    forgotten, held = examples(odd.get("forgotten", 5), 1), examples(odd.get("held", 5), 2)
    with pytest.raises(BadInput, match=match):
        audit(net(KEY), net(KEY), forgotten, held, loss, regain=odd.get("regain", 0.9), key=KEY)
