"""Continual few-shot learning with an instance test: does rehearsal help most where single things must be told apart?

An episode is a sequence of small support sets, then questions about everything in them. In the class test questions are new
drawings of the characters taught; in the instance test every drawing is a class of its own among drawings of the same
character, and is asked about itself, clean or corrupted. The real Omniglot is used, not a made-up glyph world: every
third background character trains an embedding, once for each seed, and episodes are of evaluation characters. The
convolutions are then frozen, and what is learned in an episode is a layer of 64 units, which starts as pre-trained, and
a head that starts at random; columns of classes not met yet are masked. No layer normalises over a batch.

Tune takes a number of gradient steps on each support set alone. Replay adds drawings of the last four sets, first in first
out, and the knock-out fills that place with more of the current set: as many steps on batches as large, without a past.
Prototypes accumulate class means of the pre-trained 64 features; pixels do the same with the images themselves, which is
the nearest neighbour in the instance test, where without corruption it must be perfect.

The claim has two parts, and `weakest_gain` is the one whose interval lies lower: what an arm gains over tune on the
instance test, and by how much that exceeds its gain on the class test. The class test averages over its settings.
"""

from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
import optax
import xarray as xr

from lifelong.exams import Accuracy, Corrupted
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.memory import Memory, NearestMean, Nothing, SetReplay
from lifelong.nets import MLP, ConvNet
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Corruption, Embedded, Episodes, Split, dataset, omniglot

CLASS_TESTS = {
    "base": {"sets": 4, "ways": 5, "interval": 2},
    "wide": {"sets": 2, "ways": 20},
    "deep": {"sets": 20, "ways": 2},
}
INSTANCE_TESTS = {"20x1": {"sets": 20}}
CLEAN = (0.0, 0.0)
LEVELS = (CLEAN, (0.2, 0.0), (0.4, 0.0), (0.6, 0.0), (0.0, 0.2), (0.0, 0.4), (0.0, 0.6))


class How(NamedTuple):
    """How an arm learns in an episode: with gradients or by means alone, from what, and from features or pixels."""

    memory: str = ""
    gradients: bool = True
    features: bool = True


def lifetime(arm: Arm, settings: Settings, *, seeds, progress, **options) -> xr.Dataset:
    """Live all settings of the test for every seed: an embedding, then episodes side by side."""
    found = [test(arm.build, int(seed), settings, progress) for seed in seeds]
    return xr.concat(found, xr.IndexVariable("seed", np.asarray(seeds)), combine_attrs="override")


def test(how: How, seed: int, settings: Settings, progress) -> xr.Dataset:
    """Live the episodes of one seed in every setting."""
    with TRAINING:
        net, accuracy = pretrained(seed, settings.side, settings.pretraining, settings.batch)
    kinds = {name: {**kind, "ways": 1, "instances": True} for name, kind in INSTANCE_TESTS.items()}
    lives = [episodes(how, kind, net, seed, settings, progress) for kind in (CLASS_TESTS | kinds).values()]
    raw = xr.concat(lives, xr.IndexVariable("setting", [*CLASS_TESTS, *INSTANCE_TESTS]), join="outer")
    return raw.assign(pretrained=accuracy).assign_attrs(finished=1)


TRAINING = Lock()


@lru_cache(maxsize=64)
def pretrained(seed: int, side: int, steps: int, batch: int) -> tuple[ConvNet, float]:
    """Return a network trained on background characters, and its accuracy on drawings it has not seen."""
    drawings = omniglot("background", side)[::3]
    data = dataset((drawings.reshape(-1, side, side), np.repeat(np.arange(len(drawings)), 20)), test=0.1)
    learner = GradientLearner(
        Recipe(ConvNet, shape=(side, side), outputs=len(drawings), channels=(16, 32), width=64),
        optimizer=Recipe(optax.adam, learning_rate=0.005),
        batch=batch,
    )
    life = live(learner, Split(data, 1), OneByOne(1, steps), steps=steps, seeds=[seed], progress=quiet).whole()
    net = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, life.state.learner.model)
    return net, float(life.final[0])


