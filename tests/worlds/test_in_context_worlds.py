"""Sequences of labelled items: tasks, bursts and parts are what their equations say."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput, Mismatch
from lifelong.keys import key_for
from lifelong.worlds import BurstySequences, Dataset, Lesson, Mixture, ProjectedSequences, answers, labelled

TRAINING, SECOND, THIRD, FOURTH = (jnp.full(64, part) for part in range(4))


def rows_told_apart(first: float, n: int = 40) -> Dataset:
    """Return rows that differ in one number, which says where they are from."""
    x = (first + np.arange(n))[:, None] * np.ones((1, 3))
    y = np.arange(n) % 4
    return Dataset(x, y, -x, y, ("a", "b", "c", "d"))


@pytest.fixture(scope="module")
def world():
    return ProjectedSequences(rows_told_apart(1), rows_told_apart(1001), pool=2, length=6, asked=10)


@pytest.fixture(scope="module")
def bursts():
    return BurstySequences(4, 16, 32, 8, asked=64, burst=2).open(key=jax.random.key(1))


@eqx.filter_jit
def dealt(world, part):
    """Return a sequence of each part named, and the tasks of projected ones."""
    keys = jax.random.split(jax.random.key(0), len(part))
    tasks = (
        jax.vmap(lambda part, key: world.task(part, key=key_for(key, "task")))(part, keys)
        if hasattr(world, "task")
        else None
    )
    return world.batch(part, key=jax.random.key(0)), tasks


def read(world, part):
    """Return items [n, t, features] and labels [n, t] of sequences of a part."""
    batch, _ = dealt(world, part)
    return np.asarray(batch.x[..., : world.features]), np.asarray(answers(batch, world.outputs).argmax(-1)), batch


def test_labels_stand_beside_their_items_but_for_the_last():
    x = labelled(jnp.ones((2, 3, 1)), jnp.array([[0, 1, 1], [1, 1, 0]]), 2)
    np.testing.assert_array_equal(x[0], [[1, 1, 0], [1, 0, 1], [1, 0, 0]])


def test_a_sequence_is_one_linear_map_of_rows_of_its_part_and_repeats_none(world):
    for part in range(4):
        x, _, _ = read(world, jnp.full(64, part))
        along = np.asarray(dealt(world, jnp.full(64, part))[1][0]).sum(-1)
        rows = x @ np.ones(3) / along.sum(-1)[:, None]
        low, high = [(1, 40), (1, 40), (-40, -1), (-1040, -1001)][part]
        assert (rows > low - 0.01).all() and (rows < high + 0.01).all()
        assert all(len(set(np.round(own))) == 6 for own in rows)


def test_a_pool_of_two_has_two_tasks_and_other_parts_have_no_end_of_them(world):
    maps = [np.asarray(dealt(world, part)[1][0])[:, 0, 0] for part in (TRAINING, SECOND, THIRD)]
    assert len(np.unique(maps[0])) == 2 and len(np.unique(maps[2])) == 64
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not set(maps[0]) & set(maps[2])


def test_maps_have_variance_one_over_features_and_labels_are_permuted_evenly(world):
    maps, names = (np.asarray(part) for part in dealt(world, THIRD)[1])
    assert abs((maps**2).mean() * 3 - 1) < 0.25
    assert (np.sort(names, axis=1) == np.arange(4)).all()
    np.testing.assert_allclose((names == 0).mean(0), 0.25, atol=0.2)
    assert (dealt(world, SECOND)[1][1] == np.arange(4)).all()


def test_papers_are_the_same_at_every_sitting_and_ask_as_often_as_stated(world):
    opened = world.open(key=jax.random.key(5))
    papers, page_of = opened.papers(4), eqx.filter_jit(lambda papers, i: papers.page(i))
    np.testing.assert_array_equal(page_of(papers, jnp.int32(5)).x, page_of(opened.papers(4), jnp.int32(5)).x)
    weights = np.zeros(4)
    for page in (page_of(papers, jnp.int32(i)) for i in range(papers.count)):
        np.add.at(weights, np.asarray(page.task), np.asarray(page.weight))
    np.testing.assert_array_equal(weights, 10)


def test_mixtures_are_of_the_parts_that_weigh_something(world):
    draw = eqx.filter_jit(lambda world, lesson: world.draw(lesson, 64, key=jax.random.key(0)))
    assert set(np.unique(draw(world, Mixture(jnp.array([0.5, 0.0, 0.5, 0.0]))).task)) == {0, 2}
    assert (draw(world, Lesson(jnp.int32(1), jnp.int32(0))).task == 1).all()


def test_a_bursty_context_holds_items_of_each_class_and_the_target_is_of_one_of_them(bursts):
    for part, shift in ((SECOND, 0), (FOURTH, 1)):
        x, y, _ = read(bursts, part)
        assert all(sorted(np.bincount(own[:-1], minlength=8))[-2:] == [2, 2] for own in y)
        assert all(own[-1] in own[:-1] for own in y)
        own_class = (y[:, :-1] == y[:, -1:])[..., None]
        distance = ((x[:, :-1] - x[:, -1:]) ** 2).sum(-1)
        assert distance[own_class[..., 0]].max() < 0.2 < distance[~own_class[..., 0]].min()
        if shift:
            means = np.asarray(bursts.means)
            nearest = ((x[:, :, None] - means) ** 2).sum(-1).argmin(-1)
            np.testing.assert_array_equal((nearest % 8 + 1) % 8, y)


def test_fresh_classes_are_none_of_the_trained_ones_and_trained_ones_keep_their_labels(bursts):
    means = np.asarray(bursts.means)
    x, _, _ = read(bursts, SECOND)
    assert ((x[:, :, None] - means) ** 2).sum(-1).min() > 0.2
    x, y, _ = read(bursts, THIRD)
    np.testing.assert_array_equal(((x[:, :, None] - means) ** 2).sum(-1).argmin(-1) % 8, y)
    helped = np.mean([own[-1] in own[:-1] for own in y])
    assert helped < 0.75  # 1 − (7/8)⁴ = 0.41 by chance


def test_only_labels_that_there_are_may_be_named():
    few = BurstySequences(4, 8, 32, 8, labels=4)
    batch, _ = dealt(few, TRAINING)
    assert np.asarray(batch.allowed).sum(1).tolist() == [4] * 64 and int(batch.y.max()) == 3


def test_what_does_not_fit_is_refused(unchecked):
    with pytest.raises(Mismatch, match="resize"):
        ProjectedSequences(rows_told_apart(1), Dataset(*([np.ones((9, 2)), np.arange(9) % 2] * 2), ("a", "b")))
    with pytest.raises(BadInput, match="need as many rows"):
        ProjectedSequences(rows_told_apart(1), rows_told_apart(1), length=41)
    with pytest.raises(BadInput, match="classes"):
        ProjectedSequences(rows_told_apart(1), rows_told_apart(1), classes=5)
    with pytest.raises(BadInput, match="burst"):
        BurstySequences(4, burst=3)
    with pytest.raises(BadInput, match="divide"):
        BurstySequences(4, classes=512, labels=3)


@pytest.mark.parametrize("name", ["world", "bursts"])
def test_lessons_mixtures_and_papers_have_one_kind_of_batch(name, request):
    """Such worlds cannot be reviewed, so they are no party to the contract of those that can."""
    world, key = request.getfixturevalue(name), jax.random.key(0)
    lessons = (Lesson(jnp.int32(1), jnp.int32(0)), Mixture(jnp.ones(world.tasks)))
    made = [
        eqx.filter_eval_shape(lambda world, lesson=lesson: world.draw(lesson, 7, key=key), world) for lesson in lessons
    ]
    made.append(eqx.filter_eval_shape(lambda world: world.papers(7).page(jnp.int32(0)), world))
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), batch) for batch in made]
    assert kinds[0] == kinds[1] == kinds[2]
    assert made[0].x.shape == (7, 5 if name == "bursts" else 6, world.features + world.outputs)
    assert (made[0].y.dtype, made[0].task.dtype, made[0].y.weak_type) == (jnp.int32, jnp.int32, False)
