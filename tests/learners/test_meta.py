"""Meta-learners: gradients by hand and by finite differences, what each of them changes, and that learning to learn helps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput, Mismatch, UnknownName
from lifelong.exams import Adaptation
from lifelong.learners import (
    ANIL,
    MAML,
    BatchLearner,
    GradientLearner,
    MetaSGD,
    MultiTask,
    ProtoNet,
    Regressor,
    Reptile,
)
from lifelong.life import live, silent
from lifelong.memory import L2, Memory
from lifelong.nets import MLP, NormedConvNet, NormedMLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import FewShotClasses, Lesson, Sines, Split, dataset

KEY = jax.random.key(0)
RATE = 0.1


def sine_student(rate=RATE, **net):
    net = {"width": 5, "depth": 1, "activation": jnp.tanh} | net
    return Regressor(Recipe(MLP, inputs=1, outputs=1, **net), optimizer=Recipe(optax.sgd, learning_rate=rate))


@eqx.filter_jit
def born(who, world):
    state = who.init(world, key=KEY)
    return state, who.meet(state, world, Lesson(jnp.int32(0), jnp.int32(0)), key=KEY)


@eqx.filter_jit
def slope(who, state, episodes):
    return who.slope(state, episodes, jax.random.split(KEY, who.episodes))[0]


@eqx.filter_jit
def objective(who, state, start, episodes):
    keys = jax.random.split(KEY, who.episodes)
    return jax.vmap(lambda episode, key: who.objective(start, state, episode, key=key)[0])(episodes, keys).mean()


def by_hand(weight, bias, episodes, steps, first_order):
    """Return MAML's gradient for a line y = wx + b: (I − αH)^K ∇L_query(θ_K), with H the Hessian on the support."""
    total = 0.0
    for i in range(len(episodes.support.x)):
        design, answers = (
            [np.column_stack([np.asarray(b.x[i, :, 0], np.float64), np.ones(b.x.shape[1])]) for b in episodes],
            [np.asarray(b.y[i, :, 0], np.float64) for b in episodes],
        )
        theta = np.array([weight, bias], np.float64)
        hessian = 2 * design[0].T @ design[0] / len(answers[0])
        for _ in range(steps):
            theta = theta - RATE * 2 * design[0].T @ (design[0] @ theta - answers[0]) / len(answers[0])
        grad = 2 * design[1].T @ (design[1] @ theta - answers[1]) / len(answers[1])
        through = np.eye(2) if first_order else np.linalg.matrix_power(np.eye(2) - RATE * hessian, steps)
        total = total + through @ grad
    return total / len(episodes.support.x)


@pytest.mark.parametrize("first_order", [False, True])
def test_the_gradient_of_a_line_by_hand(first_order):
    who = MAML(sine_student(depth=0), inner_steps=3, first_order=first_order, episodes=4)
    state, episodes = born(who, Sines(shots=6, queries=4, place=(-1.0, 1.0)))
    head = state.start.model.head
    expected = by_hand(float(head.weight[0, 0]), float(head.bias[0]), episodes, 3, first_order)
    found = slope(who, state, episodes).model.head
    np.testing.assert_allclose([found.weight[0, 0], found.bias[0]], expected, rtol=2e-4, atol=1e-5)


def test_a_few_episodes_at_a_time_are_all_of_them():
    world, (whole, some) = Sines(shots=6, queries=4), (MAML(sine_student(), episodes=6, at_once=n) for n in (None, 2))
    state, episodes = born(whole, world)
    each = [eqx.filter_jit(lambda w, s, e: w.learn(s, e, key=KEY))(who, state, episodes) for who in (whole, some)]
    for a, b in zip(*(jax.tree.leaves(eqx.filter(one, eqx.is_inexact_array)) for one in each), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [MAML, MetaSGD])
