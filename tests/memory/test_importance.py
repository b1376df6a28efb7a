"""How important each weight is: against loops over single examples, closed forms and sampling theory."""

from functools import partial
from inspect import unwrap

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from lifelong.errors import BadInput
from lifelong.feedback import AngleCrossEntropy, CrossEntropy
from lifelong.learners import GradientLearner
from lifelong.memory import Memory
from lifelong.memory._importance import fisher, sensitivity
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Lesson, Pages, Split

INPUTS, OUTPUTS, ROWS = 3, 4, 10
KEY = jax.random.key(0)
MODEL = MLP(inputs=INPUTS, outputs=OUTPUTS, width=5, depth=1, key=jax.random.key(1))


class Sheets(Pages):
    """A batch in pages, the last filled up with examples of weight 0 that nobody could overlook."""

    batch: Batch
    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def page(self, i):
        place = i * self.size + jnp.arange(self.size)
        here, row = place < len(self.batch), jnp.minimum(place, len(self.batch) - 1)
        page = jax.tree.map(lambda leaf: leaf[row], self.batch)
        x = jnp.where(here[:, None], page.x, 1e3)
        return Batch(x, page.y, page.task, jnp.where(here, page.weight, 0.0), page.allowed)


def sheets(batch, size):
    return Sheets(batch=batch, size=size, count=-(-len(batch) // size))


def examples(limited=False):
    """Return examples, the fourth of weight 0; where answers are limited, class 3 is out of the question."""
    for_x, for_y = jax.random.split(jax.random.key(2))
    y = jax.random.randint(for_y, (ROWS,), 0, OUTPUTS - 1)
    allowed = jnp.broadcast_to(jnp.arange(OUTPUTS) < OUTPUTS - 1, (ROWS, OUTPUTS)) if limited else None
    weight = jnp.ones(ROWS).at[3].set(0.0)
    return Batch(jax.random.normal(for_x, (ROWS, INPUTS)), y, jnp.zeros(ROWS, jnp.int32), weight, allowed)


@partial(jax.jit, static_argnums=2)
def log_p(model, x, limited):
    return jax.nn.log_softmax(model(x)[: OUTPUTS - 1] if limited else model(x))


@partial(jax.jit, static_argnums=2)
def slope(x, y, limited):
    return jax.grad(lambda model: log_p(model, x, limited)[y])(MODEL)


def by_loop(labels, limited):
    """Return the Fisher information by one gradient after the other."""
    batch, total = examples(limited), jax.tree.map(np.zeros_like, MODEL)
    counted = [i for i in range(ROWS) if batch.weight[i] > 0]
    for i in counted:
        p = np.exp(log_p(MODEL, batch.x[i], limited))
        y = int(batch.y[i])
        terms = {
            "true": [(y, 1.0)],
            "weighted": [(y, p[y])],
            "argmax": [(int(p.argmax()), 1.0)],
            "all": list(enumerate(p)),
        }
        for label, count in terms[labels]:
            total = jax.tree.map(lambda t, g, c=count: t + c * np.square(g), total, slope(batch.x[i], label, limited))
    return jax.tree.map(lambda t: t / len(counted), total)


def close(a, b, rtol=1e-4):
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=rtol, atol=1e-7), a, b)


@eqx.filter_jit
def estimate(labels, batch, size=4, model=MODEL, **options):
    return fisher(model, sheets(batch, size), labels, key=KEY, **options)


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("labels", ["true", "weighted", "argmax", "all"])
def test_fisher_equals_a_loop_over_single_examples(labels, limited):
    found = estimate(labels, examples(limited))
    close(found, by_loop(labels, limited))


def test_fisher_does_not_depend_on_how_pages_are_cut():
    close(estimate("true", examples(), size=3), by_loop("true", False))


