"""Preferences, imitation, flows, distillation and judges of tokens: NumPy and closed forms as oracles."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_expit, rel_entr, softmax
from tokens import KEY, MODEL, OTHER, PROMPT, Bigram, P, T, V, judged, known, log_p, rollouts, slope, summed, table

from lifelong.feedback import (
    CPL,
    DPO,
    IPO,
    KTO,
    ORPO,
    Graded,
    Imitation,
    OutcomeOfTokens,
    RejectionSampling,
    RewardWeighted,
    Rollouts,
    StepGrades,
    TokenDistillation,
    TrajectoryBalance,
    balance_score,
    best_distinct,
    distinct,
    mismatched,
    subtrajectory_balance,
    trajectory_balance,
)

PAIRS = known(samples=2)
OWN = np.asarray(PAIRS.own)
RATIO = summed(MODEL, PAIRS) - summed(OTHER, PAIRS)
H = RATIO[:, 0] - RATIO[:, 1]


def test_dpo_and_ipo_are_their_equations():
    np.testing.assert_allclose(judged(DPO(0.3), MODEL, PAIRS)[0], -log_expit(0.3 * H).mean(), rtol=1e-4)
    both = -(0.9 * log_expit(0.3 * H) + 0.1 * log_expit(-0.3 * H)).mean()
    loss, info = judged(DPO(0.3, 0.1), MODEL, PAIRS)
    np.testing.assert_allclose(loss, both, rtol=1e-4)
    np.testing.assert_allclose([info["accuracy"], info["margin"]], [(H > 0).mean(), 0.3 * H.mean()], rtol=1e-4)
    np.testing.assert_allclose(judged(IPO(0.3), MODEL, PAIRS)[0], ((H - 1 / 0.6) ** 2).mean(), rtol=1e-4)


def test_the_gradient_of_dpo_is_its_closed_form():
    """∇L = −β mean σ(−βh) [∇ log π(y⁺) − ∇ log π(y⁻)] (Rafailov et al. 2023, section 4)."""

    def slope_of(prompt, sample):
        def whole(t):
            scores = PAIRS.scores(Bigram(t)).log_probability
            return (scores * PAIRS.own)[prompt, sample].sum()

        return jax.grad(whole)(MODEL.table)

    expected = sum(-0.3 * expit(-0.3 * H[i]) * (slope_of(i, 0) - slope_of(i, 1)) / P for i in range(P))
    np.testing.assert_allclose(slope(DPO(0.3), MODEL, PAIRS), expected, atol=1e-6)


def test_orpo_and_cpl_are_their_equations():
    average = summed(MODEL, PAIRS) / OWN.sum(-1)
    odds = average - np.log1p(-np.exp(average))
    expected = (-average[:, 0] - 0.3 * log_expit(odds[:, 0] - odds[:, 1])).mean()
    np.testing.assert_allclose(judged(ORPO(0.3), MODEL, PAIRS)[0], expected, rtol=1e-4)
    discount = 0.9 ** np.maximum(np.cumsum(OWN, -1) - 1, 0)
    score = 0.2 * (discount * log_p(MODEL, PAIRS) * OWN).sum(-1)
    expected = -np.log(np.exp(score[:, 0]) / (np.exp(score[:, 0]) + np.exp(0.5 * score[:, 1]))).mean()
    np.testing.assert_allclose(judged(CPL(0.2, discount=0.9), MODEL, PAIRS)[0], expected, rtol=1e-4)
    same = judged(CPL(0.3, bias=1.0, relative=True), MODEL, PAIRS)[0]
    np.testing.assert_allclose(same, judged(DPO(0.3), MODEL, PAIRS)[0], rtol=1e-5)


def test_a_bias_below_one_lifts_the_better_more_than_it_pushes_the_worse():
    def effect(feedback):
        moved = Bigram(MODEL.table - 0.05 * slope(feedback, MODEL, PAIRS))
        return summed(moved, PAIRS).mean(0) - summed(MODEL, PAIRS).mean(0)

    assert effect(CPL(bias=0.5)).sum() > effect(CPL(bias=1.0)).sum()
    for feedback in (DPO(), IPO(), ORPO(), CPL()):
        assert np.subtract(*effect(feedback)) > 0, "the better answer gains on the worse"


def test_swapped_pairs_turn_the_gradient_of_dpo_around_at_the_start():
    turned = jax.tree.map(lambda leaf: leaf[:, ::-1], PAIRS)
    np.testing.assert_allclose(slope(DPO(), OTHER, turned), -slope(DPO(), OTHER, PAIRS), atol=1e-6)


def test_kto_is_its_equation():
    given = known(samples=1, reward=jnp.asarray([[1.0], [0.0], [1.0]]))
    others = mismatched(given, OTHER)
    np.testing.assert_array_equal(others.tokens[1, 0, :PROMPT], given.tokens[1, 0, :PROMPT])
    answer = np.asarray(given.own)[0, 0]
    np.testing.assert_array_equal(np.asarray(others.tokens)[1, 0, answer], np.asarray(given.tokens)[0, 0, answer])
    point = max(0.0, (summed(MODEL, others) - summed(OTHER, others)).mean())
    ratio = (summed(MODEL, given) - summed(OTHER, given))[:, 0]
    expected = np.mean(
        [
            1.5 * (1 - expit(0.3 * (ratio[0] - point))),
            0.5 * (1 - expit(0.3 * (point - ratio[1]))),
            1.5 * (1 - expit(0.3 * (ratio[2] - point))),
        ]
    )
    loss, info = judged(KTO(0.3, 1.5, 0.5), MODEL, (given, others))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(info["reference_point"], point, rtol=1e-4, atol=1e-6)
    moved = Bigram(MODEL.table - 0.5 * slope(KTO(), MODEL, (given, others)))
    assert ((summed(moved, given) - summed(MODEL, given))[:, 0] * [1, -1, 1]).sum() > 0


def test_imitation_is_the_likelihood_of_what_is_kept():
    given = rollouts()
    own, each = np.asarray(given.own), log_p(MODEL, given)
    np.testing.assert_allclose(judged(Imitation(), MODEL, given)[0], -each[own].mean(), rtol=1e-4)
    good = own & (np.asarray(given.reward) >= 0.5)[..., None]
    np.testing.assert_allclose(judged(RejectionSampling(), MODEL, given)[0], -each[good].mean(), rtol=1e-4)
    weight = softmax(np.asarray(given.reward) / 0.5, -1)[..., None]
    expected = -(weight * each * own).sum() / (weight * own).sum()
    np.testing.assert_allclose(judged(RewardWeighted(temperature=0.5), MODEL, given)[0], expected, rtol=1e-4)
    none = eqx.tree_at(lambda r: r.reward, given, jnp.zeros_like(given.reward))
    assert judged(RejectionSampling(), MODEL, none)[0] == 0 and (slope(RejectionSampling(), MODEL, none) == 0).all()


def test_the_best_different_answers_are_kept():
    tokens = jnp.asarray([[[9, 1, 2], [9, 1, 2], [9, 1, 3], [8, 1, 2], [9, 4, 4]]], jnp.int32)
    own = jnp.broadcast_to(jnp.asarray([False, True, True]), tokens.shape)
    np.testing.assert_array_equal(distinct(tokens, own), [[True, False, True, False, True]])
    score = jnp.asarray([[0.9, 2.0, 0.9, 3.0, 0.1]])
    np.testing.assert_array_equal(best_distinct(score, tokens, own, 0.5, 2), [[1, 0, 1, 0, 0]])
    np.testing.assert_array_equal(best_distinct(score, tokens, own, 0.0, 1), [[1, 0, 0, 0, 0]])
    assert best_distinct(score, tokens, own, 5.0, 2).sum() == 0


def test_the_balance_score_by_hand():
    """Four selected, two different right ones, four wanted: min(2/4, 1)·2/4; and of two that are wanted 1·2/4."""
    selected = jnp.asarray([[True] * 4 + [False], [False] * 5])
    right = jnp.asarray([[True, True, True, False, True]] * 2)
    unique = jnp.asarray([[True, True, False, True, True]] * 2)
    np.testing.assert_allclose(balance_score(selected, right, unique, 4.0), [0.25, 0.0])
    np.testing.assert_allclose(balance_score(selected, right, unique, 2.0), [0.5, 0.0])


ANSWERS = jnp.stack(jnp.meshgrid(jnp.arange(V), jnp.arange(V), indexing="ij"), -1).reshape(1, -1, 2).astype(jnp.int32)


def enumerated(reward):
    """Return all answers of two tokens to one prompt."""
    tokens = jnp.concatenate([jnp.zeros((1, V**2, 1), jnp.int32), ANSWERS], -1)
    return Rollouts(tokens, jnp.broadcast_to(jnp.arange(3) >= 1, tokens.shape), reward)


TARGET = table(7)
WORTH = enumerated(3.7 * jnp.exp(enumerated(jnp.ones((1, V**2))).scores(Bigram(TARGET)).log_probability.sum(-1)))
"""Rewards of answers that a bigram model can match: 3.7 times the probabilities of one."""


def test_flows_are_in_balance_exactly_where_answers_are_as_likely_as_they_are_worth():
    table_, given = TARGET, WORTH
    np.testing.assert_allclose(judged(TrajectoryBalance(), Bigram(table_), given)[0], 0.0, atol=1e-9)
    assert judged(TrajectoryBalance(), MODEL, given)[0] > 0.1
    assert judged(TrajectoryBalance(sharpness=2.0), Bigram(table_), given)[0] > 0.1, "another target"

    class WithPartition(Bigram):
        log_partition: jax.Array

    exact = WithPartition(table_, jnp.log(jnp.float32(3.7)))
    np.testing.assert_allclose(judged(TrajectoryBalance(), exact, given)[0], 0.0, atol=1e-9)
    assert judged(TrajectoryBalance(), WithPartition(table_, jnp.float32(0.0)), given)[0] > 1.0


def test_descending_the_imbalance_finds_the_target_and_the_policy_gradient_the_best_answer_only():
    target = np.asarray(WORTH.reward / WORTH.reward.sum())

    def imbalance(t):
        return TrajectoryBalance()(Bigram(t), WORTH, key=KEY)[0]

    def expected_reward(t):
        return -(jnp.exp(WORTH.scores(Bigram(t)).log_probability.sum(-1)) * WORTH.reward).sum()

    def learned(loss, rate):
        descend = jax.jit(lambda t: jax.lax.fori_loop(0, 800, lambda _, t: t - rate * jax.grad(loss)(t), t))
        return np.exp(summed(Bigram(descend(MODEL.table)), WORTH))

    def apart(chance):
        return np.abs(chance - target).sum() / 2

    assert apart(learned(imbalance, 0.3)) < 0.01 < 0.2 < apart(np.exp(summed(MODEL, WORTH)))
    greedy = learned(expected_reward, 3.0)
    assert greedy.argmax() == target.argmax() and greedy.max() > 0.9 and apart(greedy) > 0.5


def test_imbalances_by_hand():
    forward, log_reward = jnp.asarray([[-1.0, -3.0]]), jnp.asarray([[1.0, 0.0]])
    np.testing.assert_allclose(trajectory_balance(forward, log_reward), [0.25])
    np.testing.assert_allclose(trajectory_balance(forward, log_reward, -1.0, jnp.asarray([2.0])), [(1 + 0) / 2])
    np.testing.assert_allclose(trajectory_balance(forward, log_reward, weight=jnp.asarray([[1.0, 0.0]])), [0.0])
    flow, step = np.asarray([2.0, 1.0, 0.5]), np.asarray([-0.5, -1.0])
    gaps = {(0, 1): 2 - 0.5 - 1, (1, 2): 1 - 1 - 0.5, (0, 2): 2 - 1.5 - 0.5}
    weighted = sum(0.5 ** (j - i) * gap**2 for (i, j), gap in gaps.items()) / (0.5 + 0.5 + 0.25)
    np.testing.assert_allclose(
        subtrajectory_balance(jnp.asarray(flow), jnp.asarray(step), decay=0.5), weighted, rtol=1e-6
    )
    detailed = (gaps[0, 1] ** 2 + gaps[1, 2] ** 2) / 2
    np.testing.assert_allclose(
        subtrajectory_balance(jnp.asarray(flow), jnp.asarray(step), decay=0.0), detailed, rtol=1e-6
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_distillation_is_a_divergence_and_gives_the_teacher_no_gradient(reverse):
    given = rollouts()
    own, before = np.asarray(given.own)[..., 1:], np.asarray(given.tokens)[..., :-1]
    s, t = (softmax(np.asarray(m.table, np.float64) / 2, -1)[before] for m in (MODEL, OTHER))
    expected = 4 * (rel_entr(s, t) if reverse else rel_entr(t, s)).sum(-1)[own].mean()
    feedback = TokenDistillation(OTHER, 2.0, reverse)
    loss, info = judged(feedback, MODEL, given)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(info["agreement"], (s.argmax(-1) == t.argmax(-1))[own].mean(), rtol=1e-5)
    np.testing.assert_allclose(slope(feedback, OTHER, given), 0.0, atol=1e-6)
    taught = eqx.filter_jit(eqx.filter_grad(lambda f: f(MODEL, given, key=KEY)[0]))(feedback)
    assert (taught.teacher.table == 0).all()


def test_only_what_is_allowed_shares_the_probability():
    allowed = jnp.asarray(np.random.default_rng(3).random((P, 4, T, V)) < 0.5)
    given = rollouts()
    allowed = allowed | (jnp.arange(V) == given.tokens[..., None])
    some = eqx.tree_at(lambda r: r.allowed, given, allowed, is_leaf=lambda node: node is None)
    logits = np.asarray(MODEL.table, np.float64)[np.asarray(given.tokens)[..., :-1]]
    share = softmax(np.where(np.asarray(allowed)[..., 1:, :], logits, -np.inf), -1)
    expected = np.log(np.take_along_axis(share, np.asarray(given.tokens)[..., 1:, None], -1))[..., 0]
    np.testing.assert_allclose(some.scores(MODEL).log_probability[..., 1:], expected, rtol=1e-4, atol=1e-6)


class Judge(Bigram):
    """One number for every token."""

    def read(self, tokens):
        return self.table[tokens, 0]


def test_judges_of_steps_and_of_outcomes():
    random = np.random.default_rng(9)
    tokens, at = random.integers(0, V, (4, T)), random.random((4, T)) < 0.5
    at[:, 0] = True
    grade, weight = random.random((4, T)).astype(np.float32), np.asarray([1.0, 1.0, 0.0, 1.0], np.float32)
    work = Graded(*map(jnp.asarray, (tokens.astype(np.int32), at, grade, weight)))
    said = np.asarray(MODEL.table, np.float64)[tokens, 0]
    counted = at & (weight[:, None] > 0)
    likelihood = -(grade * log_expit(said) + (1 - grade) * log_expit(-said))
    judge = Judge(MODEL.table)
    np.testing.assert_allclose(judged(StepGrades(), judge, work)[0], likelihood[counted].mean(), rtol=1e-4)
    square = ((said - (2 * grade - 1)) ** 2)[counted].mean()
    np.testing.assert_allclose(judged(StepGrades("square"), judge, work)[0], square, rtol=1e-4)
    average, reward = ((part * at).sum(-1) / at.sum(-1) for part in (said, grade))
    outcome = -(reward * log_expit(average) + (1 - reward) * log_expit(-average))
    np.testing.assert_allclose(judged(OutcomeOfTokens(), judge, work)[0], outcome[weight > 0].mean(), rtol=1e-4)
