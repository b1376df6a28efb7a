"""Agents: what acting brings, what learning makes of it, and what they can and cannot learn."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.learners import DQN, PPO, Fortunes, clipped_adam, falling
from lifelong.learners._agent import told
from lifelong.life import live, silent
from lifelong.nets import MLP, ActorCritic, EpsilonGreedy, RecurrentActorCritic
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import CartPole, Corridor, Split

CART, HALL = CartPole(limit=30), Corridor([[2.0]])
ONE = OneByOne(1, 1000)
KEY = jax.random.key(0)
FAST = Recipe(clipped_adam, learning_rate=5e-3)


def small(**options):
    return PPO(Recipe(ActorCritic, inputs=4, outputs=2, width=8, depth=1), bodies=2, steps=40, parts=2, **options)


@pytest.fixture(scope="module")
def met():
    """A newborn agent, what it meets, and what the world says of the same actions one by one."""
    agent = small()

    @eqx.filter_jit
    def meeting():
        state = agent.init(CART, key=KEY)
        return state, agent.meet(state, CART, ONE.ask(ONE.init(key=KEY), key=KEY)[0], key=KEY)

    return agent, *meeting()


def test_what_was_lived_follows_from_step_to_step(met):
    _, state, (steps, crew, *_) = met
    ended, after = np.asarray(steps.ended), np.asarray(steps.after)
    np.testing.assert_array_equal(steps.observation[0], state.crew.observation)
    np.testing.assert_array_equal(np.asarray(steps.observation)[1:][~ended[:-1]], after[:-1][~ended[:-1]])
    np.testing.assert_array_equal(steps.fresh[1:], ended[:-1])
    assert (np.abs(np.asarray(steps.observation)[1:][ended[:-1]]) <= 0.05).all(), "a new episode starts at rest"
    assert (np.abs(after[np.asarray(steps.terminated)])[:, [0, 2]] > [2.4, 0.209]).any(1).all()
    np.testing.assert_array_equal(crew.observation, np.where(ended[-1:, :, None][0], crew.observation, after[-1]))


def test_every_episode_is_counted_with_its_return(met):
    _, _, (steps, crew, *_) = met
    lengths = []
    for body in range(2):
        ends = np.flatnonzero(np.asarray(steps.ended)[:, body])
        lengths += [(end, body, length) for end, length in zip(ends, np.diff(ends, prepend=-1), strict=True)]
    lengths = [length for _, _, length in sorted(lengths)]
    assert len(lengths) >= 2 and crew.fortunes.count == len(lengths)
    np.testing.assert_array_equal(crew.fortunes.returns[: len(lengths)], lengths)
    np.testing.assert_allclose(crew.fortunes.mean, np.mean(lengths), rtol=1e-6)


def test_the_last_episodes_are_kept_and_older_ones_overwritten():
    none = Fortunes(jnp.zeros(3), jnp.zeros(3), jnp.int32(0))
    score = jnp.arange(1.0, 9.0).reshape(4, 2)
    ended = jnp.asarray([[1, 0], [1, 1], [0, 1], [1, 0]], bool)
    hear = jax.jit(told)
    once = hear(none, score, score, ended)
    assert once.count == 5 and sorted(np.asarray(once.returns)) == [4, 6, 7]
    twice = hear(once, 10 * score, score, ended & (score < 2))
    assert twice.count == 6 and sorted(np.asarray(twice.returns)) == [6, 7, 10]


def test_learning_is_plain_descent_on_the_batches_that_an_epoch_is_cut_into(met):
    """One epoch, one part, SGD: θ′ = θ − η ∇L of all that was lived."""
    _, state, lived = met
    agent = PPO(
        Recipe(ActorCritic, inputs=4, outputs=2), optimizer=optax.sgd(0.1), bodies=2, steps=40, epochs=1, parts=1
    )
    state = eqx.tree_at(lambda s: s.optimizer, state, agent.optimizer.init(None))

    @eqx.filter_jit
    def both(state):
        acts = agent._judged(state.model, lived)
        gradient = eqx.filter_grad(lambda m: agent.feedback(m, acts, key=KEY)[0])(state.model)
        by_hand = jax.tree.map(lambda p, g: p - 0.1 * g, eqx.filter(state.model, eqx.is_array), gradient)
        return by_hand, agent.learn(state, lived, key=KEY)

    by_hand, (learned, info) = both(state)
    for mine, hand in zip(jax.tree.leaves(learned.model), jax.tree.leaves(by_hand), strict=True):
        np.testing.assert_allclose(mine, hand, atol=1e-5)
    assert info["episodes"] == np.asarray(lived.steps.ended).sum()


def test_time_that_is_up_is_no_end_unless_asked_for(met):
    """Where episodes are only ever cut off by time, bootstrapping is all the difference between the two."""
    _, state, lived = met
    cut = lived.steps._replace(terminated=jnp.zeros_like(lived.steps.terminated))

    @eqx.filter_jit
    def gains(steps):
        gain = [small(bootstrap=kind)._judged(state.model, lived._replace(steps=steps)) for kind in (True, False)]
        after = jax.vmap(jax.vmap(state.model.critic))(steps.after)[..., 0]
        return gain[0].advantage.reshape(40, 2), gain[1].advantage.reshape(40, 2), after

    with_value, without, after = map(np.asarray, gains(cut))
    ended = np.asarray(cut.ended)
    np.testing.assert_allclose((with_value - without)[ended], 0.99 * after[ended], rtol=1e-3, atol=1e-5)


def test_what_is_only_tried_changes_nothing_but_where_the_bodies_stand(met):
    agent, state, lived = met
    tried = lived._replace(learn=jnp.bool_(False))
    after, info = eqx.filter_jit(agent.learn)(state, tried, key=KEY)
    for old, new in zip(jax.tree.leaves(state.model), jax.tree.leaves(after.model), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(after.crew.observation, lived.crew.observation)
    assert info["episodes"] == after.crew.fortunes.count


def test_a_rate_falls_in_a_line_and_in_steps():
    rates = jax.jit(jax.vmap(lambda count: falling(count, 1.0, 0.0, over=8, hold=2)))(jnp.arange(10))
    np.testing.assert_allclose(rates, [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0, 0])


def taught(model, parts):
    """Return each lane's mean return of the last hundred episodes in a corridor, after 90 rounds."""
    agent = PPO(model, optimizer=FAST, bodies=16, steps=10, parts=parts, epochs=2)

    def life(key):
        arrays, static = eqx.partition(agent.init(HALL, key=key), eqx.is_array)

        def step(arrays, key):
            state = eqx.combine(arrays, static)
            state, info = agent.learn(state, agent.meet(state, HALL, HALL.level(0), key=key), key=key)
            return eqx.filter(state, eqx.is_array), info["recent"]

        return jax.lax.scan(step, arrays, jax.random.split(key, 90))[1][-1]

    return eqx.filter_jit(eqx.filter_vmap(life))(jax.random.split(KEY, 2))


