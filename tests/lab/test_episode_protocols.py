"""Protocols of published numbers on episodes: what they are built of, what their episodes hold, and what counts of a life."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.lab import _episode_protocols as protocols
from lifelong.lab import _reproduce as reproducing
from lifelong.lab._anchors import Comparison, Measured, chosen
from lifelong.lab._episode_protocols import DealtClasses, episode_protocol, solved
from lifelong.lab._reproduce import rehearse
from lifelong.life import silent
from lifelong.nets import NormedConvNet, NormedMLP

FC, CNN = chosen(["learn2learn"])
DRAWINGS = np.random.default_rng(0).random((30, 6, 4, 4), np.float32)


def coded(classes=40, examples=8):
    """Return images that say in a corner which class and which example they are of, and by the corner how they are turned."""
    images = np.zeros((classes, examples, 3, 3), np.float32)
    images[..., 0, 0] = 100 * np.arange(classes)[:, None] + np.arange(examples) + 1
    return images


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"TESTED": 8, "LEFT_OUT": 4, "DEALT": (6, 5), "EXAMINED": 4}.items():
        monkeypatch.setattr(protocols, name, value)


def test_the_numbers_are_those_of_the_script(monkeypatch):
    monkeypatch.undo()
    drawings = np.zeros((1623, 20, 4, 4), np.float32)
    plan = episode_protocol(FC, drawings)
    world, who = plan.world, plan.learner
    assert (world.ways, world.shots, world.queries, plan.steps) == (5, 1, 1, 60_000)
    assert (world.first.tolist(), world.count.tolist()) == ([0, 1200], [1100, 423])
    assert world.dealt.tolist() == [20_000, 1024]
    assert (who.episodes, who.inner_steps, who.test_steps, who.first_order) == (32, 1, None, False)
    rates = who.learner.optimizer.numbers["learning_rate"], who.optimizer.numbers["learning_rate"]
    np.testing.assert_allclose(rates, (0.1, 0.003), rtol=1e-6)
    quick = episode_protocol(CNN, drawings, part=0.001)
    assert (plan.exam.episodes, quick.exam.episodes, quick.steps) == (1000, 5, 60)


def test_networks_begin_as_the_scripts_do():
    key = jax.random.key(3)
    fc = episode_protocol(FC, np.zeros((30, 6, 28, 28), np.float32)).learner.learner.model(key=key)
    assert isinstance(fc, NormedMLP) and fc.epsilon == 1e-3
    assert [layer.weight.shape for layer in fc.layers] == [(256, 784), (128, 256), (64, 128), (64, 64), (5, 64)]
    first = np.asarray(fc.layers[0].weight)
    assert np.abs(first).max() <= 0.02 and first.std() == pytest.approx(0.01 * 0.8796, rel=0.01)
    cnn = episode_protocol(CNN, np.zeros((30, 6, 28, 28), np.float32)).learner.learner.model(key=key)
    assert isinstance(cnn, NormedConvNet) and cnn.epsilon == 1e-3
    assert [layer.weight.shape for layer in cnn.convolutions] == [(64, 1, 3, 3)] + [(64, 64, 3, 3)] * 3
    weight = np.asarray(cnn.convolutions[1].weight)
    assert np.abs(weight).max() == pytest.approx(np.sqrt(6 / (9 * 128)), rel=0.01)
    assert np.asarray(cnn.head.weight).std() == pytest.approx(1.0, abs=0.2)
    assert not np.asarray(fc.layers[-1].bias).any() and not np.asarray(cnn.head.bias).any()


def dealt(n=400, seed=0):
    """Return what images of support sets and questions say: [parts, n, images, (class, example, corner)]."""
    world = DealtClasses(coded(), 3, 1, queries=1, unseen=12, left_out=8, dealt=(5, 4))

    @eqx.filter_jit
    def episodes(world, life):
        here = world.open(key=life)
        keys = jax.random.split(jax.random.key(7), n)
        return jax.vmap(lambda part: jax.vmap(lambda key: here.deal(part, key=key))(keys))(jnp.arange(2))

    def read(batch):
        flat = np.asarray(batch.x).reshape(*batch.x.shape[:3], 9)
        code = flat.max(-1).astype(int) - 1
        return np.stack([code // 100, code % 100, flat.argmax(-1)], -1)

    support, query = episodes(world, jax.random.key(seed))
    np.testing.assert_array_equal(support.y, np.broadcast_to([0, 1, 2], support.y.shape))
    np.testing.assert_array_equal(query.y, support.y)
    return read(support), read(query)


def test_tuples_of_characters_stay_and_drawings_change():
    shown, asked = dealt()
    np.testing.assert_array_equal(shown[..., 0], asked[..., 0])
    tuples = [{tuple(one) for one in shown[part, ..., 0]} for part in (0, 1)]
    assert [len(of_part) for of_part in tuples] == [5, 4] and all(len(set(t)) == 3 for p in tuples for t in p)
    drawings = {tuple(one) for one in shown[0, ..., 1]}
    assert len(drawings) > 200
    again = (shown[..., 1] == asked[..., 1]).mean()
    assert again == pytest.approx(1 / 8, abs=5 * np.sqrt(1 / 8 * 7 / 8 / 2400)), "questions are drawn apart"


def test_every_image_is_turned_by_itself():
    shown, asked = dealt()
    corners = [0, 2, 6, 8]
    assert set(np.unique(shown[..., 2])) == set(np.unique(asked[..., 2])) == set(corners)
    assert (shown[..., 2] == asked[..., 2]).mean() == pytest.approx(1 / 4, abs=5 * np.sqrt(3 / 16 / 2400))
    assert (shown[..., 0, 2] == shown[..., 1, 2]).mean() == pytest.approx(1 / 4, abs=5 * np.sqrt(3 / 16 / 800))


def test_every_life_has_characters_of_its_own_to_test_on():
    world = DealtClasses(coded(), 3, 1, queries=1, unseen=12, left_out=8, dealt=(5, 4))
    orders = [np.asarray(world.open(key=jax.random.key(seed)).order) for seed in (0, 1)]
    assert all(sorted(order) == list(range(40)) for order in orders) and (orders[0] != orders[1]).any()
    shown, _ = dealt(seed=0)
    assert set(np.unique(shown[0, ..., 0])) <= set(orders[0][:20]) and set(np.unique(shown[1, ..., 0])) <= set(
        orders[0][28:]
    )


def test_a_value_is_what_is_right_of_unseen_classes_after_the_step():
    marks = np.arange(2 * 2 * 2 * 2).reshape(2, 2, 2, 2) / 100
    life = SimpleNamespace(exams={"accuracy": marks})
    np.testing.assert_allclose(solved(life), [7.0, 15.0])  # pyright: ignore[reportArgumentType]


def test_the_band_is_a_point_and_what_our_seeds_spread():
    def beside(values):
        return Comparison(anchor=FC, ours=Measured(accuracy=dict(enumerate(values)), about={}))

    assert beside([89.9]).state == "inside" and beside([89.95]).state == "outside"
    wide = beside([87.0, 91.0])
    assert wide.band == pytest.approx(3 * np.sqrt(0.05**2 + 2.0**2)) and wide.state == "inside"


@pytest.mark.slow
def test_a_miniature_is_lived(monkeypatch):
    monkeypatch.setattr(protocols, "ITERATIONS", 3000)
    ours = rehearse(FC, DRAWINGS, [0, 1], progress=silent)
    assert not ours.diverged and all(value % 4 == 0 for value in ours.values), "25 questions"


def test_rows_ask_for_their_data():
    assert [row.data for row in chosen(["learn2learn/maml-fc", "cleanrl/ppo/acrobot", "hsu-2018/adam/class"])] == [
        "mnist",
        None,
        "omniglot",
    ]
    with pytest.raises(BadInput, match="is lived on omniglot, and nothing was given"):
        reproducing._plan(FC, None)
