"""Online prototype learning: its objective from its parts, what it rehearses, and when."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import CrossEntropy, class_means, prototype_contrast, supervised_contrast
from lifelong.memory import OnPro, Step, mix, pair_probabilities
from lifelong.nets import MLP, Projected
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Pages, RandomViews

KEY, OUTPUTS, CAPACITY, REHEARSED = jax.random.key(0), 4, 20, 8
NET = Recipe(Projected, net=Recipe(MLP, inputs=16, outputs=OUTPUTS, width=6, depth=1, activation=jnp.tanh), width=3)
MODEL, OTHER = NET(key=KEY), NET(key=jax.random.key(1))
VIEWS = RandomViews(shift=1.0)
DIALS = {"instances": 0.7, "prototypes": 0.3}


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=KEY)[0]


def examples(n, seed, classes=OUTPUTS):
    for_x, for_y = jax.random.split(jax.random.key(seed))
    y = jax.random.randint(for_y, (n,), 0, classes)
    return Batch(jax.random.uniform(for_x, (n, 4, 4)), y, jnp.zeros(n, jnp.int32), jnp.ones(n))


NOW, PAST = examples(5, seed=1, classes=2), examples(CAPACITY, seed=2)


class NoPages(Pages):
    """A review that nobody needs to open."""

    count: int = eqx.field(static=True, default=1)


@eqx.filter_jit
def met(memory, m=None, batch=PAST, key=KEY):
    """Return the state after a batch, under the model."""
    m = memory.init(MODEL, PAST, key=KEY) if m is None else m
    return memory.keep(m, Step(batch, memory.recall(m, key=key), MODEL, OTHER, None), key=key)


def rehearsing(memory):
    """Return the state in a second task: the past was met in the first, then a step of the second was taken."""
    m = memory.consolidate(met(memory), MODEL, NoPages(), loss, key=KEY)[1]
    return met(memory, m, NOW, jax.random.key(7))


@eqx.filter_jit
def objective(memory, m):
    recalled = memory.recall(m, key=jax.random.key(6))
    added = memory.penalty(m, MODEL, NOW, recalled, loss)
    return added, memory.weigh(m, NOW, recalled), recalled


def both_views(recalled, part):
    """Return the projections of batch, mixtures or rehearsed examples, as they are and as the key shows them."""
    parts = [NOW.x, recalled.mixed.x, recalled.seen.x]
    views = VIEWS(jnp.concatenate(parts), key=recalled.key)
    start = sum(len(p) for p in parts[:part])
    return [jax.vmap(MODEL.project)(x) for x in (parts[part], views[start : start + len(parts[part])])]


def contrast(views, group, weight):
    return supervised_contrast(jnp.concatenate(views), jnp.tile(group, 2), jnp.tile(weight, 2), 0.1)


@pytest.mark.slow
def test_in_the_first_task_the_batch_is_learned_and_contrasted_and_the_past_only_keeps_prototypes_apart():
    memory = OnPro(CAPACITY, REHEARSED, VIEWS, **DIALS)
    added, weight, recalled = objective(memory, met(memory))
    now, seen = both_views(recalled, 0), both_views(recalled, 2)
    apart = prototype_contrast(*now, NOW.y, NOW.weight, OUTPUTS, 0.5)
    apart += prototype_contrast(*seen, recalled.seen.y, recalled.seen.weight, OUTPUTS, 0.5)
    np.testing.assert_allclose(added, 0.7 * contrast(now, NOW.y, NOW.weight) + 0.3 * apart, rtol=1e-5)
    assert weight == 1.0


def test_later_the_mixtures_are_learned_and_contrasted_and_the_batch_is_only_contrasted():
    memory = OnPro(CAPACITY, REHEARSED, VIEWS, **DIALS, mixing=0.8, pairs=0.5)
    added, weight, recalled = objective(memory, rehearsing(memory))
    now, blended, seen = (both_views(recalled, part) for part in range(3))
    mixed = recalled.mixed
    assert 0 < (mixed.share > 0).sum() < REHEARSED
    group = jnp.where(mixed.share > 0, 100 + jnp.arange(REHEARSED), mixed.y)
    instances = contrast(now, NOW.y, NOW.weight) + contrast(blended, group, mixed.weight)
    apart = prototype_contrast(*now, NOW.y, NOW.weight, OUTPUTS, 0.5)
    apart += prototype_contrast(*seen, recalled.seen.y, recalled.seen.weight, OUTPUTS, 0.5)
    np.testing.assert_allclose(added, loss(MODEL, mixed.as_batch()) + 0.7 * instances + 0.3 * apart, rtol=1e-5)
    assert weight == 0.0


def test_without_contrasts_and_mixtures_it_rehearses_and_nothing_else():
    memory = OnPro(CAPACITY, REHEARSED, VIEWS, instances=0.0, prototypes=0.0, pairs=0.0, mixing=0.0, current=1.0)
    added, weight, recalled = objective(memory, rehearsing(memory))
    np.testing.assert_allclose(added, loss(MODEL, recalled.seen), rtol=1e-6)
    assert weight == 1.0


def rows_of(x):
    return {tuple(row) for row in np.asarray(x).reshape(len(x), -1)}


def test_part_of_the_rehearsal_is_of_pairs_and_the_rest_is_mixed_among_itself():
    """With mixtures off, what is left of either is its first example."""
    memory = OnPro(CAPACITY, REHEARSED, VIEWS, pairs=0.4, mixing=0.0)
    m = met(memory, met(memory), NOW, jax.random.key(8))
    np.testing.assert_array_equal(m.mixed.x[:4], m.seen.x[:4])
    assert not np.array_equal(m.mixed.x[4:], m.seen.x[4:])
    assert rows_of(m.mixed.x) <= rows_of(PAST.x) | rows_of(NOW.x)
    assert (m.mixed.share == 0).all()
    always = met(OnPro(CAPACITY, REHEARSED, VIEWS, pairs=0.0, mixing=1.0), met(memory), NOW, jax.random.key(8))
    partner = jnp.roll(always.seen.x, -1, axis=0)
    share = always.mixed.share[:, None, None]
    np.testing.assert_allclose(always.mixed.x, (1 - share) * always.seen.x + share * partner, atol=1e-6)
    assert (always.mixed.share > 0).all() and (always.mixed.share < 0.6).all()


def test_pairs_are_drawn_by_the_prototypes_of_what_was_rehearsed_under_the_models_both_views():
    memory = OnPro(CAPACITY, REHEARSED, VIEWS, pairs=1.0, mixing=1.0, focus=4.0)
    m = met(memory)
    keys = jax.random.split(jax.random.key(3), 600)
    mixed = eqx.filter_jit(jax.vmap(lambda k: met(memory, m, NOW, k).mixed))(keys)
    seen, recalled = m.seen, memory.recall(m, key=keys[0])
    counts = np.zeros((OUTPUTS, OUTPUTS))
    np.add.at(counts, (np.asarray(mixed.y).ravel(), np.asarray(mixed.other).ravel()), 1)
    views = [jax.vmap(MODEL.project)(x) for x in (seen.x, VIEWS(recalled.seen.x, key=keys[1]))]
    means = [class_means(z, seen.y, seen.weight, OUTPUTS) for z in views]
    pairs, expected = pair_probabilities((means[0][0] + means[1][0]) / 2, means[0][1] > 0, 4.0)
    found = (counts + counts.T)[tuple(pairs)]
    assert np.corrcoef(found, expected)[0, 1] > 0.8 and np.argmax(found) == np.argmax(expected)
    share = np.asarray(mixed.share).ravel()
    beta = np.random.default_rng(0).beta(0.4, 0.4, 100_000)
    np.testing.assert_allclose(np.quantile(share, [0.1, 0.5, 0.9]), np.quantile(beta, [0.1, 0.5, 0.9]), atol=0.03)


def test_a_task_begins_with_what_was_drawn_as_it_is():
    memory = OnPro(CAPACITY, REHEARSED, VIEWS, mixing=1.0, pairs=0.5)
    m = met(memory, met(memory), NOW)
    told, ended = memory.consolidate(m, MODEL, NoPages(), loss, key=KEY)
    assert told is MODEL and ended.finished == 1
    jax.tree.map(np.testing.assert_array_equal, ended.mixed, mix(m.seen, m.seen, jnp.zeros(REHEARSED)))
    newborn = memory.init(MODEL, PAST, key=KEY)
    assert (met(memory, newborn, NOW).mixed.share[1:] <= 0.6).all()
    assert (newborn.seen.weight == 0).all() and (newborn.mixed.weight == 0).all()


def test_what_must_go_is_in_no_mixture_either():
    memory = OnPro(CAPACITY, REHEARSED, VIEWS, mixing=1.0, pairs=0.5)
    m = memory.release(met(memory, met(memory), NOW), lambda batch: batch.y == 1)
    gone = rows_of(PAST.x[PAST.y == 1]) | rows_of(NOW.x[NOW.y == 1])
    assert not (gone & (rows_of(m.buffer.examples.x) | rows_of(m.seen.x) | rows_of(m.mixed.x)))
    assert (m.mixed.share == 0).all() and m.mixed.weight.sum() == m.seen.weight.sum() > 0


def test_models_and_worlds_that_do_not_fit_are_refused():
    with pytest.raises(Mismatch, match="MLP has no method `project"):
        OnPro(CAPACITY, REHEARSED).init(MODEL.net, PAST, key=KEY)
    known = Batch(PAST.x, PAST.y, PAST.task, PAST.weight, jnp.ones((CAPACITY, OUTPUTS), bool))
    with pytest.raises(Mismatch, match="tasks are known"):
        OnPro(CAPACITY, REHEARSED).init(MODEL, known, key=KEY)


@pytest.fixture
def unchecked():
    """Let wrong types through to the library's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("wrong", [{"batch": 1}, {"capacity": 10, "batch": 11}, {"alpha": 0.0}])
def test_sizes_are_checked(wrong, unchecked):
    with pytest.raises(BadInput):
        OnPro(**wrong)
