"""BKT against what hmmlearn and pyBKT made of the same answers (`make_bkt_oracle.py` wrote them down)."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.exams.tracing import BKT
from lifelong.exams.tracing._bkt import _problem
from lifelong.exams.tracing._expectation import Numbers, maximise
from lifelong.exams.tracing._markov import Chain, counted, filtered
from lifelong.exams.tracing._threads import Threads, patterns
from lifelong.worlds import PracticeLog

ORACLE = json.loads((Path(__file__).parent / "bkt_oracle.json").read_text())
ANSWERS = np.array(ORACLE["answers"])
STUDENTS, ATTEMPTS = ANSWERS.shape


@pytest.fixture(scope="module")
def log():
    return PracticeLog.of(np.repeat(np.arange(STUDENTS), ATTEMPTS), ["k"] * ANSWERS.size, ANSWERS.ravel())


def chain(values, *shape):
    return Chain(*(jnp.full(shape, value, jnp.float32) for value in values))


def test_likelihood_and_smoothed_states_are_those_of_hmmlearn():
    counts = counted(chain(ORACLE["start"], STUDENTS), jnp.asarray(ANSWERS.T))
    assert float(counts.log_likelihood.sum()) == pytest.approx(ORACLE["hmmlearn"]["log_likelihood"], rel=1e-5)
    np.testing.assert_allclose(counts.happened.prior, ORACLE["hmmlearn"]["first_known"], atol=1e-5)


def test_many_steps_of_em_go_where_hmmlearns_go(log):
    (group,) = Threads(log).groups
    problems = [_problem(patterns(group), np.ones((1, STUDENTS), np.float32))]
    free = Numbers(Chain(1.0, 1.0, 1.0, 1.0, 1.0), chain(ORACLE["start"]), 0.0, -1.0)
    for steps in (1, ORACLE["steps"]):
        start = chain(ORACLE["start"], 1, 1)
        fitted, _ = maximise(problems, start, jnp.zeros(1, int), free, steps=steps, together=1)
        found = [float(v[0, 0]) for v in fitted]
        np.testing.assert_allclose(found, ORACLE["hmmlearn"]["fits"][str(steps)], atol=1e-3)


def test_predictions_are_those_of_pybkt_with_its_chain():
    one = filtered(chain(ORACLE["pybkt"]["chain"], STUDENTS), jnp.asarray(ANSWERS.T))
    np.testing.assert_allclose(one.right.T.ravel(), ORACLE["pybkt"]["right"], atol=2e-5)
    np.testing.assert_allclose(one.known.T.ravel(), ORACLE["pybkt"]["known"], atol=2e-5)


def test_a_fit_finds_the_chain_that_pybkt_finds(log):
    model = BKT(restarts=3, pseudo=0.0, guess_at_most=1.0, slip_at_most=1.0, tolerance=1e-4, steps=500).fit(log)
    np.testing.assert_allclose([v[0] for v in model.parameters], ORACLE["pybkt"]["chain"], atol=0.02)
    theirs = filtered(chain(ORACLE["pybkt"]["chain"], STUDENTS), jnp.asarray(ANSWERS.T)).right.T.ravel()
    likely = np.where(log.outcome == 1, np.log(theirs), np.log1p(-theirs)).mean()
    assert model.evaluate(log).log_likelihood >= likely - 1e-4
