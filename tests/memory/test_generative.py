"""Generative replay: its losses by hand in every scenario, what it freezes, and that it remembers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, rel_entr, softmax

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import GenerativeReplay, Nothing, Step
from lifelong.nets import MLP, VAE, negative_elbo
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Lesson, Pages, Split

KEY, OUTPUTS, FEATURES, MADE = jax.random.key(0), 4, 3, 6
SMALL = Recipe(VAE, latent=2, width=5, depth=1, likelihood="gaussian")


def steep(net):
    """Return a network whose outputs differ more between inputs than a newborn's."""
    return jax.tree.map(lambda leaf: 4 * leaf, net)


OLD, NEW = (steep(MLP(inputs=FEATURES, outputs=OUTPUTS, width=5, depth=1, key=jax.random.key(s))) for s in (26, 0))


class Sheet(Pages):
    """A review of one page."""

    batch: Batch
    count: int = eqx.field(static=True, default=1)

    def page(self, i):
        return self.batch


def examples(labels, allowed=None, seed=0):
    n = len(labels)
    named = None if allowed is None else jnp.broadcast_to(jnp.isin(jnp.arange(OUTPUTS), jnp.asarray(allowed)), (n, 4))
    x = jax.random.normal(jax.random.key(seed), (n, FEATURES))
    return Batch(x, jnp.asarray(labels), jnp.zeros(n, jnp.int32), jnp.ones(n).at[0].set(0.0), named)


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=KEY)[0]


def after(memory, *reviews, like):
    """Return the state after tasks with these reviews, each ended by the old model."""
    m = memory.init(OLD, like, key=KEY)
    m = m._replace(generator=steep(m.generator))
    for review in reviews:
        m = memory.consolidate(m, OLD, Sheet(review), loss, key=KEY)[1]
    return m


CLASS = (examples([0, 1, 0], allowed=[0, 1]), examples([2, 1, 0], allowed=[0, 1, 2]))
"""Tasks unknown: the classes allowed are those seen so far."""
HEADS = (examples([0, 1, 0], allowed=[0, 1]), examples([2, 3, 2], allowed=[2, 3]))


def answers(memory, m):
    """Return the examples made up, and both models' logits on them."""
    made = memory.recall(m, key=jax.random.key(8))
    old, new = (np.asarray(jax.vmap(model)(made.x), np.float64) for model in (OLD, NEW))
    np.testing.assert_allclose(made.logits, old, rtol=1e-5)
    return made, old, new


@pytest.mark.parametrize(("share", "expected"), [(None, 2 / 3), (0.25, 0.75)])
def test_hard_targets_are_the_old_models_best_answers_among_the_classes_of_then(share, expected):
    memory = GenerativeReplay(SMALL, batch=MADE, share=share, strength=0.5)
    m = after(memory, *CLASS, like=examples([0]))
    made, old, new = answers(memory, m)
    now = examples([3, 2], allowed=[0, 1, 2, 3])
    best = old[:, :3].argmax(1)
    assert len(set(best)) > 1 and (old.argmax(1) == 3).any()
    distance = -log_softmax(new, axis=1)[np.arange(MADE), best].mean()
    penalty = eqx.filter_jit(memory.penalty)(m, NEW, now, made, loss)
    np.testing.assert_allclose(penalty, 0.5 * expected * distance, rtol=1e-5)
    np.testing.assert_allclose(memory.weigh(m, now, made), 1 - expected, rtol=1e-6)


def test_soft_targets_are_distilled():
    memory = GenerativeReplay(SMALL, batch=MADE, targets="soft", temperature=2.5)
    m = after(memory, *CLASS, like=examples([0]))
    made, old, new = answers(memory, m)
    target = np.zeros_like(old)
    target[:, :3] = softmax(old[:, :3] / 2.5, axis=1)
    distance = 2.5**2 * rel_entr(target, softmax(new / 2.5, axis=1)).sum(1).mean()
    penalty = memory.penalty(m, NEW, examples([3, 2], allowed=[0, 1, 2, 3]), made, loss)
    np.testing.assert_allclose(penalty, 2 / 3 * distance, rtol=1e-5)