def test_second_order_gradients_are_those_of_finite_differences(kind):
    """In the direction of a random vector, over weights and rates: (f(θ+hv) − f(θ−hv)) / 2h."""
    extra = {"initial_rate": 0.5} if kind is MetaSGD else {}
    who = kind(sine_student(), inner_steps=3, episodes=3, **extra)
    state, episodes = born(who, Sines(shots=6, queries=4, amplitude=(0.5, 1.0), place=(-2.0, 2.0)))
    arrays, static = eqx.partition(state.start, eqx.is_inexact_array)
    leaves, tree = jax.tree.flatten(arrays)
    random = np.random.default_rng(0)
    direction = [random.normal(size=leaf.shape).astype(np.float32) for leaf in leaves]

    def value(h):
        moved = [leaf + h * v for leaf, v in zip(leaves, direction, strict=True)]
        return float(objective(who, state, eqx.combine(jax.tree.unflatten(tree, moved), static), episodes))

    gradient = jax.tree.leaves(eqx.filter(slope(who, state, episodes), eqx.is_inexact_array))
    along = sum(float((g * v).sum()) for g, v in zip(gradient, direction, strict=True))
    assert (value(1e-2) - value(-1e-2)) / 2e-2 == pytest.approx(along, rel=2e-2)


def normed_perceptron(*, key):
    return NormedMLP(36, 3, (7, 6), epsilon=0.1, key=key)


def normed_convolutions(*, key):
    return NormedConvNet((6, 6), 3, (4, 5), epsilon=0.1, key=key)


WHOLE = {"perceptron": Recipe(normed_perceptron), "convolutions": Recipe(normed_convolutions)}


@pytest.mark.parametrize("net", WHOLE)
def test_second_order_gradients_go_through_the_moments_of_support_and_questions(net):
    """Along the gradient itself, of which moments that are taken for constants would lose a part."""
    student = BatchLearner(WHOLE[net], Recipe(optax.sgd, learning_rate=RATE), batch=3)
    who = MAML(student, inner_steps=1, episodes=2)
    drawings = np.random.default_rng(1).random((5, 8, 6, 6), np.float32)
    state, episodes = born(who, FewShotClasses(drawings, ways=3, shots=1, queries=2))
    weights, static = eqx.partition(state.start, eqx.is_inexact_array)
    gradient = eqx.filter(slope(who, state, episodes), eqx.is_inexact_array)
    length = float(optax.tree.norm(gradient))

    def value(h):
        moved = jax.tree.map(lambda leaf, g: leaf + h / length * g, weights, gradient)
        return float(objective(who, state, eqx.combine(moved, static), episodes))

    assert (value(2e-3) - value(-2e-3)) / 4e-3 == pytest.approx(length, rel=2e-2)


def test_support_and_questions_are_normalised_each_by_itself():
    """By hand: one step on the whole support set, then the questions as a batch of their own."""
    student = BatchLearner(WHOLE["perceptron"], Recipe(optax.sgd, learning_rate=RATE), batch=3)
    who = MAML(student, inner_steps=1, episodes=2)
    world = FewShotClasses(np.random.default_rng(1).random((5, 8, 6, 6), np.float32), ways=3, shots=1, queries=2)
    state, episodes = born(who, world)
    support, query = jax.tree.map(lambda leaf: leaf[0], episodes)

    @eqx.filter_jit
    def by_hand(model):
        def loss(model, x, y):
            return -(jax.nn.log_softmax(model(x)) * jax.nn.one_hot(y, 3)).sum(-1).mean()

        steps = jax.tree.map(lambda g: -RATE * g, eqx.filter_grad(loss)(model, support.x, support.y))
        return model(query.x), eqx.apply_updates(model, steps)(query.x)

    answers = eqx.filter_jit(lambda w, s: w.solve(s, support, query.x, key=KEY))(who, state)
    np.testing.assert_allclose(answers, np.stack(by_hand(state.start.model)), rtol=1e-4, atol=1e-5)


def test_first_order_drops_second_derivatives_and_nothing_else():
    """The outcome of adaptation is the same; its gradient is that at the adapted weights."""
    world = Sines(shots=6, queries=4)
    second, first = (MAML(sine_student(), inner_steps=2, first_order=order, episodes=2) for order in (False, True))
    state, episodes = born(second, world)
    np.testing.assert_allclose(
        objective(second, state, state.start, episodes), objective(first, state, state.start, episodes), rtol=1e-5
    )
    here = jax.tree.leaves(slope(second, state, episodes))
    there = jax.tree.leaves(slope(first, state, episodes))
    assert any(not np.allclose(a, b, rtol=1e-2) for a, b in zip(here, there, strict=True))


