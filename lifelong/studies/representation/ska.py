"""Structured knowledge accumulation: layers of sigmoids that lower entropies of their own, with forward passes alone.

Each layer moves its knowledge z against −(z d(1−d) + ΔD)/ln 2, d = σ(z), ΔD the change of its decisions since the step
before; no label and no error is used, and nothing is sent back. Read as a step of time, η should not matter: the entropy
a unit of time, at equal times η·k, is compared at four successively halved steps. An order of convergence near 1 is what
forward Euler gives to *any* smooth rule, so gradient descent on labels goes through the same comparison, and so does the
rule climbing its entropy. As a control the curves are also read a step instead of a unit of time; they must not agree.

Probes are ridge regressions on what layers decide, fitted by the examiner: SKA itself names no classes. `hidden_probe` reads
the last layer below the outputs. The arm `untrained` is the network of `ska` before its first step, `pixels` the input, and
`stopped` is `ska` where the entropy of that layer is least. Each layer's entropy of a step is divided by η.

Least action is no measure here: L = −z σ'(z) ż is the time derivative of a function of z, so its Euler-Lagrange equation
reads 0 = 0 on every path (`tests/learners/test_entropy.py` shows it on paths drawn by chance).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import optax
import xarray as xr

from lifelong.exams import LayerProbes, refinement
from lifelong.feedback import SquaredError
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import EntropyLearner, GradientLearner, Learner, knowledge_flow
from lifelong.life import live
from lifelong.nets import SigmoidNet
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Split, dataset

HALVINGS = (1, 2, 4, 8)
ORDER, CLOSE = 0.8, 0.05
ENDLESS = 10**6


class Rule(NamedTuple):
    """A forward-only rule: the weight of ΔD, the sign of its slope, and whether its inputs are centred."""

    change: float = 1.0
    sign: float = 1.0
    centred: bool = False


class Watched(GradientLearner):
    """Gradient descent, with the flow of knowledge recorded as that of a forward-only rule is."""

    def learn(self, state, experience, *, key):
        """Take one step; return the new state and its `knowledge_flow`."""
        new, _ = super().learn(state, experience, key=key)
        rate = self.optimizer.numbers["learning_rate"]  # type: ignore[union-attr]
        return new, knowledge_flow(state.model, new.model, experience.x, rate)


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Learn all examples at once for a span of time, at four steps; the finest is probed on its way."""
    world = images(settings, arm.build is not None and arm.build.centred)
    options, lives = {**options, "checkpoint": None}, []
    for halving in HALVINGS:
        steps = settings.coarsest * halving
        learner = learner_of(arm.build, world, settings, settings.span / steps)
        every = halving if halving == HALVINGS[-1] else None
        teacher = OneByOne(1, ENDLESS)
        life = live(learner, world, teacher, LayerProbes(), steps=steps, every=every, record=halving, **options)
        lives.append(life.whole().to_xarray())
    flows = [life.drop_dims("exam").assign_coords(step=np.arange(1, settings.coarsest + 1)) for life in lives]
    halvings = xr.IndexVariable("halving", list(HALVINGS))
    joined: Any = xr.concat([flow.drop_vars("diverged_at") for flow in flows], halvings)
    diverged = np.maximum.reduce([life.diverged_at.values for life in lives])
    joined = joined.rename({dim: "unit_layer" for dim in joined.dims if dim not in ("halving", "seed", "step")})
    probed = lives[-1][["probe_accuracy", "effective_rank", "first_share"]]
    probed = probed.assign_coords(exam=np.arange(settings.coarsest + 1))
    rate = joined.learning_entropy / xr.DataArray(
        settings.span / settings.coarsest / np.array(HALVINGS), dims="halving"
    )
    whole: Any = xr.merge([joined.assign(entropy_rate=rate / settings.images), probed])
    return whole.assign(diverged_at=("seed", diverged))