@pytest.mark.slow
def test_memory_solves_what_cannot_be_solved_without():
    """The sign of a corridor is gone when it counts: without memory no policy is worth more than 0."""
    assert (taught(Recipe(RecurrentActorCritic, inputs=2, outputs=2, width=12), 2) > 0.8).all()
    without = taught(Recipe(ActorCritic, inputs=2, outputs=2, width=12, depth=1), 2)
    assert (jnp.abs(without) < 0.5).all()


@pytest.fixture(scope="module")
def q_life():
    agent = DQN(
        Recipe(MLP, inputs=4, outputs=2, width=(24, 16)),
        Recipe(optax.adam, learning_rate=2e-3),
        fall=3000.0,
        capacity=4000,
        patience=500,
        renew=100,
        batch=32,
        steps=2,
        bodies=4,
    )
    world = CartPole(limit=100)
    sweep = {"optimizer.numbers.learning_rate": [0.0, 2e-3]}
    return live(agent, world, ONE, steps=1500, seeds=4, sweep=sweep, progress=silent)


@pytest.mark.slow
def test_q_learning_balances_a_pole_and_without_a_rate_it_does_not(q_life):
    still, learned = q_life.records["recent"][:, :, -1]
    assert learned.mean() > 3 * still.mean()
    assert (q_life.exams["return"][1, :, -1, 0] > 60).mean() >= 0.5


def test_the_store_holds_the_last_steps_in_their_order(q_life):
    """12,000 steps in a store of 4,000: whole passes, so slots follow each other in time, body by body in turn."""
    store = jax.tree.map(np.asarray, q_life.state.learner.store)
    follows = store.observation[:, 4:] == store.after[:, :-4]
    whole = follows.all(-1)
    assert 0.5 < whole.mean() < 1.0
    fell = (np.abs(store.after[..., 0]) > 2.4) | (np.abs(store.after[..., 2]) > 0.2095)
    assert (fell == store.terminated).mean() > 0.999
    assert (q_life.state.learner.taken == 12_000).all()


def test_epsilon_greedy_takes_the_best_but_now_and_then_any():
    n = 30_000
    policy = EpsilonGreedy(jnp.broadcast_to(jnp.asarray([0.0, 2.0, 1.0]), (n, 3)), jnp.full(n, 0.3))
    action = jax.jit(lambda policy: policy.sample(jax.random.uniform(KEY, (n, 3))))(policy)
    np.testing.assert_allclose(np.bincount(np.asarray(action)) / n, [0.1, 0.8, 0.1], atol=0.01)


def test_parts_that_do_not_fit_are_named(tiny):
    for agent in (small(), DQN(Recipe(MLP, inputs=4, outputs=2))):
        with pytest.raises(Mismatch, match="learns by acting, and Split is no world to act in"):
            live(agent, Split(tiny, 3), OneByOne(3, 2), steps=2, progress=silent)
    with pytest.raises(Mismatch, match=r"takes one of 2 actions, and the model gives 3 outputs"):
        live(PPO(Recipe(ActorCritic, inputs=4, outputs=3)), CART, ONE, steps=2, progress=silent)
    with pytest.raises(Mismatch, match="outputs of a Gaussian; build it with outputs=2, continuous=False"):
        live(PPO(Recipe(ActorCritic, inputs=4, outputs=2, continuous=True)), CART, ONE, steps=2, progress=silent)
    with pytest.raises(Mismatch, match=r"cannot take the world's observations of shape \(4,\)"):
        live(PPO(Recipe(ActorCritic, inputs=5, outputs=2)), CART, ONE, steps=2, progress=silent)
    with pytest.raises(BadInput, match="cannot be cut into 3 equal parts"):
        live(PPO(Recipe(ActorCritic, inputs=4, outputs=2), parts=3), CART, ONE, steps=2, progress=silent)
    with pytest.raises(BadInput, match="no room for the 10 steps"):
        DQN(Recipe(MLP, inputs=4, outputs=2), capacity=5)
