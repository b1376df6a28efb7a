"""Lanes that learn in turn: the same lives as side by side, with the memory of one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lives import quiet_life, remembering, world

from lifelong.exams import Adaptation
from lifelong.learners import MAML, GradientLearner, InTurn, Regressor
from lifelong.life import live, silent
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Lesson, Sines

LANES = 8


def test_lives_in_turn_are_those_side_by_side(tiny):
    """With a memory, a swept number of it, the ends of tasks and exams."""
    side = quiet_life(remembering(), world(tiny), seeds=4, sweep={"memory.labels": [0.0, 1.0]})
    turn = quiet_life(InTurn(remembering()), world(tiny), seeds=4, sweep={"learner.memory.labels": [0.0, 1.0]})
    assert turn.matrix.shape == side.matrix.shape == (2, 4, *side.matrix.shape[2:])
    np.testing.assert_allclose(turn.matrix, side.matrix, atol=0.02)
    np.testing.assert_allclose(turn.records["loss"], side.records["loss"], atol=2e-3)
    for ours, theirs in zip(*(jax.tree.leaves(life.state.learner) for life in (turn, side)), strict=True):
        np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs, float), atol=2e-3)


def test_the_memory_of_a_step_is_that_of_one_lane(tiny):
    large = GradientLearner(Recipe(MLP, inputs=8, outputs=6, width=64, depth=1), batch=1024)
    here = world(tiny).open(key=jax.random.key(0))

    def temporary(someone):
        def step(key):
            state = someone.init(here, key=key)
            experience = someone.meet(state, here, Lesson(jnp.int32(0), jnp.int32(0)), key=key)
            return eqx.filter(someone.learn(state, experience, key=key)[0].model, eqx.is_array)

        keys = jax.random.split(jax.random.key(0), LANES)
        return jax.jit(jax.vmap(step)).lower(keys).compile().memory_analysis().temp_size_in_bytes

    assert temporary(InTurn(large)) < temporary(large) / 2


def test_an_exam_finds_what_only_this_kind_of_learner_has():
    student = Regressor(Recipe(MLP, inputs=1, outputs=1, width=4, depth=1), batch=3)
    maml = MAML(student, inner_steps=1, episodes=2)
    marks = [
        live(who, Sines(shots=3, queries=3), OneByOne(1, 3), Adaptation(4), steps=3, seeds=2, progress=silent).exams
        for who in (maml, InTurn(maml))
    ]
    for name, values in marks[0].items():
        np.testing.assert_allclose(marks[1][name], values, rtol=1e-4, err_msg=name)


def test_what_no_learner_has_is_missed_by_its_name():
    with pytest.raises(AttributeError, match="solv"):
        InTurn(remembering()).solv  # noqa: B018
