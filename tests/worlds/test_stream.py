"""Incremental streams against brute force: which rows, which labels, which answers are allowed, and each row once."""

from inspect import unwrap as untyped

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from lifelong.errors import BadInput
from lifelong.worlds import Dataset, Lesson, Mixture, Split, Stream, Transformed, permutation, rotation

KEY = jax.random.key(0)
COUNTS, TESTS = (7, 12, 5, 9, 11, 6), (2, 4, 1, 3, 5, 2)
ORDER = [3, 0, 5, 1, 4, 2]


def numbered(counts, first):
    """Return rows whose first feature is their number, so that each can be recognised, in mixed order."""
    y = np.random.default_rng(first).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int32)
    return np.stack([first + np.arange(len(y)), y, np.full(len(y), 0.5)], 1).astype(np.float32), y


def uneven() -> Dataset:
    return Dataset(*numbered(COUNTS, 0), *numbered(TESTS, 1000), tuple("abcdef"))


DATA = uneven()
SCENARIOS = ("class", "domain", "task")


@eqx.filter_jit
def lessons(world, task, turns, n):
    return jax.vmap(lambda turn: world.draw(Lesson(task, turn), n, key=KEY))(turns)


def drawn(world, task, turns, n):
    """Return so many lessons of a task as one batch."""
    batches = lessons(world, jnp.int32(task), jnp.arange(turns), n)
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:]), batches)


@eqx.filter_jit
def read(pages):
    """Return all pages as one batch."""
    batches = jax.lax.map(pages.page, jnp.arange(pages.count))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batches)


def counted(batch):
    """Return the batch as NumPy arrays, without what has weight 0."""
    kept = np.asarray(batch.weight) > 0
    return jax.tree.map(lambda leaf: np.asarray(leaf)[kept], batch)


def rows_of(task, order=ORDER):
    """Return the row numbers, by the definition of a split, of the classes of one of three tasks."""
    return np.flatnonzero(np.isin(DATA.y_train, order[2 * task : 2 * task + 2]))