def test_where_tasks_are_known_every_head_of_a_finished_task_is_asked():
    memory = GenerativeReplay(SMALL, batch=MADE)
    like = examples([0], allowed=[0, 1])
    for reviews, heads in ((HEADS[:1], [[0, 1]]), (HEADS, [[0, 1], [2, 3]]), ((*HEADS, HEADS[0]), [[0, 1], [2, 3]])):
        m = after(memory, *reviews, like=like)
        made, old, new = answers(memory, m)
        each = [-log_softmax(new[:, h], axis=1)[np.arange(MADE), old[:, h].argmax(1)].mean() for h in heads]
        k = len(reviews) + 1
        penalty = memory.penalty(m, NEW, examples([3], allowed=[2, 3]), made, loss)
        np.testing.assert_allclose(penalty, (1 - 1 / k) * np.mean(each), rtol=1e-5)


def test_before_a_task_has_ended_nothing_is_rehearsed():
    memory = GenerativeReplay(SMALL, batch=MADE)
    m = memory.init(OLD, examples([0]), key=KEY)
    made = memory.recall(m, key=KEY)
    assert memory.penalty(m, NEW, CLASS[0], made, loss) == 0.0 and memory.weigh(m, CLASS[0], made) == 1.0


@pytest.mark.parametrize("finished", [0, 2])
def test_the_generator_learns_from_the_batch_and_from_what_it_made(finished):
    memory = GenerativeReplay(SMALL, Recipe(optax.sgd, learning_rate=0.5), batch=MADE)
    m = after(memory, *CLASS[:finished], like=examples([0]))
    made, batch, key = memory.recall(m, key=jax.random.key(8)), examples([3, 2, 3, 2]), jax.random.key(9)
    kept = eqx.filter_jit(memory.keep)(m, Step(batch, made, OLD, NEW, None), key=key)

    def objective(vae):
        bounds = negative_elbo(vae, jnp.concatenate([batch.x, made.x]), key=key) / FEATURES
        now, then = bounds[1 : len(batch)].mean(), bounds[len(batch) :].mean()
        return now / 3 + 2 * then / 3 if finished else now

    moved = jax.tree.map(lambda w, g: w - 0.5 * g, m.generator, eqx.filter_grad(objective)(m.generator))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), kept.generator, moved)
    jax.tree.map(np.testing.assert_array_equal, (kept.past, kept.old), (m.past, m.old))
    told, ended = memory.consolidate(kept, NEW, Sheet(CLASS[0]), loss, key=KEY)
    jax.tree.map(np.testing.assert_array_equal, (ended.past, ended.old), (kept.generator, NEW))
    assert told is NEW and ended.finished == finished + 1


def learner_in(world, memory):
    net = Recipe(MLP, inputs=8, outputs=world.outputs, width=32, depth=1)
    return GradientLearner(net, optimizer=Recipe(optax.adam, learning_rate=0.01), memory=memory, batch=20)


GAUSSIAN = Recipe(VAE, latent=4, width=32, depth=1, likelihood="gaussian")


@pytest.mark.slow
def test_in_a_life_it_remembers_and_a_share_of_1_is_fine_tuning(tiny):
    world, teacher = Split(tiny, tasks=3), OneByOne(3, 40)
    memory = GenerativeReplay(GAUSSIAN, Recipe(optax.adam, learning_rate=0.01), batch=20, share=0.4)

    def life(memory, sweep):
        return live(learner_in(world, memory), world, teacher, steps=120, seeds=3, sweep=sweep, progress=silent).exams[
            "accuracy"
        ]

    ours = life(memory, {"memory.share": [1.0, 0.4]})
    theirs = life(Nothing(), {"optimizer.numbers.learning_rate": [0.01, 0.01]})
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[1, :, -1].mean() > theirs[1, :, -1].mean() + 0.2


@pytest.mark.parametrize("scenario", ["class", "task", "domain"])
def test_its_state_keeps_its_form_in_every_scenario(tiny, scenario):
    world = Split(tiny, tasks=3, scenario=scenario)
    learner, lesson = learner_in(world, GenerativeReplay(GAUSSIAN, batch=5)), Lesson(jnp.int32(1), jnp.int32(0))

    def life(key):
        born = learner.init(world, key=key)
        state, _ = learner.learn(born, learner.meet(born, world, lesson, key=key), key=key)
        return born, state, learner.consolidate(state, world, lesson, key=key)

    forms = [
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), stage)
        for stage in eqx.filter_eval_shape(jax.vmap(life), jax.random.split(KEY, 2))
    ]
    assert forms[0] == forms[1] == forms[2]
    assert forms[0].memory.heads[0] == (2, 6 if scenario == "task" else 1, world.outputs)


@pytest.fixture
def unchecked():
    """Let wrong types through to the library's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"targets": "medium"}])
def test_sizes_and_names_are_checked(wrong, unchecked):
    with pytest.raises(BadInput):
        GenerativeReplay(**wrong)
