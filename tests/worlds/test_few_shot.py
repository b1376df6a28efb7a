"""Distributions of tasks: what episodes hold, that parts share nothing, and that nothing is met twice."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.worlds import FewShotClasses, Lesson, ProjectedTasks, Sines

CLASSES, EXAMPLES = 12, 7
CODED = (100 * np.arange(CLASSES)[:, None] + np.arange(EXAMPLES)).astype(np.float32)[..., None]
"""Each example says in its only number which class it is of (hundreds) and which example it is."""


@eqx.filter_jit
def drawn(world, part, n, seed):
    return world.draw(Lesson(jnp.int32(part), jnp.int32(0)), n, key=jax.random.key(seed))


def test_classes_are_dealt_in_ways_and_shots():
    world = FewShotClasses(CODED, ways=3, shots=2, queries=4, unseen=4)
    support, query = drawn(world, 0, 300, 0)
    assert support.x.shape == (300, 6, 1) and query.x.shape == (300, 12, 1) and world.outputs == 3
    np.testing.assert_array_equal(support.y[0], [0, 0, 1, 1, 2, 2])
    shown, asked = np.asarray(support.x)[..., 0].astype(int), np.asarray(query.x)[..., 0].astype(int)
    for shown_here, asked_here in zip(shown, asked, strict=True):
        assert len({*shown_here, *asked_here}) == 18, "an example is shown or asked about once"
        named = dict(zip(shown_here // 100, [0, 0, 1, 1, 2, 2], strict=True))
        assert len(named) == 3 and [named[c] for c in asked_here // 100] == np.repeat([0, 1, 2], 4).tolist()
    counts = np.bincount(shown[:, ::2].ravel() // 100, minlength=CLASSES)
    assert counts[8:].sum() == 0 and np.abs(counts[:8] - 900 / 8).max() < 5 * np.sqrt(900 / 8)


def test_parts_share_no_class_and_no_two_episodes_are_alike():
    world = FewShotClasses(CODED[:8], ways=3, shots=1, queries=1, unseen=CODED[8:])
    of_part = [np.asarray(drawn(world, part, 100, 1).support.x).astype(int) // 100 for part in (0, 1)]
    assert set(np.unique(of_part[0])) == set(range(8)) and set(np.unique(of_part[1])) == set(range(8, 12))
    assert len({tuple(episode.ravel()) for episode in of_part[0]}) > 60
    assert (np.asarray(drawn(world, 0, 5, 1).support.x) != np.asarray(drawn(world, 0, 5, 2).support.x)).any()


def test_a_wave_is_one_wave_in_support_and_query():
    support, query = drawn(Sines(shots=10, queries=6), 0, 200, 0)
    for i in range(20):
        x, y = np.asarray(support.x[i, :, 0]), np.asarray(support.y[i, :, 0])
        basis = np.stack([np.sin(x), np.cos(x)], 1)
        weights, *_ = np.linalg.lstsq(basis, y, rcond=None)
        asked = np.asarray(query.x[i, :, 0])
        np.testing.assert_allclose(np.stack([np.sin(asked), np.cos(asked)], 1) @ weights, query.y[i, :, 0], atol=1e-4)
        amplitude, phase = np.hypot(*weights), np.arctan2(-weights[1], weights[0])
        assert 0.1 <= amplitude <= 5 and -1e-4 <= phase <= np.pi + 1e-4
    assert np.abs(support.x).max() <= 5 and np.abs(np.asarray(support.x)).max() > 4.9


def test_a_projected_task_is_one_map_and_one_permutation(tiny):
    """Undo the map, and what comes out are rows of the data set, with labels of their own under new names."""

    @eqx.filter_jit
    def dealt(world, part, key):
        return world.deal(jnp.int32(part), key=key), world.task(jnp.int32(part), key=key_for(key, "task"))

    world = ProjectedTasks(tiny, pool=3, shots=40, queries=8)
    for part, x, y in ((0, tiny.x_train, tiny.y_train), (1, tiny.x_test, tiny.y_test), (2, tiny.x_test, tiny.y_test)):
        (support, query), (projection, names) = dealt(world, part, jax.random.key(5))
        assert sorted(names.tolist()) == list(range(6))
        shown = np.concatenate([support.x, query.x]) @ np.linalg.inv(np.asarray(projection, np.float64)).T
        distance = np.abs(shown[:, None] - x).max(-1)
        rows = distance.argmin(1)
        assert distance.min(1).max() < 1e-2 and len(set(rows.tolist())) == 48
        np.testing.assert_array_equal(np.concatenate([support.y, query.y]), np.asarray(names)[y[rows]])


def test_a_pool_has_as_many_tasks_as_it_says(tiny):
    @eqx.filter_jit
    def maps(world, part):
        keys = jax.random.split(jax.random.key(0), 40)
        return jax.vmap(lambda key: world.task(jnp.int32(part), key=key)[0][0, 0])(keys)

    world, endless = ProjectedTasks(tiny, pool=4, shots=5), ProjectedTasks(tiny, shots=5)
    pool, rows, unseen = (set(np.asarray(maps(world, part)).tolist()) for part in (0, 1, 2))
    assert len(pool) == 4 and rows == pool and len(unseen) == 40 and not unseen & pool
    assert len(set(np.asarray(maps(endless, 0)).tolist())) == 40


def test_without_a_projection_the_rows_are_the_data_sets(tiny):
    world = ProjectedTasks(tiny, shots=10, queries=2, project=False)
    known = {tuple(row) for row in np.round(tiny.x_train, 4).tolist()}
    unknown = {tuple(row) for row in np.round(tiny.x_test, 4).tolist()}
    for part, rows in ((0, known), (1, unknown), (2, unknown)):
        x = np.round(np.asarray(drawn(world, part, 3, 0).support.x), 4)
        assert {tuple(row) for row in x.reshape(-1, 8).tolist()} <= rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ways": 13}, "13 ways need 13 classes, and the part 'training' has 12"),
        ({"ways": 3, "unseen": 2}, "3 ways need 3 classes, and the part 'unseen' has 2"),
        ({"shots": 3, "queries": 5}, "8 examples of each class, and the source has 7: queries would overlap"),
        ({"shots": 0}, "at least 1"),
        ({"unseen": np.zeros((9, 7, 2), np.float32)}, r"the unseen examples have the shape \(2,\)"),
    ],
)
def test_episodes_that_cannot_be_dealt_are_refused_when_built(options, message):
    with pytest.raises(BadInput, match=message):
        FewShotClasses(CODED, **options)


def test_tasks_that_cannot_be_are_refused_when_built(tiny):
    with pytest.raises(BadInput, match="queries would overlap"):
        ProjectedTasks(tiny, shots=120)
    with pytest.raises(BadInput, match="all tasks are the same"):
        ProjectedTasks(tiny, shots=5, project=False, permute=False)
    with pytest.raises(BadInput, match="at least 1"):
        Sines(shots=0)
