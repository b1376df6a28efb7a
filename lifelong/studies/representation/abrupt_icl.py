"""Abrupt learning in context: an induction head forms late and at once, and more reliably where labels outnumber items.

Who answers from the context must look at the item before each label, find the item like the target, and say the label beside
it. Where there are more labels than items, the last step alone already pays (labels shown beat labels absent) and makes the
others worth learning; where there are as many it does not. Three tiers: gradient descent on the loss of three nested logits
(`lifelong.exams.nested_loss`); an induction head of a few numbers beside a network that can learn by heart, on sequences drawn
anew in every step, by Adam; two layers of attention, or one, with a deep read-out.

`margin` is the share of starts from which theory learns (loss below 0.1) and that of seeds in which the head does (accuracy in
context of 0.9 on classes never seen), with four labels for every item less with one; the one that lies lower. `half_time` is
the step at which a measure has come half the way to its last value, `abruptness` the time from 10 to 90 % in units of it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from lifelong.exams import Induction, nested_learning_times, rise
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.nets import AttentionOnly, InductionHead
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import BurstySequences

MEASURES = {"label-guess": "among_shown", "to-item": "to_item", "to-answer": "to_answer", "in-context": "accuracy"}
"""What announces an induction head, in the order that is claimed, and the accuracy that it brings."""

ABRUPT, NEVER = 0.3, 1e6


class Head(NamedTuple):
    """The minimal head: how many labels for every item, of which theory has a list, and what sequences are like."""

    ratio: int
    theory: tuple[float, ...] = ()
    burst: int = 1
    bursty: float = 0.5
    fresh: float = 0.5


class Network(NamedTuple):
    """The network: its layers, and what sequences are like."""

    layers: int = 2
    burst: int = 2
    bursty: float = 0.5
    fresh: float = 0.5


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live the minimal head or the network; with the head comes what theory says."""
    how = arm.build
    if isinstance(how, Network):
        net = Recipe(AttentionOnly, features=24, outputs=8, length=settings.context + 1, layers=how.layers)
        return lived(net, how, 24, 8, 8, settings.network_rate, settings.network_steps, settings, **options)
    features, outputs = settings.features, 4 * settings.context
    net = Recipe(InductionHead, features=features, outputs=outputs)
    labels = how.ratio * settings.context
    raw = lived(net, how, features, outputs, labels, settings.head_rate, settings.head_steps, settings, **options)
    return raw.merge(theory(how.theory, settings, options["seeds"])) if how.theory else raw


