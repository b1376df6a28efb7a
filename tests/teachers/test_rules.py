"""What each searching teacher does, by rules worked out by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.teachers import ADR, OMNI, PLR, RIAC, Learnability, Window, max_monte_carlo, positive_value_loss
from lifelong.teachers._levels import Levels
from lifelong.worlds import TaskBox, TaskList, Trial

LINE, KEY = TaskBox([0.0], [1.0]), jax.random.key(0)
random = np.random.default_rng(0)


def told(teacher, plan, tasks, values):
    """Return the plan after each of the tasks was told with its value."""
    return _told(teacher, plan, tasks, jnp.asarray(values, jnp.float32))


@eqx.filter_jit
def _told(teacher, plan, tasks, values):
    def step(plan, told):
        i, task, value = told
        return teacher.tell(plan, Trial(task), {teacher.measure: value}, key=jax.random.fold_in(KEY, i)), None

    return jax.lax.scan(step, plan, (jnp.arange(len(values)), tasks, values))[0]


@eqx.filter_jit
def asked(teacher, plan, n):
    return jax.vmap(lambda key: teacher.ask(plan, key=key)[0])(jax.random.split(jax.random.key(1), n))


def line(values):
    return jnp.asarray(values, jnp.float32)[:, None]


@pytest.fixture(scope="module")
def riac():
    """Returns grow on the right half of a line and stay on the left."""
    teacher = RIAC(LINE, random_share=0.2, mutation_share=0.0, room=40, regions=5, attempts=50)
    places = random.random(160)
    values = np.where(places > 0.5, np.arange(160) / 160, 0.5)
    return teacher, told(teacher, teacher.init(key=KEY), line(places), values), places, values


def test_regions_are_split_where_progress_differs(riac):
    _, plan, _, _ = riac
    assert plan.count == 5 and plan.leaf.sum() == 3
    low, high = np.asarray(plan.low[:, 0]), np.asarray(plan.high[:, 0])
    assert low[1] == 0 and high[1] == low[2] and high[2] == 1 and 1 / 15 <= high[1] <= 14 / 15


def test_a_regions_progress_is_between_the_halves_of_its_last_returns(riac):
    """By brute force, from the tries that fell into each region since it was there: all of the whole box's."""
    _, plan, places, values = riac
    last = values[-40:]
    np.testing.assert_allclose(plan.progress[0], abs(last[:20].mean() - last[20:].mean()), atol=1e-5)
    for region in range(1, 5):
        inside = (places >= plan.low[region, 0]) & (places <= plan.high[region, 0])
        own = values[inside][-min(int(plan.size[region]), 40) :]
        half = len(own) // 2
        np.testing.assert_allclose(plan.progress[region], abs(own[:-half].mean() - own[-half:].mean()), atol=1e-5)


def test_tasks_come_from_regions_of_progress(riac):
    teacher, plan, _, _ = riac
    right = (np.asarray(asked(teacher, plan, 2000).task) > 0.5).mean()
    assert right > 0.55


def test_borders_move_outward_where_it_goes_well_and_inward_where_it_does_not():
    teacher = ADR(LINE, start=[0.5], step=0.1, tries=2)
    plan = told(teacher, teacher.init(key=KEY), line([0.5, 0.5]), [1.0, 1.0])
    np.testing.assert_allclose(plan.at[:, 0], [0.4, 0.6])
    plan = told(teacher, plan, line([0.6, 0.6, 0.4, 0.4, 0.5]), [0.9, 0.9, 0.5, 0.5, 1.0])
    np.testing.assert_allclose(plan.at[:, 0], [0.4, 0.7], atol=1e-6)
    upper = float(plan.at[1, 0])
    plan = told(teacher, plan, line([upper, upper]), [0.0, 0.1])
    np.testing.assert_allclose(plan.at[:, 0], [0.4, 0.6], atol=1e-6)
    tasks = np.asarray(asked(teacher, plan, 200).task)
    assert ((tasks >= 0.4 - 1e-6) & (tasks <= 0.6 + 1e-6)).all()
    assert 0.3 < np.isin(tasks, np.asarray(plan.at)).mean() < 0.7


def test_a_window_moves_when_its_returns_are_good():
    teacher = Window(LINE, 0.25, good=0.5, width=0.5, tries=2)
    plan = told(teacher, teacher.init(key=KEY), line([0.1] * 6), [1, 1, 0, 0, 1, 1])
    np.testing.assert_allclose(plan.low, [0.5])
    assert told(teacher, plan, line([0.6] * 4), [1] * 4).low == 0.5
    tasks = np.asarray(asked(teacher, plan, 50).task)
    assert (tasks >= 0.5).all() and tasks.max() > 0.9
    assert Window(LINE, -0.25, good=0.5, width=0.5).init(key=KEY).low == 0.5


def buffer(scores, met, clock):
    n = len(scores)
    return Levels(
        line(np.arange(n) / n), jnp.float32(scores), jnp.int32(met), jnp.int32(n), jnp.int32(clock), jnp.int32(-1)
    )


