"""What holds for every study that is ready: its arms are built as declared, and differ in what they say they differ in.

Nothing is lived: the first call of `live` is caught, with all that would have taken part in it, in budget 'quick'. Data
are made up, so that none need to be installed.
"""

import dataclasses
from importlib import import_module
from types import MappingProxyType

import equinox as eqx
import jax
import numpy as np
import pytest

from lifelong.lab import catalogue
from lifelong.nets import ConvNet
from lifelong.worlds import Dataset

IN_CONTEXT = ("abrupt-icl", "gpicl")
"""Studies whose specification is content with eight seeds."""

READY = [p for p in catalogue() if p.status == "ready" and (p.family == "continual" or p.slug in IN_CONTEXT)]
FULL_SEEDS, QUICK_SEEDS = 16, 8
ANYTHING = object()

KNOCKED_OUT = {
    "abrupt-icl": {
        "few-labels": ("many-labels", {"world.labels": 4.0}),
        "one-layer": ("network", {"learner.model.settings.1.1": 1}),
    },
    "cfsl-instance-test": {"current-only": ("replay", {"learner.memory": ANYTHING, "learner.batch": ANYTHING})},
    "gpicl": {
        "few": ("many", {"world.pool": 16}),
        "same-labels": ("many", {"teacher.weights": ANYTHING}),
        "last-example": ("many", {"learner.model.numbers.window": 1}),
    },
    "l2-metrics": {},
    "multitasking-hebbian": {
        "filled-cold": ("cold", {"world.filling": 1.0}),
        "filled-warm": ("warm", {"world.filling": 1.0}),
    },
    "onpro": {
        "no-ope": ("onpro", {"learner.memory.prototypes": 0.0}),
        "no-apf": ("onpro", {"learner.memory.focus": 0.0}),
    },
    "power-law-rehearsal": {"none": ("power-law", {"teacher.rehearsal": 0.0})},
    "refresh-learning": {
        "random-direction": ("refresh", {"learner.memory.memories.1.direction": ANYTHING}),
        "no-fisher": ("refresh", {"learner.memory.memories.1.preconditioner.fisher_weight": 0.0}),
    },
    "retrain-equivalence": {"shuffles": ("orders", {"teacher.asked": ANYTHING, "teacher.turns": ANYTHING})},
    "statmech-cl": {
        "no-prior": ("prior", {"sweep.learner.memory.strength": (0.0,)}),
        "uniform": ("prior", {"learner.memory.pull": "mean"}),
    },
    "uer": {"swapped": ("uer", {"learner.feedback": ANYTHING, "learner.memory.feedback": ANYTHING})},
    "uncle": {
        "no-noise": ("uncle", {"learner.unlearner.strength": 0.0}),
        "no-preservation": ("uncle", {"learner.memory.strength": 0.0}),
        "not-held": ("uncle", {"learner.memory.forgotten": 0.0}),
    },
}
"""Of every knock-out: the arm that has what it lacks, and all in which it differs, with the value that it has (if told).

The knock-out of l2-metrics is no arm: it shuffles the labels of what was lived.
"""


class Caught(BaseException):
    """What would have been lived."""


def catch(learner, world, teacher, *_, steps, sweep=MappingProxyType({}), **__):
    """Stand in for `live`."""
    raise Caught({"learner": learner, "world": world, "teacher": teacher, "sweep": dict(sweep), "steps": steps})


def caught(study, arm, settings) -> dict:
    """Return what takes part in the first life of an arm."""
    sweep = {arm.tune.path: arm.tune.values} if arm.tune else {}
    options = {"seeds": (0,), "sweep": sweep, "progress": None, "checkpoint": None}
    with pytest.raises(Caught) as found:
        study.lifetime(arm, settings, **options)
    return found.value.args[0]


