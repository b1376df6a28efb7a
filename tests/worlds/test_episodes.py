"""Episodes against a case laid out by hand: which examples, which labels, which questions; and what corrupts them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import Corruption, Dataset, Embedded, Episodes, Lesson

CLASSES, EXAMPLES = 12, 9
CODED = (100 * np.arange(CLASSES)[:, None] + np.arange(EXAMPLES)).astype(np.float32)[..., None]
"""Each example says in its only number which class it is of (hundreds) and which example it is."""

KEY = jax.random.key(3)


@eqx.filter_jit
def dealt(world, key=KEY):
    return world.deal(key=key)


@eqx.filter_jit
def lived(world, key=KEY):
    """Return the whole of an episode as a life meets it: one pass through every set, and the questions in pages of 4."""
    here = world.open(key=key)
    sets = [here.draw(Lesson(jnp.int32(i), jnp.int32(0)), world.longest, key=key) for i in range(world.tasks)]
    papers = here.papers(4)
    pages = jax.lax.map(papers.page, jnp.arange(papers.count))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *sets), jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), pages
    )


def classes_of(x):
    return np.asarray(x)[..., 0].astype(int) // 100


def test_an_episode_laid_out_by_hand():
    """Four sets of two ways and two shots; classes change after every two sets; three questions about each class."""
    support, query = dealt(Episodes(CODED, sets=4, ways=2, shots=2, interval=2, queries=3))
    np.testing.assert_array_equal(support.y, [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])
    np.testing.assert_array_equal(support.task, np.repeat(np.arange(4), 4).reshape(4, 4))
    of_label = {int(y): set(classes_of(support.x)[np.asarray(support.y) == y]) for y in range(4)}
    assert all(len(classes) == 1 for classes in of_label.values()) and len(set.union(*of_label.values())) == 4
    np.testing.assert_array_equal(query.y, np.repeat([0, 1, 2, 3], 3))
    np.testing.assert_array_equal(query.task, [0, 1, 0, 0, 1, 0, 2, 3, 2, 2, 3, 2])
    assert [{c} for c in classes_of(query.x)] == [of_label[int(y)] for y in query.y]
    shown = np.concatenate([np.ravel(support.x), np.ravel(query.x)])
    assert len(set(shown.tolist())) == 4 * 4 + 12


def test_labels_grow_unless_overwritten():
    world = Episodes(CODED, sets=3, ways=2, queries=2, overwrite=True)
    support, query = dealt(world)
    assert world.outputs == 2 and np.asarray(support.y).tolist() == [[0, 1]] * 3
    assert np.asarray(query.y).tolist() == [0, 0, 1, 1] * 3
    growing = Episodes(CODED, sets=3, ways=2, queries=2)
    assert growing.outputs == 6 and np.asarray(dealt(growing).support.y).tolist() == [[0, 1], [2, 3], [4, 5]]
    np.testing.assert_array_equal(support.x, dealt(growing).support.x)


@pytest.mark.parametrize(("sets", "shots"), [(9, 1), (3, 3), (1, 9)])
def test_in_the_instance_test_every_example_is_a_class_and_its_own_question(sets, shots):
    world = Episodes(CODED, sets=sets, ways=1, shots=shots, instances=True)
    support, query = dealt(world)
    assert world.outputs == 9
    np.testing.assert_array_equal(np.ravel(support.y), np.arange(9))
    np.testing.assert_array_equal(np.ravel(support.x), np.ravel(query.x))
    np.testing.assert_array_equal(query.y, np.arange(9))
    np.testing.assert_array_equal(query.task, np.repeat(np.arange(sets), shots))
    assert len(set(classes_of(query.x))) == 1 and len(set(np.ravel(query.x).tolist())) == 9


@pytest.mark.parametrize(
    "options",
    [{"sets": 4, "ways": 2, "shots": 2, "interval": 2, "queries": 3}, {"sets": 3, "ways": 2, "instances": True}],
)
def test_a_life_lives_the_episode_that_is_dealt(options):
    world = Episodes(CODED, **options)
    (support, query), (sets, papers) = dealt(world), lived(world)
    for whole, of_life in zip(support.x, sets.x, strict=True):
        assert sorted(np.ravel(whole).tolist()) == sorted(np.ravel(of_life).tolist())
    label = dict(zip(np.ravel(support.x).tolist(), np.ravel(support.y).tolist(), strict=True))
    assert [label[x] for x in np.ravel(sets.x).tolist()] == np.ravel(sets.y).tolist()
    asked = np.asarray(papers.weight) > 0
    assert asked.sum() == world.questions
    for part in ("x", "y", "task"):
        np.testing.assert_array_equal(np.asarray(getattr(papers, part))[asked], getattr(query, part))


def test_every_class_and_example_is_dealt_as_often_as_any_other():
    world = Episodes(CODED, sets=2, ways=2, queries=1)
    keys = jax.random.split(jax.random.key(0), 600)
    x = np.asarray(eqx.filter_jit(jax.vmap(lambda k: world.deal(key=k).support.x))(keys)).ravel().astype(int)
    for counts in (np.bincount(x // 100, minlength=CLASSES), np.bincount(x % 100, minlength=EXAMPLES)):
        expected = len(x) / len(counts)
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_a_data_set_gives_its_training_rows_class_by_class():
    y = np.array([0, 1, 0, 1, 1, 0])
    x = (100 * y + np.arange(6)).astype(np.float32)[:, None]
    data = Dataset(x, y, x, y, ("a", "b"))
    uneven = Dataset(x[:5], y[:5], x, y, ("a", "b"))
    assert np.ravel(Episodes(data, ways=1, queries=1).x).tolist() == [0, 2, 5, 101, 103, 104]
    assert np.ravel(Episodes(uneven, ways=1, queries=1).x).tolist() == [0, 2, 101, 103]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ways": 0}, "at least 1"),
        ({"queries": 0}, "at least 1"),
        ({"sets": 3, "interval": 2}, "3 support sets cannot change classes every 2"),
        ({"sets": 3, "ways": 5}, "6 examples of each of 15 classes, and the source has 9 of each of 12"),
        ({"sets": 10, "ways": 1, "instances": True}, "10 examples of each of 1 classes"),
        (
            {"ways": 2, "corruption": Corruption()},
            r"only images can be corrupted, and the examples have the shape \(1,\)",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_said_when_it_is_built(options, message):
    with pytest.raises(BadInput, match=message):
        Episodes(CODED, **options)
    with pytest.raises(BadInput, match="this world corrupts nothing"):
        Episodes(CODED, ways=2).corrupted(0.5)


IMAGE = jnp.full((10, 8), 0.5)


@eqx.filter_jit
def seen(corruption, keys, image=IMAGE):
    return jax.vmap(lambda key: corruption(image, key=key))(keys)


KEYS = jax.random.split(jax.random.key(1), 400)


def test_a_square_is_covered_and_lies_everywhere():
    assert (np.asarray(seen(Corruption(), KEYS)) == 0.5).all()
    covered = np.asarray(seen(Corruption(occlusion=0.5), KEYS)) == 0
    rows, columns = covered.any(2), covered.any(1)
    assert (rows.sum(1) == 4).all() and (columns.sum(1) == 4).all() and (covered.sum((1, 2)) == 16).all()
    assert all(np.ptp(np.flatnonzero(row)) == 3 for row in [*rows, *columns])
    assert set(rows.argmax(1)) == set(range(7)) and set(columns.argmax(1)) == set(range(5))
    assert (np.asarray(seen(Corruption(occlusion=2.0), KEYS[:1])).sum(2) == 0).sum() == 8


def test_a_share_of_pixels_is_replaced_by_noise():
    noisy = np.asarray(seen(Corruption(noise=0.3), KEYS))
    replaced = noisy != 0.5
    assert abs(replaced.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / replaced.size)
    values = noisy[replaced]
    assert values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.01


def test_channels_share_the_fate_of_their_pixel():
    image = jnp.stack([jnp.full((6, 6), v) for v in (0.2, 0.9)], -1)
    out = np.asarray(seen(Corruption(0.4, 0.2), KEYS[:20], image))
    assert ((out[..., 0] == np.float32(0.2)) == (out[..., 1] == np.float32(0.9))).all()


def test_a_question_is_corrupted_in_the_same_way_on_every_page():
    pictures = np.random.default_rng(0).random((3, 6, 5, 5)).astype(np.float32)
    world = eqx.filter_jit(lambda w: w.open(key=KEY))(
        Episodes(pictures, ways=3, queries=4, corruption=Corruption(0.4, 0.2))
    )

    @eqx.filter_jit
    def read(world, n):
        papers = world.papers(n)
        pages = jax.lax.map(papers.page, jnp.arange(papers.count))
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:12], pages)

    whole, parts = read(world, 12), read(world, 5)
    np.testing.assert_array_equal(whole.x, parts.x)
    clean = read(world.corrupted(), 12)
    assert (np.asarray(clean.x) != np.asarray(whole.x)).any((1, 2)).all()
    np.testing.assert_array_equal(clean.x, world.x[world.plan.asked])


def test_a_world_behind_an_encoder_shows_the_same_examples_encoded():
    world, weight = Episodes(CODED, sets=2, ways=2, queries=2), jnp.asarray([[2.0], [3.0]])
    behind = Embedded(world, eqx.nn.Lambda(lambda x: weight @ x))
    assert (behind.tasks, behind.outputs) == (2, 4)

    @eqx.filter_jit
    def everything(world):
        here = world.open(key=KEY)
        lesson = Lesson(jnp.int32(1), jnp.int32(0))
        return here.draw(lesson, 2, key=KEY), here.review(jnp.int32(1), 3).page(0), here.papers(5).page(1)

    for plain, encoded in zip(everything(world), everything(behind), strict=True):
        np.testing.assert_allclose(encoded.x, np.asarray(plain.x) * [2.0, 3.0])
        np.testing.assert_array_equal(encoded.y, plain.y)
        np.testing.assert_array_equal(encoded.weight, plain.weight)


def test_a_corrupting_world_stays_one_behind_an_encoder():
    pictures = np.ones((2, 3, 4, 4), np.float32)
    world = Embedded(Episodes(pictures, ways=2, queries=1, corruption=Corruption()), eqx.nn.Lambda(jnp.sum))
    page = eqx.filter_jit(lambda w, f: w.corrupted(f).papers(2).page(0).x)
    np.testing.assert_allclose(page(world, 0.0), [16.0, 16.0])
    np.testing.assert_allclose(page(world, 0.5), [12.0, 12.0])