def quiet(moment) -> None:
    """Show no progress."""


def episodes(how: How, kind: Mapping, net: ConvNet, seed: int, settings: Settings, progress) -> xr.Dataset:
    """Live one setting's episodes side by side; their accuracies are means over support sets."""
    world = Episodes(omniglot("evaluation", settings.side), queries=settings.queries, corruption=Corruption(), **kind)
    levels = LEVELS if world.instances else LEVELS[:1]
    steps = settings.steps if how.gradients else 1
    life = live(
        student(how, world, net, settings),
        Embedded(world, net.planes) if how.features else world,
        OneByOne(world.tasks, steps),
        Corrupted(levels, Accuracy(page=world.questions)),
        steps=world.tasks * steps,
        seeds=settings.episodes,
        key=jax.random.key(seed),
        at_ends=False,
        record=steps,
        progress=progress,
    )
    raw = life.whole().to_xarray().drop_dims("step").rename(seed="episode")
    means = raw.accuracy.mean("task", skipna=False)
    raw = raw.assign(untaught=means.isel(exam=0, level=0, drop=True), accuracy=means.isel(exam=-1, drop=True))
    return raw.drop_dims("exam").assign_coords(level=np.arange(len(levels)))


def student(how: How, world: Episodes, net: ConvNet, settings: Settings) -> GradientLearner:
    """Return the learner of an arm."""
    size, held = world.longest, settings.sets_held * world.longest
    rehearsed = min(settings.rehearsed, held)
    memories: dict[str, Memory] = {"replay": SetReplay(held, rehearsed), "means": NearestMean(unit=False)}
    tuned = Recipe(continued, outputs=world.outputs, weight=net.dense.weight, bias=net.dense.bias)
    pixels = Recipe(MLP, inputs=settings.side**2, outputs=world.outputs, depth=0)
    return GradientLearner(
        tuned if how.features else pixels,
        optimizer=Recipe(optax.sgd, learning_rate=settings.learning_rate if how.gradients else 0.0),
        memory=memories.get(how.memory, Nothing()),
        batch=size + rehearsed if how.memory == "current" else size,
        page=size,
    )


def continued(outputs: int, weight, bias, *, key) -> MLP:
    """Return a network whose hidden layer goes on from a trained one, with a new head."""
    net = MLP(inputs=weight.shape[1], outputs=outputs, width=len(weight), depth=1, key=key)
    return eqx.tree_at(lambda net: (net.hidden[0].weight, net.hidden[0].bias), net, (weight, bias))