@pytest.fixture(scope="module")
def noise():
    """Return ten classes of images of noise, as many as any study takes."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 320).astype(np.int32)
    x = random.random((len(y), 16, 16), np.float32)
    return Dataset(x, y, x, y, tuple("0123456789"))


@pytest.fixture(scope="module", params=READY, ids=[paper.slug for paper in READY])
def built(request, noise):
    """Return a study, and arm by arm all that would take part in its first life, in budget 'quick'."""
    paper = request.param
    module = import_module(f"lifelong.studies.{paper.family}.{paper.slug.replace('-', '_')}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "live", catch)
        patch.setattr(module, "dataset", lambda *_: noise, raising=False)
        if hasattr(module, "omniglot"):
            patch.setattr(module, "omniglot", lambda part, side: np.zeros((60, 20, side, side), np.float32))
            untrained = ConvNet(shape=(14, 14), outputs=20, channels=(16, 32), width=64, key=jax.random.key(0))
            patch.setattr(module, "pretrained", lambda *_: (untrained, 0.5))
        settings = module.study.configured("quick")
        yield module.study, {name: caught(module.study, arm, settings) for name, arm in module.study.arms.items()}


def differences(a, b, path="") -> dict:
    """Return where two trees of components differ, by path, with what the second one has there."""
    inner = f"{path}." if path else ""
    if type(a) is not type(b):
        return {path: b}
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        names = [field.name for field in dataclasses.fields(a)]
        parts = [differences(getattr(a, name), getattr(b, name), inner + name) for name in names]
    elif isinstance(a, dict) and a.keys() == b.keys():
        parts = [differences(a[name], b[name], f"{inner}{name}") for name in a]
    elif isinstance(a, tuple | list) and len(a) == len(b) and not any(isinstance(value, float) for value in a):
        parts = [differences(*pair, f"{inner}{i}") for i, pair in enumerate(zip(a, b, strict=True))]
    else:
        arrays = eqx.is_array(a) or isinstance(a, np.ndarray)
        return {} if (np.array_equal(a, b) if arrays else a == b) else {path: b}
    return {name: value for part in parts for name, value in part.items()}


def test_budgets_carry_a_verdict(built):
    study, _ = built
    assert study.configured("full").seeds >= (QUICK_SEEDS if study.slug in IN_CONTEXT else FULL_SEEDS)
    assert study.configured("quick").seeds >= QUICK_SEEDS
    assert study.configured("smoke").seeds < QUICK_SEEDS


def test_no_two_arms_live_the_same(built):
    study, parts = built
    names = list(parts)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert differences(parts[one], parts[other]), f"{one} and {other} live the same"
    assert len({arm.note for arm in study.arms.values()}) == len(study.arms)


def test_arms_that_say_so_share_a_compiled_program(built):
    """Lives run the same programs where their parts have the same structure, and leaves of the same shapes and types."""
    study, parts = built

    def program(lived):
        taking_part = (lived["learner"], lived["world"], lived["teacher"])
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), eqx.filter(taking_part, eqx.is_array)), sorted(
            lived["sweep"]
        )

    for name, arm in study.arms.items():
        if arm.like is not None:
            assert program(parts[name]) == program(parts[arm.like]), f"{name} compiles anew"


def test_a_knock_out_lacks_the_ingredient_and_nothing_else(built):
    study, parts = built
    expected = KNOCKED_OUT[study.slug]
    assert {name for name, arm in study.arms.items() if arm.role == "knock-out"} == set(expected)
    for name, (whole, changes) in expected.items():
        found = differences(parts[whole], parts[name])
        assert set(found) == set(changes), name
        for path, value in changes.items():
            assert value is ANYTHING or found[path] == value, path


def test_a_knock_out_is_tuned_as_what_it_is_compared_with(built):
    study, _ = built
    for name, (whole, _) in KNOCKED_OUT[study.slug].items():
        assert study.arms[name].tune == study.arms[whole].tune, name


def test_shuffled_labels_are_all_that_differs_in_a_control(built):
    """A stream sorts its rows by label, so other labels show as other inputs in their places, and as nothing else."""
    study, parts = built
    for name, arm in study.arms.items():
        if name == "shuffled-labels":
            assert arm.role == "negative control"
            found = {path.split(".")[-1] for path in differences(parts[arm.like], parts[name])}
            assert found and found <= {"x", "x_test", "y", "y_test"}


def test_what_is_claimed_is_measured(built):
    """A claim names a measure of an arm, or one that is made across arms, and a gain in words and in numbers."""
    study, _ = built
    for claim in (study.claim, *study.secondary):
        assert claim.sentence.endswith(".")
        assert claim.on in study.measures or study.across is not None
    assert study.simplified.endswith(".") and study.question.endswith("?")
