"""Niches and POET against loops by hand: who replaces whom, what is bred, what is counted, and what stands still."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from lifelong.errors import BadInput, Mismatch
from lifelong.exams import NicheScores
from lifelong.keys import key_for
from lifelong.learners import POET, DirectPath, EvolutionStrategy, NicheLearner, novelty
from lifelong.learners._niches import episode
from lifelong.learners._poet import mutated
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import CartPole, Leap, Lesson

KEY, WORLD = jax.random.key(0), Leap(limit=25)
LESSON = Lesson(jnp.int32(0), jnp.int32(0))
MODEL = Recipe(MLP, inputs=10, outputs=2, width=3, depth=1, activation=jnp.tanh)
STRATEGY = EvolutionStrategy(pairs=2)
ROADS = jnp.asarray([[0.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 1.0], [0.5, 0.0, 0.5, 0.5]])
STEP = eqx.filter_jit(lambda world, situation, action: world.step(situation, action, key=KEY))
ANYTHING = {"good": -1e9, "low": -1e9, "high": 1e9}


def poet(**options):
    small: dict[str, Any] = {"slots": 4, "archive": 8, "children": 3, "tests": 2}
    return POET(MODEL, ROADS, STRATEGY, **small | options)


@eqx.filter_jit
def born(learner, key=KEY):
    return learner.init(WORLD, key=key)


@eqx.filter_jit
def stepped(learner, state, key):
    return learner.learn(state, learner.meet(state, WORLD, LESSON, key=key), key=key)[0]


@eqx.filter_jit
def ended(learner, state, key):
    return learner.consolidate(state, WORLD, LESSON, key=key)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_every_agent_climbs_in_its_own_environment_as_it_would_alone():
    learner = NicheLearner(MODEL, ROADS, STRATEGY)
    state = born(learner)
    tried = eqx.filter_jit(learner.meet)(state, WORLD, LESSON, key=KEY)
    keys = jax.random.split(KEY, 3)
    after, info = eqx.filter_jit(learner.learn)(state, tried, key=KEY)
    explored, step = eqx.filter_jit(learner.explored), eqx.filter_jit(STRATEGY.step)
    for i in range(3):
        search = jax.tree.map(lambda leaf, i=i: leaf[i], state.search)
        noise, values = explored(WORLD, search, ROADS[i], key=keys[i])
        np.testing.assert_allclose(tried.values[i], values, rtol=1e-4)
        np.testing.assert_allclose(after.search.point[i], step(search, noise, values).point, atol=1e-4)
    assert info["episodes"] == after.episodes == 3 * 4


def test_an_episode_is_worth_what_a_loop_finds_and_ends_with_its_end():
    act = lambda seen: jnp.asarray([1.0, -1.0])  # noqa: E731
    task, total = jnp.asarray([0.0, 8.0, 2.0, 1.0]), 0.0
    long = Leap(limit=60)
    value = jax.jit(lambda key: episode(act, long, task, key=key))(KEY)
    situation, _ = eqx.filter_jit(long.reset)(task, key=key_for(KEY, "reset"))
    for _ in range(60):
        situation, outcome = STEP(long, situation, act(None))
        total += float(outcome.reward)
        if outcome.ended:
            break
    assert outcome.terminated and value == pytest.approx(total, rel=1e-4)


def test_a_transfer_takes_the_best_of_all_others_and_what_they_become():
    learner = poet()
    state = born(learner)
    for i in range(2):
        state = stepped(learner, state, jax.random.key(i))
    after, scores = eqx.filter_jit(learner.transferred)(state, WORLD, key=KEY)
    own = eqx.filter_jit(learner.scores)(state, WORLD, key=KEY)
    keys, replaced = jax.random.split(KEY, 4), 0
    heir, score = eqx.filter_jit(learner.heir), eqx.filter_jit(learner.score)
    for i in range(3):
        others = state.alive & (jnp.arange(4) != i)
        best = heir(state, WORLD, state.tasks[i], others, key=keys[i])
        direct = [float(score(WORLD, state.search.point[j], state.tasks[i], key=keys[i])) for j in range(3) if j != i]
        assert best.source != i and best.score >= max(direct) - 1e-3
        better = float(best.score) > float(own[i])
        expected = best.point if better else state.search.point[i]
        np.testing.assert_allclose(after.search.point[i], expected, atol=1e-4)
        assert after.hops[i] == better and scores[i] == pytest.approx(max(float(best.score), float(own[i])), rel=1e-3)
        assert not better or (after.search.sigma[i] == np.float32(0.1) and (after.search.adam.mu[i] == 0).all())
        kept = [jax.tree.map(lambda leaf, i=i: leaf[i], one.search) for one in (after, state)]
        assert better or same(*kept), "who is not beaten keeps Adam and the spread"
        replaced += better
    assert after.transfers == replaced and 0 < replaced
    assert after.episodes - state.episodes == 3 * (2 + 2 * (4 + 2 * 2))
    alone, _ = eqx.filter_jit(poet(transfer=False).transferred)(state, WORLD, key=KEY)
    assert same(alone.search, state.search) and alone.episodes - state.episodes == 3 * 2


def test_births_fill_free_slots_then_those_of_the_oldest_and_all_go_into_the_archive():
    learner = poet(transfer=False, **ANYTHING)
    state = born(learner)
    for number, slot in enumerate((3, 0, 1, 2, 3)):
        before, state = state, ended(learner, state, jax.random.key(number))
        changed = np.flatnonzero((np.asarray(before.tasks) != np.asarray(state.tasks)).any(1))
        np.testing.assert_array_equal(changed, [slot])
        assert state.admitted == 4 + number and state.alive.all()
        np.testing.assert_array_equal(state.archive[3 + number], state.tasks[slot])
        assert np.isin(state.search.point[slot], before.search.point).all(), "a child begins with its parent's agent"
        assert state.search.sigma[slot] == np.float32(0.1)
        assert state.hops[slot] in np.asarray(before.hops) + 1


def test_nothing_is_born_where_nothing_is_mastered_or_no_child_meets_the_criterion():
    state = born(poet())
    for options in ({**ANYTHING, "good": 1e9}, {**ANYTHING, "low": 1e9}, {**ANYTHING, "high": -1e9}):
        after = ended(poet(transfer=False, **options), state, KEY)
        assert after.admitted == 3 and same(after.tasks, state.tasks)
    assert ended(poet(transfer=False, **ANYTHING), state, KEY).admitted == 4
    none = ended(poet(transfer=False, **{**ANYTHING, "good": 1e9}), state, KEY)
    assert none.episodes == 3 * 2, "children that are not bred are not tested"


def test_the_child_tried_is_the_most_novel_one():
    learner = poet(children=6, **ANYTHING)
    state = born(learner)
    child = eqx.filter_jit(learner.bred)(state, state.alive, WORLD, key=KEY)
    for_parent, for_child, _ = jax.random.split(KEY, 3)
    parents = jax.random.categorical(for_parent, jnp.asarray([0.0, 0, 0, -jnp.inf]), shape=(6,))
    tasks = np.asarray(mutated(state.tasks[parents], WORLD, 0.15, key=for_child)) / [1, 8, 2, 1]
    distances, _ = NearestNeighbors(n_neighbors=3).fit(np.asarray(ROADS) / [1, 8, 2, 1]).kneighbors(tasks)
    best = distances.mean(1).argmax()
    np.testing.assert_allclose(np.asarray(child.task) / [1, 8, 2, 1], tasks[best], rtol=1e-5)
    assert child.parent == parents[best] and child.passes


def test_novelty_is_that_of_scikit_learn_and_sees_only_what_is_there():
    random = np.random.default_rng(0)
    tasks, archive = random.random((5, 3)).astype(np.float32), random.random((20, 3)).astype(np.float32)
    there = jnp.arange(20) < 12
    expected = NearestNeighbors(n_neighbors=4).fit(archive[:12]).kneighbors(tasks)[0].mean(1)
    np.testing.assert_allclose(novelty(jnp.asarray(tasks), jnp.asarray(archive), there, 4), expected, rtol=1e-5)


def test_a_mutation_moves_by_a_stride_at_most_and_stays_within_bounds():
    tasks = jnp.tile(jnp.asarray([[0.0, 8.0, 1.0, 0.5]]), (300, 1))
    moved = np.asarray(mutated(tasks, WORLD, 0.1, key=KEY)) / [1, 8, 2, 1]
    before = np.asarray(tasks) / [1, 8, 2, 1]
    assert (moved >= 0).all() and (moved <= 1).all() and np.abs(moved - before).max() == pytest.approx(0.1, abs=0.01)
    assert (moved[:, 0] == 0).mean() == pytest.approx(0.5, abs=0.1) and np.abs((moved - before)[:, 2:].mean()) < 0.01


def test_a_direct_path_moves_mastered_environments_by_a_stride_until_they_are_there():
    start, goal = jnp.zeros((2, 4)), jnp.asarray([[0.2, 2.0, 0.0, 0.1], [0.0, 0.0, 1.0, 0.0]])
    state = born(eager := DirectPath(MODEL, start, STRATEGY, good=-1e9, tests=1, targets=goal))
    for k in range(1, 5):
        state = ended(eager, state, KEY)
        step = np.minimum(k * 0.15 * np.asarray([1, 8, 2, 1]), goal)
        np.testing.assert_allclose(state.tasks, step, rtol=1e-5)
    assert state.episodes == 4 * 2
    still = DirectPath(MODEL, start, STRATEGY, good=1e9, tests=1, targets=goal)
    np.testing.assert_array_equal(ended(still, born(still), KEY).tasks, start)


def test_what_is_spent_is_spent():
    learner = poet(budget=20.0, **ANYTHING)
    state = born(learner)
    state = stepped(learner, state, KEY)
    assert state.episodes == 12
    state = stepped(learner, state, KEY)
    assert state.episodes == 24
    assert same(stepped(learner, state, KEY), state) and same(ended(learner, state, KEY), state)
    assert not same(ended(poet(**ANYTHING), state, KEY), state)


def test_its_exam_scores_every_agent_in_its_own_environment():
    learner = poet()
    state = born(learner)
    found = eqx.filter_jit(NicheScores(3).sit)(state, learner, WORLD, key=KEY)
    keys = jax.random.split(KEY, (4, 2, 3))
    value = eqx.filter_jit(learner.value)
    for slot, half in ((0, 0), (1, 1), (2, 0)):
        each = [value(WORLD, state.search.point[slot], ROADS[slot], key=keys[slot, half, i]) for i in range(3)]
        assert found["score"][slot, half] == pytest.approx(np.mean(each), rel=1e-4, abs=1e-4)
    np.testing.assert_array_equal(found["alive"], [1, 1, 1, 0])


def test_mistakes_are_told():
    with pytest.raises(BadInput, match="rows of an environment's parameters"):
        NicheLearner(MODEL, ROADS[0], STRATEGY)
    with pytest.raises(BadInput, match="target of its own"):
        DirectPath(MODEL, ROADS, STRATEGY, targets=ROADS[:2])
    with pytest.raises(BadInput, match="has room for 2"):
        poet(slots=2)
    with pytest.raises(BadInput, match="at least one episode"):
        NicheScores(0)
    with pytest.raises(Mismatch, match="4 parameters"):
        NicheLearner(MODEL, ROADS[:, :2], STRATEGY).init(WORLD, key=KEY)
    with pytest.raises(Mismatch, match="Leap"):
        NicheLearner(MODEL, ROADS, STRATEGY).init(CartPole(), key=KEY)
