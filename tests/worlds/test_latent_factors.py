"""Hidden factors: the best answer, and examples with their numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import LatentFactors, Lesson

D, R = 6, 2


@eqx.filter_jit
def drawn(world, task, n):
    here = world.open(key=jax.random.key(0))
    return here, here.draw(Lesson(jnp.int32(task), jnp.int32(0)), n, key=jax.random.key(1))


@pytest.mark.parametrize("informative", [1.0, 0.0, 0.6])
def test_the_best_answer_is_that_of_least_squares_on_very_many(informative):
    world, rows = drawn(LatentFactors(D, R, labelled=1e6, informative=informative), 1, 60_000)
    found = np.linalg.lstsq(np.asarray(rows.x), np.asarray(rows.y), rcond=None)[0]
    np.testing.assert_allclose(world.best(jnp.eye(D)), found, atol=0.02)
    covariance = np.asarray(world.loadings @ world.loadings.T + jnp.eye(D))
    np.testing.assert_allclose(np.cov(rows.x.T), covariance, rtol=0.1, atol=0.15)


def test_the_factors_tell_nothing_of_what_is_uninformative():
    world, _ = drawn(LatentFactors(D, R), 0, 4)
    np.testing.assert_allclose(world.loadings.T @ world.gamma, 0.0, atol=1e-5)
    np.testing.assert_allclose([jnp.linalg.norm(world.beta), jnp.linalg.norm(world.gamma)], 1.0, rtol=1e-5)


def test_tasks_have_as_many_examples_as_asked_and_labels_only_where_they_should():
    world, rows = drawn(LatentFactors(D, R, unlabelled=5.0, labelled=3.0), 0, 8)
    np.testing.assert_array_equal(rows.weight, np.arange(8) < 5)
    np.testing.assert_array_equal(rows.y, 0.0)
    _, labelled = drawn(LatentFactors(D, R, unlabelled=5.0, labelled=3.0), 1, 8)
    np.testing.assert_array_equal(labelled.weight, np.arange(8) < 3)
    assert (np.asarray(labelled.y) != 0).all() and not np.allclose(labelled.x, rows.x)
    again = world.draw(Lesson(jnp.int32(0), jnp.int32(1)), 4, key=jax.random.key(9))
    np.testing.assert_allclose(again.x, rows.x[4:], atol=1e-6)


def test_a_larger_world_begins_with_the_smaller_one():
    (_, few), (_, many) = (drawn(LatentFactors(D, R, labelled=n), 1, 8) for n in (2.0, 6.0))
    np.testing.assert_array_equal(few.x, many.x)
    assert few.weight.sum() == 2 and many.weight.sum() == 6


def test_questions_are_no_lesson():
    world, rows = drawn(LatentFactors(D, R, questions=10), 1, 10)
    papers = world.papers(6)
    pages = [papers.page(i) for i in range(papers.count)]
    assert [int(page.weight.sum()) for page in pages] == [6, 4]
    assert not np.isclose(np.asarray(pages[0].x)[:, None], np.asarray(rows.x)).all(-1).any()


def test_what_does_not_fit_is_refused():
    for bad in ({"factors": 0}, {"features": 4, "factors": 4}, {"informative": 2.0}, {"questions": 0}):
        with pytest.raises(BadInput):
            LatentFactors(**bad)
