"""What the networks are made of, beside slow and plain versions; and students of whom the truth is known."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from practice import practice
from scipy.ndimage import correlate
from scipy.special import expit, softmax
from scipy.stats import norm, spearmanr

from lifelong.errors import BadInput
from lifelong.exams.tracing import AKT, CAKT, DKT, PSIKT, _training, auc, cross_validate, psi_students
from lifelong.exams.tracing._akt import Attention
from lifelong.exams.tracing._cakt import Convolution
from lifelong.exams.tracing._psi_network import Generative, divergence
from lifelong.exams.tracing._psi_states import Gaussian, Traits, answered, moved, predicted, walk, way
from lifelong.exams.tracing._recent import recent
from lifelong.exams.tracing._rows import pieces, windows
from lifelong.worlds import PracticeLog


@pytest.fixture(scope="module")
def log():
    return practice(students=12)


@pytest.mark.parametrize("longest", [200, 24, 10, 1])
def test_every_row_is_wanted_once_with_what_came_before(log, longest):
    asks = np.random.default_rng(0).random(len(log)) < 0.3
    rows, wanted = windows(log, longest, asks)
    assert rows.row.shape[1] <= max(32, longest)
    np.testing.assert_array_equal(np.sort(rows.row[wanted]), np.arange(len(log)))
    for row, of in zip(rows.row, wanted, strict=True):
        context, own = row[(row >= 0) & ~of], row[of]
        assert not asks[context].any() and np.all(np.diff(own) == 1)
        before = np.arange(log.starts[log.student[own[0]]], own[0])
        before = before[~asks[before]]
        np.testing.assert_array_equal(context, before[len(before) - len(context) :])
        assert len(context) == len(before) or len(context) + len(own) >= (longest + 1) // 2


def test_pieces_hold_every_row_once(log):
    for longest in (200, 7):
        rows = np.concatenate([group.row.ravel() for group in pieces(log, longest)])
        np.testing.assert_array_equal(np.sort(rows[rows >= 0]), np.arange(len(log)))


@pytest.mark.parametrize(("sizes", "lengths"), [((8, 9, 200), [12, 200]), ((110, 120, 113), [120])])
def test_pieces_are_in_groups_where_these_save_padding(sizes, lengths):
    student = np.repeat(np.arange(3), sizes)
    log = PracticeLog.of(student, np.zeros(len(student), int), np.zeros(len(student), int))
    assert [group.row.shape[1] for group in pieces(log, 200)] == lengths


@pytest.mark.parametrize("at_a_time", [1, 8, 64])
def test_lanes_are_examined_on_all_that_is_kept_however_much_at_a_time(at_a_time):
    log = practice(students=30)
    (rows,), kept = pieces(log, 200), [np.arange(3, 23), np.arange(1, 30, 3)]
    networks = jax.vmap(lambda key: DKT(width=4).network(log, key=key))(jax.random.split(jax.random.key(0), 2))
    dealt = _training._dealt([kept], rows, at_a_time)
    found = jax.jit(_training._examined)(networks, jax.tree.map(jnp.asarray, rows), dealt, jnp.ones((2, 30)))
    for lane, own in enumerate(kept):
        network, some = (
            jax.tree.map(lambda leaf, lane=lane: leaf[lane], networks),
            jax.tree.map(lambda x, own=own: x[own], rows),
        )
        right = expit(np.asarray(network.logits(jax.tree.map(jnp.asarray, some)), np.float64))
        answered, graded = some.outcome == 1, some.outcome >= 0
        expected = -np.log(np.where(answered, right, 1 - right))[graded].sum(), graded.sum()
        np.testing.assert_allclose(found[lane], expected, rtol=1e-4)


def test_lanes_with_an_axis_are_trained_as_each_alone(log, monkeypatch):
    """On a CPU every lane has a thread, and no axis."""
    weights = (np.arange(12) % 3 != np.arange(3)[:, None]).astype(np.float32)
    alone = DKT(width=4, epochs=2).learn(log, weights, seed=0)
    monkeypatch.setattr(_training, "_together", lambda lanes: [np.arange(lanes)])
    at_once = DKT(width=4, epochs=2).learn(log, weights, seed=0)
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(at_once), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("batches", [1, 4, 100])
def test_it_is_the_same_however_many_batches_a_call_takes(log, monkeypatch, batches):
    """One epoch of seven a call, two, or all; a call ends with the epoch in which its lane stops, at the first worse one."""
    stale, taught = [], _training._taught

    def watched(*given):
        state = taught(*given)
        stale.append(int(state.stale[0]))
        return state

    weights = (np.arange(12) % 3 != np.arange(3)[:, None]).astype(np.float32)
    model = DKT(width=4, epochs=7, batch=8, patience=1, learning_rate=0.3)
    expected = model.learn(log, weights, seed=0)
    monkeypatch.setattr(_training, "AHEAD", batches)
    monkeypatch.setattr(_training, "_taught", watched)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(model.learn(log, weights, seed=0)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert max(stale) == 1, "no lane stopped, or one went on after that"


def test_runs_go_on_in_turns_and_return_in_order(monkeypatch):
    def run(number, steps):
        for _ in range(steps):
            begun.append(number)
            time.sleep(0.1)  # until all are handed in
            yield
        if number > 9:
            raise BadInput("ten")
        return number

    begun = []
    assert _training._in_turns([run(0, 3), run(1, 1), run(2, 2)]) == [0, 1, 2]
    monkeypatch.setattr(_training.os, "cpu_count", lambda: 1)
    begun.clear()
    _training._in_turns([run(0, 3), run(1, 1), run(2, 2)])
    assert begun == [0, 1, 2, 0, 2, 0]
    with pytest.raises(BadInput, match="ten"):
        _training._in_turns([run(1, 2), run(10, 1)])


def test_long_histories_are_answered_without_peeking(log):
    model = DKT(width=4, epochs=1, longest=8).fit(log)
    turned = log.with_outcomes(np.where(log.graded & (log.place >= 13), 1 - log.outcome, log.outcome))
    p, q = model.predict_proba(log), model.predict_proba(turned)
    np.testing.assert_allclose(p[log.place <= 13], q[log.place <= 13], atol=1e-7)
    assert np.abs(p - q)[log.place > 13].max() > 1e-3


@pytest.mark.slow
def test_questions_leave_no_trace(log):
    """Whether one row is asked about or four, the answers are the same: none of them sees another.

    Rows without a grade would be seen, as they are no questions, so they are left out.
    """
    graded = log.rows(log.graded)
    model = AKT(width=4, heads=2, epochs=1).fit(graded)
    known = graded.place < 6
    one = known | (graded.place == 9)
    alone = graded.rows(one)
    p, q = model.forecast(graded, known)[graded.place == 9], model.forecast(alone, known[one])[alone.place == 6]
    np.testing.assert_allclose(p, q, rtol=0, atol=1e-6)
    assert model.mastery(graded).shape == (12, 4)


@pytest.mark.parametrize("key", ["next", "current", "any"])
def test_the_last_rows_at_a_concept_are_those_of_a_plain_search(log, key):
    (rows,) = pieces(log, 200)
    asks = np.random.default_rng(1).random(rows.row.shape) < 0.2
    rows = rows._replace(asks=asks & (rows.row >= 0))
    found = recent(rows, 3, key)
    for piece in range(4):
        skills = [set(codes[codes >= 0].tolist()) for codes in rows.skill[piece]]
        traces = [place for place in range(24) if not rows.asks[piece, place]]
        for place in range(24):
            before = [j for j in traces if j < place]
            of = skills[place] if key == "next" else skills[before[-1]] if before else set()
            expected = [j for j in before if key == "any" or skills[j] & of][-3:]
            assert [j for j in found.place[piece, place].tolist() if j >= 0] == expected
            apart = [len([i for i in before if i > j]) for j in expected]
            assert found.apart[piece, place, 3 - len(expected) :].tolist() == apart


def test_a_convolution_is_that_of_scipy():
    layer = Convolution((4, 3), 2, 1, key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype(np.float32)
    kernel = np.asarray(layer.kernel).reshape(3, 3, 3, 2)
    expected = sum(correlate(x[..., c], kernel[..., c], mode="constant") for c in range(2))
    np.testing.assert_allclose(layer(jnp.asarray(x.reshape(36, 2))).reshape(4, 3, 3), expected, atol=1e-5)


def test_attention_falls_with_distance_as_written():
    layer = Attention(4, 1, key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    ours = layer(*map(jnp.asarray, (x[None], x[None], np.tril(np.ones((1, 6, 6), bool)), np.arange(6)[None])))[0]
    like, values = x @ np.asarray(layer.inputs[0]), x @ np.asarray(layer.inputs[1])
    scores, taken = like @ like.T / 2, np.zeros((6, 4))
    for t in range(6):
        plain = softmax(scores[t, : t + 1])
        far = np.array([np.sqrt((t - s) * plain[s + 1 :].sum()) for s in range(t + 1)])
        taken[t] = softmax(scores[t, : t + 1] * np.exp(-np.log(2) * far)) @ values[: t + 1]
    norm = lambda v: (v - v.mean(1, keepdims=True)) / np.sqrt(v.var(1, keepdims=True) + 1e-5)  # noqa: E731
    middle = norm(x + taken @ np.asarray(layer.outputs))
    expected = norm(middle + np.maximum(middle @ np.asarray(layer.inner), 0) @ np.asarray(layer.outer))
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_states_move_as_ornstein_and_uhlenbeck_say():
    """Many small steps are one large one, where nothing prepares for anything; and a long one forgets."""
    traits = Traits(*(jnp.array([v]) for v in (0.7, 0.4, 0.9, 0.8)))
    z, none = Gaussian(jnp.array([[2.0, -1.0]]), jnp.array([[0.5, 0.1]])), jnp.zeros((1, 2))

    def after(time, before=z):
        return moved(before, way(traits, jnp.array([time])), none)

    small, large = z, after(0.5)
    for _ in range(10):
        small = after(0.05, small)
    for one, other in zip(small, large, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    still, gone = after(0.0), after(1e4)
    np.testing.assert_allclose(still.mean, z.mean)
    np.testing.assert_allclose(gone.mean, 0.4, atol=1e-5)
    np.testing.assert_allclose(gone.variance, 0.9**2 / 1.4, rtol=1e-4)


def test_a_prerequisite_lifts_what_it_prepares_for():
    traits = Traits(*(jnp.array([v]) for v in (1.0, 0.0, 0.1, 1.0)))
    z = Gaussian(jnp.array([[2.0, 0.0, 0.0]]), jnp.ones((1, 3)))
    graph = jnp.zeros((3, 3)).at[0, 1].set(1.0)
    mean = moved(z, way(traits, jnp.array([1.0])), z.mean @ graph).mean[0]
    assert mean[1] > 0.1 and mean[2] == 0.0 and mean[0] == pytest.approx(2 * np.exp(-1), abs=1e-5)
    edges = Generative(6, 4, "changing", True, key=jax.random.key(0)).graph()
    assert np.all(np.asarray(edges + edges.T) < 1) and np.all(np.diag(edges) == 0)


def test_the_gradient_towards_the_graph_is_that_of_every_row_in_turn():
    """One product over all rows, against the gradient that JAX derives; rows that only ask among them."""
    keys = jax.random.split(jax.random.key(0), 4)
    traits = Traits(*jax.nn.softplus(jax.random.normal(keys[0], (4, 9, 3))))
    ways = way(traits, jax.random.uniform(keys[1], (9, 3)))
    z = Gaussian(jnp.zeros((3, 5)), jnp.ones((3, 5)))
    skill, outcome = jax.random.randint(keys[2], (9, 3, 1), 0, 5), jax.random.randint(keys[3], (9, 3), -1, 2)
    rows = (skill, outcome, outcome >= 0, outcome == 0)
    graph = jax.random.uniform(keys[3], (5, 5))
    ours = jax.jit(jax.grad(lambda *given: jnp.log(predicted(*given, rows)).sum(), (0, 1, 2)))(graph, z, ways)
    plain = jax.jit(jax.grad(lambda *given: jnp.log(walk(*given, rows, None)[0]).sum(), (0, 1, 2)))(graph, z, ways)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(ours[0]).max() > 1e-3


def test_the_divergence_is_that_of_an_integral():
    q, p = Gaussian(jnp.array([0.3]), jnp.array([0.5])), Gaussian(jnp.array([-0.2]), jnp.array([1.4]))
    x = np.linspace(-12, 12, 40_001)
    log_q, log_p = (
        -0.5 * (x - float(m[0])) ** 2 / float(v[0]) - 0.5 * np.log(2 * np.pi * float(v[0])) for m, v in (q, p)
    )
    assert float(divergence(q, p)) == pytest.approx(np.trapezoid(np.exp(log_q) * (log_q - log_p), x), abs=1e-4)


def test_an_answer_moves_its_skill_as_bayes_rule_does():
    z = Gaussian(jnp.array([[0.3, 1.0], [-1.0, 0.2]]), jnp.array([[0.8, 0.5], [1.5, 0.1]]))
    p, seen = answered(z, jnp.array([[0], [0]]), jnp.array([1, 0]))
    x = np.linspace(-12, 12, 20_001)
    for i, outcome in enumerate((1, 0)):
        density = norm.pdf(x, float(z.mean[i, 0]), float(np.sqrt(z.variance[i, 0])))
        likely = density * expit(x if outcome else -x)
        mean = np.average(x, weights=likely)
        assert float(p[i]) == pytest.approx(np.trapezoid(density * expit(x), x), abs=1e-4)
        assert float(seen.mean[i, 0]) == pytest.approx(mean, abs=1e-3)
        assert float(seen.variance[i, 0]) == pytest.approx(np.average((x - mean) ** 2, weights=likely), abs=2e-3)
        assert (seen.mean[i, 1], seen.variance[i, 1]) == (z.mean[i, 1], z.variance[i, 1])


@pytest.fixture(scope="module")
def truth():
    return psi_students(students=150, skills=5, attempts=40, seed=1)


def test_psi_students_are_drawn_from_the_model(truth):
    """Long after, states are spread around the level as the stationary distribution has it."""
    late = psi_students(students=4000, skills=1, attempts=30, seed=0)
    last = late.log.place == 29
    fast = late.traits.forgetting > 1
    standard = (late.states[last] - late.traits.level[_order(late)])[fast[_order(late)]]
    spread = (late.traits.volatility / np.sqrt(2 * late.traits.forgetting))[_order(late)][fast[_order(late)]]
    assert np.std(standard / spread) == pytest.approx(1.0, abs=0.06)
    assert truth.log.outcome.mean() == pytest.approx(expit(truth.states).mean(), abs=0.02)


def _order(found):
    return np.array([int(name.split()[1]) for name in found.log.students])


@pytest.mark.slow
def test_psi_kt_finds_the_levels_of_its_own_students():
    """Levels are found, and their spread; forgetting, volatility and transfer are not, from fifty answers."""
    truth = psi_students(seed=3)
    model = PSIKT(epochs=100, learning_rate=0.01).fit(truth.log)
    level, true = model.students(truth.log).level, truth.traits.level[_order(truth)]
    assert spearmanr(level, true)[0] > 0.85
    assert 0.6 < np.std(level) / np.std(true) < 1.4
    p, best = model.predict_proba(truth.log), expit(truth.states)[truth.log.row]
    outcome = truth.log.outcome.astype(float)
    assert auc(p, outcome) > 0.7 and auc(best, outcome) > auc(p, outcome)
    assert model.edges().shape == (8, 8)


def test_a_fade_or_a_link_that_is_off_is_off(log):
    key = jax.random.key(0)
    assert float(jax.jit(lambda key: CAKT(side=2, fades=False).network(log, key=key).decays)(key)) == 0.0
    assert not jax.jit(lambda key: PSIKT(graph=False).network(log, key=key).model.graph())(key).any()


@pytest.mark.slow
def test_networks_learn_what_depends_on_order():
    """An answer that repeats the one before at the same skill is seen by none that only counts."""
    random, rows = np.random.default_rng(0), []
    for student in range(120):
        last = random.integers(0, 2, 2)
        for _ in range(20):
            k = int(random.integers(2))
            last[k] = last[k] if random.random() < 0.9 else 1 - last[k]
            rows.append((student, f"k{k}", int(last[k])))
    student, skill, outcome = zip(*rows, strict=True)
    marks = cross_validate(
        DKT(width=16, epochs=15, learning_rate=0.02), PracticeLog.of(student, skill, outcome), folds=2
    )
    assert marks.marks().auc > 0.85


def test_settings_are_checked():
    with pytest.raises(BadInput, match="width=0"):
        DKT(width=0)
    with pytest.raises(BadInput, match="learning rate"):
        DKT(learning_rate=0.0)
    with pytest.raises(BadInput, match="3 heads do not divide"):
        AKT(width=8, heads=3)
    with pytest.raises(BadInput, match=r"self.window=0"):
        CAKT(window=0)
    with pytest.raises(BadInput, match=r"self.categories=0"):
        PSIKT(categories=0)
    with pytest.raises(BadInput, match="has not been fitted"):
        PSIKT().edges()