def test_fisher_over_all_labels_is_the_hessian_of_a_linear_softmax_model():
    linear, batch = eqx.nn.Linear(INPUTS, OUTPUTS, key=KEY), examples()
    found = estimate("all", batch, model=linear)
    p = np.asarray(jax.nn.softmax(jax.vmap(linear)(batch.x)))
    counts = np.asarray(batch.weight / batch.weight.sum())
    spread = counts[:, None] * p * (1 - p)
    np.testing.assert_allclose(found.bias, spread.sum(0), rtol=1e-5)
    np.testing.assert_allclose(found.weight, spread.T @ np.asarray(batch.x) ** 2, rtol=1e-5)


@eqx.filter_jit
def over_keys(labels, n, samples=None):
    review = sheets(examples(limited=True), 4)
    return eqx.filter_vmap(lambda k: fisher(MODEL, review, labels, key=k, samples=samples))(jax.random.split(KEY, n))


def test_sampled_labels_give_the_fisher_information_on_average():
    drawn = over_keys("sampled", 300)
    for found, expected in zip(jax.tree.leaves(drawn), jax.tree.leaves(by_loop("all", True)), strict=True):
        error = found.std(0) / np.sqrt(len(found))
        assert (np.abs(found.mean(0) - expected) <= 5 * error + 1e-7).all()
    assert drawn.head.bias[:, -1].max() == 0.0, "a forbidden class was drawn"


def test_samples_are_drawn_uniformly_among_what_counts():
    batch, drawn = examples(limited=True), over_keys("true", 900, 1).head.bias
    single = [slope(batch.x[i], batch.y[i], True).head.bias ** 2 for i in range(ROWS)]
    counts = [int((np.abs(drawn - one).max(1) < 1e-6).sum()) for one in single]
    assert counts.pop(3) == 0, "an example of weight 0 was drawn"
    assert sum(counts) == 900 and chisquare(counts).pvalue > 1e-3


def test_more_samples_than_there_are_take_all():
    close(estimate("true", examples(), samples=64), by_loop("true", False))


def test_the_loss_of_the_learner_can_take_the_place_of_cross_entropy():
    def doubled(model, batch):
        return 2.0 * CrossEntropy()(model, batch, key=KEY)[0]

    close(estimate("true", examples(), loss=doubled), jax.tree.map(lambda leaf: 4.0 * leaf, by_loop("true", False)))


@pytest.mark.parametrize("limited", [False, True])
def test_sensitivity_equals_a_loop_over_single_examples_and_looks_at_no_label(limited):
    batch, total = examples(limited), jax.tree.map(np.zeros_like, MODEL)
    kept = OUTPUTS - 1 if limited else OUTPUTS
    moved = jax.jit(jax.grad(lambda model, x: (model(x)[:kept] ** 2).sum()))
    for i in range(ROWS):
        total = jax.tree.map(lambda t, g, i=i: t + batch.weight[i] * np.abs(g), total, moved(MODEL, batch.x[i]))
    found = eqx.filter_jit(sensitivity)(MODEL, sheets(batch, 4))
    close(found, jax.tree.map(lambda t: t / batch.weight.sum(), total))
    relabelled = eqx.tree_at(lambda b: b.y, batch, (batch.y + 1) % OUTPUTS)
    close(found, eqx.filter_jit(sensitivity)(MODEL, sheets(relabelled, 4)), rtol=0)


@pytest.mark.parametrize("limited", [False, True])
def test_of_pages_the_sensitivity_is_the_slope_of_each_ones_mean(limited):
    batch, total, kept = examples(limited), jax.tree.map(np.zeros_like, MODEL), OUTPUTS - 1 if limited else OUTPUTS

    @jax.jit
    @jax.grad
    def slope_of(model, x, weight):
        return (weight * (jax.vmap(model)(x)[:, :kept] ** 2).mean(1)).sum() / weight.sum()

    for start in range(0, ROWS, 4):
        rows = slice(start, start + 4)
        moved, n = slope_of(MODEL, batch.x[rows], batch.weight[rows]), batch.weight[rows].sum()
        total = jax.tree.map(lambda t, g, n=n: t + n * np.abs(g), total, moved)
    found = eqx.filter_jit(sensitivity)(MODEL, sheets(batch, 4), "page")
    close(found, jax.tree.map(lambda t: t / batch.weight.sum(), total))


