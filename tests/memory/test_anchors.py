"""Anchors: their penalties by hand, their bookkeeping against plain loops, and what they do to a life."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import Nothing, Step, chain
from lifelong.memory._anchors import EWC, L2, MAS, SI, OnlineEWC
from lifelong.memory._importance import fisher, sensitivity
from lifelong.memory._walk import RWalk
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Pages, Split

KEY = jax.random.key(0)
ALL = [L2(3.0), EWC(3.0), OnlineEWC(3.0, decay=0.5), MAS(3.0), SI(3.0), RWalk(3.0)]


def name(memory):
    return type(memory).__name__


def net(seed):
    return MLP(inputs=3, outputs=4, width=5, depth=1, key=jax.random.key(seed))


def examples(seed=0, n=8):
    for_x, for_y = jax.random.split(jax.random.key(seed))
    y = jax.random.randint(for_y, (n,), 0, 4)
    return Batch(jax.random.normal(for_x, (n, 3)), y, jnp.zeros(n, jnp.int32), jnp.ones(n))


class Sheet(Pages):
    batch: Batch
    count: int = eqx.field(static=True)

    def page(self, i):
        return self.batch


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=KEY)[0]


MODELS, REVIEWS, KEYS = [net(s) for s in range(4)], [examples(s) for s in range(3)], list(jax.random.split(KEY, 3))


@eqx.filter_jit
def at_the_end(memory, m, model, batch, key):
    return memory.consolidate(m, model, Sheet(batch=batch, count=1), loss, key=key)[1]


def consolidated(memory, m, task):
    return at_the_end(memory, m, MODELS[task], REVIEWS[task], KEYS[task])


def lived(memory, tasks):
    """Return the memory's state after tasks that ended with known models."""
    m = memory.init(MODELS[3], REVIEWS[0], key=KEY)
    for task in range(tasks):
        m = consolidated(memory, m, task)
    return m


@eqx.filter_jit
def penalty(memory, m, model):
    return jax.value_and_grad(lambda model: memory.penalty(m, model, REVIEWS[0], None, loss))(model)


def apart(f, a, b):
    """Return Σ F (a − b)² and its gradient in a, in double precision."""
    f, a, b = (jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree) for tree in (f, a, b))
    terms = jax.tree.map(lambda f, a, b: (f * (a - b) ** 2).sum(), f, a, b)
    return sum(jax.tree.leaves(terms)), jax.tree.map(lambda f, a, b: 2 * f * (a - b), f, a, b)


def add(*trees):
    return jax.tree.map(lambda *leaves: sum(leaves), *trees)


def close(a, b, rtol=2e-4, atol=1e-6):
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=rtol, atol=atol), a, b)


@eqx.filter_jit
def estimated(estimate, model, batch, **options):
    return estimate(model, Sheet(batch=batch, count=1), **options)


def importances(task):
    return estimated(fisher, MODELS[task], REVIEWS[task], key=KEYS[task])


@pytest.mark.parametrize("memory", ALL, ids=name)
def test_nothing_is_held_before_a_task_has_ended(memory):
    value, gradient = penalty(memory, lived(memory, 0), MODELS[1])
    assert value == 0.0 and all((leaf == 0.0).all() for leaf in jax.tree.leaves(gradient))


def test_l2_holds_all_weights_near_those_of_the_last_task():
    value, gradient = penalty(L2(3.0), lived(L2(3.0), 2), MODELS[3])
    expected, slope = apart(jax.tree.map(np.ones_like, MODELS[0]), MODELS[3], MODELS[1])
    close(value, 1.5 * expected)
    close(gradient, jax.tree.map(lambda leaf: 1.5 * leaf, slope))


def test_ewc_equals_the_explicit_sum_of_one_penalty_a_task():
    m = lived(EWC(3.0), 3)
    value, gradient = penalty(EWC(3.0), m, MODELS[3])
    explicit = [apart(importances(task), MODELS[3], MODELS[task]) for task in range(3)]
    close(gradient, add(*[jax.tree.map(lambda leaf: 1.5 * leaf, slope) for _, slope in explicit]))
    elsewhere, _ = penalty(EWC(3.0), m, MODELS[0])
    explicit_elsewhere = [apart(importances(task), MODELS[0], MODELS[task])[0] for task in range(3)]
    close(value - elsewhere, 1.5 * (sum(v for v, _ in explicit) - sum(explicit_elsewhere)))


def test_ewc_with_one_task_is_kirkpatricks_penalty():
    value, _ = penalty(EWC(3.0), lived(EWC(3.0), 1), MODELS[3])
    close(value, 1.5 * apart(importances(0), MODELS[3], MODELS[0])[0])
    assert value > 0


