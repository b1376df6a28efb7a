"""The shortcut world: where marks are, whose they are, how often they tell the truth, and that exams have none."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lifelong.errors import BadInput, Mismatch
from lifelong.worlds import Dataset, Lesson, Mixture, Shortcut, Split, Transformed

RANDOM, KEY = np.random.default_rng(0), jax.random.key(3)
CLASSES, ROWS, SIDE = 6, 80, 3


def pictures(rows):
    y = np.repeat(np.arange(CLASSES), rows).astype(np.int32)
    return RANDOM.random((len(y), 7, 8)).astype(np.float32), y


DATA = Dataset(*pictures(ROWS), *pictures(5), tuple("abcdef"))
SPLIT = Split(DATA, tasks=3, shuffle=True)


@eqx.filter_jit
def opened(world, key=KEY):
    return world.open(key=key)


@eqx.filter_jit
def gone_through(world, task):
    drawn = world.draw(Lesson(task, jnp.int32(0)), 2 * ROWS, key=KEY)
    return drawn, world.review(task, 2 * ROWS).page(jnp.int32(0))


def passed_through(world, task):
    """Return a whole task, as it is drawn in a pass and as it is reviewed."""
    return gone_through(world, jnp.int32(task))


@eqx.filter_jit
def papers(world):
    return world.papers(30).page(jnp.int32(0))


WORLD = opened(Shortcut(SPLIT, agreement=0.8, side=SIDE))
INNER = WORLD.world


def test_a_mark_of_its_class_or_of_the_other_class_of_its_task_covers_the_corner_and_nothing_else():
    truth = []
    for task in range(3):
        batch, plain = passed_through(WORLD, task)[0], passed_through(INNER, task)[0]
        np.testing.assert_array_equal(batch.y, plain.y)
        rest = np.ones((7, 8), bool)
        rest[:SIDE, :SIDE] = False
        np.testing.assert_array_equal(batch.x[:, rest], plain.x[:, rest])
        corner, marks = np.asarray(batch.x[:, :SIDE, :SIDE]), np.asarray(WORLD.marks)
        pair = np.flatnonzero(np.asarray(WORLD.task_of_class()) == task)
        other = pair.sum() - np.asarray(batch.y)
        own = (corner == marks[np.asarray(batch.y)]).all((1, 2))
        assert (own | (corner == marks[other]).all((1, 2))).all()
        truth.append(own)
    assert abs(np.mean(truth) - 0.8) < 4 * np.sqrt(0.16 / (CLASSES * ROWS))


def test_an_image_carries_the_same_mark_whenever_it_comes():
    drawn, reviewed = passed_through(WORLD, 1)
    order = [np.lexsort(np.asarray(batch.x[:, SIDE:]).reshape(2 * ROWS, -1).T) for batch in (drawn, reviewed)]
    np.testing.assert_array_equal(drawn.x[order[0]], reviewed.x[order[1]])


def test_marks_tell_the_label_in_training_and_are_gone_in_the_exam():
    world = opened(Shortcut(SPLIT))
    batch = passed_through(world, 0)[0]
    reader = LogisticRegression().fit(np.asarray(batch.x[:, :SIDE, :SIDE]).reshape(2 * ROWS, -1), batch.y)
    assert reader.score(np.asarray(batch.x[:, :SIDE, :SIDE]).reshape(2 * ROWS, -1), batch.y) > 0.85
    asked, plain = papers(world), papers(world.world)
    jax.tree.map(np.testing.assert_array_equal, asked, plain)


def test_of_strength_0_it_is_the_world_without_marks():
    world = opened(Shortcut(SPLIT, strength=0.0))
    for batch, plain in zip(passed_through(world, 2), passed_through(world.world, 2), strict=True):
        jax.tree.map(np.testing.assert_array_equal, batch, plain)


def test_lifetimes_have_marks_of_their_own_and_mixtures_are_marked_too():
    other = opened(Shortcut(SPLIT), jax.random.key(4))
    assert not np.array_equal(other.marks, WORLD.marks)
    assert set(np.unique(other.marks)) == {0.0, 1.0}
    batch = eqx.filter_jit(lambda world: world.draw(Mixture(jnp.ones(3)), 20, key=KEY))(WORLD)
    assert set(np.unique(batch.x[:, :SIDE, :SIDE])) == {0.0, 1.0}


def test_the_marks_of_a_task_of_one_class_are_always_true():
    world = opened(Shortcut(Split(DATA, tasks=6), agreement=0.0, side=SIDE))
    batch = eqx.filter_jit(lambda world: world.draw(Lesson(jnp.int32(2), jnp.int32(0)), 20, key=KEY))(world)
    np.testing.assert_array_equal(batch.x[:, :SIDE, :SIDE], world.marks[batch.y])


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: Shortcut(Split(DATA, 3, "domain")), Mismatch),
        (lambda: Shortcut(SPLIT, side=8), BadInput),
        (lambda: Shortcut(SPLIT, side=0), BadInput),
        (lambda: Shortcut(SPLIT, strength=1.5), BadInput),
        (lambda: Shortcut(SPLIT, agreement=-0.1), BadInput),
    ],
)
def test_worlds_and_numbers_that_do_not_fit_are_refused(build, error):
    with pytest.raises(error):
        build()


def test_other_worlds_are_named_in_the_refusal():
    from inspect import unwrap

    with pytest.raises(Mismatch, match="Transformed with scenario 'domain'"):
        unwrap(Shortcut.__init__)(object.__new__(Shortcut), Transformed(DATA, 2))