class Wrapped(eqx.Module):
    """A perceptron in disguise, so that its examples are gone through one by one."""

    inner: MLP

    def __call__(self, x):
        return self.inner(x)


@pytest.mark.parametrize("labels", ["argmax", "all"])
def test_layer_by_layer_and_example_by_example_give_the_same(labels):
    batch = eqx.tree_at(lambda b: b.weight, examples(limited=True), jnp.linspace(0.0, 2.0, ROWS))
    close(estimate(labels, batch), estimate(labels, batch, model=Wrapped(MODEL)).inner)
    both = eqx.filter_jit(lambda model: sensitivity(model, sheets(batch, 4)))
    close(both(MODEL), both(Wrapped(MODEL)).inner)


def test_a_perceptron_is_not_gone_through_example_by_example():
    """No scan within the scan over pages: what makes it fast."""
    program = str(jax.make_jaxpr(lambda x: fisher(MODEL, sheets(Batch(x, *PARTS), 4), "all", key=KEY))(examples().x))
    slow = str(
        jax.make_jaxpr(lambda x: fisher(Wrapped(MODEL), sheets(Batch(x, *PARTS), 4), "all", key=KEY))(examples().x)
    )
    assert program.count("scan[") < slow.count("scan[")


PARTS = (examples().y, examples().task, examples().weight)


def test_a_loss_that_looks_at_the_weights_themselves_is_followed_example_by_example():
    plain = MLP(inputs=INPUTS, outputs=OUTPUTS, width=5, depth=1, head_bias=False, key=jax.random.key(3))

    def angles(model, batch):
        return AngleCrossEntropy()(model, batch, key=KEY)[0]

    batch, total = examples(), jax.tree.map(np.zeros_like, plain)
    slope_of = jax.jit(jax.grad(lambda model, one: angles(model, one)))
    for i in range(ROWS):
        one = jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], eqx.tree_at(lambda b: b.weight, batch, jnp.ones(ROWS)))
        square = jax.tree.map(np.square, slope_of(plain, one))
        total = jax.tree.map(lambda t, g, i=i: t + batch.weight[i] * g, total, square)
    found = estimate("true", batch, model=plain, loss=angles)
    close(found, jax.tree.map(lambda t: t / batch.weight.sum(), total))


def test_what_cannot_be_estimated_is_said_so():
    with pytest.raises(BadInput, match="labels must be one of 'sampled'"):
        unwrap(fisher)(MODEL, sheets(examples(), 4), "false", key=KEY)
    with pytest.raises(BadInput, match="samples=0"):
        fisher(MODEL, sheets(examples(), 4), "true", key=KEY, samples=0)


class Spy(Memory):
    """Keep the first page of the last review and its Fisher information."""

    def consolidate(self, m, model, review, loss, *, key):
        return model, (review.page(jnp.int32(0)), fisher(model, review, "all", key=key))


@pytest.mark.parametrize("scenario", ["class", "task"])
def test_a_learner_reviews_among_the_classes_it_has_seen(tiny, scenario):
    world = Split(tiny, tasks=3, scenario=scenario)
    learner = GradientLearner(Recipe(MLP, inputs=8, outputs=world.outputs, width=4, depth=1), memory=Spy(), page=50)
    state, consolidate = learner.init(world, key=KEY), eqx.filter_jit(learner.consolidate)
    for task, seen in enumerate([2, 4]):
        state = eqx.tree_at(lambda s, n=seen: s.seen, state, jnp.arange(world.outputs) < seen)
        lesson = Lesson(jnp.int32(task), jnp.int32(0))
        page, found = consolidate(state, world, lesson, key=KEY).memory
        expected = {"class": range(seen), "task": (2 * task, 2 * task + 1)}[scenario]
        assert (
            np.flatnonzero(page.allowed.all(0)).tolist()
            == np.flatnonzero(page.allowed.any(0)).tolist()
            == list(expected)
        )
        assert np.flatnonzero(found.head.bias).tolist() == list(expected)
