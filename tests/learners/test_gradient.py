"""The gradient learner: one step by hand, the order of a memory's hooks, and which classes take part."""

from inspect import unwrap as untyped

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.learners import GradientLearner
from lifelong.memory import Memory, Replay
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Lesson, Split, Transformed

KEY = jax.random.key(0)
LESSON = Lesson(jnp.int32(0), jnp.int32(0))
RATE, MOMENTUM = 0.1, 0.9


def learner(outputs=6, optimizer=None, model=None, **options):
    model = model or Recipe(MLP, inputs=8, outputs=outputs, depth=0)
    optimizer = optimizer or Recipe(optax.sgd, learning_rate=RATE, momentum=MOMENTUM)
    return GradientLearner(model, optimizer=optimizer, batch=10, **options)


@eqx.filter_jit
def born(who, world):
    return who.init(world, key=KEY)


@eqx.filter_jit
def taught(who, state, batch):
    return who.learn(state, batch, key=KEY)


@eqx.filter_jit
def answers(who, state, x, allowed=None):
    return who.answer(state, x, allowed)


@eqx.filter_jit
def lesson_of(world, task, n=10):
    return world.draw(Lesson(task, jnp.int32(0)), n, key=KEY)


def head(state):
    return np.asarray(state.model.head.weight, np.float64), np.asarray(state.model.head.bias, np.float64)


def slopes(weight, bias, batch, among):
    """Return the gradient of softmax regression over some of the classes, by hand."""
    x, y = np.asarray(batch.x, np.float64), np.asarray(batch.y)
    scores = np.exp(x @ weight.T + bias) * among
    error = (scores / scores.sum(1, keepdims=True) - np.eye(len(bias))[y]) / len(y)
    return error.T @ x, error.sum(0)


@pytest.mark.parametrize("active", ["seen", "all"])
def test_two_steps_of_momentum_are_those_by_hand(tiny, active):
    who, world = learner(active=active), Split(tiny, tasks=3)
    state = born(who, world)
    weight, bias = head(state)
    velocity, seen = [0.0, 0.0], np.zeros(6, bool) if active == "seen" else np.ones(6, bool)
    for task in (0, 1):
        batch = lesson_of(world, jnp.int32(task))
        seen[np.asarray(batch.y)] = True
        state, info = taught(who, state, batch)
        velocity = [MOMENTUM * v + s for v, s in zip(velocity, slopes(weight, bias, batch, seen), strict=True)]
        weight, bias = weight - RATE * velocity[0], bias - RATE * velocity[1]
        np.testing.assert_allclose(head(state)[0], weight, atol=1e-5)
        np.testing.assert_allclose(head(state)[1], bias, atol=1e-5)
        np.testing.assert_array_equal(state.seen, seen)
        assert set(info) == {"loss", "accuracy"}


def test_a_ready_optimizer_does_what_its_recipe_does(tiny):
    world = Split(tiny, tasks=3)
    batch = lesson_of(world, jnp.int32(0))
    ends = []
    for optimizer in (optax.adam(0.01), Recipe(optax.adam, learning_rate=0.01)):
        who = learner(optimizer=optimizer)
        ends.append(head(taught(who, born(who, world), batch)[0]))
    np.testing.assert_allclose(ends[0][0], ends[1][0], atol=1e-6)


def test_only_classes_seen_are_trained_and_answered(tiny):
    who, world = learner(), Split(tiny, tasks=3)
    state = born(who, world)
    before = head(state)[0]
    state, _ = taught(who, state, lesson_of(world, jnp.int32(1)))
    moved = np.abs(head(state)[0] - before).max(1) > 0
    assert moved.tolist() == np.asarray(state.seen).tolist() == [False, False, True, True, False, False]
    assert set(np.asarray(answers(who, state, world.x_test).argmax(-1))) <= {2, 3}


def test_with_all_classes_active_those_never_seen_are_trained_down(tiny):
    who, world = learner(active="all"), Split(tiny, tasks=3)
    state = born(who, world)
    before = head(state)[1]
    state, _ = taught(who, state, lesson_of(world, jnp.int32(1)))
    assert (head(state)[1] < before)[[0, 1, 4, 5]].all()
    np.testing.assert_allclose(answers(who, state, world.x_test), jax.vmap(state.model)(world.x_test), atol=1e-5)


