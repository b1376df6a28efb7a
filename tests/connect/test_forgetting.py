"""Forgetting on request: exact where it can be, measured where it cannot."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from test_continual_classifier import blobs, made, same, weights

from lifelong import Replay, chain
from lifelong.connect._forgetting import Known, Marks, _copies
from lifelong.errors import BadInput, UnknownName
from lifelong.memory import EWC, GEM, NPO

STORES = chain(Replay(60, 8, logits=0.5), GEM(20, 2), EWC())


@pytest.fixture(scope="module")
def full():
    """An estimator with every kind of store, two finished tasks and one unfinished, and its rows."""
    x, y = blobs(range(3), rows=40)
    estimator = made(STORES, update_epochs=2)
    for start in (0, 50, 100):
        estimator.partial_fit(x[start : start + 50], y[start : start + 50])
        if start < 100:
            estimator.end_task()
    return estimator.lived_, x.astype(np.float32), y


def restarted(lived):
    estimator = made(STORES)
    estimator._resume(lived, None)
    return estimator


def rows_in(lived):
    """Return all rows that stand anywhere in the estimator's state, as a set, found without its own functions."""
    found = set()
    for leaf in (*jax.tree.leaves(lived.state.memory), lived.unfinished.x):
        if leaf.ndim >= 2 and leaf.shape[-1] == 4:
            found |= {row.tobytes() for row in np.asarray(leaf, np.float32).reshape(-1, 4)}
    return found


@pytest.mark.slow
def test_the_rows_are_nowhere_any_more_and_all_others_still_are(full):
    lived, x, y = full
    gone = slice(0, 120, 3)
    asked = {row.tobytes() for row in x[gone]}
    others = rows_in(lived) - asked
    assert len(asked & rows_in(lived)) > 20, "else nothing is tested"
    estimator = restarted(lived)
    audit = estimator.forget(x[gone], y[gone], method="release")
    assert not asked & rows_in(estimator.lived_)
    assert others <= rows_in(estimator.lived_)
    assert audit.numbers["kept_before"] > 20 and audit.numbers["kept"] == 0
    assert audit.numbers["derived_numbers"] > 0 and "left as they are" in str(audit)
    assert same(weights(estimator), weights(restarted(lived)))


def test_a_row_with_another_label_or_last_digit_stays(full):
    lived, x, y = full
    strange = x.copy()
    strange[0::2, 0] = np.nextafter(x[0::2, 0], 9)
    labels = np.where(np.arange(len(y)) % 2 == 0, y, (y + 1) % 3)
    estimator = restarted(lived)
    audit = estimator.forget(strange, labels, method="release")
    assert audit.numbers["kept_before"] == audit.numbers["kept"] == 0
    assert rows_in(estimator.lived_) == rows_in(lived)


def test_copies_are_counted():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    estimator = made(Replay(10, 3), batch_size=4).partial_fit(np.concatenate([x, x, -x]), [0, 0, 0, 0, 0, 0, 1, 1, 1])
    lived = estimator.lived_
    drawn = np.asarray(lived.state.memory.within.recalled.labelled.x)
    expected = 4 + int((drawn[:, None] == x[:2]).all(-1).any(1).sum())
    assert _copies(lived, Marks.of(Known.of(lived, x[:2], np.zeros(2, int)))) == expected


RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(120, 4)), RANDOM.integers(3, size=120)
"""Labels that are noise: they can only be known by heart."""

GONE, RETAIN, OTHERS = slice(0, 30), slice(30, 60), slice(60, 120)


@pytest.fixture(scope="module")
def learned():
    return made("replay", epochs=200).fit(X[:60], Y[:60]).lived_


@pytest.mark.parametrize("method", ["npo", "ascent", NPO(steps=80)])
def test_a_model_unlearns_and_keeps_the_rest(learned, method):
    estimator = restarted(learned)
    known = estimator.score(X[RETAIN], Y[RETAIN])
    before = estimator.predict_proba(X[GONE])[np.arange(30), Y[GONE]].mean()
    audit = estimator.forget(X[GONE], Y[GONE], method=method, retain=(X[RETAIN], Y[RETAIN]))
    after = estimator.predict_proba(X[GONE])[np.arange(30), Y[GONE]].mean()
    assert after < before - 0.05
    assert estimator.score(X[RETAIN], Y[RETAIN]) > known - 0.1
    assert "was not asked" in str(audit) and estimator.report().forgotten == 30
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(estimator.lived_.state.optimizer[0].mu))
    estimator.partial_fit(X[RETAIN], Y[RETAIN])


def test_retraining_is_learning_the_others_alone(learned):
    estimator = restarted(learned)
    estimator.lived_ = replace(learned, plan=replace(learned.plan, parameters={**learned.plan.parameters, "epochs": 3}))
    estimator.forget(X[GONE], Y[GONE], method="retrain", retain=(X[RETAIN], Y[RETAIN]))
    alone = made("replay", epochs=3).fit(X[RETAIN], Y[RETAIN])
    assert same(weights(alone), weights(estimator))


def test_the_audit_tells_releasing_from_retraining(learned):
    """Where buffers are emptied the labels are still known by heart, where the others are learned anew they are not."""
    found, parts = {}, {"retain": (X[RETAIN], Y[RETAIN]), "held_out": (X[OTHERS], Y[OTHERS])}
    for method in ("release", "retrain"):
        found[method] = restarted(learned).forget(X[GONE], Y[GONE], method=method, **parts).numbers
    assert found["release"]["membership_auc_low"] > 0.5
    assert abs(found["retrain"]["membership_auc"] - 0.5) < 0.15
    assert found["release"]["accuracy_forgotten"] > found["retrain"]["accuracy_forgotten"] + 0.2
    assert found["release"]["distance_forgotten"] > 2 * found["retrain"]["distance_forgotten"]
    assert found["release"]["kept_before"] == found["retrain"]["kept_before"] > 0
    assert found["release"]["kept"] == found["retrain"]["kept"] == 0


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"method": "nop"}, UnknownName, "did you mean 'npo'"),
        ({"method": "retrain"}, BadInput, "needs the rows to learn from"),
        ({"y": Y[GONE] + 7}, BadInput, "never learned"),
        ({"retain": (X[20:60], Y[20:60])}, BadInput, "10 of the rows to retain are among those to forget"),
        ({"held_out": (X[:2], Y[:2])}, BadInput, "4 held-out"),
        ({"X": X[GONE, :2]}, BadInput, "2 features"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_has_changed(learned, wrong, error, words):
    estimator = restarted(learned)
    with pytest.raises(error, match=words):
        estimator.forget(**{"X": X[GONE], "y": Y[GONE], "method": "release", **wrong})
    assert estimator.lived_ is learned