def test_online_ewc_lets_old_importances_fade_and_holds_the_last_weights():
    memory = OnlineEWC(3.0, decay=0.5)
    m = lived(memory, 3)
    close(
        m.importance, add(*[jax.tree.map(lambda f, c=c: c * f, importances(k)) for k, c in enumerate([0.25, 0.5, 1.0])])
    )
    close(m.anchor, MODELS[2])
    value, _ = penalty(memory, m, MODELS[3])
    close(value, 1.5 * apart(m.importance, MODELS[3], MODELS[2])[0])


def test_mas_adds_the_sensitivities_of_all_tasks():
    m = lived(MAS(3.0), 2)
    each = [estimated(sensitivity, MODELS[k], REVIEWS[k]) for k in range(2)]
    close(m.importance, add(*each))
    close(m.anchor, MODELS[1])


@pytest.mark.parametrize(
    "memory", [EWC(3.0, where=lambda model: model.hidden), SI(3.0, where=lambda model: model.hidden)], ids=name
)
def test_only_the_chosen_parts_are_held(memory):
    m = walked(memory, 3)[-1] if isinstance(memory, SI) else lived(memory, 0)
    _, gradient = penalty(memory, consolidated(memory, m, 0), MODELS[3])
    assert all((leaf == 0.0).all() for leaf in jax.tree.leaves(gradient.head))
    assert all((leaf != 0.0).any() for leaf in jax.tree.leaves(gradient.hidden))


@eqx.filter_jit
def stepped(memory, m, before, after, gradient):
    return memory.keep(m, Step(REVIEWS[0], None, before, after, gradient), key=KEY)


def path(steps, seed=5):
    """Return a walk of models and the gradients met on it, all made up."""
    random = np.random.default_rng(seed)

    def some(size):
        return jax.tree.map(lambda leaf: np.float32(size * random.standard_normal(leaf.shape)), MODELS[0])

    walk = [jax.tree.map(np.asarray, MODELS[3])]
    for _ in range(steps):
        walk.append(add(walk[-1], some(0.1)))
    return walk, [some(1.0) for _ in range(steps)]


def walked(memory, steps):
    walk, gradients = path(steps)
    states = [memory.init(walk[0], REVIEWS[0], key=KEY)]
    for before, after, gradient in zip(walk, walk[1:], gradients, strict=False):
        states.append(stepped(memory, states[-1], before, after, gradient))
    return states


class Point(eqx.Module):
    at: jax.Array


def test_the_path_integral_of_small_steps_is_the_fall_of_the_loss_weight_by_weight():
    curve, start = jnp.array([0.5, 1.0, 4.0]), jnp.array([2.0, -1.0, 0.5])
    memory, point = SI(3.0), Point(start)
    m = memory.init(point, REVIEWS[0], key=KEY)

    def follow(_, carry):
        point, m = carry
        gradient = Point(curve * point.at)
        after = Point(point.at - 1e-3 * gradient.at)
        return after, memory.keep(m, Step(REVIEWS[0], None, point, after, gradient), key=KEY)

    end, m = jax.jit(lambda carry: jax.lax.fori_loop(0, 1000, follow, carry))((point, m))
    close(m.path.at, 0.5 * curve * (start**2 - end.at**2), rtol=5e-3)


@pytest.mark.parametrize("signed", [False, True])
def test_si_turns_paths_into_importance_below_zero_only_where_asked_to(signed):
    memory = SI(3.0, damping=0.2, signed=signed)
    m = walked(memory, 3)[-1]
    walk, gradients = path(3)
    along = jax.tree.map(np.zeros_like, MODELS[0])
    for before, after, gradient in zip(walk, walk[1:], gradients, strict=False):
        along = jax.tree.map(lambda w, g, a, b: w - g * (a - b), along, gradient, after, before)
    close(m.path, along)
    assert min(leaf.min() for leaf in jax.tree.leaves(along)) < 0
    m = consolidated(memory, m, 1)
    least = -np.inf if signed else 0
    close(
        m.importance,
        jax.tree.map(lambda w, a, b: np.maximum(w, least) / ((a - b) ** 2 + 0.2), along, MODELS[1], walk[0]),
    )
    close(m.anchor, MODELS[1])
    assert all((leaf == 0.0).all() for leaf in jax.tree.leaves(m.path))


@pytest.mark.parametrize("gradient", ["task", "total"])
def test_si_knows_the_gradient_with_and_without_its_own_penalty(gradient):
    memory = SI(3.0, gradient=gradient)
    m = consolidated(memory, walked(memory, 2)[-1], 0)
    of_task = path(1)[1][0]
    total = add(of_task, penalty(memory, m, MODELS[2])[1])
    found = stepped(memory, m, MODELS[2], MODELS[3], total).path
    slope = of_task if gradient == "task" else total
    close(found, jax.tree.map(lambda g, a, b: -g * (a - b), slope, MODELS[3], MODELS[2]), atol=1e-5)


def stretched(tree):
    values = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
    return jax.tree.map(lambda leaf: (leaf - values.min()) / (values.max() - values.min()), tree)


