"""BKT against enumeration, an independent forward-backward pass, and students of whom the truth is known."""

from itertools import pairwise, product

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from lifelong.errors import BadInput
from lifelong.exams.tracing import BKT, IndividualBKT, schedule, simulate
from lifelong.exams.tracing._bkt import _problem
from lifelong.exams.tracing._expectation import Numbers, maximise
from lifelong.exams.tracing._individual import Individual
from lifelong.exams.tracing._markov import Chain, counted, filtered
from lifelong.exams.tracing._threads import PADDED, Threads, patterns, similar
from lifelong.worlds import PracticeLog

CHAIN = Chain(*map(np.float32, (0.35, 0.2, 0.07, 0.22, 0.12)))
ANSWERS = [[1, 0, 1, 1], [0, -1, 0, 1], [1, 1, -1, -1], [0, 0, 0, 0]]


def paths(answers):
    """Every path of hidden states with its joint probability with the answers."""
    prior, learn, forget, guess, slip = map(float, CHAIN)
    move = {(0, 1): learn, (0, 0): 1 - learn, (1, 0): forget, (1, 1): 1 - forget}
    right = {0: guess, 1: 1 - slip}
    for states in product((0, 1), repeat=len(answers)):
        p = prior if states[0] else 1 - prior
        for before, after in pairwise(states):
            p *= move[before, after]
        for state, answer in zip(states, answers, strict=True):
            p *= {1: right[state], 0: 1 - right[state], -1: 1.0}[answer]
        yield states, p


@pytest.mark.parametrize("answers", ANSWERS)
def test_likelihood_and_expected_counts_are_those_of_enumeration(answers):
    padded = jnp.array([*answers, PADDED, PADDED])[:, None]
    chain = Chain(*(jnp.full(1, v) for v in CHAIN))
    counts = counted(chain, padded)
    found = list(paths(answers))
    total = sum(p for _, p in found)
    assert float(counts.log_likelihood[0]) == pytest.approx(np.log(total), abs=1e-5)
    pairs = {"learn": (0, 1), "forget": (1, 0)}
    for name, (i, j) in pairs.items():
        happened = sum(p * sum(s[t : t + 2] == (i, j) for t in range(len(s) - 1)) for s, p in found) / total
        possible = sum(p * sum(s[t] == i for t in range(len(s) - 1)) for s, p in found) / total
        assert float(getattr(counts.happened, name)[0]) == pytest.approx(happened, abs=1e-5)
        assert float(getattr(counts.possible, name)[0]) == pytest.approx(possible, abs=1e-5)
    for name, state, answer in (("guess", 0, 1), ("slip", 1, 0)):
        happened = sum(p * sum(x == state and a == answer for x, a in zip(s, answers, strict=True)) for s, p in found)
        possible = sum(p * sum(x == state and a >= 0 for x, a in zip(s, answers, strict=True)) for s, p in found)
        assert float(getattr(counts.happened, name)[0]) == pytest.approx(happened / total, abs=1e-5)
        assert float(getattr(counts.possible, name)[0]) == pytest.approx(possible / total, abs=1e-5)
    assert float(counts.happened.prior[0]) == pytest.approx(sum(p for s, p in found if s[0]) / total, abs=1e-5)


@pytest.mark.parametrize("answers", ANSWERS)
def test_predictions_are_those_of_enumeration(answers):
    one = filtered(Chain(*(jnp.full(1, v) for v in CHAIN)), jnp.array([*answers, PADDED])[:, None])
    for t in range(len(answers)):
        past = sum(p for _, p in paths(answers[:t])) if t else 1.0
        expected = sum(p for _, p in paths([*answers[:t], 1])) / past
        assert float(one.right[t, 0]) == pytest.approx(expected, abs=1e-5)
    through = list(paths([*answers, -1]))
    known = sum(p for s, p in through if s[-1]) / sum(p for _, p in through)
    assert float(one.last[0]) == pytest.approx(known, abs=1e-5)


def drawn(students, attempts, chain, seed=0):
    """Answers of students who follow a chain, [students, attempts]."""
    random = np.random.default_rng(seed)
    known = random.random(students) < chain.prior
    answers = np.empty((students, attempts), int)
    for t in range(attempts):
        answers[:, t] = random.random(students) < np.where(known, 1 - chain.slip, chain.guess)
        turn = random.random(students)
        known = np.where(known, turn >= chain.forget, turn < chain.learn)
    return answers


def logged(answers, skill="k"):
    students, attempts = answers.shape
    return PracticeLog.of(np.repeat(np.arange(students), attempts), [skill] * answers.size, answers.ravel())


