"""A task for each body: asked for and told of one after the other, met side by side."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.learners import PPO
from lifelong.life import live, silent
from lifelong.nets import ActorCritic
from lifelong.recipe import Recipe
from lifelong.teachers import OMNI, PLR, Group, OneByOne, Searching, Uniform
from lifelong.worlds import Corridor, Several, TaskBox, TaskList, Trial

BOX, KEY = TaskBox([0.0], [3.0]), jax.random.key(0)


class Remembers(Searching):
    """Counts through tasks, and keeps what it was told of each, in the order it was told."""

    def init(self, *, key):
        return jnp.int32(0), jnp.full((6, 2), jnp.nan), jnp.int32(0)

    def ask(self, plan, *, key):
        asked, heard, told = plan
        return Trial(asked[None].astype(jnp.float32)), (asked + 1, heard, told)

    def hear(self, plan, task, value, told, *, key):
        asked, heard, count = plan
        row = jnp.stack([task[0], value])
        return asked, heard.at[jnp.where(told, count, 6)].set(row, mode="drop"), count + told


def test_a_group_asks_and_tells_as_often_as_there_are_bodies():
    group = Group(Remembers(BOX), 3)

    @eqx.filter_jit
    def twice():
        plan = group.init(key=KEY)
        for i in range(2):
            several, plan = group.ask(plan, key=KEY)
            report = {"return": 9.0, "each_return": jnp.asarray([1.0, jnp.nan, 3.0]) + 10 * i}
            plan = group.tell(plan, several, report, key=KEY)
        return several, plan

    several, (asked, heard, told) = twice()
    np.testing.assert_array_equal(several.task, [[3], [4], [5]])
    assert asked == 6 and told == 4, "what is told as NaN is not heard"
    np.testing.assert_array_equal(heard[:4], [[0, 1], [2, 3], [3, 11], [5, 13]])


def test_each_body_meets_its_own_task_and_reports_on_it():
    """A corridor of n cells takes n + 2 steps, whatever one does."""
    lengths = jnp.asarray([[1.0], [2.0], [4.0]])
    world = Corridor(lengths)
    agent = PPO(
        Recipe(ActorCritic, inputs=world.observations.shape[0], outputs=world.outputs, width=4, depth=1),
        bodies=3,
        steps=world.limit,
        epochs=1,
        parts=1,
        restart=True,
    )

    @eqx.filter_jit
    def reports(lesson):
        state = agent.init(world, key=KEY)
        lived = agent.meet(state, world, lesson, key=KEY)
        return lived, agent.learn(state, lived, key=KEY)[1]

    lived, report = reports(Several(jnp.arange(3)))
    np.testing.assert_array_equal(lived.crew.situation.task, lengths)
    ended, score = np.asarray(lived.steps.ended), np.asarray(lived.steps.score)
    assert all((np.asarray(lived.steps.length)[ended[:, i], i] == lengths[i, 0] + 2).all() for i in range(3))
    expected = [score[ended[:, body], body].mean() for body in range(3)]
    np.testing.assert_allclose(report["each_return"], expected, rtol=1e-6)
    assert "each_return" not in reports(Trial(jnp.int32(1)))[1]
    with pytest.raises(Mismatch, match=r"asks for 2 tasks at once, and 3 bodies"):
        world.asked(Several(jnp.arange(2)), 3, key=KEY)


def test_lives_with_groups_are_recorded_for_each_body():
    world = Corridor([[1.0], [3.0]])
    agent = PPO(
        Recipe(ActorCritic, inputs=world.observations.shape[0], outputs=world.outputs, width=4, depth=1),
        bodies=2,
        steps=8,
        epochs=1,
        parts=1,
    )
    teacher = Group(OMNI(TaskList(["near", "far"]), every=2), 2)
    life = live(agent, world, teacher, steps=3, seeds=2, record=1, progress=silent)
    assert life.to_xarray().learning_each_return.shape == (2, 3, 2)


def test_what_cannot_be_a_group_is_refused():
    with pytest.raises(BadInput, match="at least one body"):
        Group(Uniform(BOX), 0)
    with pytest.raises(BadInput, match="searches a space, not OneByOne"):
        Group(OneByOne(2, 3), 2)
    with pytest.raises(BadInput, match="robust=False"):
        Group(PLR(BOX, capacity=4, robust=True), 2)
    group = Group(Uniform(BOX), 2)
    with pytest.raises(Mismatch, match="must hear of each body"):
        group.tell(None, Several(jnp.zeros((2, 1))), {"return": 1.0}, key=KEY)