def accuracy(life: xr.Dataset, settings, level: int = 0) -> xr.DataArray:
    """Return the accuracy of every seed, over the episodes of some settings, at one level of corruption."""
    chosen = life.accuracy.sel(setting=list(settings), level=level)
    return chosen.mean(("setting", "episode"), skipna=False)


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return the gains over tuning, and what corruption, size and arrangement do."""
    instance = {arm: accuracy(life, INSTANCE_TESTS) for arm, life in lives.items()}
    klass = {arm: accuracy(life, CLASS_TESTS) for arm, life in lives.items()}
    nothing = xr.zeros_like(instance["tune"])
    values: dict[str, dict[str, xr.DataArray]] = {"tune": {"weakest_gain": nothing}, "bound": {"margin": nothing}}
    for arm in ("replay", "current-only"):
        gain, other = instance[arm] - instance["tune"], klass[arm] - klass["tune"]
        values[arm] = {"weakest_gain": m.weakest({"instance": gain, "contrast": gain - other})}
        values[arm] |= {"instance_gain": gain, "class_gain": other}
    seen = [accuracy(lives["replay"], INSTANCE_TESTS, level) for level in range(4)]
    falls = {f"fall_{i}": seen[i] - seen[i + 1] for i in range(3)} | {"half": 0.5 * seen[0] - seen[3]}
    learners = ("tune", "replay", "prototypes")
    sizes = {arm: accuracy(lives[arm], ["base"]) - accuracy(lives[arm], ["wide"]) for arm in learners}
    values["occlusion"], values["size"] = {"margin": m.weakest(falls)}, {"margin": m.weakest(sizes)}
    for kind in ("wide", "deep"):
        values[kind] = {"tuned_accuracy": accuracy(lives["tune"], [kind])}
    return values


study = Study(
    slug="cfsl-instance-test",
    question="Does replay help few-shot learning more where single instances are to be recognised than where classes are?",
    arms={
        "tune": Arm("baseline", "tunes head and last layer on each set", How()),
        "replay": Arm("method", "adds drawings of the last four sets", How("replay")),
        "current-only": Arm("knock-out", "adds more of the current set", How("current")),
        "prototypes": Arm("baseline", "means of pre-trained features", How("means", gradients=False)),
        "pixels": Arm("positive control", "means of pixels", How("means", gradients=False, features=False)),
    },
    derived=("bound", "occlusion", "size", "wide", "deep"),
    lifetime=lifetime,
    measures={
        "instance_accuracy": lambda life: accuracy(life, INSTANCE_TESTS),
        "class_accuracy": lambda life: accuracy(life, CLASS_TESTS),
        "occluded_accuracy": lambda life: accuracy(life, INSTANCE_TESTS, level=3),
        "noisy_accuracy": lambda life: accuracy(life, INSTANCE_TESTS, level=6),
        "untaught_accuracy": lambda life: life.untaught.sel(setting=list(INSTANCE_TESTS)).mean(("setting", "episode")),
        "pretrained_accuracy": lambda life: life.pretrained,
    },
    across=across,
    claim=Claim(
        better="replay",
        than="tune",
        on="weakest_gain",
        knockout="current-only",
        sentence="Replay raises accuracy on the instance test (expected: by 10 points or more), and more than on the class "
        "test; batches as large without a past lose the gain.",
    ),
    controls=(
        Control("pixels", "instance_accuracy", at_least=0.99, because="a clean image is its own nearest neighbour"),
        Control("tune", "untaught_accuracy", at_least=0.02, at_most=0.08, because="chance is 1 in 20"),
        Control("tune", "pretrained_accuracy", at_least=0.2, because="the embedding must have been trained"),
    ),
    secondary=(
        Claim("replay", "tune", "class_accuracy", sentence="Replay also raises accuracy on the class test."),
        Claim(
            "occlusion",
            "bound",
            "margin",
            sentence="With replay, accuracy on instances falls with every step of occlusion, to less than half at 0.6.",
        ),
        Claim("size", "bound", "margin", sentence="Every learner is more accurate on 10 classes than on 40."),
        Claim(
            "wide",
            "deep",
            "tuned_accuracy",
            sentence="Tuning is more accurate on 40 classes in two sets than in twenty (to be read from both sides).",
        ),
    ),
    settings={
        "seeds": 16,
        "side": 14,
        "pretraining": 500,
        "batch": 64,
        "episodes": 8,
        "queries": 5,
        "steps": 20,
        "learning_rate": 0.01,
        "sets_held": 4,
        "rehearsed": 8,
    },
    budgets={
        "smoke": {"seeds": 2, "pretraining": 10, "episodes": 2, "steps": 2, "queries": 2},
        "quick": {"seeds": 8, "pretraining": 300, "episodes": 4},
        "full": {},
    },
    simplified="Images of 14×14, two convolutions, 322 background characters, 500 steps of classification for the embedding; "
    "8 episodes a seed for hundreds, 10 to 40 classes for 20 to 200, and instances in sets of one alone; replay keeps the "
    "images' embeddings, not a generative memory's recall of them. Prototypes use the embedding "
    "trained by classification, not one trained in episodes.",
)