def images(settings: Settings, centred: bool) -> Split:
    """Return pixels in 0 … 1, or less their mean."""
    data = dataset(settings.world).take(per_class=settings.images // 10)
    world = Split(data, tasks=1)
    if not centred:
        return world
    mean = data.x_train.mean(0)
    shift = {"x_train": data.x_train - mean, "x_test": data.x_test - mean}
    return Split(type(data)(**shift, y_train=data.y_train, y_test=data.y_test, classes=data.classes), tasks=1)


def learner_of(rule: Rule | None, world: Split, settings: Settings, rate: float) -> Learner:
    """Return a forward-only learner, or gradient descent on labels where there is no rule."""
    pixels = int(np.prod(world.x.shape[1:]))
    net = Recipe(SigmoidNet, sizes=(pixels, 64, 32, 16, 10), spread=0.01)
    if rule is None:
        sgd = Recipe(optax.sgd, learning_rate=rate)
        return Watched(net, SquaredError(), sgd, batch=settings.images, active="all")  # pyright: ignore[reportCallIssue]
    return EntropyLearner(net, rate, rule.change, rule.sign, batch=settings.images)


def hidden_probe(life: xr.Dataset) -> xr.DataArray:
    """Return the probe's accuracy on the last layer below the outputs, at the end."""
    return life.probe_accuracy.isel(exam=-1, layer=-2)


def hidden_rank(life: xr.Dataset) -> xr.DataArray:
    """Return the effective rank of the last layer below the outputs, at the end."""
    return life.effective_rank.isel(exam=-1, layer=-2)


def converges(curves: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the order of convergence and the distance of the two finest curves, means over layers."""
    found = refinement(curves.transpose("seed", "unit_layer", "halving", "step").values)
    means = {"order": found.order.mean(-1), "gap": found.distances[..., -1].mean(-1)}
    return {name: xr.DataArray(values, dims="seed") for name, values in means.items()}


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return how time-invariant every rule is, and what is known before learning and where learning should stop."""
    values = {arm: converges(life.entropy_rate) for arm, life in lives.items()}
    ska = lives["ska"]
    found = values["ska"]
    found["margin"] = m.weakest({"order": found["order"] - ORDER, "gap": CLOSE - found["gap"]})
    values["bound"] = {"margin": xr.zeros_like(found["margin"])}
    values["per-step"] = converges(ska.learning_entropy)
    hidden = ska.probe_accuracy.isel(layer=-2)
    least = ska.entropy_rate.sel(halving=HALVINGS[-1]).isel(unit_layer=-2).argmin("step") + 1
    values["untrained"] = {"hidden_probe": hidden.isel(exam=0), "hidden_rank": ska.effective_rank[:, 0, -2]}
    values["pixels"] = {"hidden_probe": ska.probe_accuracy.isel(exam=0, layer=0)}
    values["stopped"] = {"hidden_probe": hidden.isel(exam=least), "step": least}
    return values


study = Study(
    slug="ska",
    question="Does forward-only entropy learning follow the same path in time at any step, and does it represent classes?",
    arms={
        "ska": Arm("method", "lowers each layer's entropy, no labels", Rule()),
        "no-change": Arm("knock-out", "without the change of decisions ΔD", Rule(change=0.0), like="ska"),
        "flipped": Arm("variant", "climbs the entropy", Rule(sign=-1.0), like="ska"),
        "centred": Arm("variant", "inputs less their mean", Rule(centred=True), like="ska"),
        "gradient-descent": Arm("baseline", "gradient descent on squared errors of labels", None),
    },
    derived=("bound", "untrained", "pixels", "stopped", "per-step"),
    lifetime=lifetime,
    measures={"hidden_probe": hidden_probe, "hidden_rank": hidden_rank},
    across=across,
    claim=Claim(
        better="ska",
        than="bound",
        on="margin",
        sentence="At halved steps the entropies a unit of time converge with an order of at least 0.8, the two finest "
        "within 5 %; the weaker of the two parts holds.",
    ),
    controls=(
        Control("per-step", "order", at_most=0.5, because="entropies a step do shrink with the step"),
        Control("pixels", "hidden_probe", at_least=0.8, because="the classes can be read from the pixels"),
    ),
    secondary=(
        Claim("ska", "gradient-descent", "order", by=0.1, sentence="Only SKA is time-invariant, not gradient descent."),
        Claim(
            "ska",
            "untrained",
            "hidden_probe",
            sentence="Learning makes classes easier to read from the last hidden layer.",
        ),
        Claim("ska", "no-change", "hidden_probe", sentence="The change of decisions ΔD makes classes easier to read."),
        Claim(
            "stopped", "ska", "hidden_probe", sentence="Stopping where the entropy is least beats a fixed span of time."
        ),
    ),
    settings={"world": "digits", "seeds": 16, "images": 1000, "span": 2.0, "coarsest": 25},
    budgets={"smoke": {"seeds": 2, "images": 100}, "quick": {"seeds": 8, "images": 500}, "full": {}},
    simplified="Digits of 8 × 8 pixels and layers of 64, 32, 16 and 10 units, for 28 × 28 and 256, 128, 64 and 10; a span of "
    "η·K = 2 for 0.5, since smaller inputs drive the layers more slowly.",
    curve="probe_accuracy",
)
