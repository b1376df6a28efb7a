"""Learning without forgetting: its penalty against SciPy and finite differences, its bookkeeping, its place in a life."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import rel_entr, softmax

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import Nothing, Step
from lifelong.memory._distillation import LwF
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Pages, Split

KEY, OUTPUTS = jax.random.key(0), 6
OLD, NEW = (
    MLP(inputs=3, outputs=OUTPUTS, width=5, depth=1, activation=jnp.tanh, key=jax.random.key(s)) for s in range(2)
)


class Unread(Pages):
    """A review that nobody needs to open."""

    count: int = eqx.field(static=True, default=1)


def batch_of(labels, weight=None):
    n = len(labels)
    x = jax.random.normal(jax.random.key(n), (n, 3))
    return Batch(
        x, jnp.asarray(labels), jnp.zeros(n, jnp.int32), jnp.ones(n) if weight is None else jnp.asarray(weight)
    )


NOW = batch_of([4, 4, 5, 1], [1.0, 0.0, 1.0, 2.0])


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=KEY)[0]


@eqx.filter_jit
def met(memory, m, batch):
    return memory.keep(m, Step(batch, None, NEW, NEW, None), key=KEY)


@eqx.filter_jit
def finished(memory, m):
    return memory.consolidate(m, OLD, Unread(), loss, key=KEY)[1]


def after_two_tasks(memory):
    """Return the state in a third task: classes 0 and 2 were met in the first, 1 in the second, 4 and 5 in this one."""
    m = memory.init(NEW, NOW, key=KEY)
    for labels, weight in (([0, 2, 0, 3], [1.0, 1.0, 1.0, 0.0]), ([1, 0, 1, 1], None)):
        m = finished(memory, met(memory, m, batch_of(labels, weight)))
    return met(memory, m, NOW)


@eqx.filter_jit
def penalty(memory, m, model, batch=NOW):
    return memory.penalty(m, model, batch, None, loss)


slope = eqx.filter_jit(eqx.filter_grad(lambda model, memory, m: memory.penalty(m, model, NOW, None, loss)))


def by_hand(groups, temperature):
    old, new = (np.asarray(jax.vmap(model)(NOW.x), np.float64) / temperature for model in (OLD, NEW))
    each = [rel_entr(softmax(old[:, g], axis=1), softmax(new[:, g], axis=1)).sum(1) for g in groups]
    weight = np.asarray(NOW.weight)
    return temperature**2 * (weight * sum(each)).sum() / weight.sum()


@pytest.mark.parametrize(
    "classes, groups", [("old", [[0, 1, 2]]), ("heads", [[0, 2], [1]]), ("all", [[0, 1, 2, 3, 4, 5]])]
)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_penalty_is_the_divergence_from_the_old_model(classes, groups, temperature):
    memory = LwF(0.7, temperature, classes)
    np.testing.assert_allclose(
        penalty(memory, after_two_tasks(memory), NEW), 0.7 * by_hand(groups, temperature), rtol=1e-4
    )


@pytest.mark.parametrize("classes", ["old", "heads", "seen", "all"])
def test_its_gradient_agrees_with_finite_differences(classes):
    memory = LwF(3.0, classes=classes)
    m, weights, size = after_two_tasks(memory), eqx.filter(NEW, eqx.is_array), 1e-2
    gradient = slope(NEW, memory, m)
    random = np.random.default_rng(0)
    for _ in range(3):
        way = jax.tree.map(lambda leaf: jnp.asarray(random.standard_normal(leaf.shape), jnp.float32), weights)
        ahead, behind = (eqx.apply_updates(NEW, jax.tree.map(lambda leaf, s=s: s * leaf, way)) for s in (size, -size))
        rise = (penalty(memory, m, ahead) - penalty(memory, m, behind)) / (2 * size)
        along = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, gradient, way)))
        np.testing.assert_allclose(rise, along, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("classes", ["old", "heads", "seen", "all"])
def test_nothing_is_distilled_before_a_task_has_ended_nor_from_an_equal_model(classes):
    memory = LwF(3.0, classes=classes)
    m = met(memory, memory.init(OLD, NOW, key=KEY), NOW)
    assert penalty(memory, m, NEW) == 0.0
    assert all((leaf == 0.0).all() for leaf in jax.tree.leaves(slope(NEW, memory, m)))
    if classes != "seen":  # what an equal model gives to new classes is taken from the old ones
        assert abs(penalty(memory, after_two_tasks(memory), OLD)) < 1e-5


def test_among_seen_classes_new_ones_are_held_down():
    """Classes 0 to 2 are old, 4 and 5 new, 3 is not met: the old answers are compared with those among 0, 1, 2, 4 and 5."""
    old, new = (np.asarray(jax.vmap(model)(NOW.x), np.float64) / 2.0 for model in (OLD, NEW))
    target, answer = softmax(old[:, [0, 1, 2]], axis=1), softmax(new[:, [0, 1, 2, 4, 5]], axis=1)
    weight = np.asarray(NOW.weight)
    apart = rel_entr(target, answer[:, :3]).sum(1)
    memory = LwF(0.7, classes="seen")
    expected = 0.7 * 4.0 * (weight * apart).sum() / weight.sum()
    np.testing.assert_allclose(penalty(memory, after_two_tasks(memory), NEW), expected, rtol=1e-4)


def test_only_outputs_in_question_get_a_gradient():
    gradients = {
        c: slope(NEW, LwF(1.0, classes=c), after_two_tasks(LwF(1.0, classes=c)))
        for c in ("old", "heads", "seen", "all")
    }
    touched = {c: np.flatnonzero(np.abs(g.head.bias) > 1e-7).tolist() for c, g in gradients.items()}
    assert touched == {
        "old": [0, 1, 2],
        "heads": [0, 2],
        "seen": [0, 1, 2, 4, 5],
        "all": list(range(OUTPUTS)),
    }


def test_by_task_divides_the_loss_among_the_tasks():
    summed, shared = LwF(), LwF(mix="by_task")
    m = after_two_tasks(shared)
    assert summed.weigh(m, NOW, None) == 1.0
    np.testing.assert_allclose(shared.weigh(m, NOW, None), 1 / 3)
    np.testing.assert_allclose(penalty(shared, m, NEW), penalty(summed, m, NEW) * 2 / 3, rtol=1e-6)
    assert shared.weigh(shared.init(NEW, NOW, key=KEY), NOW, None) == 1.0
    heads, mean = LwF(classes="heads"), LwF(classes="heads", mix="by_task")
    np.testing.assert_allclose(penalty(mean, m, NEW), penalty(heads, m, NEW) / 2 * 2 / 3, rtol=1e-6)


def test_the_state_keeps_its_form_in_scans_and_lanes():
    def life(model):
        m = LwF().init(model, NOW, key=KEY)
        kept = LwF().keep(m, Step(NOW, None, model, model, None), key=KEY)
        return m, kept, LwF().consolidate(kept, model, Unread(), loss, key=KEY)[1]

    stages = jax.eval_shape(jax.vmap(life), jax.tree.map(lambda *leaves: jnp.stack(leaves), OLD, NEW))
    forms = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), stage) for stage in stages]
    assert forms[0] == forms[1] == forms[2]


def test_in_a_life_strength_0_is_fine_tuning_bit_for_bit(tiny):
    def life(memory, sweep):
        net, sgd = Recipe(MLP, inputs=8, outputs=6, width=8, depth=1), Recipe(optax.sgd, learning_rate=0.02)
        learner = GradientLearner(net, optimizer=sgd, memory=memory, batch=10)
        world, teacher = Split(tiny, tasks=3, scenario="task"), OneByOne(tasks=3, steps=12)
        return live(learner, world, teacher, steps=36, seeds=3, sweep=sweep, progress=silent)

    plain = life(Nothing(), {"optimizer.numbers.learning_rate": [0.02, 0.02]})
    distilled = life(LwF(classes="heads"), {"memory.strength": [0.0, 1.0]})
    ours, theirs = (
        [np.asarray(leaf) for leaf in jax.tree.leaves(life.state.learner.model)] for life in (distilled, plain)
    )
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine[:3], other[:3])
    assert any((mine[3:] != other[3:]).any() for mine, other in zip(ours, theirs, strict=True))
    np.testing.assert_array_equal(distilled.exams["accuracy"][0], plain.exams["accuracy"][0])


def test_what_makes_no_sense_is_said_so():
    for classes, mix in (("new", "sum"), ("old", "concatenate")):
        with pytest.raises(BadInput, match="'old', 'heads', 'seen' or 'all'"):
            LwF.__check_init__(SimpleNamespace(classes=classes, mix=mix))
