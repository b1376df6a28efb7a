"""Gradient projection: the solver against SciPy, the geometry by its own definition, and what the memories hold."""

from inspect import unwrap

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize, nnls

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import Nothing, Step, chain
from lifelong.memory._projection import AGEM, GEM, project
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Pages, Split

KEY = jax.random.key(0)
projected = jax.jit(project)
KINDS = ["random", "opposed", "collinear", "twins", "scales", "blanks"]


def problem(kind, tasks, size, seed):
    """Return a gradient and references, some of them hard on a solver."""
    random = np.random.default_rng(seed)
    references, gradient = random.standard_normal((tasks, size)), random.standard_normal(size)
    if kind == "opposed":
        gradient = 0.1 * gradient - references.sum(0)
    if kind == "collinear":
        references = references[:1] + 1e-3 * references
    if kind == "twins":
        references[:] = references[:1]
    if kind == "scales":
        references *= 10.0 ** random.uniform(-4, 4, (tasks, 1))
    if kind == "blanks":
        references[::2] = 0.0
    return gradient.astype(np.float32), references.astype(np.float32)


def by_scipy(gradient, references, margin):
    """Return the projection by an active-set solver in double precision."""
    g, rows = gradient.astype(float), references.astype(float)
    if (rows @ g >= 0).all():
        return g
    start = g + margin * rows.sum(0)
    return start + nnls(rows.T, -start, maxiter=10_000)[0] @ rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_projection_agrees_with_scipy(kind, margin):
    conflicts = 0
    for tasks in (1, 5, 20):
        for seed in range(8):
            gradient, references = problem(kind, tasks, 40, seed)
            expected = by_scipy(gradient, references, margin)
            size = max(np.abs(expected).max(), np.abs(gradient).max(), margin * np.abs(references.sum(0)).max())
            np.testing.assert_allclose(projected(gradient, references, margin), expected, atol=2e-5 * size)
            conflicts += bool((references @ gradient < 0).any())
    assert conflicts >= 8, "too few problems had anything to solve"


def test_projection_is_the_nearest_vector_that_harms_no_task():
    gradient, references = problem("opposed", 4, 6, 1)
    g, rows = gradient.astype(float), references.astype(float)
    limits = {"type": "ineq", "fun": lambda v: rows @ v, "jac": lambda v: rows}
    best = minimize(
        lambda v: 0.5 * ((v - g) ** 2).sum(), np.zeros(6), jac=lambda v: v - g, constraints=limits, tol=1e-12
    )
    assert best.success
    np.testing.assert_allclose(projected(gradient, references), best.x, atol=1e-4)


def test_where_nothing_conflicts_the_gradient_stays_bit_for_bit():
    gradient, references = problem("random", 3, 40, 0)
    agreeing = references * np.sign(references @ gradient)[:, None]
    for margin in (0.0, 0.5):
        np.testing.assert_array_equal(projected(gradient, agreeing, margin), gradient)
        np.testing.assert_array_equal(projected(gradient, 0 * references, margin), gradient)


def test_projection_sees_a_tree_as_one_vector():
    gradient, references = problem("opposed", 3, 40, 2)
    whole = projected(gradient, references, 0.5)
    tree = projected(
        {"a": gradient[:12].reshape(3, 4), "b": (None, gradient[12:])},
        {"a": references[:, :12].reshape(3, 3, 4), "b": (None, references[:, 12:])},
        0.5,
    )
    np.testing.assert_allclose(np.concatenate([tree["a"].ravel(), tree["b"][1]]), whole, rtol=1e-4, atol=1e-5)


MODEL = MLP(inputs=3, outputs=4, width=5, depth=1, key=KEY)


def task(number, n=12, padding=0):
    """Return all examples of a task, with padding after them that nobody could overlook."""
    random, counts = np.random.default_rng(number), np.arange(n + padding) < n
    x = random.standard_normal((n + padding, 3)) + np.where(counts, 0.0, 1e3)[:, None]
    y = 2 * (number % 2) + random.integers(0, 2, n + padding)
    parts = (
        x.astype(np.float32),
        y.astype(np.int32),
        np.full(n + padding, number, np.int32),
        counts.astype(np.float32),
    )
    return Batch(*map(jnp.asarray, parts))


