"""The statistical mechanics of continual learning: yesterday's posterior over binary weights is today's prior.

A perceptron of binary weights is learned through the fields of its weights: a weight is 1 or −1 with odds exp(2θ), the
preactivation is Gaussian, and the energy −Σ ln H(−y⟨h⟩/σ_h) is descended in θ. A second task is learned with the
divergence KL(q_θ ‖ q_prior) from the fields after the first one added, γ times; its pull γ(1−m²)(θ−θ*) is modulated by
each weight's own uncertainty. For N → ∞ the errors on both tasks follow from a Franz-Parisi potential, solved here by
quadrature (`lifelong.exams.BinaryPerceptronTheory`) beside every life.

Teachers of the two tasks are uncorrelated unless set otherwise. `old_error` is the generalization error on the first task
after the second, at γ = 1. At matched error on the second task (`matched_old_error`) the pull that is blind to
uncertainty is read off its own front over four strengths, between the two nearest, seed by seed.

Three more arms are networks of one hidden layer on permuted images: fields with a prior, the metaplastic optimizer and
straight-through gradients, the first two with a number chosen on tuning seeds.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from lifelong.exams import BinaryPerceptronTheory, GeneralizationError
from lifelong.feedback import CrossEntropy, FieldEnergy, SampledCrossEntropy
from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study
from lifelong.learners import GradientLearner, metaplastic
from lifelong.life import live
from lifelong.memory import EWC, Memory, Nothing, PosteriorAnchor
from lifelong.nets import BinaryMLP, BinaryPerceptron
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import TeacherStudent, Transformed, dataset

STRENGTH, LOAD = "learner.memory.strength", "world.load"
LOADS = (0.5, 1.0, 1.5)
CLOSE = 0.03


class Perceptron(NamedTuple):
    """A perceptron that lives through two tasks: what it remembers with, how strongly, and whether a theory says so."""

    memory: Memory
    strengths: tuple[float, ...] = ()
    predicted: bool = False


class Network(NamedTuple):
    """A network that lives through permuted images."""

    weights: str
    memory: Memory
    optimizer: Recipe


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live one arm: a network, a perceptron with two tasks, or one with a single task at several loads."""
    if isinstance(arm.build, Network):
        return network(arm.build, settings, **options)
    if isinstance(arm.build, Perceptron):
        return two_tasks(arm.build, settings, **options)
    return one_task(settings, **options)


def two_tasks(how: Perceptron, settings: Settings, **options) -> xr.Dataset:
    """Live through both tasks, at all strengths side by side."""
    loads = (settings.load_first, settings.load_second)
    world = TeacherStudent(settings.features, 2, load=loads, correlation=settings.correlation)
    steps = (settings.steps_first, settings.steps_second)
    learner = student(world, how.memory, settings)
    options = {**options, "sweep": {STRENGTH: how.strengths}} if how.strengths else options
    life = live(learner, world, OneByOne(2, steps), GeneralizationError(), steps=sum(steps), record=100, **options)
    raw = life.to_xarray()
    if how.predicted:
        theory = BinaryPerceptronTheory()
        found = [theory.second(*loads, settings.correlation, strength).errors for strength in how.strengths]
        raw = raw.assign(predicted=((STRENGTH, "task"), np.array(found)))
    return raw.rename({STRENGTH: "strength"}) if how.strengths else raw


def one_task(settings: Settings, **options) -> xr.Dataset:
    """Live through one task at several loads, for comparison with the theory."""
    world = TeacherStudent(settings.features_theory, 1, room=max(LOADS))
    steps, options = settings.steps_first, {**options, "sweep": {LOAD: LOADS}}
    learner = student(world, Nothing(), settings)
    life = live(learner, world, OneByOne(1, steps), GeneralizationError(), steps=steps, record=100, **options)
    found = [BinaryPerceptronTheory().first(load).errors for load in LOADS]
    return life.to_xarray().assign(predicted=((LOAD, "task"), np.array(found))).rename({LOAD: "load"})


