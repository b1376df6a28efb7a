"""Learning from one's own answers: a table that should say what comes next in a circle, in whole lives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from circle import WORDS, Circle, Table, write

from lifelong import nets
from lifelong.errors import BadInput, Mismatch
from lifelong.exams import Solved
from lifelong.feedback import DPO, GRPO, OREAL, RLOO, SequencePPO
from lifelong.learners import Inherited, PolicyLearner, Trained, right_and_wrong, with_values
from lifelong.life import live
from lifelong.recipe import Recipe
from lifelong.teachers import Only
from lifelong.worlds import Lesson, Patterns


def learner(feedback, model=None, rate=0.1, **more):
    optimizer = Recipe(optax.adam, learning_rate=rate)
    own = {"write": write, "prompts": 8, "samples": 8} | more
    return PolicyLearner(model or Recipe(Table), feedback, optimizer, **own)


def lived(feedback, world=None, steps=40, seeds=2, sweep=None, **more):
    quiet = {"progress": lambda _: None, "seeds": seeds, "sweep": sweep}
    return live(
        learner(feedback, **more), world or Circle(), Only(0), Solved(questions=3, samples=4), steps=steps, **quiet
    )


@pytest.fixture(scope="module")
def school():
    """Three seeds, free and held to their beginning, with rewards and with a lottery."""
    return lived(GRPO(), seeds=3, sweep={"feedback.divergence": [0.0, 30.0], "world.luck": [0.0, 1.0]})


def test_rewards_teach_lotteries_and_strong_reins_do_not(school):
    """Dimensions: divergence, luck, seed, exam, task."""
    solved = school.exams["solved"].reshape(2, 2, 3, -1)
    assert solved[..., 0].mean() < 0.4 and solved[0, 0, :, -1].mean() > 0.9
    assert solved[0, 1, :, -1].mean() < 0.5, "a lottery teaches nothing"
    right = school.records["right"].reshape(2, 2, 3, -1)
    assert right[1, 0, :, -5:].mean() < 0.5 * right[0, 0, :, -5:].mean(), "the reference holds it back"
    tried = school.exams["pass"].reshape(2, 2, 3, -1)
    assert tried[0, 0, :, -1].mean() > 0.9 and (school.exams["different"] <= school.exams["pass"] + 1e-6).all()
    assert {"loss", "right", "reward", "mixed", "length", "clipped", "divergence"} <= set(school.records)


FEEDBACKS = {
    "oreal": (OREAL(divergence=0.0), {"prepare": right_and_wrong}),
    "ppo": (SequencePPO(), {"prepare": with_values, "model": Recipe(Table, critic=True), "epochs": 2}),
}


@pytest.mark.parametrize("name", list(FEEDBACKS))
def test_other_feedback_on_answers_teaches_in_a_compiled_life(name):
    feedback, more = FEEDBACKS[name]
    life = lived(feedback, **more)
    assert life.exams["solved"][:, 0].mean() < 0.4 and life.exams["solved"][:, -1].mean() > 0.8
    assert np.isfinite(life.records["loss"]).all()


@pytest.mark.parametrize("feedback", [RLOO(), DPO()])
def test_feedback_fits_into_a_round(feedback):
    world, key = Circle(), jax.random.key(0)
    one = learner(feedback, prepare=right_and_wrong)

    def around():
        state = one.init(world, key=key)
        return state, *one.learn(state, one.meet(state, world, Lesson(jnp.int32(0), jnp.int32(0)), key=key), key=key)

    before, after, info = eqx.filter_eval_shape(around)
    assert jax.tree.structure(before) == jax.tree.structure(after) and all(v.shape == () for v in info.values())
    assert jax.tree.leaves(before) == jax.tree.leaves(after)


def test_every_seed_inherits_its_own_model_and_strangers_none(school):
    models = jax.tree.map(lambda leaf: leaf[:3], school.state.learner.model)
    heirs = lived(GRPO(), steps=1, rate=0.0, model=Inherited(models, seeds=3), seeds=[2, 7])
    np.testing.assert_array_equal(heirs.state.learner.model.logits[0], models.logits[2])
    assert np.isnan(np.asarray(heirs.state.learner.model.logits[1])).all()
    np.testing.assert_array_equal(heirs.exams["solved"][0, 0], school.exams["solved"].reshape(12, -1)[2, -1:])
    assert Trained(models)(key=jax.random.key(3)) is models
    with pytest.raises(BadInput, match=r"4 seeds, and the arrays of the models have leading axes of \[3\]"):
        Inherited(models, seeds=4)


@pytest.mark.slow
def test_language_models_write_and_learn():
    """The default writer: a transformer, its cache and stop words, in a whole life."""
    net = Recipe(nets.LanguageModel, vocabulary=len(WORDS), width=16, layers=1, heads=2, kv_heads=1, hidden=16)
    feedback = GRPO(divergence=0.0, entropy=0.05)
    one = PolicyLearner(net, feedback, Recipe(optax.adam, learning_rate=0.005), prompts=6, samples=8)
    life = live(one, Circle(), Only(0), Solved(questions=3), steps=60, seeds=4, progress=lambda _: None)
    reward, length = life.records["reward"], life.records["length"]
    assert reward[:, -5:].mean() > reward[:, :5].mean() + 0.3 and 1 <= length.min() and length.max() <= 2


class Odd(Circle):
    outputs: int = eqx.field(static=True, default=9)


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="prompts=0"):
        learner(GRPO(), prompts=0)
    with pytest.raises(Mismatch, match="Patterns poses none"):
        learner(GRPO()).init(Patterns(8), key=jax.random.key(0))
    with pytest.raises(Mismatch, match="the model has 5 words, and Odd has 9"):
        learner(GRPO()).init(Odd(), key=jax.random.key(0))
    with pytest.raises(BadInput, match="questions=0"):
        Solved(questions=0)