class Sheets(Pages):
    """A batch in pages of four, marked with the classes an answer may name."""

    batch: Batch
    count: int = eqx.field(static=True)

    def page(self, i):
        x, y, t, w = (leaf.reshape(-1, 4, *leaf.shape[1:])[i] for leaf in jax.tree.leaves(self.batch))
        return Batch(x, y, t, w, jnp.ones((4, 4), bool))


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=KEY)[0]


@eqx.filter_jit
def finished(memory, m, batch, key):
    return memory.consolidate(m, MODEL, Sheets(batch=batch, count=len(batch) // 4), loss, key=key)[1]


@eqx.filter_jit
def kept(memory, m, batch, key):
    return memory.keep(m, Step(batch, None, MODEL, MODEL, None), key=key)


@eqx.filter_jit
def gradient_on(batch):
    return eqx.filter_grad(loss)(MODEL, batch)


@eqx.filter_jit
def shaped(memory, m, batch):
    recalled = memory.recall(m, key=KEY)
    return memory.shape(m, eqx.filter_grad(loss)(MODEL, batch), MODEL, recalled, loss)


def after(memory, tasks, **options):
    m = eqx.filter_jit(memory.init)(MODEL, task(0, 4), key=KEY)
    for number in range(tasks):
        m = finished(memory, m, task(number, **options), jax.random.key(number))
    return m


def vector(tree):
    return np.concatenate([np.ravel(leaf).astype(float) for leaf in jax.tree.leaves(tree)])


def found_in(batch, x):
    return [int(np.flatnonzero((np.asarray(batch.x) == row).all(1))[0]) for row in np.asarray(x)]


def test_agem_removes_the_conflict_and_only_that():
    memory = AGEM(8, 4)
    m = after(memory, 1)
    reference, seen = vector(gradient_on(m.recalled)), set()
    for number in range(1, 9):
        g = vector(gradient_on(task(number)))
        turned, conflict = vector(shaped(memory, m, task(number))), g @ reference < 0
        seen.add(bool(conflict))
        if conflict:
            assert abs(turned @ reference) < 1e-5 * np.linalg.norm(g) * np.linalg.norm(reference)
            np.testing.assert_allclose(turned, by_scipy(g, reference[None], 0.0), atol=1e-5)
        else:
            np.testing.assert_array_equal(turned.astype(np.float32), g.astype(np.float32))
    assert seen == {True, False}, "the tasks do not show both cases"


def test_an_empty_memory_leaves_the_gradient_alone():
    for memory in (AGEM(8, 4), GEM(8, 2)):
        m = after(memory, 0)
        np.testing.assert_array_equal(vector(shaped(memory, m, task(1))), vector(gradient_on(task(1))))


def test_agem_remembers_finished_tasks_or_the_stream_as_it_is_told():
    memory = AGEM(8, 4)
    m = after(memory, 0)
    assert kept(memory, m, task(5), KEY).buffer.filled == 0 and memory.consolidates
    m = after(memory, 2, padding=4)
    assert m.buffer.filled == 8 and m.buffer.met == 24 and m.recalled.allowed is None
    for number in range(2):
        of_task = np.asarray(m.buffer.examples.task) == number
        assert len(set(found_in(task(number), m.buffer.examples.x[of_task]))) == of_task.sum()
    first = [np.asarray(m.recalled.x), np.asarray(kept(memory, m, task(5), KEY).recalled.x)]
    assert not np.array_equal(*first), "every step should be checked against another draw"
    stream = AGEM(8, 4, source="stream")
    assert not stream.consolidates and kept(stream, after(stream, 0), task(5), KEY).buffer.filled == 8


def test_gem_remembers_different_examples_of_every_task_and_the_oldest_gives_way():
    memory = GEM(6, 2)
    m = after(memory, 3, padding=4)
    assert m.examples.task.tolist() == [[2] * 6, [1] * 6] and m.examples.weight.min() == 1.0
    assert m.examples.allowed is None, "which classes are allowed must be asked anew in every step"
    for slot, number in enumerate([2, 1]):
        assert len(set(found_in(task(number), m.examples.x[slot]))) == 6
    small = after(GEM(20, 2), 1).examples.weight
    assert small.sum(1).tolist() == [12.0, 0.0]


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_gem_projects_onto_the_gradients_of_all_tasks(margin):
    memory, conflicts = GEM(6, 3, margin=margin), 0
    m = after(memory, 2)
    slots = [jax.tree.map(lambda leaf, k=k: leaf[k], m.examples) for k in range(2)]
    references = np.stack([vector(gradient_on(slot)) for slot in slots])
    for number in range(2, 8):
        g = vector(gradient_on(task(number)))
        turned = vector(shaped(memory, m, task(number)))
        np.testing.assert_allclose(turned, by_scipy(g, references, margin), atol=1e-4)
        assert (references @ turned > -1e-5).all()
        conflicts += bool((references @ g < 0).any())
    assert conflicts > 0


def test_lanes_that_have_finished_different_numbers_of_tasks_do_what_each_does_alone():
    memory, now = GEM(6, 3), task(6)
    states = [after(memory, finished) for finished in (0, 1, 3)]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    turned = jax.jit(jax.vmap(lambda m: memory.shape(m, gradient_on(now), MODEL, None, loss)))(together)
    plain, moved = vector(gradient_on(now)), []
    for lane, m in enumerate(states):
        alone = vector(shaped(memory, m, now))
        moved.append(np.abs(alone - plain).max() > 1e-3)
        np.testing.assert_allclose(vector(jax.tree.map(lambda leaf, i=lane: leaf[i], turned)), alone, atol=1e-6)
    assert not moved[0] and any(moved[1:]), "no memory turns this gradient, so lanes cannot differ"


def test_strength_is_the_share_of_the_way_that_is_gone():
    for memory, halfway in ((AGEM(8, 4), AGEM(8, 4, strength=0.5)), (GEM(6, 2), GEM(6, 2, strength=0.5))):
        m, now = after(memory, 1), task(3)
        g, whole, half = (vector(tree) for tree in (gradient_on(now), shaped(memory, m, now), shaped(halfway, m, now)))
        assert np.abs(whole - g).max() > 1e-3
        np.testing.assert_allclose(half, (g + whole) / 2, atol=1e-6)


@pytest.mark.parametrize("memory", [AGEM(8, 4), AGEM(8, 4, source="stream"), GEM(6, 2)], ids=["agem", "stream", "gem"])
def test_states_keep_their_form_in_scans_and_lanes(memory):
    def life(key):
        m = memory.init(MODEL, task(0, 4), key=key)
        later = memory.keep(m, Step(task(0, 4), None, MODEL, MODEL, None), key=key)
        return m, later, memory.consolidate(later, MODEL, Sheets(batch=task(0), count=3), loss, key=key)[1]

    stages = jax.eval_shape(jax.vmap(life), jax.random.split(KEY, 2))
    forms = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), stage) for stage in stages]
    assert forms[0] == forms[1] == forms[2]


