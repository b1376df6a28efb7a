"""Sizes of passes, and passes through weighed subsets: which examples, how often, and no example twice."""

import equinox as eqx
import jax
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.teachers import Subsets, constant, cyclical, exponential, linear, stepwise
from lifelong.worlds import Split


def test_a_cycle_is_that_of_the_paper():
    assert cyclical(4) == (0.25, 0.5, 1.0, 0.5, 0.25, 0.5, 1.0)
    assert cyclical(2, start=0.4, end=0.9, factor=0.5) == (0.4, 0.8, 0.9)
    assert len(cyclical(30)) == 54


@pytest.mark.parametrize("pace", [cyclical, constant, linear, exponential, stepwise])
def test_passes_end_when_as_much_was_visited_as_asked_for(pace):
    shares = pace(12)
    assert 12 <= sum(shares) + 1e-9 and sum(shares[:-1]) < 12 + len(shares) * 1e-9
    assert all(0.25 <= share <= 1 for share in shares)


@pytest.mark.parametrize("pace", [linear, exponential, stepwise])
def test_what_grows_never_shrinks_and_reaches_everything(pace):
    shares = pace(12)
    assert list(shares) == sorted(shares) and shares[0] == 0.25 and shares[-1] == 1.0


@pytest.mark.parametrize(
    "build",
    [
        lambda: cyclical(4, start=0.0),
        lambda: cyclical(4, start=0.6, end=0.5),
        lambda: cyclical(4, factor=1.0),
        lambda: constant(4, 1.5),
        lambda: Subsets([1.0, 0.0], (1.0,), 1),
        lambda: Subsets([1.0, np.nan], (1.0,), 1),
        lambda: Subsets([1.0, 1.0], (0.1,), 1),
        lambda: Subsets([1.0, 1.0], (), 1),
        lambda: Subsets([1.0, 1.0], (1.0,), 0),
    ],
)
def test_what_is_no_share_or_weight_is_refused(build):
    with pytest.raises(BadInput):
        build()


WEIGHTS = np.array([8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def passes():
    """Rows and weights of 300 lanes: a pass of five, then passes of three, in batches of three."""
    teacher = Subsets(WEIGHTS, (5 / 7, 3 / 7), batch=3)

    def asked(key):
        def step(plan, i):
            rows, plan = teacher.ask(plan, key=jax.random.fold_in(key, i))
            return plan, rows

        return jax.lax.scan(step, teacher.init(key=key), np.arange(5))[1]

    assert teacher.steps == 3 and teacher.ends == (2, 3) and teacher.boundaries(5) == ()
    return eqx.filter_jit(jax.vmap(asked))(jax.random.split(jax.random.key(0), 300))


def test_no_example_comes_twice_in_a_pass_and_the_rest_of_the_last_batch_does_not_count(passes):
    np.testing.assert_array_equal(passes.weight[0].reshape(5, 3), [[1, 1, 1], [1, 1, 0], *[[1, 1, 1]] * 3])
    places = np.asarray(passes.place).reshape(300, 15)
    for columns in ([0, 1, 2, 3, 4], [6, 7, 8], [9, 10, 11], [12, 13, 14]):
        assert all(len(set(row)) == len(columns) for row in places[:, columns].tolist())


def test_examples_are_drawn_as_by_drawing_one_after_the_other(passes):
    """How often each is among the first three, beside NumPy's choice without replacement."""
    random = np.random.default_rng(0)
    draws = [random.choice(7, 3, replace=False, p=WEIGHTS / WEIGHTS.sum()) for _ in range(3000)]
    expected = np.bincount(np.ravel(draws), minlength=7) / 3000
    found = np.bincount(np.asarray(passes.place)[:, 2].ravel(), minlength=7) / 300
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert found[0] > 0.8 > 0.5 > found[6]


def test_a_world_shows_the_rows_asked_for(tiny):
    world, n, key = Split(tiny, 1), len(tiny.y_train), jax.random.key(0)
    teacher = Subsets(np.ones(n), (1.0,), batch=n)
    rows, _ = teacher.ask(teacher.init(key=key), key=key)
    batch = world.draw(rows, n, key=jax.random.key(0))
    assert sorted(map(tuple, np.asarray(batch.x).tolist())) == sorted(map(tuple, tiny.x_train.tolist()))
    np.testing.assert_array_equal(batch.x[5], world.x[rows.place[5]])
    np.testing.assert_array_equal(batch.y, world.y[rows.place])


def test_noisy_labels_name_another_class_and_leave_the_test_alone(tiny):
    noisy = tiny.noisy_labels(0.25)
    changed = noisy.y_train != tiny.y_train
    assert changed.sum() == round(0.25 * len(changed)) and set(noisy.y_train) <= set(tiny.y_train)
    np.testing.assert_array_equal(noisy.y_test, tiny.y_test)
    np.testing.assert_array_equal(tiny.noisy_labels(0.0).y_train, tiny.y_train)
    with pytest.raises(BadInput, match="between 0 and 1"):
        tiny.noisy_labels(1.5)