def student(world: TeacherStudent, memory: Memory, settings: Settings) -> GradientLearner:
    """Return a perceptron that descends its energy on all examples of a task at once."""
    rates = {"first": settings.rate_first, "second": settings.rate_second}
    return GradientLearner(
        Recipe(BinaryPerceptron, inputs=world.teachers.shape[1]),
        feedback=FieldEnergy(),
        optimizer=Recipe(adam, steps=settings.steps_first, **rates),
        memory=memory,
        batch=world.longest,
        active="all",
    )


def adam(first: float, second: float, steps: int) -> optax.GradientTransformation:
    """Return Adam with decoupled weight decay, and a learning rate of its own in the first so many steps."""
    return optax.adamw(lambda count: jnp.where(jnp.asarray(count) < steps, first, second), weight_decay=1e-3)


def network(how: Network, settings: Settings, **options) -> xr.Dataset:
    """Live through permuted images, one head for all tasks."""
    data = dataset(settings.world).take(per_class=settings.per_class).standardized()
    world = Transformed(data, settings.tasks, scenario="domain")
    steps = settings.epochs * len(data.y_train) // settings.batch
    learner = GradientLearner(
        Recipe(BinaryMLP, inputs=data.features, outputs=world.outputs, width=settings.width, weights=how.weights),
        feedback=SampledCrossEntropy() if how.weights == "fields" else CrossEntropy(),
        optimizer=how.optimizer,
        memory=how.memory,
        batch=settings.batch,
    )
    return live(learner, world, OneByOne(settings.tasks, steps), steps=steps * settings.tasks, **options).to_xarray()