def check_labels(batch, scenario, task_of_class, place_of_class, classes):
    """Check labels, tasks and allowed answers, row by row, against the classes that the rows really have."""
    for i, y in enumerate(classes):
        task = task_of_class[y]
        assert batch.task[i] == task
        assert batch.y[i] == (place_of_class[y] if scenario == "domain" else y)
        if scenario == "task":
            assert batch.allowed[i].tolist() == [task_of_class[c] == task for c in range(6)]
    if scenario != "task":
        assert batch.allowed is None


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_split_labels_and_allows_by_its_scenario(scenario):
    world = Split(DATA, tasks=3, scenario=scenario, order=ORDER)
    assert world.outputs == (2 if scenario == "domain" else 6)
    task_of = {c: place // 2 for place, c in enumerate(ORDER)}
    place_in = {c: place % 2 for place, c in enumerate(ORDER)}
    for task in range(3):
        learned = drawn(world, task, 4, 5)
        assert {task_of[y] for y in learned.x[:, 1]} == {task}
        check_labels(learned, scenario, task_of, place_in, learned.x[:, 1].astype(int))
        reviewed = counted(read(world.review(jnp.int32(task), 7)))
        check_labels(reviewed, scenario, task_of, place_in, reviewed.x[:, 1].astype(int))
    asked = counted(read(world.papers(4)))
    check_labels(asked, scenario, task_of, place_in, asked.x[:, 1].astype(int))


@pytest.mark.parametrize("n", [1, 5, 8, 40])
def test_every_pass_has_each_row_of_the_task_once_and_passes_differ(n):
    world = Split(DATA, tasks=3, order=ORDER).open(key=KEY)
    for task in range(3):
        size = len(rows_of(task))
        seen = drawn(world, task, 3 * -(-size // n), n).x[:, 0]
        first, second = seen[:size], seen[size : 2 * size]
        np.testing.assert_array_equal(np.sort(first), rows_of(task))
        np.testing.assert_array_equal(np.sort(second), rows_of(task))
        assert first.tolist() != second.tolist()


def test_lifetimes_differ_in_the_order_of_rows_and_a_lifetime_repeats_itself():
    world = Split(DATA, tasks=3)
    one, again, other = (drawn(world.open(key=jax.random.key(k)), 1, 4, 4).x[:, 0].tolist() for k in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("n", [4, 17, 100])
def test_review_and_papers_cover_everything_once(n):
    world = Split(DATA, tasks=3, order=ORDER)
    for task in range(3):
        assert sorted(counted(read(world.review(jnp.int32(task), n))).x[:, 0]) == rows_of(task).tolist()
    assert sorted(counted(read(world.papers(n))).x[:, 0]) == list(range(1000, 1000 + sum(TESTS)))


def test_a_page_of_a_review_stands_for_the_whole_task():
    """Over lifetimes, every place in the review holds each row equally often; it is no pass of the lessons."""
    world = Split(DATA, tasks=3, order=ORDER)
    reviews = eqx.filter_jit(jax.vmap(lambda key: read(world.open(key=key).review(jnp.int32(1), 6)).x[:, 0]))
    first = np.asarray(reviews(jax.random.split(KEY, 600)))[:, 0]
    counts = [(first == row).sum() for row in rows_of(1)]
    assert sum(counts) == 600 and chisquare(counts).pvalue > 1e-3
    opened = world.open(key=KEY)
    size = len(rows_of(1))
    assert read(opened.review(jnp.int32(1), size)).x[:, 0].tolist() != drawn(opened, 1, 1, size).x[:, 0].tolist()


@pytest.mark.parametrize("n", [4, 100])
def test_transformed_papers_ask_every_question_once_in_each_task(n):
    world = Transformed(DATA, tasks=3, identity_first=True)
    asked = counted(read(world.papers(n)))
    for task in range(3):
        mine = asked.x[asked.task == task]
        assert len(mine) == sum(TESTS)
        np.testing.assert_array_equal(np.sort(mine.sum(1)), np.sort(DATA.x_test.sum(1)))
    assert sorted(asked.x[asked.task == 0][:, 0]) == list(range(1000, 1000 + sum(TESTS)))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_transformed_stream_labels_and_allows_by_its_scenario(scenario):
    world = Transformed(DATA, tasks=3, scenario=scenario)
    assert world.outputs == (6 if scenario == "domain" else 18)
    for task in range(3):
        batch = read(world.review(jnp.int32(task), sum(COUNTS)))
        classes = np.sort(DATA.y_train)
        np.testing.assert_array_equal(np.sort(batch.y), classes + (0 if scenario == "domain" else 6 * task))
        np.testing.assert_array_equal(batch.task, task)
        if scenario == "task":
            expected = np.arange(18) // 6 == task
            np.testing.assert_array_equal(batch.allowed, np.broadcast_to(expected, batch.allowed.shape))
        else:
            assert batch.allowed is None


def test_mixtures_draw_tasks_in_proportion_and_rows_evenly():
    """Also where tasks differ in size: within a task, every row is as likely as any other."""
    world, n = Split(DATA, tasks=3, order=ORDER), 30_000
    weights = jnp.asarray([1.0, 0.0, 3.0])
    batch = eqx.filter_jit(lambda world: world.draw(Mixture(weights), n, key=KEY))(world)
    tasks = np.bincount(batch.task, minlength=3)
    assert tasks[1] == 0
    assert chisquare(tasks[[0, 2]], [n / 4, 3 * n / 4]).pvalue > 1e-4
    for task in (0, 2):
        of_task = np.asarray(batch.x)[np.asarray(batch.task) == task, 0].astype(int)
        times = np.bincount(of_task, minlength=sum(COUNTS))
        assert set(np.flatnonzero(times)) == set(rows_of(task))
        assert chisquare(times[rows_of(task)]).pvalue > 1e-4
    np.testing.assert_array_equal(batch.y, np.asarray(batch.x)[:, 1])


def test_shuffled_splits_deal_every_lifetime_its_own_order_of_classes():
    world, lanes = Split(DATA, tasks=3, shuffle=True), 400
    keys = jax.random.split(KEY, lanes)
    orders = np.asarray(eqx.filter_vmap(lambda key: world.open(key=key).order)(keys))
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.broadcast_to(np.arange(6), (lanes, 6)))
    assert all(chisquare(np.bincount(orders[:, place], minlength=6)).pvalue > 1e-4 for place in range(6))

    def pass_of(key):
        here = world.open(key=key)
        size = here.size(jnp.int32(1))
        batch = here.draw(Lesson(jnp.int32(1), jnp.int32(0)), 23, key=key)
        return here.order, batch.x[:, 0], jnp.arange(23) < size

    for order, rows, within in zip(*map(np.asarray, jax.jit(jax.vmap(pass_of))(keys[:8])), strict=True):
        assert sorted(rows[within]) == rows_of(1, order.tolist())[: within.sum()].tolist()


def test_review_is_long_enough_whatever_classes_a_lifetime_is_dealt():
    """The largest possible task decides the number of pages."""
    world = Split(DATA, tasks=3, shuffle=True)
    largest = Split(DATA, tasks=3, order=[1, 4, 0, 2, 3, 5])
    assert world.longest == len(rows_of(0, [1, 4])) == int(largest.size(jnp.int32(0)))


def by_rows(x):
    """Return rows in an order that depends on nothing but them."""
    return np.asarray(sorted(np.asarray(x).reshape(len(x), -1).tolist()))


def test_permuted_tasks_permute_features_as_numpy_does():
    world = Transformed(DATA, tasks=4, transform=permutation(), identity_first=True).open(key=KEY)
    orders = np.asarray(world.drawn)
    assert orders.shape == (4, 3)
    np.testing.assert_array_equal(orders[0], np.arange(3))
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.broadcast_to(np.arange(3), (4, 3)))
    plain = np.asarray(world.x)
    for task in range(4):
        batch = read(world.review(jnp.int32(task), sum(COUNTS)))
        np.testing.assert_array_equal(by_rows(batch.x), by_rows(plain[:, orders[task]]))


def test_every_lifetime_draws_permutations_of_its_own():
    world = Transformed(DATA, tasks=3)
    first, second = (np.asarray(world.open(key=jax.random.key(k)).drawn) for k in (1, 2))
    assert not np.array_equal(first, second)


def pictures(*channels):
    random = np.random.default_rng(0)
    x = random.random((12, 6, 6, *channels)).astype(np.float32)
    y = np.repeat(np.arange(2, dtype=np.int32), 6)
    return Dataset(x, y, x, y, ("a", "b"))


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_are_those_of_numpy(channels, quarters):
    data = pictures(*channels)
    world = Transformed(data, tasks=1, transform=rotation(90.0 * quarters, 90.0 * quarters)).open(key=KEY)
    turned = read(world.review(jnp.int32(0), 12)).x
    np.testing.assert_allclose(by_rows(turned), by_rows(np.rot90(data.x_train, quarters, axes=(1, 2))), atol=1e-5)


def test_angles_lie_in_the_range_asked_for_and_the_first_may_be_none():
    world = Transformed(pictures(), tasks=200, transform=rotation(20.0, 50.0), identity_first=True).open(key=KEY)
    assert world.drawn[0] == 0.0
    assert 20.0 <= world.drawn[1:].min() < 25.0 and 45.0 < world.drawn[1:].max() <= 50.0


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Split(DATA, tasks=4), "divisor of 6"),
        (lambda: Split(DATA, tasks=0), "at least one task"),
        (lambda: untyped(Stream._load)(Split(DATA, 2), DATA, 3, "tsak"), "'class', 'domain' or 'task', not 'tsak'"),
        (lambda: Split(DATA, tasks=3, order=[0, 1, 2, 3, 4, 4]), "each of 0 … 5 once"),
        (lambda: Split(DATA, tasks=3, order=[0, 1]), "each of 0 … 5 once"),
        (lambda: Transformed(DATA, tasks=0), "at least one task"),
        (lambda: Transformed(DATA, tasks=2, transform=rotation()), "only images can be rotated"),
    ],
)
def test_streams_that_cannot_be_are_refused(build, words):
    with pytest.raises(BadInput, match=words):
        build()
