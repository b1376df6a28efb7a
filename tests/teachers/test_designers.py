"""Designers and the pairs they teach: regret by hand, pairs beside two agents alone, and what a designer learns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import paired_regret
from lifelong.learners import PPO, Pair, clipped_adam
from lifelong.life import live, silent
from lifelong.nets import ActorCritic, SequenceVAE, WideActorCritic
from lifelong.recipe import Recipe
from lifelong.teachers import Designer
from lifelong.worlds import LatentMazes, Maze, PlacingMazes, sequence_maze

SIDE, BODIES, LIMIT, KEY = 4, 6, 8, jax.random.key(0)
MAZES = Maze(Maze.random(2, SIDE, 3, key=KEY), LIMIT, view=1, haste=0.5)
VAE = SequenceVAE(SIDE**2 + 1, 6, latent=2, width=5, embedding=4, key=KEY)


def agent(model, inputs, outputs, steps, bodies=BODIES, rate=1e-3, epochs=1, **options):
    recipe = Recipe(model, inputs=inputs, outputs=outputs, width=8, depth=1, **options)
    descent = Recipe(clipped_adam, learning_rate=rate)
    return PPO(recipe, optimizer=descent, bodies=bodies, steps=steps, epochs=epochs, parts=1, restart=True)


def paired():
    world = PlacingMazes(SIDE, 3, noise=2)
    return Designer(world, agent(ActorCritic, world.observations.shape[0], SIDE**2, world.limit))


def clutr(**options):
    world = LatentMazes(VAE.spell, 2, SIDE, noise=2)
    return Designer(world, agent(WideActorCritic, 4, 2, 1, **options))


STUDENT = agent(ActorCritic, MAZES.observations.shape[0], 4, 2 * LIMIT)


def test_regret_by_hand():
    """Two bodies, three steps: the first ends episodes in steps 1 and 3, the second in step 2 alone, or in none."""
    protagonist = jnp.asarray([[0.5, 0.9], [0.8, 0.2], [0.0, 0.7]])
    antagonist = jnp.asarray([[1.0, 0.0], [3.0, 0.1], [0.4, 0.9]])
    ended = jnp.asarray([[True, False], [False, True], [True, False]])
    np.testing.assert_allclose(paired_regret(protagonist, antagonist, ended, ended), [1.0 - 0.25, 0.0])
    none = paired_regret(protagonist, antagonist, ended, ended.at[1, 1].set(False))
    assert none[0] == 0.75 and np.isnan(none[1])


@pytest.fixture(scope="module")
def lived():
    """A designer's tasks, and what a pair lives and learns in them; and two students alone, with the same keys."""
    teacher, pair = paired(), Pair(STUDENT)

    @eqx.filter_jit
    def round_of(teacher, pair):
        plan = teacher.init(key=KEY)
        lesson, plan = teacher.ask(plan, key=KEY)
        state = pair.init(MAZES, key=KEY)
        lived = pair.meet(state, MAZES, lesson, key=KEY)
        after, report = pair.learn(state, lived, key=KEY)
        return lesson, plan, state, lived, after, report, teacher.tell(plan, lesson, report, key=KEY)

    @eqx.filter_jit
    def alone(student, lesson, key):
        state = student.init(MAZES, key=key)
        lived = student.meet(state, MAZES, lesson, key=key)
        return lived, *student.learn(state, lived, key=key)

    found = round_of(teacher, pair)
    return teacher, *found, [alone(STUDENT, found[0], key) for key in jax.random.split(KEY)]


def test_a_pair_is_two_students_side_by_side(lived):
    *_, both, after, report, _, alone = lived
    for i, (one, state, info) in enumerate(alone):
        np.testing.assert_array_equal(both.steps.action[i], one.steps.action)
        for mine, theirs in zip(jax.tree.leaves(after.model), jax.tree.leaves(state.model), strict=True):
            np.testing.assert_allclose(mine[i], theirs, atol=1e-6)
        np.testing.assert_allclose(report[("return", "antagonist_return")[i]], info["return"], rtol=1e-5)
    assert (both.steps.action[0] != both.steps.action[1]).any(), "they are born different"


