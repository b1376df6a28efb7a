"""Protocols of published numbers: what they are built of, and a miniature of every one of them."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.lab import Interrupted
from lifelong.lab import _protocols as protocols
from lifelong.lab._anchors import anchors, chosen, stored
from lifelong.lab._protocols import _rehearsed, protocol
from lifelong.lab._reproduce import rehearse, reproduce
from lifelong.learners import GenerativeClassifier
from lifelong.life import fingerprint, silent
from lifelong.memory import GEM, Chain, GenerativeReplay, Replay
from lifelong.worlds import Batch, Lesson, dataset

ABLE = [row for row in anchors() if not row.unmeasured and row.data == "mnist"]
METHODS = sorted({(row.source.name, row.method) for row in ABLE})
MNIST = [12665, 12089, 11263, 12183, 11800]
"""Training images of the digits 0 and 1, 2 and 3 …"""


@pytest.fixture(scope="module")
def digits():
    return dataset("digits").take(per_class=30, test_per_class=8)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(protocols, "WIDTH", 12)


def row(name):
    return chosen([name])[0]


def test_an_epoch_rehearses_about_as_many_old_images_as_there_are_new():
    """By hand: 12089 // 1100 = 10 times 1100 images; 11263 // 1100 = 10 times 2 · 550; 11 times 3 · 366; 10 times 4 · 275."""
    assert _rehearsed(MNIST, 1100) == [0, 11000, 11000, 11 * 1098, 11000]
    assert _rehearsed(MNIST, 4400) == [0, 2 * 4400, 2 * 4400, 2 * 4398, 2 * 4400]
    assert _rehearsed(MNIST, 0) == [0] * 5


def test_lives_are_as_long_as_four_passes(digits):
    """60 images a task are one batch; with the 1100 remembered they are ten."""
    assert protocol(row("hsu-2018/adam/task"), digits).steps == 5 * 4
    rehearsing = protocol(row("hsu-2018/rehearsal/task"), digits)
    assert rehearsing.steps == 4 + 4 * 4 * 10
    assert rehearsing.learner.memory.share == pytest.approx(1100 / 1160, abs=1e-3)
    assert protocol(row("hsu-2018/offline/task"), digits).steps == 4 * 3
    assert protocol(row("van-de-ven-2022/er/task"), digits).steps == 10_000


def test_inputs_are_those_of_the_papers(digits):
    padded, plain = (protocol(row(name), digits) for name in ("hsu-2018/ewc/class", "van-de-ven-2022/er/class"))
    assert padded.world.x.shape[1:] == (32, 32) and plain.world.x.shape[1:] == (8, 8)
    np.testing.assert_allclose([padded.world.x.mean(), padded.world.x.std()], [0.0, 1.0], atol=1e-3)
    assert 0.0 <= plain.world.x.min() and plain.world.x.max() <= 1.0
    assert plain.world.shuffle and not padded.world.shuffle
    assert (padded.learner.active, plain.learner.active) == ("seen", "all")


def test_coefficients_are_the_published_ones_in_our_convention(digits):
    strength = {
        name: protocol(row(name), digits).learner.memory.strength
        for name in ("hsu-2018/ewc/class", "hsu-2018/mas/domain")
    }
    assert strength == {"hsu-2018/ewc/class": 1200.0, "hsu-2018/mas/domain": 20000.0}
    gem = protocol(row("hsu-2018/gem/class"), digits).learner.memory
    assert isinstance(gem, Chain) and [type(one) for one in gem.memories] == [Replay, GEM]


def test_rows_borrowed_from_van_de_ven_are_lived_as_his_but_for_classes_not_met_yet(digits):
    for scenario, same in (("task", True), ("domain", True), ("class", False)):
        hsu, theirs = (protocol(row(f"{source}/dgr/{scenario}"), digits) for source in ("hsu-2018", "van-de-ven-2022"))
        assert (fingerprint(hsu) == fingerprint(theirs)) == same
        assert isinstance(hsu.learner.memory, GenerativeReplay) and hsu.learner.memory.share is None
    assert (hsu.learner.active, theirs.learner.active) == ("seen", "all")


