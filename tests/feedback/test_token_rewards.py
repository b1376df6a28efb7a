"""Policy gradients on answers: NumPy as oracle, closed forms, and what must not make a difference."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tokens import KEY, MODEL, OTHER, Critic, P, S, T, judged, known, log_p, rollouts, slope, table

from lifelong.errors import Mismatch
from lifelong.feedback import (
    GRPO,
    OREAL,
    RLOO,
    Reinforce,
    SequencePPO,
    above_batch,
    above_group,
    advantages,
    balanced_pairs,
    best_of_n,
    first_pit,
    group_standardised,
    k3,
    leave_one_out,
    mixed,
    raw,
    step_advantages,
    to_tokens,
    token_advantages,
    token_credit,
)

GIVEN = known()
REWARD = np.asarray(GIVEN.reward)
OWN = np.asarray(GIVEN.own)


@pytest.mark.parametrize("baseline", [above_batch, above_group, leave_one_out, group_standardised])
def test_what_is_above_expectation_sums_to_zero(baseline):
    reward = jnp.asarray([[3.0, 1.0, 2.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    found = np.asarray(baseline(reward))
    np.testing.assert_allclose(found.sum() if baseline is above_batch else found.sum(-1), 0.0, atol=1e-5)
    assert baseline is above_batch or (found[2] == 0).all(), "answers of equal worth teach nothing"


def test_advantages_of_groups_are_what_they_are_by_hand():
    reward = np.asarray([[3.0, 1.0, 2.0], [0.0, 0.0, 1.0]])
    others = (reward.sum(-1, keepdims=True) - reward) / 2
    np.testing.assert_allclose(leave_one_out(jnp.asarray(reward)), reward - others, rtol=1e-6)
    scaled = (reward - reward.mean(-1, keepdims=True)) / (reward.std(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(group_standardised(jnp.asarray(reward)), scaled, rtol=1e-5)
    np.testing.assert_array_equal(leave_one_out(jnp.ones((2, 1))), np.zeros((2, 1)))
    np.testing.assert_array_equal(mixed(jnp.asarray([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])), [True, False, False])


def test_reinforce_is_its_definition_in_numpy():
    gain = REWARD - REWARD.mean()
    expected = -((log_p(MODEL, GIVEN) * OWN).sum(-1) * gain).mean()
    loss, info = judged(Reinforce(), MODEL, GIVEN)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(info["reward"], REWARD.mean())
    others = (REWARD.sum(-1, keepdims=True) - REWARD) / (S - 1)
    expected = -((log_p(MODEL, GIVEN) * OWN).sum(-1) * (REWARD - others)).mean()
    np.testing.assert_allclose(judged(RLOO(), MODEL, GIVEN)[0], expected, rtol=1e-4)


def test_the_gradient_of_reinforce_is_that_of_the_expected_reward():
    """Answers of two tokens, all of them, weighted with their probability: exact, without sampling."""
    prompt, symbols = 1, 5
    answers = jnp.stack(jnp.meshgrid(jnp.arange(symbols), jnp.arange(symbols), indexing="ij"), -1).reshape(1, -1, 2)
    tokens = jnp.concatenate([jnp.zeros((1, symbols**2, prompt), jnp.int32), answers], -1).astype(jnp.int32)
    own = jnp.broadcast_to(jnp.arange(3) >= prompt, tokens.shape)
    reward = jnp.asarray(np.random.default_rng(5).normal(size=(1, symbols**2)), jnp.float32)
    bare = type(GIVEN)(tokens, own, reward)

    def expected(model):
        return (jnp.exp(bare.scores(model).log_probability.sum(-1)) * reward).sum()

    chance = jnp.exp(bare.scores(MODEL).log_probability.sum(-1))
    weighted = eqx.tree_at(lambda r: r.weight, bare, chance, is_leaf=lambda node: node is None)
    exact = jax.jit(lambda m: jax.grad(lambda t: expected(type(m)(t)))(m.table))(MODEL)
    np.testing.assert_allclose(slope(Reinforce(baseline=raw), MODEL, weighted), -exact, atol=1e-6)
    above = slope(Reinforce(baseline=above_batch), MODEL, weighted)
    np.testing.assert_allclose(above, -exact, atol=1e-6, err_msg="a baseline changes nothing on average")


def test_grpo_is_its_equation_in_numpy():
    gain = (REWARD - REWARD.mean(-1, keepdims=True)) / (REWARD.std(-1, keepdims=True) + 1e-6)
    ratio = np.exp(log_p(MODEL, GIVEN) - log_p(OTHER, GIVEN))
    surrogate = np.minimum(ratio * gain[..., None], np.clip(ratio, 0.8, 1.2) * gain[..., None])
    gap = log_p(OTHER, GIVEN) - log_p(MODEL, GIVEN)
    each = surrogate - 0.04 * (np.exp(gap) - gap - 1)
    expected = -((each * OWN).sum(-1) / OWN.sum(-1)).mean()
    loss, info = judged(GRPO(divergence=0.04), MODEL, GIVEN)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(info["clipped"], (np.abs(ratio - 1) > 0.2)[OWN].mean(), rtol=1e-5)


def test_grpo_that_clips_nothing_on_its_own_answers_is_reinforce_with_a_group_baseline():
    mine = known(model=MODEL)
    plain = Reinforce(baseline=group_standardised, average="sequence")
    free = GRPO(clip=np.inf, divergence=0.0)
    np.testing.assert_allclose(slope(free, MODEL, mine), slope(plain, MODEL, mine), atol=1e-6)
    np.testing.assert_allclose(slope(GRPO(divergence=0.0), MODEL, mine), slope(plain, MODEL, mine), atol=1e-6)
    assert np.abs(slope(GRPO(divergence=0.0), MODEL, GIVEN) - slope(free, MODEL, GIVEN)).max() > 1e-3


def test_answers_better_than_others_become_likelier_and_masked_tokens_do_not_matter():
    for feedback in (Reinforce(), RLOO(), GRPO(divergence=0.0), OREAL(divergence=0.0)):
        mine = known(model=MODEL)
        moved = type(MODEL)(MODEL.table - 0.05 * slope(feedback, MODEL, mine))
        change = ((log_p(moved, mine) - log_p(MODEL, mine)) * OWN).sum(-1)
        assert (change * (REWARD - REWARD.mean(-1, keepdims=True))).sum() > 0
        noise = jnp.where(mine.own, 0.0, 7.0)
        noisy = (mine.log_probability + noise, mine.reference + noise)
        other = eqx.tree_at(lambda r: (r.log_probability, r.reference), mine, noisy)
        np.testing.assert_array_equal(slope(feedback, MODEL, other), slope(feedback, MODEL, mine))


def test_k3_is_the_divergence_on_average_and_never_negative():
    p, q = (jax.nn.log_softmax(m.table[0]) for m in (MODEL, OTHER))
    np.testing.assert_allclose((jnp.exp(p) * k3(p, q)).sum(), (jnp.exp(p) * (p - q)).sum(), rtol=1e-5)
    assert (k3(p, q) >= 0).all() and (k3(p, p) == 0).all()


def test_a_weight_of_zero_leaves_an_answer_out_and_padding_changes_nothing():
    kept = jnp.asarray(np.random.default_rng(8).integers(0, 2, (P, S)), jnp.float32).at[0, 0].set(1.0)
    gain = jnp.broadcast_to(above_group(GIVEN.reward)[..., None], GIVEN.tokens.shape)
    some = eqx.tree_at(lambda r: (r.weight, r.advantage), GIVEN, (kept, gain), is_leaf=lambda node: node is None)
    loss = judged(Reinforce(), MODEL, some)[0]
    expected = -((log_p(MODEL, GIVEN) * OWN * np.asarray(gain)).sum(-1) * kept).sum() / kept.sum()
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    longer = jax.tree.map(lambda leaf: jnp.pad(leaf, [(0, 0), (0, 0), (0, 2)]) if leaf.ndim == 3 else leaf, some)
    np.testing.assert_allclose(judged(Reinforce(), MODEL, longer)[0], loss, rtol=1e-5)


def test_coefficients_are_swept_in_one_program():
    found = eqx.filter_jit(eqx.filter_vmap(lambda c: GRPO(divergence=c)(MODEL, GIVEN, key=KEY)[0]))(
        jnp.asarray([0.0, 1.0])
    )
    np.testing.assert_allclose(found[0], judged(GRPO(divergence=0.0), MODEL, GIVEN)[0], rtol=1e-5)
    assert found[1] > found[0]


def test_what_is_missing_is_named():
    with pytest.raises(Mismatch, match=r"needs the log_probability of every token.*when it sampled"):
        GRPO(divergence=0.0)(MODEL, rollouts(), key=KEY)
    with pytest.raises(Mismatch, match=r"needs the reference.*with_reference"):
        OREAL()(MODEL, rollouts(), key=KEY)


def test_ppo_sees_an_answer_as_an_episode():
    """Advantages equal those of the steps laid out one after the other, whatever stands between own tokens."""
    own = np.zeros((1, 1, T), bool)
    own[0, 0, [1, 3, 4, 6]] = True
    value = np.random.default_rng(2).normal(size=(1, 1, T)).astype(np.float32)
    bare = rollouts(samples=1, reward=jnp.ones((P, 1)))
    one = jax.tree.map(lambda leaf: leaf[:1], bare)
    one = eqx.tree_at(
        lambda r: (r.own, r.value, r.log_probability, r.reference),
        one,
        (jnp.asarray(own), jnp.asarray(value), jnp.full((1, 1, T), -0.5), jnp.full((1, 1, T), -1.0)),
        is_leaf=lambda node: node is None,
    )
    found = np.asarray(jax.jit(lambda r: token_advantages(r, divergence=0.1, trace=0.7))(one))[0, 0]
    mine = value[own]
    reward = np.full(4, -0.1 * 0.5, np.float32) + np.asarray([0, 0, 0, 1], np.float32)
    end = np.asarray([False] * 3 + [True])
    expected = advantages(*map(jnp.asarray, (reward, mine, np.append(mine[1:], 0.0).astype("f"), end, end)), 1.0, 0.7)
    np.testing.assert_allclose(found[own[0, 0]], expected, rtol=1e-5)
    assert (found[~own[0, 0]] == 0).all()


def test_ppo_on_answers_is_the_clipped_surrogate_over_own_tokens():
    actor = Critic(table(1), jnp.arange(5.0) / 5)
    old = Critic(table(2), jnp.ones(5))
    value = GIVEN.scores(old).value
    given = eqx.tree_at(lambda r: r.value, GIVEN, value, is_leaf=lambda node: node is None)
    gain = token_advantages(given)
    given = eqx.tree_at(lambda r: r.advantage, given, gain, is_leaf=lambda node: node is None)
    loss, info = judged(SequencePPO(entropy_weight=0.0), actor, given)
    a, ratio = np.asarray(gain)[OWN], np.exp(log_p(MODEL, GIVEN) - log_p(OTHER, GIVEN))[OWN]
    scaled = (a - a.mean()) / (a.std(ddof=1) + 1e-8)
    surrogate = np.minimum(ratio * scaled, np.clip(ratio, 0.8, 1.2) * scaled).mean()
    before, now = (np.asarray(part)[OWN] for part in (value, given.scores(actor).value))
    goal, held = a + before, before + np.clip(now - before, -0.2, 0.2)
    error = 0.5 * np.maximum((now - goal) ** 2, (held - goal) ** 2).mean()
    np.testing.assert_allclose(info["value_loss"], error, rtol=1e-4)
    np.testing.assert_allclose(loss, -surrogate + 0.5 * error, rtol=1e-4)
    with pytest.raises(Mismatch, match="logits alone"):
        SequencePPO()(MODEL, given, key=KEY)


def test_oreal_is_its_equation_in_numpy():
    credit = np.random.default_rng(4).random((P, S, T)).astype(np.float32)
    given = eqx.tree_at(lambda r: r.credit, GIVEN, jnp.asarray(credit), is_leaf=lambda node: node is None)
    others = (REWARD.sum(-1, keepdims=True) - REWARD) / (S - 1)
    gain = (REWARD - others)[..., None]
    right = REWARD[..., None] > 0.5
    cloned = (-log_p(MODEL, GIVEN) * gain * credit)[OWN & right].sum() / (OWN & right).sum()
    pushed = (-gain * credit)[OWN & ~right].sum() / (OWN & ~right).sum()
    loss, info = judged(OREAL(divergence=0.0), MODEL, given)
    np.testing.assert_allclose([info["cloned"], info["pushed"]], [cloned, pushed], rtol=1e-4)
    np.testing.assert_allclose(loss, cloned + 0.5 * pushed, rtol=1e-4)


def test_knock_outs_of_oreal_differ():
    whole = slope(OREAL(), MODEL, GIVEN)
    assert np.abs(slope(OREAL(reshaped=0.0), MODEL, GIVEN) - whole).max() > 1e-3
    scores = jnp.asarray(np.random.default_rng(6).normal(size=GIVEN.tokens.shape), jnp.float32)
    credit = token_credit(scores, GIVEN.own, GIVEN.reward > 0.5)
    given = eqx.tree_at(lambda r: r.credit, GIVEN, credit, is_leaf=lambda node: node is None)
    assert np.abs(slope(OREAL(), MODEL, given) - whole).max() > 1e-3


def test_credit_follows_the_running_mean_of_what_the_judge_says():
    """σ(w̄) for w = 2, −4 is σ(2), σ(−1): of a right answer 2σ − 1 = 0.76 and none, of a wrong one none and 1 − 2σ = 0.46."""
    scores = jnp.asarray([[9.0, 2.0, -4.0]] * 2)
    own = jnp.asarray([[False, True, True]] * 2)
    found = token_credit(scores, own, jnp.asarray([True, False]))
    np.testing.assert_allclose(found, [[0, np.tanh(1.0), 0], [0, 0, np.tanh(0.5)]], atol=1e-6)


@pytest.mark.parametrize("n", [2, 4, 16])
def test_cloning_the_best_of_n_comes_to_the_policy_that_is_right(n):
    """The lemma of OREAL on 64 answers: KL(π_bc ‖ π₀(·|right)) falls to 0 whatever n is."""
    random = np.random.default_rng(1)
    start = jax.nn.log_softmax(jnp.asarray(random.normal(size=64), jnp.float32))
    right = jnp.asarray(random.random(64) < 0.3)
    p = (jnp.exp(start) * right).sum()
    bon = best_of_n(p, float(n))
    drawn = jnp.exp(start) * jnp.where(right, bon.right, bon.wrong)
    np.testing.assert_allclose(drawn.sum(), 1.0, rtol=1e-5)
    target = jnp.where(right, jnp.exp(start) / p, 0.0)
    kept = jnp.where(right, drawn, 0.0)

    def descend(_, logits):
        return logits + 4.0 * (kept / kept.sum() - jax.nn.softmax(logits))

    learned = jax.nn.softmax(jax.jit(lambda x: jax.lax.fori_loop(0, 3000, descend, x))(start))
    apart = jnp.where(right, target * jnp.log(jnp.where(right, target, 1.0) / learned), 0.0).sum()
    assert 0 <= apart + 1e-5 and apart < 0.01


def test_balanced_pairs_hold_one_right_and_one_wrong_answer():
    reward = jnp.asarray([[1.0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]])
    given = rollouts(reward=reward, advantage=jnp.broadcast_to(leave_one_out(reward)[..., None], (P, S, T)))
    pairs = jax.jit(lambda r: balanced_pairs(r, key=KEY))(given)
    np.testing.assert_array_equal(pairs.weight, [[1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(pairs.reward[np.asarray([0, 2])], [[1, 0], [1, 0]])
    np.testing.assert_array_equal(pairs.tokens[2, 1], given.tokens[2, 3])
    np.testing.assert_allclose(pairs.advantage[2, :, 0], [1 - 2 / 3, -1.0], rtol=1e-6)
    draws = jax.jit(jax.vmap(lambda key: balanced_pairs(given, key=key).tokens[0, 0]))(jax.random.split(KEY, 32))
    assert len(np.unique(np.asarray(draws), axis=0)) == 2, "any of the right answers may be taken"


def test_steps_are_worth_what_they_change():
    values = jnp.asarray([[0.5, 0.75, 0.25, 0.25, 1.0]])
    np.testing.assert_allclose(step_advantages(values), [[0.25, -0.5, 0.0, 0.75]])
    assert first_pit(values[:, 1:])[0] == 1, "the earliest of the deepest"
    step = jnp.asarray([[-1, 0, 0, 1, 3, 4]])
    np.testing.assert_allclose(to_tokens(step_advantages(values), step), [[0, 0.25, 0.25, -0.5, 0.75, 0]])
