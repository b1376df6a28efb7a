"""Power-law rehearsal: where old tasks come back as often as human environments bring them, little is forgotten.

The intervention is in the stream, not in the learner. In phase t a task is introduced; a fixed share of the phase's
examples is of earlier tasks, task i with a probability proportional to ℓ_i^(−a), ℓ_i the phases since it was introduced
(a = 1; Anderson and Schooler's statistics of need). At the same number of gradient steps other environments spend that
share on an exponentially decaying, a uniform, or the last task's recurrence, and the knock-out on the phase's own task.

The environment may draw on each task's whole training pool: unbounded rehearsal is its assumption, not a buffer's.
Environments differ in numbers alone, so they share one compiled program. EWC and SI live in the knock-out's stream, their
strength chosen on tuning seeds.
"""

import numpy as np
import optax
import xarray as xr

from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.memory import EWC, SI, Nothing
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce, Recency
from lifelong.worlds import Transformed, dataset

STRENGTH = "learner.memory.strength"


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live through as many phases as tasks in one environment; exams fall in the middle and at the end of phases."""
    environment, memory = arm.build
    data = dataset(settings.world).take(per_class=settings.per_class).standardized()
    data = data.shuffled_labels(seed=0) if arm.role == "negative control" else data
    world = Transformed(data, settings.tasks, scenario="domain")
    rehearsed = settings.rehearsed * len(data.y_train)
    steps = int(settings.epochs * (len(data.y_train) + rehearsed)) // settings.batch // 2 * 2
    share = rehearsed / (len(data.y_train) + rehearsed)
    learner = GradientLearner(
        Recipe(MLP, inputs=data.features, outputs=world.outputs, width=settings.width, depth=1),
        optimizer=Recipe(optax.sgd, learning_rate=settings.learning_rate),
        memory=memory(),
        batch=settings.batch,
    )
    if arm.role == "positive control":
        teacher = AllAtOnce(settings.tasks)
    else:
        teacher = Recency(**{"rehearsal": share, **environment}, tasks=settings.tasks, steps=steps)
    return live(learner, world, teacher, steps=steps * settings.tasks, every=steps // 2, **options).to_xarray()


def need_weighted_accuracy(life: xr.Dataset) -> xr.DataArray:
    """Return final accuracy with each task weighing as much as the power law says it will be needed: p_i ∝ 1/ℓ_i."""
    need = 1 / np.arange(life.sizes["task"], 0, -1)
    return (life.accuracy.isel(exam=-1) * xr.DataArray(need / need.sum(), dims="task")).sum("task", skipna=False)


def facilitation(life: xr.Dataset) -> xr.DataArray:
    """Return the slope over tasks of the accuracy on a task half-way through its own phase, in points a task."""
    tasks = np.arange(life.sizes["task"])
    halfway = life.accuracy.isel(exam=xr.DataArray(2 * tasks + 1, dims="task"), task=xr.DataArray(tasks, dims="task"))
    centred = xr.DataArray(tasks - tasks.mean(), dims="task")
    return 100 * (halfway * centred).sum("task", skipna=False) / (centred**2).sum()


study = Study(
    slug="power-law-rehearsal",
    question="Is catastrophic interference mild in environments that bring old tasks back by a power law of recency?",
    arms={
        "power-law": Arm("method", "need ∝ 1/lag", ({"exponent": 1.0, "rate": 0.0}, Nothing)),
        "exponential": Arm("baseline", "need ∝ exp(−lag)", ({"exponent": 0.0, "rate": 1.0}, Nothing), like="power-law"),
        "uniform": Arm(
            "variant", "all earlier tasks alike", ({"exponent": 0.0, "rate": 0.0}, Nothing), like="power-law"
        ),
        "last-only": Arm("variant", "the last task only", ({"exponent": 0.0, "rate": 50.0}, Nothing), like="power-law"),
        "reversed": Arm("variant", "need ∝ lag", ({"exponent": -1.0, "rate": 0.0}, Nothing), like="power-law"),
        "none": Arm("knock-out", "the same steps on the current task", ({"rehearsal": 0.0}, Nothing), like="power-law"),
        "ewc": Arm(
            "baseline", "no rehearsal, EWC", ({"rehearsal": 0.0}, EWC), Grid(STRENGTH, (1.0, 10.0, 100.0, 1000.0))
        ),
        "si": Arm("baseline", "no rehearsal, SI", ({"rehearsal": 0.0}, SI), Grid(STRENGTH, (0.1, 1.0, 10.0, 100.0))),
        "joint": Arm("positive control", "all tasks mixed from the start", ({}, Nothing)),
        "shuffled-labels": Arm("negative control", "labels that mean nothing", ({}, Nothing), like="power-law"),
    },
    lifetime=lifetime,
    measures={
        "final_accuracy": m.final_accuracy,
        "need_weighted_accuracy": need_weighted_accuracy,
        "first_three": lambda life: life.accuracy.isel(exam=-1, task=slice(0, 3)).mean("task", skipna=False),
        "last_three": lambda life: life.accuracy.isel(exam=-1, task=slice(-3, None)).mean("task", skipna=False),
        "facilitation": facilitation,
    },
    claim=Claim(
        better="power-law",
        than="exponential",
        on="final_accuracy",
        by=0.01,
        knockout="none",
        sentence="At equal steps, a power-law environment ends at least one point above an exponential one in mean accuracy "
        "over all tasks, and above one that never brings old tasks back.",
    ),
    controls=(
        Control("joint", "final_accuracy", above="none", because="all tasks at once is the upper bound"),
        Control("shuffled-labels", "final_accuracy", at_least=0.05, at_most=0.15, because="chance is 1 in 10"),
    ),
    secondary=(
        Claim(
            "power-law", "uniform", "final_accuracy", sentence="Power-law beats uniform rehearsal on the plain average."
        ),
        Claim(
            "power-law",
            "uniform",
            "need_weighted_accuracy",
            sentence="Power-law beats uniform rehearsal where tasks count as they are needed.",
        ),
        Claim("power-law", "ewc", "final_accuracy", sentence="Power-law rehearsal is at least as good as tuned EWC."),
        Claim("power-law", "si", "final_accuracy", sentence="Power-law rehearsal is at least as good as tuned SI."),
        Claim(
            "power-law",
            "none",
            "facilitation",
            sentence="Later tasks are learned faster, more so than without rehearsal.",
        ),
    ),
    settings={
        "world": "digits",
        "seeds": 16,
        "per_class": 40,
        "tasks": 12,
        "epochs": 2,
        "rehearsed": 0.5,
        "batch": 20,
        "width": 64,
        "learning_rate": 0.05,
    },
    budgets={"smoke": {"seeds": 2, "tasks": 4, "per_class": 20}, "quick": {"seeds": 8, "tasks": 6}, "full": {}},
    simplified="Twelve permutations of 8×8 digits, 400 examples each and half as many rehearsed, two epochs, one hidden layer "
    "of 64 units. Lags count phases since a task's introduction (the quantity form). Faster learning of later tasks is read "
    "from the accuracy half-way through a phase instead of steps to a criterion.",
)