def test_rwalk_equals_a_plain_loop_over_two_tasks():
    memory, zero = RWalk(0.0, decay=0.3, damping=0.01, every=2), jax.tree.map(np.zeros_like, MODELS[0])
    m = memory.init(MODELS[3], REVIEWS[0], key=KEY)
    running, past = zero, None
    for task, seed in enumerate([5, 6]):
        walk, gradients = path(5, seed)
        m = m._replace(start=walk[0])
        fall, score, start = zero, zero, walk[0]
        for t, (before, after, gradient) in enumerate(zip(walk, walk[1:], gradients, strict=False)):
            m = stepped(memory, m, before, after, gradient)
            running = jax.tree.map(lambda f, g: 0.3 * g**2 + 0.7 * f, running, gradient)
            fall = jax.tree.map(lambda w, g, a, b: w - g * (a - b), fall, gradient, after, before)
            if t % 2 == 1:
                gain = jax.tree.map(
                    lambda w, f, a, b: np.maximum(w, 0) / (0.5 * f * (a - b) ** 2 + 0.01), fall, running, after, start
                )
                score, fall, start = add(score, gain), zero, after
        m = consolidated(memory, m, task)
        past = score if past is None else jax.tree.map(lambda p, s: (p + s) / 2, past, score)
        close(m.importance, add(stretched(running), stretched(past)), rtol=1e-3)
        close(m.anchor, MODELS[task])


@pytest.mark.parametrize("memory", ALL, ids=name)
def test_states_keep_their_form_in_scans_and_lanes(memory):
    def form(tree):
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)

    def life(model):
        m = memory.init(model, REVIEWS[0], key=KEY)
        kept = memory.keep(m, Step(REVIEWS[0], None, model, model, eqx.filter(model, eqx.is_inexact_array)), key=KEY)
        return m, kept, memory.consolidate(kept, model, Sheet(batch=REVIEWS[0], count=1), loss, key=KEY)[1]

    first, kept, after = jax.eval_shape(jax.vmap(life), jax.tree.map(lambda *leaves: jnp.stack(leaves), *MODELS))
    assert form(first) == form(kept) == form(after)


@pytest.fixture(scope="module")
def lives(tiny):
    """Return one life without and one with all anchors, those of strength 0 but for EWC, which is swept."""
    memory = chain(L2(0.0), EWC(0.0, "all"), OnlineEWC(0.0), MAS(0.0), SI(0.0), RWalk(0.0))

    def life(memory, sweep):
        net, sgd = Recipe(MLP, inputs=8, outputs=6, width=8, depth=1), Recipe(optax.sgd, learning_rate=0.05)
        world, teacher = Split(tiny, tasks=3), OneByOne(tasks=3, steps=12)
        learner = GradientLearner(net, optimizer=sgd, memory=memory, batch=10)
        return live(learner, world, teacher, steps=36, seeds=3, sweep=sweep, progress=silent)

    plain = life(Nothing(), {"optimizer.numbers.learning_rate": [0.05, 0.05]})
    return plain, life(memory, {"memory.memories.1.strength": [0.0, 1.0]})


def ends(life, i):
    """Return the models of the i-th swept value's lanes."""
    models = eqx.filter(life.state.learner.model, eqx.is_array)
    return [np.asarray(leaf)[3 * i : 3 * i + 3] for leaf in jax.tree.leaves(models)]


def test_strength_0_is_fine_tuning_bit_for_bit(lives):
    plain, anchored = lives
    for ours, theirs in zip(ends(anchored, 0), ends(plain, 0), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(anchored.exams["accuracy"][0], plain.exams["accuracy"][0])
    assert any((ours != theirs).any() for ours, theirs in zip(ends(anchored, 1), ends(plain, 1), strict=True))


def test_what_was_important_stays_where_it_was(lives):
    held = lives[1].state.learner.memory[1]
    assert all((np.asarray(leaf) > 0).any() for leaf in jax.tree.leaves(held.importance)), "EWC holds nothing"
    drift = []
    for i in range(2):
        lanes = [[np.asarray(leaf)[3 * i : 3 * i + 3] for leaf in jax.tree.leaves(tree)] for tree in held[:2]]
        drift.append(sum((f * (w - a) ** 2).sum() / f.sum() for f, a, w in zip(*lanes, ends(lives[1], i), strict=True)))
    assert drift[1] < drift[0]


def test_what_makes_no_sense_is_said_so():
    with pytest.raises(BadInput, match="samples=0"):
        EWC(samples=0)
    with pytest.raises(BadInput, match="every=0"):
        RWalk(every=0)
    with pytest.raises(BadInput, match="an 'example' or a 'page', not of 'batch'"):
        MAS.__check_init__(SimpleNamespace(of="batch"))
    with pytest.raises(BadInput, match="'task' or the 'total'"):
        SI.__check_init__(SimpleNamespace(gradient="none"))