def lived(
    net: Recipe,
    how: Head | Network,
    features: int,
    outputs: int,
    labels: int,
    rate: float,
    steps: int,
    settings: Settings,
    **options,
) -> xr.Dataset:
    """Live one model in a world of sequences."""
    kinds = {"labels": labels, "burst": how.burst, "bursty": how.bursty, "fresh": how.fresh}
    world = BurstySequences(settings.context, features, settings.classes, outputs, settings.asked, **kinds)
    adam = Recipe(optax.adam, learning_rate=rate)
    learner = GradientLearner(net, optimizer=adam, batch=settings.batch, active="all")
    teacher = OneByOne(1, steps)
    every = max(1, steps // settings.looks)
    life = live(learner, world, teacher, Induction(), steps=steps, every=every, at_ends=False, record=50, **options)
    return life.to_xarray().assign_coords(part=list(world.parts))


def theory(ratios: Sequence[float], settings: Settings, seeds: Sequence[int]) -> xr.Dataset:
    """Return when gradient descent on three nested logits has learned, from starts that all dictionaries share."""
    starts = [0.1 * np.random.default_rng([seed]).normal(size=(settings.starts, 3)) for seed in seeds]
    labels = jnp.asarray([round(ratio * 8) for ratio in ratios])
    times = nested_learning_times(
        jnp.asarray(np.concatenate(starts), jnp.float32), 8, labels, 0.1, settings.theory_steps
    )
    times = np.asarray(times).reshape(len(ratios), len(starts), -1)
    return xr.Dataset({"learned_after": (("dictionary", "seed", "start"), times)}, {"dictionary": list(ratios)})


def in_context(life: xr.Dataset) -> xr.DataArray:
    """Return the accuracy at the end on classes never seen."""
    return life.accuracy.sel(part="in context").isel(exam=-1)


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return how much more often a head forms with more labels, how theory's times fall, and what comes first."""
    many, few = lives["many-labels"], lives["few-labels"]
    learned = {arm: np.isfinite(life.learned_after).mean("start") for arm, life in (("many", many), ("few", few))}
    formed = [(in_context(life) >= 0.9).astype(float) for life in (many, few)]
    theory_gain = learned["many"].sel(dictionary=4.0, drop=True) - learned["few"].sel(dictionary=1.0, drop=True)
    gains = {"theory": theory_gain, "head": formed[0] - formed[1]}
    falls = -np.minimum(many.learned_after.median("start"), NEVER).diff("dictionary")
    values = {"many-labels": {"margin": m.weakest(gains), "falls": falls.min("dictionary")}}
    values["many-labels"] |= {f"margin_{name}": gain for name, gain in gains.items()}
    values["few-labels"] = {"margin": 0 * formed[0], "falls": 0 * formed[0]}
    values["few-labels"]["theory_learned"] = learned["few"].sel(dictionary=1.0, drop=True)
    network = lives["network"].sel(part="in context")
    for name, measure in MEASURES.items():
        found = rise(network.exam, network[measure].transpose("seed", "exam"))
        values[name] = {
            "half_time": ("seed", np.minimum(found.half, NEVER)),
            "abruptness": ("seed", np.minimum(found.abruptness, NEVER)),
        }
    like = in_context(lives["network"]) * 0
    values = {arm: {key: _as_seeds(v, like) for key, v in found.items()} for arm, found in values.items()}
    return values | {"abrupt": {"abruptness": like + ABRUPT}}


def _as_seeds(value, like: xr.DataArray) -> xr.DataArray:
    return value if isinstance(value, xr.DataArray) else like.copy(data=value[1])


DICTIONARIES = (9 / 8, 1.5, 2.0, 4.0, 8.0)

study = Study(
    slug="abrupt-icl",
    question="Does an induction head form more reliably where labels outnumber the items of a context, and at once?",
    arms={
        "many-labels": Arm("method", "four labels for every item", Head(4, DICTIONARIES)),
        "few-labels": Arm("knock-out", "as many labels as items", Head(1, (1.0,)), like="many-labels"),
        "twice": Arm("variant", "two labels for every item", Head(2), like="many-labels"),
        "pairs": Arm("variant", "many labels, two items of each class", Head(4, burst=2), like="many-labels"),
        "no-bursts": Arm("negative control", "contexts never help", Head(4, bursty=0.0, fresh=0.0), like="many-labels"),
        "network": Arm("variant", "two layers of attention, two items of each class", Network()),
        "singles": Arm("variant", "the network, one item of each class", Network(burst=1), like="network"),
        "one-layer": Arm("knock-out", "one layer of attention", Network(layers=1)),
    },
    derived=(*MEASURES, "abrupt"),
    lifetime=lifetime,
    measures={
        "in_context": in_context,
        "in_weights": lambda life: life.accuracy.sel(part="in weights").isel(exam=-1),
        "contradicted": lambda life: life.accuracy.sel(part="contradicted").isel(exam=-1),
        "start": lambda life: life.accuracy.sel(part="in context").isel(exam=0),
    },
    across=across,
    claim=Claim(
        better="many-labels",
        than="few-labels",
        on="margin",
        by=0.3,
        sentence="With four labels for every item rather than one, both theory and the minimal head learn to answer from the "
        "context in a share of runs that is larger by 0.3.",
    ),
    controls=(
        Control("no-bursts", "in_context", at_most=0.35, because="who never needs a context does not learn to use it"),
        Control("many-labels", "start", at_most=0.35, because="nothing is known before the first step"),
        Control("few-labels", "theory_learned", at_most=0.95, because="theory must be able to fail within its steps"),
    ),
    secondary=(
        Claim(
            "many-labels",
            "few-labels",
            "falls",
            sentence="Theory's median time falls from each dictionary to the next.",
        ),
        Claim(
            "label-guess",
            "to-item",
            "half_time",
            higher_is_better=False,
            sentence="The network guesses among labels shown before its labels attend to their items.",
        ),
        Claim(
            "to-answer",
            "in-context",
            "half_time",
            higher_is_better=False,
            sentence="Attention from the target to the right label rises before accuracy in context does.",
        ),
        Claim(
            "in-context",
            "abrupt",
            "abruptness",
            higher_is_better=False,
            sentence=f"Accuracy in context rises from 10 to 90 % in less than {ABRUPT} of the time to its half.",
        ),
        Claim(
            "in-context",
            "label-guess",
            "abruptness",
            higher_is_better=False,
            sentence="It rises more abruptly than guessing among labels shown does.",
        ),
        Claim(
            "network",
            "one-layer",
            "in_context",
            by=0.3,
            sentence="One layer of attention cannot answer from a context.",
        ),
        Claim("network", "singles", "in_context", by=0.1, sentence="Two items of each class teach it better than one."),
    ),
    settings={
        "seeds": 8,
        "context": 4,
        "features": 32,
        "classes": 64,
        "asked": 256,
        "batch": 64,
        "starts": 32,
        "theory_steps": 6000,
        "head_steps": 3000,
        "head_rate": 0.01,
        "network_steps": 3000,
        "network_rate": 1e-3,
        "looks": 30,
    },
    budgets={
        "smoke": {
            "seeds": 2,
            "starts": 4,
            "theory_steps": 200,
            "head_steps": 20,
            "network_steps": 20,
            "looks": 4,
            "asked": 32,
        },
        "quick": {"seeds": 8, "head_steps": 1000, "network_steps": 600, "looks": 10},
        "full": {},
    },
    simplified="4 items, 64 classes and Adam for 8, 512 and SGD; labels are one-hot vectors, positions do not shift, "
    "and all classes come equally often. The network has 24 numbers an item, 8 labels and 3000 batches of 64 for 63, 32 "
    "and 75,000 of 128. That a fresh sequence is bursty, and the reduced models' equations, are derived from descriptions "
    "of the paper.",
    curve="accuracy",
)