def test_meta_sgd_at_one_rate_is_maml_at_that_rate():
    world = Sines(shots=6, queries=4)
    maml = MAML(sine_student(RATE), inner_steps=3, episodes=2)
    paced = MetaSGD(sine_student(1.0), inner_steps=3, episodes=2, initial_rate=RATE)
    state, episodes = born(maml, world)
    other, _ = born(paced, world)
    np.testing.assert_allclose(
        objective(maml, state, state.start, episodes), objective(paced, other, other.start, episodes), rtol=1e-4
    )
    for a, b in zip(
        jax.tree.leaves(slope(maml, state, episodes).model),
        jax.tree.leaves(slope(paced, other, episodes).model),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_anil_adapts_the_head_alone():
    who = ANIL(sine_student(), inner_steps=2, episodes=2)
    state, episodes = born(who, Sines(shots=6, queries=4))
    one = jax.tree.map(lambda leaf: leaf[0], episodes)
    student, _ = eqx.filter_jit(lambda w, s, e: w.adapted(s.start, s, e.support, 2, key=KEY))(who, state, one)
    before, after = state.start.model, student.model
    np.testing.assert_array_equal(before.hidden[0].weight, after.hidden[0].weight)
    assert (np.asarray(before.head.weight) != np.asarray(after.head.weight)).all()
    assert (np.asarray(slope(who, state, episodes).model.hidden[0].weight) != 0).all(), "features are learned outside"


def test_reptile_moves_the_mean_of_the_ends():
    who = Reptile(sine_student(), inner_steps=3, episodes=4, optimizer=Recipe(optax.sgd, learning_rate=1.0))
    state, episodes = born(who, Sines())

    @eqx.filter_jit
    def ends(who, state, episodes):
        return jax.vmap(lambda e: who.adapted(state.start, state, e.support, 3, key=KEY)[0].model.head.weight)(episodes)

    after, _ = eqx.filter_jit(lambda w, s, e: w.learn(s, e, key=KEY))(who, state, episodes)
    np.testing.assert_allclose(after.start.model.head.weight, ends(who, state, episodes).mean(0), rtol=1e-4, atol=1e-5)


def images(classes=8, seed=0):
    """Return classes of points around centres far apart: [classes, examples, features]."""
    random = np.random.default_rng(seed)
    return (4 * random.normal(size=(classes, 1, 6)) + random.normal(size=(classes, 12, 6))).astype(np.float32)


def class_student(**options):
    net = Recipe(MLP, inputs=6, outputs=3, width=16, depth=1)
    return GradientLearner(net, optimizer=Recipe(optax.sgd, learning_rate=RATE), **options)


def test_prototypes_answer_with_the_nearest_mean():
    world, who = FewShotClasses(images(), ways=3, shots=2, queries=4), ProtoNet(class_student(), episodes=2)
    state, episodes = born(who, world)
    one = jax.tree.map(lambda leaf: leaf[0], episodes)
    found = eqx.filter_jit(lambda w, s, e: w.solve(s, e.support, e.query.x, key=KEY))(who, state, one)
    features = lambda x: np.asarray(jax.vmap(state.start.model.features)(x), np.float64)  # noqa: E731
    means = np.stack([features(one.support.x[np.asarray(one.support.y) == y]).mean(0) for y in range(3)])
    expected = -((features(one.query.x)[:, None] - means) ** 2).sum(-1)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)


class Numb(Memory):
    """A memory that lets no gradient through."""

    def shape(self, m, gradient, model, recalled, loss):
        return jax.tree.map(jnp.zeros_like, gradient)


def test_any_gradient_learner_can_be_the_student_with_its_memory():
    """A memory of no strength changes nothing, and one that lets no gradient through keeps the student where it is."""
    world = FewShotClasses(images(), ways=3, shots=2, queries=4)
    plain, start = adapted_head(MAML(class_student(), inner_steps=3), world)
    same, _ = adapted_head(MAML(class_student(memory=L2(strength=0.0)), inner_steps=3), world)
    numb, _ = adapted_head(MAML(class_student(memory=Numb()), inner_steps=3), world)
    np.testing.assert_allclose(plain, same, rtol=1e-5)
    np.testing.assert_array_equal(numb, start)
    assert np.abs(plain - start).max() > 1e-3