def test_borrowed_distillation_is_averaged_over_classes():
    """By hand, in the third task: T² = 4 times the cross-entropy of softened answers, over 6 classes met, or 2 of a head."""
    model = eqx.nn.Linear(3, 10, key=jax.random.key(0))
    old = eqx.nn.Linear(3, 10, key=jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (4, 3))
    batch = Batch(x, jnp.zeros(4, jnp.int32), jnp.zeros(4, jnp.int32), jnp.ones(4))
    task_of = jnp.where(jnp.arange(10) < 6, jnp.arange(10) // 2, -1)
    then, now = (np.asarray(jax.vmap(one)(x)) / 2 for one in (old, model))

    def apart(past, present):
        target = np.asarray(jax.nn.softmax(then[:, past]))
        wrong = -np.asarray(jax.nn.log_softmax(now[:, present]))[:, : target.shape[1]]
        return (target * (wrong + np.log(target))).sum(1).mean()

    by_hand = {
        "class": 4 * apart(slice(0, 4), slice(0, 6)) / 6,
        "task": 4 * (apart(slice(0, 2), slice(0, 2)) + apart(slice(2, 4), slice(2, 4))) / 2 / 2,
    }

    def no_loss(model, batch, feedback=None):
        return jnp.float32(0)

    for scenario, expected in by_hand.items():
        memory = protocols._van_de_ven_memory("lwf", scenario)
        state = memory.init(model, batch, key=jax.random.key(0))
        state = state._replace(old=eqx.filter(old, eqx.is_array), task_of=task_of, finished=jnp.int32(2))
        np.testing.assert_allclose(memory.penalty(state, model, batch, None, no_loss), 2 / 3 * expected, rtol=1e-4)


def test_the_generative_classifier_meets_half_as_many_batches_of_each_class_as_others_of_a_task(digits):
    plan = protocol(row("van-de-ven-2022/generative-classifier/class"), digits)
    assert isinstance(plan.learner, GenerativeClassifier) and (plan.learner.classes, plan.learner.samples) == (1, 50)
    assert (plan.world.tasks, plan.teacher.lengths, plan.steps) == (10, (1000,) * 10, 10_000)


@pytest.mark.parametrize(("source", "method"), METHODS, ids=["/".join(one) for one in METHODS])
def test_every_protocol_can_be_lived(digits, source, method):
    """Traced only: a step, the end of a task, an answer."""
    for one in chosen([f"{source}/{method}"]):
        plan = protocol(one, digits)

        def life(world, learner=plan.learner):
            key, lesson = jax.random.key(0), Lesson(jnp.int32(0), jnp.int32(0))
            state = learner.init(world, key=key)
            batch = learner.meet(state, world, lesson, key=key)
            state, _ = learner.learn(state, batch, key=key)
            state = learner.consolidate(state, world, lesson, key=key)
            return learner.answer(state, batch.x, batch.allowed)

        assert eqx.filter_eval_shape(life, plan.world).shape == (128, plan.world.outputs)


MINIATURES = ["hsu-2018/rehearsal/task", "hsu-2018/ewc/class", "van-de-ven-2022/icarl/class"]


@pytest.mark.parametrize("name", MINIATURES)
@pytest.mark.slow
def test_a_miniature_is_lived_to_its_end(digits, name, monkeypatch):
    monkeypatch.setattr(protocols, "ITERATIONS", 40)
    ours = rehearse(row(name), digits, [0], progress=silent)
    assert not ours.diverged and 5 < ours.mean <= 100


def test_seeds_are_kept_as_they_are_lived_and_not_lived_again(digits, tmp_path):
    anchor, steps = row("hsu-2018/sgd/domain"), []
    one = reproduce(anchor, digits, [0], tmp_path, progress=silent)
    both = reproduce(anchor, digits, [0, 1], tmp_path, progress=lambda moment: steps.append(moment.lanes))
    assert set(steps) == {1}, "a stored seed was lived again"
    assert list(both.accuracy) == [0, 1] and both.accuracy[0] == one.accuracy[0] != both.accuracy[1]
    assert stored(tmp_path / "anchors.json")[anchor.name].accuracy == both.accuracy
    again = reproduce(anchor, digits, [1, 0], tmp_path, progress=lambda moment: pytest.fail("lived again"))
    assert again.accuracy == both.accuracy
    rows = json.loads((tmp_path / "anchors.json").read_text())
    (tmp_path / "anchors.json").write_text(json.dumps({"hsu-2018/adam/domain": rows[anchor.name]}))
    alike = reproduce(anchor, digits, [0], tmp_path, progress=lambda moment: pytest.fail("lived again"))
    assert alike.accuracy == both.accuracy == stored(tmp_path / "anchors.json")[anchor.name].accuracy
    other = reproduce(anchor, digits.take(per_class=20), [1], tmp_path, progress=silent)
    assert list(other.accuracy) == [1], "seeds of another protocol were kept"


def test_an_interrupted_row_goes_on(digits, tmp_path):
    anchor = row("hsu-2018/adam/domain")

    def stop(moment):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        reproduce(anchor, digits, [0], tmp_path, progress=stop)
    spent, saved = sorted((tmp_path / "unfinished").iterdir(), key=lambda path: path.suffix)
    before = json.loads(spent.read_text())
    steps = []
    ours = reproduce(anchor, digits, [0], tmp_path, progress=lambda moment: steps.append(moment.step))
    assert min(steps) > 4, "it did not go on from the end of the first task"
    assert not saved.exists() and not spent.exists()
    assert 0.0 < before["compiling"] <= before["total"] < ours.about["compile_seconds"] + ours.about["run_seconds"]
    assert ours.accuracy == reproduce(anchor, digits, [0], tmp_path / "whole", progress=silent).accuracy