def test_in_the_task_scenario_only_classes_of_the_task_are_trained_and_answered(tiny):
    who, world = learner(optimizer=Recipe(optax.sgd, learning_rate=RATE)), Split(tiny, tasks=3, scenario="task")
    state, _ = taught(who, born(who, world), lesson_of(world, jnp.int32(0)))
    before = head(state)[0]
    state, _ = taught(who, state, lesson_of(world, jnp.int32(1)))
    assert (np.abs(head(state)[0] - before).max(1) > 0).tolist() == [False, False, True, True, False, False]
    first = jnp.broadcast_to(jnp.arange(6) < 2, (len(world.x_test), 6))
    assert set(np.asarray(answers(who, state, world.x_test, first).argmax(-1))) == {0, 1}


def test_in_the_domain_scenario_all_tasks_share_their_answers(tiny):
    who, world = learner(outputs=2), Split(tiny, tasks=3, scenario="domain")
    state, _ = taught(who, born(who, world), lesson_of(world, jnp.int32(2)))
    assert np.asarray(state.seen).tolist() == [True, True]
    untouched = jax.vmap(state.model)(world.x_test)
    np.testing.assert_allclose(answers(who, state, world.x_test), untouched, atol=1e-5)


def test_what_was_never_taught_is_guessed_among_what_may_be_named(tiny):
    """A newborn learner, and one asked about a known but untaught task, must not always name class 0."""
    who, world = learner(), Split(tiny, tasks=3, scenario="task")
    newborn = born(who, world)
    logits = jax.vmap(newborn.model)(world.x_test)
    np.testing.assert_allclose(answers(who, newborn, world.x_test), logits, atol=1e-5)
    state, _ = taught(who, newborn, lesson_of(world, jnp.int32(0)))
    last = jnp.broadcast_to(jnp.arange(6) >= 4, (len(world.x_test), 6))
    expected = 4 + jax.vmap(state.model)(world.x_test)[:, 4:].argmax(-1)
    np.testing.assert_array_equal(answers(who, state, world.x_test, last).argmax(-1), expected)


def test_padding_does_not_count_as_seen(tiny):
    who, world = learner(), Split(tiny, tasks=3)
    batch = lesson_of(world, jnp.int32(1))
    padded = eqx.tree_at(lambda b: (b.y, b.weight), batch, (batch.y.at[0].set(5), batch.weight.at[0].set(0.0)))
    state, _ = taught(who, born(who, world), padded)
    assert np.flatnonzero(state.seen).tolist() == [2, 3]


class Witness(Memory):
    """A memory that negates inputs, doubles the loss, adds ½‖θ‖², triples the gradient, and notes who was called when."""

    calls: tuple = eqx.field(static=True)

    def note(self, name, value):
        self.calls[0].append(name)
        return value

    def recall(self, m, *, key):
        return self.note("recall", "recalled")

    def blend(self, m, batch, recalled):
        assert recalled == "recalled" and batch.allowed is None
        return self.note("blend", eqx.tree_at(lambda b: b.x, batch, -batch.x))

    def perturb(self, m, model, batch, recalled, loss, objective=None, *, key):
        assert recalled == "recalled"
        return self.note("perturb", (model, model))

    def weigh(self, m, batch, recalled):
        return self.note("weigh", 2.0)

    def penalty(self, m, model, batch, recalled, loss):
        leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
        return self.note("penalty", 0.5 * sum((leaf**2).sum() for leaf in leaves))

    def shape(self, m, gradient, model, recalled, loss):
        return self.note("shape", jax.tree.map(lambda g: 3.0 * g, gradient))

    def keep(self, m, step, *, key):
        assert step.recalled == "recalled"
        met = {"gradient": step.gradient.head.weight, "moved": step.after.head.weight, "met": step.batch.x}
        return self.note("keep", met)


class Notes(list):
    """A list that counts as one and the same setting, whatever is written in it."""

    __hash__ = object.__hash__


def test_a_memory_is_called_in_its_order_and_each_hook_does_its_part(tiny):
    notes, world = Notes(), Split(tiny, tasks=3)
    who = learner(memory=Witness((notes,)))
    state, batch = born(who, world), lesson_of(world, jnp.int32(0))
    weight, bias = head(state)
    after, _ = who.learn(eqx.tree_at(lambda s: s.memory, state, {}, is_leaf=lambda n: n is None), batch, key=KEY)
    assert notes == ["recall", "blend", "perturb", "weigh", "penalty", "shape", "keep"]
    np.testing.assert_array_equal(after.memory["met"], batch.x)
    negated = eqx.tree_at(lambda b: b.x, batch, -batch.x)
    total = 2 * slopes(weight, bias, negated, np.asarray([1, 1, 0, 0, 0, 0]))[0] + weight
    np.testing.assert_allclose(after.memory["gradient"], total, atol=1e-5)
    np.testing.assert_allclose(head(after)[0], weight - RATE * 3 * total, atol=1e-5)
    np.testing.assert_array_equal(after.memory["moved"], after.model.head.weight)