def test_an_independent_baum_welch_takes_the_same_step():
    answers = drawn(60, 6, CHAIN)
    (group,) = Threads(logged(answers)).groups
    start = Chain(*(jnp.full((1, 1), v, jnp.float32) for v in (0.5, 0.3, 0.1, 0.3, 0.2)))
    numbers = Numbers(Chain(1.0, 1.0, 1.0, 1.0, 1.0), CHAIN, 0.0, 0.0)
    problems = [_problem(patterns(group), np.ones((1, 60), np.float32))]
    fitted, logs = maximise(problems, start, jnp.zeros(1, int), numbers, steps=1, together=1)
    expected, log = baum_welch(answers, *(float(v[0, 0]) for v in start))
    np.testing.assert_allclose([float(v[0, 0]) for v in fitted], expected, atol=1e-4)
    assert float(logs[0, 0]) == pytest.approx(log, rel=1e-5)


def baum_welch(answers, prior, learn, forget, guess, slip):
    """One step of the textbook algorithm with unscaled α and β."""
    move = np.array([[1 - learn, learn], [forget, 1 - forget]])
    emit = np.array([[1 - guess, guess], [slip, 1 - slip]])
    first, moves, emits, log = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2)), 0.0
    for row in answers:
        a, b = [np.array([1 - prior, prior]) * emit[:, row[0]]], [np.ones(2)]
        for answer in row[1:]:
            a.append((a[-1] @ move) * emit[:, answer])
        for answer in row[:0:-1]:
            b.insert(0, move @ (emit[:, answer] * b[0]))
        total = a[-1].sum()
        log += np.log(total)
        gamma = np.array(a) * np.array(b) / total
        first += gamma[0]
        for t, answer in enumerate(row):
            emits[:, answer] += gamma[t]
            if t:
                moves += a[t - 1][:, None] * move * (emit[:, answer] * b[t]) / total
    moves, emits = moves / moves.sum(1, keepdims=True), emits / emits.sum(1, keepdims=True)
    return [first[1] / first.sum(), moves[0, 1], moves[1, 0], emits[0, 1], emits[1, 0]], log


def test_the_truth_is_found_again():
    truth = [Chain(0.3, 0.15, 0.0, 0.2, 0.1), Chain(0.1, 0.4, 0.0, 0.1, 0.25)]
    logs = [drawn(1500, 10, chain, seed) for seed, chain in enumerate(truth)]
    students = np.repeat(np.arange(1500), 10)
    log = PracticeLog.of(np.tile(students, 2), ["a"] * 15_000 + ["b"] * 15_000, np.concatenate(logs).ravel())
    fitted = BKT(restarts=4, tolerance=1e-3).fit(log).parameters
    for k, chain in enumerate(truth):
        np.testing.assert_allclose([v[k] for v in fitted], chain, atol=0.04)


def test_every_step_is_at_least_as_likely_and_restarts_do_not_hurt():
    log = logged(drawn(200, 8, CHAIN))
    likely = [BKT(restarts=1, steps=s, tolerance=-1.0, pseudo=0.0, forgets=True).fit(log).evaluate(log).log_likelihood
        for s in (1, 2, 4, 8, 16)]  # fmt: skip
    assert all(after >= before - 1e-6 for before, after in pairwise(likely))
    assert likely[-1] > likely[0]


@pytest.mark.slow
def test_students_differ_where_they_do():
    odds = Chain(*(np.tile(np.float32(v), 4) for v in (-1.0, -1.5, -20.0, -0.5, -1.0)))
    model = IndividualBKT(restarts=2)
    log = schedule(students=300, skills=3, attempts=30)
    model.parameters, model.vocabulary = Individual(odds, np.array([1.5, 1.0], np.float32)), log.vocabulary
    log = simulate(model, log, seed=1)
    fitted = IndividualBKT(restarts=2).fit(log)
    assert fitted.parameters.spread[0] == pytest.approx(1.5, abs=0.5)
    assert fitted.parameters.spread[1] == pytest.approx(1.0, abs=0.5)
    plain = BKT(restarts=2).fit(log)
    gain = fitted.evaluate(log).log_likelihood - plain.evaluate(log).log_likelihood
    assert 2 * len(log) * gain > chi2.isf(1e-6, 2), "two parameters more"


def test_threads_are_grouped_so_that_least_is_padded():
    random = np.random.default_rng(0)
    for _ in range(20):
        sizes = random.geometric(0.2, random.integers(1, 40))
        lengths = np.unique(sizes)
        for groups in (1, 2, 3):
            found = similar(sizes, groups)
            assert sorted(np.concatenate(found)) == list(range(len(sizes)))
            area = sum(len(one) * sizes[one].max() for one in found)
            areas = []
            for cut in product(lengths, repeat=groups - 1):
                limits = pairwise([0, *sorted(cut), lengths[-1]])
                areas.append(sum(high * np.sum((sizes > low) & (sizes <= high)) for low, high in limits))
            assert area == min(areas)


def test_bounds_and_restarts_are_checked():
    with pytest.raises(BadInput, match="guess_at_most=0"):
        BKT(guess_at_most=0.0)
    with pytest.raises(BadInput, match="one restart"):
        BKT(restarts=0)
