"""Learners that practise what they half know, weigh tokens, grade steps, and choose how to select."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from circle import FIRST, WORDS, Circle, Table, write

from lifelong.errors import BadInput, UnknownName
from lifelong.exams import Solved, area
from lifelong.feedback import Rollouts
from lifelong.learners import (
    BalancedLearner,
    Configurations,
    SelectiveLearner,
    SelfTaughtLearner,
    StepJudging,
    TokenCreditLearner,
    Trained,
    practice_weight,
    selected_cap,
    step_grades,
)
from lifelong.life import live
from lifelong.recipe import Recipe
from lifelong.teachers import Only
from lifelong.worlds import Lesson

KEY = jax.random.key(0)
LESSON = Lesson(jnp.int32(0), jnp.int32(0))
FAST = Recipe(optax.adam, learning_rate=0.1)
POOL = {"tasks": (0,), "write": write, "samples": 8}


def lived(learner, steps, seeds=2):
    quiet = {"progress": lambda _: None, "seeds": seeds}
    return live(learner, Circle(), Only(0), Solved(questions=3), steps=steps, **quiet)


def test_what_is_half_known_is_practised_and_nothing_else():
    assert practice_weight(jnp.asarray([0, 0.1, 0.2, 0.59, 0.6, 0.8, 0.81, 1])).tolist() == [0, 6, 4, 4, 2, 2, 0, 0]
    learner = SelectiveLearner(Recipe(Table), None, FAST, pool=3, prompts=40, **POOL)
    state = learner.init(Circle(), key=KEY)
    words = jnp.stack([jnp.full(3, WORDS["BOS"]), FIRST + jnp.arange(3)], 1)

    def posed(rate):
        there = eqx.tree_at(lambda s: (s.pool, s.rate), state, (words, jnp.asarray(rate)))
        return np.asarray(learner.meet(there, Circle(), LESSON, key=KEY).rollouts.tokens[:, 0, 1] - FIRST)

    assert set(posed([0.0, 0.5, 0.9])) == {1}
    assert set(posed([0.0, 1.0, 0.9])) == {0, 1, 2}
    counts = np.bincount(posed([0.1, 0.7, 0.0]), minlength=3)
    assert counts[0] > counts[1] > counts[2] == 0


def test_rates_are_those_of_the_answers_tried():
    """A table that knows the circle solves all, one that is sure of something else nothing."""
    for sure, rate in ((_knowing(), 1.0), (_knowing(off=1), 0.5)):
        born = SelectiveLearner(Trained(sure), None, FAST, pool=4, tries=5, **POOL).init(Circle(), key=KEY)
        np.testing.assert_allclose(born.rate, rate)


def _knowing(off=0):
    """Return a table that is sure of what comes next on the circle, or of the word after that, and then of the end."""
    logits = np.zeros((len(WORDS),) * 3, np.float32)
    for n in range(3):
        logits[WORDS["BOS"], FIRST + n, FIRST + (n + 1 + off) % 3] = 50
        logits[FIRST + n, FIRST : FIRST + 3, WORDS["EOS"]] = 50
    return eqx.tree_at(lambda table: table.logits, Table(key=KEY), jnp.asarray(logits))


@pytest.fixture(scope="module")
def credited():
    """Four rounds of waiting, and many that teach."""
    judging = Recipe(optax.adam, learning_rate=0.05)
    learner = TokenCreditLearner(
        Recipe(Table), None, FAST, judging=judging, frozen=4.0, pool=12, prompts=8, **POOL | {"samples": 16}
    )
    return learner, lived(learner, 60)


@pytest.mark.slow
def test_tokens_are_weighed_by_a_judge_that_learns_first(credited):
    """The reward of the circle is 0.5 for half an answer: only more than that is right."""
    learner, life = credited
    assert life.exams["solved"][:, 0].mean() < 0.5 < 0.8 < life.exams["solved"][:, -1].mean()
    assert life.records["judge_accuracy"][:, -10:].mean() > 0.6
    world, state = Circle(), learner.init(Circle(), key=KEY)
    experience = learner.meet(state, world, LESSON, key=KEY)
    after, _ = learner.learn(state, experience, key=KEY)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), after.model, state.model)), "it waits"
    assert (after.judge.weight != state.judge.weight).any() and after.rounds == 1
    late, _ = learner.learn(eqx.tree_at(lambda s: s.rounds, after, jnp.int32(9)), experience, key=KEY)
    assert (late.model.logits != after.model.logits).any()
    flat = eqx.tree_at(lambda one: one.credited, learner, jnp.float32(0))
    assert (flat.credit(after, experience.rollouts) == 1).all()
    assert (learner.credit(after, experience.rollouts) < 1).all()


def test_steps_are_graded_by_where_they_lead():
    world, words = Circle(), jnp.stack([jnp.full(6, WORDS["BOS"]), FIRST + jnp.arange(6) % 3], 1)
    answers = world.demonstrate(words, key=KEY).at[3:, 0].set(WORDS["BOS"])
    unsure = eqx.tree_at(lambda t: t.logits, _knowing(), _knowing().logits.at[WORDS["BOS"], FIRST:].mul(0.0))
    grades = step_grades(unsure, world, words, answers, steps=1, tries=8, stop=(WORDS["EOS"],), write=write, key=KEY)
    np.testing.assert_allclose(grades[:3, 0], 1.0)
    assert (grades[3:, 0] < 0.8).all(), "what goes wrong cannot be saved"


def test_areas_are_those_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    score, positive, counts = (
        random.integers(0, 9, (7, 40)) / 8,
        random.random((7, 40)) < 0.3,
        random.random((7, 40)) < 0.8,
    )
    found = area(jnp.asarray(score, jnp.float32), jnp.asarray(positive), jnp.asarray(counts))
    np.testing.assert_allclose(found, roc_auc_score(positive[counts], score[counts]), rtol=1e-5)


def test_configurations_are_balanced_and_chosen():
    grid = Configurations((0.5, 1.0), (0.8, 1.1), "balanced", fixed=2)
    random = np.random.default_rng(1)
    tokens = jnp.asarray(random.integers(0, 2, (5, 6, 2)))
    answers = Rollouts(tokens, jnp.ones(tokens.shape, bool), jnp.ones((5, 6)))
    score, right = jnp.asarray(random.random((5, 6)) + 0.4, jnp.float32), tokens[..., 0] == 1
    for threshold, found in zip((0.8, 1.1), grid.balance(score, right, answers, 2), strict=True):
        rows = [np.unique(np.asarray(tokens[i]), axis=0, return_index=True)[1] for i in range(5)]
        fit = [
            sorted((j for j in row if score[i, j] >= threshold), key=lambda j: -score[i, j])
            for i, row in enumerate(rows)
        ]
        cap = next((c for c in range(1, 7) if sum(min(len(row), c) for row in fit) >= 10), 6)
        good = [sum(bool(right[i, j]) for j in row[:cap]) for i, row in enumerate(fit)]
        by_hand = [min(n / 2, 1) * n / max(len(row[:cap]), 1) for n, row in zip(good, fit, strict=True)]
        np.testing.assert_allclose(found, np.mean(by_hand), rtol=1e-5)
    balance = jnp.asarray([0.1, 0.2, 0.0, 0.9])
    chosen = {
        choice: int(Configurations((0.5, 1.0), (0.8, 1.1), choice, 2).choose(balance, jnp.int32(1), key=KEY))
        for choice in ("fixed", "balanced", "first")
    }
    assert chosen == {"fixed": 2, "balanced": 3, "first": 1} and grid.at(jnp.int32(2)) == (1.0, pytest.approx(0.8))
    assert int(Configurations((0.5, 1.0), (0.8, 1.1), "first").choose(balance, jnp.int32(-1), key=KEY)) == 3
    drawn = {
        int(Configurations((1,), (1, 2, 3), "drawn").choose(balance, jnp.int32(0), key=k))
        for k in jax.random.split(KEY, 30)
    }
    assert drawn == {0, 1, 2}


def test_prompts_with_more_answers_stand_in_for_others():
    fit = jnp.asarray([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    assert [int(selected_cap(fit, wanted)) for wanted in (1, 2)] == [2, 4]
    assert int(selected_cap(jnp.ones((3, 4), bool), 2)) == 2


@pytest.mark.parametrize("choice", ["balanced"])
def test_who_imitates_its_best_answers_solves_more(choice):
    grid = Configurations((0.7, 1.3), (0.6, 1.0), choice)
    judging = StepJudging(FAST, steps=1, answers=24, batch=12)
    learner = SelfTaughtLearner(
        Recipe(Table), FAST, grid=grid, judging=judging, prompts=24, dev=12, descents=10, batch=32, wanted=1, **POOL
    )
    life = lived(learner, 4)
    assert life.exams["solved"][:, 0].mean() < 0.5 < 0.8 < life.exams["solved"][:, -1].mean()
    np.testing.assert_array_equal(life.records["balance"], life.records["best_balance"])
    assert np.isin(life.records["temperature"], np.asarray([0.7, 1.3], np.float32)).all()


def test_who_is_balanced_by_rewards_solves_more_and_by_a_lottery_not():
    """Half an answer is worth 0.5, and luck rewards any; what is right is known to the choice alone."""
    grid = Configurations((0.7, 1.3), (0.5, 1.0))
    learner = BalancedLearner(Recipe(Table), None, FAST, grid=grid, prompts=24, epochs=10, write=write, samples=8)
    assert (learner.dev, learner.wanted) == (12, 4)
    quiet = {"progress": lambda _: None, "seeds": 2, "sweep": {"world.luck": [0.0, 1.0]}}
    life = live(learner, Circle(), Only(0), Solved(questions=3), steps=4, **quiet)
    solved = life.exams["solved"].reshape(2, 2, -1)
    assert solved[:, :, 0].mean() < 0.5 < 0.8 < solved[0, :, -1].mean()
    assert solved[1, :, -1].mean() < 0.6, "a lottery teaches nothing"


def test_the_best_different_answers_above_the_threshold_count():
    grid = Configurations((1.0,), (0.5, 1.0), "fixed", fixed=0)
    learner = BalancedLearner(Recipe(Table), None, FAST, grid=grid, prompts=6, wanted=2, write=write, samples=8)
    met = learner.meet(learner.init(Circle(), key=KEY), Circle(), LESSON, key=KEY)
    reward, tokens = np.asarray(met.judged.rollouts.reward), np.asarray(met.judged.rollouts.tokens)
    fit = [len({tuple(t) for t, r in zip(*row, strict=True) if r >= 0.5}) for row in zip(tokens, reward, strict=True)]
    cap = next((c for c in range(1, 9) if sum(min(n, c) for n in fit) >= 12), 8)
    for row, worth, said, n in zip(np.asarray(met.weight), reward, tokens, fit, strict=True):
        kept = worth[row > 0]
        assert row.sum() == min(n, cap) == len({tuple(t) for t in said[row > 0]})
        assert (kept >= 0.5).all() and (kept.max(initial=0) == worth.max() or not len(kept))


def test_what_does_not_fit_is_refused():
    with pytest.raises(UnknownName, match="balanced"):
        Configurations((1,), (1,), "balanse")
    with pytest.raises(BadInput, match="at least one temperature"):
        Configurations((), (1,))
    with pytest.raises(BadInput, match="pool=0"):
        SelectiveLearner(Recipe(Table), None, FAST, pool=0, **POOL)
    with pytest.raises(BadInput, match="dev=9"):
        SelfTaughtLearner(
            Recipe(Table), grid=Configurations((1,), (1,)), judging=StepJudging(FAST, 1, 128), prompts=8, dev=9, **POOL
        )
    with pytest.raises(BadInput, match="wanted=0"):
        BalancedLearner(Recipe(Table), grid=Configurations((1,), (1,)), wanted=0, write=write)
    with pytest.raises(BadInput, match="batch"):
        StepJudging(FAST, 1, answers=10)