class Unmoved(Memory):
    """Give the current loss no weight, and descend ½‖θ‖² alone."""

    weight: float | jax.Array

    def weigh(self, m, batch, recalled):
        return self.weight

    def penalty(self, m, model, batch, recalled, loss):
        return 0.5 * sum((leaf**2).sum() for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


def test_of_a_loss_without_weight_no_gradient_is_computed(tiny):
    world, programs, ends = Split(tiny, tasks=3), [], []
    batch = lesson_of(world, jnp.int32(0))
    for weight in (0.0, jnp.float32(0.0)):
        who = learner(memory=Unmoved(weight))
        state = born(who, world)
        programs.append(str(eqx.filter_make_jaxpr(who.learn)(state, batch, key=KEY)[0]).count("dot_general"))
        ends.append(taught(who, state, batch))
    assert programs[0] < programs[1]
    for mine, other in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)


@pytest.mark.parametrize("reset", [True, False])
def test_the_optimizer_is_reset_at_the_end_of_a_task_only_where_asked_for(tiny, reset):
    who, world = learner(reset_optimizer=reset), Split(tiny, tasks=3)
    state, _ = taught(who, born(who, world), lesson_of(world, jnp.int32(0)))
    told = who.consolidate(state, world, LESSON, key=KEY)
    assert who.consolidates is reset
    momentum = jax.tree.leaves(told.optimizer)
    assert all((np.asarray(leaf) == 0).all() for leaf in momentum) is reset
    np.testing.assert_array_equal(told.model.head.weight, state.model.head.weight)


class Reviewing(Memory):
    """A memory that counts, at the end of a task, what it is shown and may be named."""

    def consolidate(self, m, model, review, loss, *, key):
        pages = jax.lax.map(review.page, jnp.arange(review.count))
        return model, {"rows": pages.weight.sum(), "named": pages.allowed.all((0, 1)), "tasks": pages.task.max()}


def test_at_the_end_of_a_task_the_memory_reviews_all_of_it_among_classes_seen(tiny):
    who, world = learner(memory=Reviewing(), page=50), Split(tiny, tasks=3)
    state, _ = taught(who, born(who, world), lesson_of(world, jnp.int32(1)))
    told = who.consolidate(state, world, Lesson(jnp.int32(1), jnp.int32(4)), key=KEY)
    assert who.consolidates and int(told.memory["rows"]) == 120 and int(told.memory["tasks"]) == 1
    assert np.asarray(told.memory["named"]).tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: learner(page=0), "at least one example"),
        (lambda: GradientLearner(MLP, batch=0), "at least one example"),
        (lambda: untyped(GradientLearner.__init__)(learner(), MLP, active="sen"), "'seen' or 'all', not 'sen'"),
    ],
)
def test_learners_that_cannot_be_are_refused(build, words):
    with pytest.raises(BadInput, match=words):
        build()


class Pair(eqx.Module):
    """A model whose answer is no array."""

    def __call__(self, x):
        return x, x


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Recipe(MLP, inputs=8, outputs=5), "outputs=6"),
        (Recipe(MLP, inputs=9, outputs=6), r"inputs of shape \(8,\)"),
        (lambda key: Pair(), "one array"),
    ],
)
def test_models_that_do_not_fit_the_world_are_refused(tiny, model, words):
    with pytest.raises(Mismatch, match=words):
        learner(model=model).init(Split(tiny, tasks=3), key=KEY)


def test_heads_of_transformed_tasks_are_told_apart(tiny):
    """Task-incremental: the labels and the allowed classes of two tasks do not overlap."""
    who, world = learner(outputs=12, memory=Replay(20, 5)), Transformed(tiny, tasks=2, scenario="task")
    state, _ = taught(who, born(who, world), lesson_of(world, jnp.int32(1)))
    assert set(np.flatnonzero(state.seen)) <= set(range(6, 12))
    assert (answers(who, state, world.x_test).argmax(-1) >= 6).all()