def test_each_body_s_regret_is_that_of_its_episodes(lived):
    _, lesson, _, _, both, _, report, _, _ = lived
    np.testing.assert_array_equal(both.crew.situation.task.walls[0], lesson.task.walls)
    score, ended = np.asarray(both.steps.score), np.asarray(both.steps.ended)
    for body in range(BODIES):
        mine, theirs = (score[i, ended[i, :, body], body] for i in (0, 1))
        assert len(mine) >= 2 and len(theirs) >= 2
        assert report["each_regret"][body] == pytest.approx(max(max(theirs) - np.mean(mine), 0), abs=1e-6)


def test_a_designer_learns_from_regret_what_its_agent_does_from_a_last_reward(lived):
    teacher, lesson, plan, *_, report, told, _ = lived
    steps = plan.making.steps
    assert (steps.terminated == (np.arange(5) == 4)[:, None]).all() and not steps.reward.any()
    paid = plan.making._replace(steps=steps._replace(reward=steps.reward.at[-1].set(report["each_regret"])))
    by_hand, _ = eqx.filter_jit(teacher.agent.learn)(plan.agent, paid, key=KEY)
    for mine, hand in zip(jax.tree.leaves(told.agent.model), jax.tree.leaves(by_hand.model), strict=True):
        np.testing.assert_allclose(mine, hand, atol=1e-6)
    silent_ = eqx.filter_jit(teacher.tell)(plan, lesson, {"each_regret": jnp.full(BODIES, jnp.nan)}, key=KEY)
    for mine, before in zip(jax.tree.leaves(silent_.agent.model), jax.tree.leaves(plan.agent.model), strict=True):
        np.testing.assert_array_equal(mine, before)


def test_a_designer_of_vectors_finds_where_regret_is_and_its_decoder_stands_still():
    """Regret is the first number of the vector; after many rounds the mazes are still those that the newborn decoder spells."""
    teacher = clutr(bodies=32, rate=2e-2, epochs=4)

    @eqx.filter_jit
    def taught(teacher, rounds):
        arrays, static = eqx.partition(teacher.init(key=KEY), eqx.is_array)

        def go_on(arrays, i):
            key = jax.random.fold_in(KEY, i)
            lesson, plan = teacher.ask(eqx.combine(arrays, static), key=key)
            latent, seen = plan.making.steps.action[-1], plan.making.steps.after[-1]
            plan = teacher.tell(plan, lesson, {"each_regret": latent[:, 0]}, key=key)
            return eqx.filter(plan, eqx.is_array), (latent, seen, lesson.task, key)

        return jax.lax.scan(go_on, arrays, jnp.arange(rounds))

    _, (latent, seen, tasks, _) = taught(teacher, 40)
    assert latent[-1, :, 0].mean() > latent[0, :, 0].mean() + 1.0
    assert (latent[-5:].std(1) > 0.1).all(), "it still explores"
    np.testing.assert_allclose(seen[-1, :, :2], np.clip(latent[-1], -4, 4), rtol=1e-6)
    words = jax.vmap(VAE.spell)(jnp.clip(latent[-1], -4, 4))
    spelled = jax.vmap(lambda words: sequence_maze(words, SIDE, key=KEY))(words)
    np.testing.assert_array_equal(tasks.walls[-1], spelled.walls)


@pytest.mark.slow
def test_a_life_with_a_designer_is_compiled_and_recorded():
    life = live(Pair(STUDENT), MAZES, clutr(), steps=2, seeds=2, progress=silent).to_xarray()
    assert life.learning_each_regret.shape == (2, 2, BODIES) and life.terminated.shape == (2, 2, 2)
    assert (life.learning_each_regret >= 0).all()


def test_what_cannot_be_taught_is_refused(lived):
    world = PlacingMazes(SIDE, 3)
    with pytest.raises(BadInput, match=r"episodes of 5 steps: build its agent with steps=5"):
        Designer(world, agent(ActorCritic, 4, SIDE**2, 4))
    teacher, lesson, plan, *_ = lived
    with pytest.raises(Mismatch, match="listens to 'each_regret', and learning reports return"):
        teacher.tell(plan, lesson, {"return": 1.0}, key=KEY)
    with pytest.raises(BadInput, match="ask first"):
        teacher.tell(plan._replace(making=None), lesson, {"each_regret": jnp.ones(BODIES)}, key=KEY)