def final_accuracy(life: xr.Dataset) -> xr.DataArray:
    """Return the share of right answers on all tasks at the end, whatever the arm was asked."""
    right = (life.accuracy if "accuracy" in life else 1 - life.error).isel(exam=-1)
    return right.mean([dim for dim in right.dims if dim in ("task", "load", "strength")], skipna=False)


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return errors after two tasks, those at matched error on the second, and distances from the theory."""
    values = {}
    for arm in ("prior", "no-prior", "weak-prior", "uniform", "ewc"):
        life = lives[arm]
        life = life.sel(strength=1.0, method="nearest") if "strength" in life.dims else life
        errors = life.error.where(life.diverged_at < 0)
        values[arm] = {"start_error": errors[:, 0, 0], "learned_error": errors[:, 1, 0]}
        values[arm] |= {"old_error": errors[:, -1, 0], "new_error": errors[:, -1, 1]}
        if "predicted" in life:
            values[arm]["predicted_old_error"] = life.predicted[0] + 0 * life.seed
            values[arm]["second_gap"] = abs(errors[:, -1] - life.predicted).max("task", skipna=False)
    values["prior"]["matched_old_error"] = values["prior"]["old_error"]
    values["uniform"]["matched_old_error"] = matched(lives["uniform"], values["prior"]["new_error"])
    alone = lives["one-task"].isel(exam=-1, task=0)
    gap = abs(alone.error - alone.predicted).where(alone.diverged_at < 0).mean("load", skipna=False)
    return values | {"one-task": {"gap": gap}, "tolerance": {"gap": xr.full_like(gap, CLOSE)}}


def matched(front: xr.Dataset, wanted: xr.DataArray) -> xr.DataArray:
    """Return, seed by seed, the error on the first task at which a front reaches an error on the second."""
    ends = front.error.isel(exam=-1).transpose("seed", "strength", "task").values
    ends = [own[own[:, 1].argsort()] for own in ends]
    found = [np.interp(new, own[:, 1], own[:, 0]) for new, own in zip(wanted.values, ends, strict=True)]
    return wanted.copy(data=np.array(found))


FRONT = (0.1, 0.3, 1.0, 3.0)
BAYES = PosteriorAnchor()
BLIND = PosteriorAnchor(pull="mean")
ADAM = Recipe(optax.adam, learning_rate=0.01, b2=0.99)
METAPLASTIC = Recipe(metaplastic, learning_rate=0.005, metaplasticity=1.35)
METAPLASTICITY = "learner.optimizer.numbers.metaplasticity"

study = Study(
    slug="statmech-cl",
    question="Does the posterior over binary weights, taken as a prior, protect what was learned, and does theory say how far?",
    arms={
        "prior": Arm("method", "γ = 1, and a front", Perceptron(BAYES, FRONT, predicted=True)),
        "no-prior": Arm("knock-out", "γ = 0", Perceptron(BAYES, (0.0,), predicted=True)),
        "weak-prior": Arm("variant", "γ = 0.1", Perceptron(BAYES, (0.1,), predicted=True), like="no-prior"),
        "uniform": Arm("knock-out", "pulls all weights alike, and a front", Perceptron(BLIND, FRONT)),
        "ewc": Arm(
            "baseline", "EWC on the energy", Perceptron(EWC(labels="true")), Grid(STRENGTH, (1e3, 1e4, 1e5, 1e6))
        ),
        "one-task": Arm("variant", "one task at three loads"),
        "field-net": Arm(
            "variant",
            "a network of fields with a prior",
            Network("fields", BAYES, ADAM),
            Grid(STRENGTH, (0.0, 1e-4, 1e-3, 1e-2)),
        ),
        "metaplastic-net": Arm(
            "baseline",
            "a network with the metaplastic optimizer",
            Network("straight", Nothing(), METAPLASTIC),
            Grid(METAPLASTICITY, (0.5, 1.0, 1.35, 2.0)),
        ),
        "straight-net": Arm(
            "baseline",
            "a network with straight-through gradients",
            Network("straight", Nothing(), METAPLASTIC),
            Grid(METAPLASTICITY, (0.0,)),
            like="metaplastic-net",
        ),
    },
    derived=("tolerance",),
    lifetime=lifetime,
    measures={"final_accuracy": final_accuracy},
    across=across,
    tune_on="final_accuracy",
    claim=Claim(
        better="prior",
        than="no-prior",
        on="old_error",
        by=0.05,
        higher_is_better=False,
        sentence="With the first task's posterior as prior (γ = 1) the error on that task after a second, uncorrelated one is "
        "lower by at least 0.05 than without (expected: 0.25 or more).",
    ),
    controls=(
        Control(
            "no-prior", "start_error", at_least=0.45, at_most=0.55, because="nothing is known before the first step"
        ),
        Control("no-prior", "learned_error", at_most=0.15, because="the first task must have been learned"),
    ),
    secondary=(
        Claim(
            "one-task",
            "tolerance",
            "gap",
            higher_is_better=False,
            sentence=f"On one task the error is within {CLOSE} of the mean-field theory, on average over three loads.",
        ),
        Claim(
            "prior",
            "uniform",
            "matched_old_error",
            higher_is_better=False,
            sentence="At the same error on the second task, the pull that knows about uncertainty keeps more of the first.",
        ),
        Claim(
            "field-net",
            "metaplastic-net",
            "final_accuracy",
            sentence="Over permuted images, a network of fields ends at a higher mean accuracy than the metaplastic one.",
        ),
    ),
    settings={
        "seeds": 16,
        "features": 300,
        "load_first": 2.0,
        "load_second": 1.0,
        "correlation": 0.0,
        "steps_first": 600,
        "steps_second": 800,
        "rate_first": 0.01,
        "rate_second": 0.02,
        "features_theory": 500,
        "world": "digits",
        "per_class": 100,
        "tasks": 5,
        "epochs": 5,
        "batch": 20,
        "width": 100,
    },
    budgets={
        "smoke": {"seeds": 2, "features": 60, "features_theory": 60, "per_class": 20, "epochs": 1},
        "quick": {"seeds": 8, "features": 200, "features_theory": 300, "epochs": 2},
        "full": {},
    },
    simplified="300 weights, 600 + 800 full-batch steps of Adam at 0.01 and 0.02, for 1000 weights and 25,000 steps; Adam's "
    "moments are carried from task to task. The theory is compared on one task at 500 weights, seed by seed, which is "
    "stricter than by means. Networks have one hidden layer of 100 on permuted 8×8 digits for two of 512 on MNIST; the inverse "
    "temperature of fields stays 1 instead of being annealed, and their prior is the last task's posterior.",
    curve="error",
)