def test_levels_are_replayed_by_rank_and_staleness():
    """Both distributions by hand, with ρ = 0.25 and β = 0.5."""
    teacher = PLR(LINE, staleness=0.25, temperature=0.5, capacity=4, fill=1.0, replay=1.0)
    plan = buffer([0.3, 0.9, 0.1, 0.5], [10, 4, 10, 8], clock=10)
    by_rank = np.array([3, 1, 4, 2]) ** -2.0
    stale = np.array([0, 6, 0, 2]) / 8
    expected = 0.75 * by_rank / by_rank.sum() + 0.25 * stale
    np.testing.assert_allclose(teacher.weights(plan), expected, atol=1e-6)
    found = np.asarray(asked(teacher, plan, 2000).task)[:, 0]
    np.testing.assert_allclose([(found == i / 4).mean() for i in range(4)], expected, atol=0.04)


def test_a_full_buffer_gives_way_to_higher_scores_and_knows_levels_again():
    teacher = PLR(LINE, capacity=3)
    plan = told(teacher, teacher.init(key=KEY), line([0.1, 0.2, 0.3, 0.4, 0.5, 0.2]), [0.5, 0.2, 0.9, 0.1, 0.7, 0.8])
    np.testing.assert_allclose(plan.levels[:, 0], [0.2, 0.5, 0.3])
    plan = told(teacher, plan, line([0.3]), [0.05])
    np.testing.assert_allclose(sorted(plan.scores), [0.05, 0.7, 0.8])


def test_robust_replay_learns_from_old_levels_only_and_edits_follow_replays():
    robust = PLR(LINE, capacity=2, replay=0.5, robust=True)
    plan = buffer([0.5, 0.5], [0, 0], clock=1)
    trials = asked(robust, plan, 200)
    old = np.isin(np.asarray(trials.task)[:, 0], [0.0, 0.5])
    np.testing.assert_array_equal(trials.learn, old)
    assert 0.35 < old.mean() < 0.65
    accel = PLR(LINE, capacity=2, replay=1.0, edit=lambda level, *, key: level + 0.25)
    first, after = accel.ask(plan, key=KEY)
    second, last = accel.ask(after, key=KEY)
    assert first.learn and not second.learn and last.parent == -1
    np.testing.assert_allclose(second.task, first.task + 0.25)


def test_only_levels_that_are_sometimes_solved_are_asked_for_again():
    teacher = Learnability(TaskList(4), capacity=4, replay=1.0, fill=0.5)
    plan = told(teacher, teacher.init(key=KEY), jnp.arange(4), [0.0, 0.5, 1.0, 0.9])
    np.testing.assert_allclose(plan.scores, [0.0, 0.25, 0.0, 0.09], atol=1e-6)
    shares = np.bincount(asked(teacher, plan, 400).task, minlength=4) / 400
    np.testing.assert_allclose(shares, [0, 0.5, 0, 0.5], atol=0.1)


def test_estimates_of_regret():
    there = jnp.asarray([True, True, False])
    assert max_monte_carlo(jnp.float32(1.0), jnp.asarray([0.5, 0.25, -9.0]), there) == 0.625
    assert positive_value_loss(jnp.asarray([0.5, -1.0, 9.0]), there) == 0.25


def test_progress_of_fast_and_slow_means_and_what_it_weighs():
    """Two tries at task 0, worked out by hand; untried tasks have neither success nor progress."""
    teacher = OMNI(TaskList(3), every=1, chance=[0.5, 0.0, 0.0])
    plan = told(teacher, teacher.init(key=KEY), jnp.asarray([0, 0]), [1.0, 0.0])
    np.testing.assert_allclose(plan.fast[0], 0.09, atol=1e-6)
    np.testing.assert_allclose(plan.slow[0], 0.9 * 0.01 + 0.1 * 0.09, atol=1e-6)
    np.testing.assert_allclose(plan.weights, [1.0, 0.0, 0.0], atol=1e-6)
    fast, slow = jnp.asarray([0.5, 0.2, 0.0]), jnp.asarray([0.1, 0.2, 0.0])

    def weighed(p):
        return 0.9 * p / (p + 0.1 * (1 - 2 * p))

    change = np.abs(weighed(np.array([0.5, 0.2])) - weighed(np.array([0.1, 0.2])))
    z = (change - change.mean()) / change.std()
    expected = np.append(1 / (1 + np.exp(-z)), 0)
    np.testing.assert_allclose(teacher.progress(fast, slow), expected / expected.sum(), atol=1e-5)


def test_what_is_boring_follows_from_what_is_done_well_and_a_boring_task_bores_nobody():
    """0 bores 1, 1 bores 2, 2 bores 0: by descending success 0 is interesting, 1 boring, 2 interesting."""
    table = ~np.roll(np.eye(3, dtype=bool), 1, axis=1)
    teacher = OMNI(TaskList(3), table)
    np.testing.assert_array_equal(teacher.worth(jnp.asarray([0.9, 0.5, 0.1])), [True, False, True])
    np.testing.assert_array_equal(teacher.worth(jnp.asarray([0.1, 0.9, 0.5])), [True, True, False])
    assert OMNI(TaskList(3)).worth(jnp.zeros(3)).all()