def adapted_head(who, world):
    state, episodes = born(who, world)
    one = jax.tree.map(lambda leaf: leaf[0], episodes)
    student, _ = eqx.filter_jit(lambda w, s, e: w.adapted(s.start, s, e.support, 3, key=KEY))(who, state, one)
    return np.asarray(student.model.head.weight), np.asarray(state.start.model.head.weight)


def test_multi_task_learning_sees_the_whole_episode_and_takes_no_inner_step():
    who = MultiTask(sine_student(), inner_steps=0, test_steps=2, episodes=2)
    state, episodes = born(who, Sines())
    value = objective(who, state, state.start, episodes)
    x = np.concatenate([np.asarray(b.x) for b in episodes], 1)
    y = np.concatenate([np.asarray(b.y) for b in episodes], 1)
    answers = jax.vmap(jax.vmap(state.start.model))(x)
    np.testing.assert_allclose(value, ((answers - y) ** 2).mean(), rtol=1e-5)


@pytest.fixture(scope="module")
def life():
    """Meta-learn waves for a short while, two seeds."""
    who = MAML(sine_student(0.02, width=16, depth=1), inner_steps=1, test_steps=3, episodes=8,
               optimizer=Recipe(optax.adam, learning_rate=0.01))  # fmt: skip
    return live(who, Sines(), OneByOne(1, 300), Adaptation(40, "squared_error"), steps=300, seeds=2, progress=silent)


def test_learning_to_learn_helps(life):
    marks = life.exams["squared_error"]
    assert marks.shape == (2, 2, 1, 4)
    before, after = marks[:, 0, 0], marks[:, -1, 0]
    assert (after[:, 1] < 0.8 * before[:, 1]).all(), "one step helps more than it did at birth"
    assert (after[:, 1] < after[:, 0]).all(), "the step that was learned for helps"


def test_alone_and_side_by_side_are_the_same(life):
    who = MAML(sine_student(0.02, width=16, depth=1), inner_steps=1, test_steps=3, episodes=8,
               optimizer=Recipe(optax.adam, learning_rate=0.01))  # fmt: skip
    exam = Adaptation(40, "squared_error")
    one = live(who, Sines(), OneByOne(1, 5), exam, steps=5, seeds=[1], progress=silent)
    two = live(who, Sines(), OneByOne(1, 5), exam, steps=5, seeds=[0, 1], progress=silent)
    np.testing.assert_allclose(one.records["loss"][0], two.records["loss"][1], rtol=1e-4)


def _four_ways(shape):
    x = np.zeros((24, *shape), np.float32)
    return Split(dataset((x, np.arange(24) % 4)), 2)


def test_what_does_not_fit_is_said_before_anything_runs(tiny):
    with pytest.raises(Mismatch, match="MAML learns from episodes, and Split has none"):
        MAML(class_student()).init(Split(tiny, 2), key=KEY)
    with pytest.raises(Mismatch, match="the world has 4 classes; build the model with outputs=4"):
        MAML(class_student()).init(FewShotClasses(images(), ways=4), key=KEY)
    with pytest.raises(Mismatch, match=r"logits of the shape \(3, 4\), not with"):
        BatchLearner(WHOLE["perceptron"], batch=3).init(_four_ways((6, 6)), key=KEY)
    with pytest.raises(Mismatch, match=r"cannot take a batch of the shape \(3, 5, 5\)"):
        BatchLearner(WHOLE["perceptron"], batch=3).init(_four_ways((5, 5)), key=KEY)
    with pytest.raises(UnknownName, match="no part of MLP named 'heads'; did you mean 'head'"):
        MAML(class_student(), adapts=("heads",)).init(FewShotClasses(images(), ways=3), key=KEY)
    with pytest.raises(BadInput, match="at least 0"):
        MAML(class_student(), inner_steps=-1)
    with pytest.raises(BadInput, match="6 episodes cannot be taken 4 at a time"):
        MAML(class_student(), episodes=6, at_once=4)
    with pytest.raises(BadInput, match="at least one episode"):
        ProtoNet(class_student(), episodes=0)
    with pytest.raises(BadInput, match="at least one episode"):
        Adaptation(0)
