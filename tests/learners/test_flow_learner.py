"""Flows over plans with blocks: the policy, the memory, the search, and the exact distance, against brute force."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.exams import Proportion
from lifelong.exams._proportion import plan_probabilities
from lifelong.feedback import token_log_probabilities
from lifelong.learners import FlowLearner, Trained, clipped_adam
from lifelong.life import live
from lifelong.memory import NOTHING, BestAnswers
from lifelong.nets import Exploring, Stepwise, decided, language_model
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Blocks, after_move, allowed_moves, every_plan, few
from lifelong.worlds._blocks import plan_counts

KEY = jax.random.key(0)
PROBLEMS = 3


@pytest.fixture(scope="module")
def world():
    return few(Blocks(moves=2, least=1), PROBLEMS)


@pytest.fixture(scope="module")
def model(world):
    net = Recipe(
        language_model, preset="micro", vocabulary=world.outputs, width=8, layers=1, heads=1, kv_heads=1, hidden=8
    )
    return Stepwise(net, after_move, allowed_moves, world.prompt_length, key=KEY)


@pytest.fixture(scope="module")
def plans_of(world, model):
    """Return prompt, words, log π and rewards of all plans of one problem, the second of those taught."""
    prompt = world.read(world.codes[world.first[0, 0] + 1][None])[0]
    log_p, reward, there = map(np.asarray, eqx.filter_jit(plan_probabilities)(model, world, prompt))
    start = int(world.state_and_goal(prompt[None])[0][0])
    words = world.lexicon["a>table"] + every_plan(2)[0][start]
    return prompt, words[there], log_p[there], reward[there]


def test_every_plan_is_counted_once():
    """As many as powers of the matrix of moves say."""
    for moves in (1, 3):
        words, places = every_plan(moves)
        there = places[:, :, 0] >= 0
        assert (there.sum(1) == plan_counts()[moves].sum(1)).all()
        assert all(len(np.unique(rows[use], axis=0)) == use.sum() for rows, use in zip(words, there, strict=True))


def test_few_problems_are_those_and_no_others(world):
    posed = np.asarray(world.pose(jnp.int32(0), 200, key=KEY))
    taught = np.asarray(world.read(world.codes[world.first[0, 0] + jnp.arange(PROBLEMS)]))
    assert {tuple(row) for row in posed} == {tuple(row) for row in taught}
    np.testing.assert_array_equal(world.exam_set(0, 20), Blocks(moves=2, least=1).exam_set(0, 20))
    with pytest.raises(BadInput, match="were asked for"):
        few(world, 0)


def test_probabilities_of_all_plans_sum_to_one_and_are_those_of_their_words(plans_of, world, model):
    prompt, words, log_p, reward = plans_of
    np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, rtol=1e-5)
    asked = jnp.broadcast_to(prompt, (len(words), len(prompt)))
    tokens = jnp.concatenate([asked, jnp.asarray(words, jnp.int32)], 1)
    told = eqx.filter_jit(token_log_probabilities)(model, tokens)[:, len(prompt) :].sum(1)
    np.testing.assert_allclose(told, log_p, atol=1e-4)
    np.testing.assert_allclose(world.judge(asked, jnp.asarray(words)).reward, reward)


def test_plans_are_sampled_as_often_as_the_policy_says(plans_of, world, model):
    prompt, words, log_p, _ = plans_of
    n = 4000
    asked = jnp.broadcast_to(prompt, (n, len(prompt)))
    said = eqx.filter_jit(decided)(model, asked, length=2, key=KEY)
    drawn = np.asarray(said.tokens)[:, -2:]
    share = np.array([(drawn == row).all(1).mean() for row in words])
    assert share.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(share, np.exp(log_p), atol=0.03)
    wild = eqx.filter_jit(decided)(model, asked, length=1, key=KEY, sampler=Exploring(epsilon=1.0))
    _, times = np.unique(np.asarray(wild.tokens)[:, -1], return_counts=True)
    np.testing.assert_allclose(times / n, 1 / int(allowed_moves(prompt[None]).sum()), atol=0.03)


def test_the_distance_is_half_the_sum_of_all_differences(plans_of, world, model):
    _, _, log_p, reward = plans_of
    found = Proportion(PROBLEMS).sit(_Has(model), None, world, key=KEY)
    wanted = np.maximum(reward, 1e-3) ** 2
    by_hand = 0.5 * np.abs(np.exp(log_p) - wanted / wanted.sum()).sum()
    np.testing.assert_allclose(found["distance"][1], by_hand, rtol=1e-4)
    np.testing.assert_allclose(found["spread"][1], -(np.exp(log_p) * log_p).sum(), rtol=1e-4)


class _Has(eqx.Module):
    model: Stepwise


def test_memory_keeps_the_best_and_no_two_alike():
    """Against sorting and sets."""
    memory, random = BestAnswers(2, room=6), np.random.default_rng(0)
    kept, best, keep = memory.init(2), {}, eqx.filter_jit(memory.keep)
    for _ in range(4):
        words = random.integers(0, 4, (5, 2))
        worth = (words * [1.0, 0.37]).sum(1)
        kept = keep(kept, jnp.int32(1), jnp.asarray(words, jnp.int32), jnp.asarray(worth, jnp.float32))
        best |= {tuple(row): value for row, value in zip(words.tolist(), worth, strict=True)}
    wanted = sorted(best, key=lambda row: -best[row])[:6]
    assert [tuple(row) for row in np.asarray(kept.words[1]).tolist()] == wanted
    assert (kept.log_reward[0] == NOTHING).all()
    drawn, worth = memory.draw(kept, jnp.int32(1), 500, key=KEY)
    odds = np.exp(np.asarray(kept.log_reward[1]))
    first = (np.asarray(worth) == np.asarray(kept.log_reward[1][0])).mean()
    assert {tuple(row) for row in np.asarray(drawn).tolist()} <= set(wanted)
    assert first == pytest.approx(odds[0] / odds.sum(), abs=0.08)


def test_answers_that_differ_in_too_few_words_are_one():
    memory = BestAnswers(1, room=4, apart=2)
    words = jnp.array([[1, 1, 1], [1, 1, 2], [2, 2, 1]], jnp.int32)
    worth = jnp.array([1.0, 2.0, 0.5])
    kept = eqx.filter_jit(memory.keep)(memory.init(3), jnp.int32(0), words, worth)
    assert kept.words[0, :2].tolist() == [[1, 1, 2], [2, 2, 1]] and (kept.log_reward[0, 2:] == NOTHING).all()


def test_flows_come_closer_to_rewards(world, model):
    """And with a rate of 0 they do not, with the same answers in memory."""
    learner = FlowLearner(
        Trained(model),
        memory=BestAnswers(PROBLEMS, room=20),
        rounds=60,
        optimizer=Recipe(clipped_adam, learning_rate=0.01, max_norm=1.0),
        tries=4,
    )
    sweep = {"optimizer.numbers.learning_rate": [0.01, 0.0]}
    life = live(learner, world, OneByOne(1, 60), Proportion(PROBLEMS), steps=60, seeds=1, sweep=sweep)
    before, after = life.exams["distance"][..., 0, :].mean(-1), life.exams["distance"][..., -1, :].mean(-1)
    assert after[0, 0] < before[0, 0] - 0.1 and after[1, 0] == pytest.approx(before[1, 0])
    assert (np.asarray(life.state.learner.kept.log_reward).max(-1) > np.log(99)).mean() > 0.5, "most are solved"


def test_an_odd_round_has_no_half():
    with pytest.raises(BadInput, match="even"):
        FlowLearner(Trained(None), memory=BestAnswers(1), rounds=1, samples=3)