def test_in_a_life_strength_0_is_fine_tuning_bit_for_bit(tiny):
    def life(memory, sweep):
        net, sgd = Recipe(MLP, inputs=8, outputs=6, width=8, depth=1), Recipe(optax.sgd, learning_rate=0.05)
        learner = GradientLearner(net, optimizer=sgd, memory=memory, batch=10)
        world, teacher = Split(tiny, tasks=3), OneByOne(tasks=3, steps=12)
        return live(learner, world, teacher, steps=36, seeds=3, sweep=sweep, progress=silent)

    plain = life(Nothing(), {"optimizer.numbers.learning_rate": [0.05, 0.05]})
    memory = chain(AGEM(20, 10, strength=0.0), GEM(10, 3, strength=0.0))
    turned = life(memory, {"memory.memories.1.strength": [0.0, 1.0]})
    pairs = zip(jax.tree.leaves(turned.state.learner.model), jax.tree.leaves(plain.state.learner.model), strict=True)
    leaves = [(np.asarray(mine), np.asarray(other)) for mine, other in pairs]
    for mine, other in leaves:
        np.testing.assert_array_equal(mine[:3], other[:3])
    assert any((mine[3:] != other[3:]).any() for mine, other in leaves)
    np.testing.assert_array_equal(turned.exams["accuracy"][0], plain.exams["accuracy"][0])


def test_what_makes_no_sense_is_said_so():
    with pytest.raises(BadInput, match="capacity=4, batch=8"):
        AGEM(4, 8)
    with pytest.raises(BadInput, match="'finished' or 'stream'"):
        unwrap(AGEM.__init__)(None, source="both")
    with pytest.raises(BadInput, match=r"margin=-1"):
        GEM(margin=-1.0)
    with pytest.raises(BadInput, match="per_task=0"):
        GEM(per_task=0)
