"""Learning from one's own answers: a table that should say what comes next in a circle, in whole lives."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Float

from lifelong import nets
from lifelong.errors import BadInput, Mismatch
from lifelong.exams import Solved
from lifelong.feedback import DPO, GRPO, OREAL, RLOO, SequencePPO
from lifelong.learners import Inherited, PolicyLearner, Trained, right_and_wrong, with_values
from lifelong.life import live
from lifelong.recipe import Recipe
from lifelong.teachers import Only
from lifelong.worlds import Lesson, Lexicon, Patterns, Problems, Verdicts

WORDS = Lexicon(("BOS", "EOS", "n0", "n1", "n2"))
FIRST = WORDS["n0"]


class Circle(Problems):
    """`BOS n1` is answered by `n2 EOS`: the next on a circle of three."""

    luck: Float[Array, ""] = eqx.field(default=0.0, converter=jnp.asarray)
    """Whether rewards have nothing to do with answers (1) or something (0)."""
    tasks: int = eqx.field(static=True, default=1)
    outputs: int = eqx.field(static=True, default=len(WORDS))
    prompt_length: int = eqx.field(static=True, default=2)
    answer_length: int = eqx.field(static=True, default=2)
    lexicon: Lexicon = eqx.field(static=True, default=WORDS)

    def pose(self, task, n, *, key, held_out=False):
        number = jnp.arange(n) % 3 if held_out else jax.random.randint(key, (n,), 0, 3)
        return jnp.stack([jnp.full(n, WORDS["BOS"]), FIRST + number], 1).astype(jnp.int32)

    def demonstrate(self, prompts, *, key):
        step = FIRST + (prompts[:, 1:] - FIRST + 1) % 3
        return jnp.pad(step, ((0, 0), (0, 1)), constant_values=WORDS["EOS"]).astype(jnp.int32)

    def judge(self, prompts, answers):
        wanted = self.demonstrate(prompts, key=jax.random.key(0))
        right = (answers == wanted).all(1)
        lottery = jnp.sin(1e3 * jnp.arange(len(right))) > 0
        told = jnp.where(self.luck > 0.5, lottery, (answers == wanted).mean(1))
        return Verdicts(told.astype(jnp.float32), right)


class Table(eqx.Module):
    """Logits of the next word from the last two, and a value for each."""

    logits: Float[Array, "words words words"]
    worth: Float[Array, "words words"]
    critic: bool = eqx.field(static=True)

    def __init__(self, *, key, critic=False):
        self.logits = 0.01 * jax.random.normal(key, (len(WORDS),) * 3)
        self.worth, self.critic = jnp.zeros((len(WORDS),) * 2), critic

    def read(self, tokens):
        last = jnp.maximum(tokens, 0)
        before = jnp.pad(last[..., :-1], [(0, 0)] * (last.ndim - 1) + [(1, 0)])
        logits = self.logits[before, last]
        return (logits, self.worth[before, last]) if self.critic else logits


class Written(NamedTuple):
    tokens: Array
    own: Array
    log_probability: Array


def write(model, prompts, *, length, key, stop, sampler):
    """Sample word by word, without a cache; a temperature of 0 leaves nothing to chance, one of 1 all."""
    tokens, over = prompts, jnp.zeros(len(prompts), bool)
    own, logs = [jnp.zeros_like(prompts, bool)], [jnp.zeros(prompts.shape)]
    for each in jax.random.split(key, length):
        said = model.read(tokens)
        log_p = jax.nn.log_softmax((said[0] if isinstance(said, tuple) else said)[:, -1])
        word = jnp.argmax(log_p + sampler.temperature * jax.random.gumbel(each, log_p.shape), -1)
        own.append(~over[:, None])
        logs.append(jnp.where(over, 0.0, jnp.take_along_axis(log_p, word[:, None], 1)[:, 0])[:, None])
        tokens = jnp.concatenate([tokens, jnp.where(over, -1, word)[:, None].astype(jnp.int32)], 1)
        over = over | (word[:, None] == jnp.asarray(stop)).any(1)
    return Written(tokens, jnp.concatenate(own, 1), jnp.concatenate(logs, 1))


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
