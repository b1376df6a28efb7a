"""UnCLe: tasks are learned and unlearned on request by a hypernetwork, and unlearning needs no data.

A hypernetwork writes the weights of a small network from a code of the task. To learn a task, its code and the
hypernetwork follow the task's loss, while what is written for every earlier task is held where it was. To unlearn one,
what is written for it is drawn to noise while the others are held: no example is needed, and tasks already unlearned are
held too, at their noise, so that later learning cannot bring them back.

The paper's objective for unlearning is γ·noise + 1·preservation, for learning loss + β·preservation. Adam does not see the
scale of an objective, so unlearning is written here as β·(γ·noise + preservation), and one memory of strength β serves
both. Distances are between numbers as they are written, before they are scaled into weights (the paper leaves that open).

The conventional way has one trunk for all tasks and a head for each; it needs the forget set: ascent on its loss, or
random labels, while an L2 anchor holds the rest. Knock-outs leave away one ingredient each: the noise, the preservation,
the holding of what was unlearned. Besides what the paper reports, tasks are learned again at the end, from the state
after all requests, and compared with a hypernetwork that never met them: accuracy at chance does not show that nothing
is left.
"""

from functools import partial

import numpy as np
import optax
import xarray as xr

from lifelong.exams import Traces, steps_to_reach
from lifelong.feedback import CrossEntropy, TaskCrossEntropy
from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import UnlearningLearner
from lifelong.life import live, sit_afterwards
from lifelong.memory import L2, GradientAscent, NoiseAlignment, OutputPreservation, RandomLabels
from lifelong.nets import MLP, Hypernetwork
from lifelong.recipe import Recipe
from lifelong.teachers import Requests
from lifelong.worlds import Transformed, dataset, read_requests

LOOK = 4
"""Steps between two looks at what is relearned."""

RA, FA = "retained_accuracy", "forgotten_accuracy"

less = partial(Claim, higher_is_better=False)

STRENGTHS = Grid("learner.memory.strength", (0.001, 0.01, 0.1, 1.0, 10.0))


def tasks_of(requests: str, kept: bool | None = None) -> list[int]:
    """Return the tasks in requests: all, those that are learned at the end, or those that are not."""
    last = dict(read_requests(requests))
    return sorted(task for task, unlearned in last.items() if kept is None or kept != unlearned)


def uncle(settings: Settings, noise: float = 1.0, preserved: float = 1.0, held: float = 1.0):
    """Return the paper's unlearner and memory, with ingredients weakened for knock-outs."""
    beta = settings.beta
    return NoiseAlignment(noise * settings.gamma * beta), OutputPreservation(preserved * beta, held)


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live through the requests; afterwards see what is left of the tasks that were to be unlearned."""
    data = dataset(settings.world).take(settings.per_class, settings.test_per_class)
    data = data.resize(settings.side).standardized()
    requests, gone = settings.requests, tasks_of(settings.requests, kept=False)
    if arm.role == "positive control":
        requests = " ".join(word for word in requests.split() if int(word[1:]) not in gone)
    world = Transformed(data, len(tasks_of(settings.requests)), scenario="task")
    lengths = [max(20, round(settings.burn_in * 0.9**i)) for i in range(requests.count("U"))]
    teacher = Requests(requests, settings.epochs * len(data.y_train) // settings.batch, lengths)
    learner = learner_of(arm, settings, data.features, world)
    life = live(learner, world, teacher, steps=teacher.ends[-1], **options)
    traces = Traces(gone, settings.relearn, LOOK, settings.batch * settings.relearn)
    left = sit_afterwards(life, learner, world, traces)
    return life.to_xarray().merge(left).assign_attrs(requests=requests, gone=gone)


def learner_of(arm: Arm, settings: Settings, features: int, world: Transformed) -> UnlearningLearner:
    """Return a hypernetwork where the memory holds what it writes, else one trunk with a head for each task."""
    unlearner, memory = arm.build(settings)
    options = {"batch": settings.batch, "active": "all", "reset_optimizer": True}
    optimizer = Recipe(optax.adam, learning_rate=settings.learning_rate)
    sizes = {"inputs": features, "width": settings.width, "depth": 1}
    if not isinstance(memory, OutputPreservation):
        model = Recipe(MLP, outputs=world.outputs, **sizes)
        return UnlearningLearner(model, unlearner, CrossEntropy(), optimizer, memory, **options)
    network = Recipe(MLP, outputs=world.outputs // world.tasks, **sizes)
    model = Recipe(Hypernetwork, network=network, tasks=world.tasks, chunks=settings.chunks)
    return UnlearningLearner(model, unlearner, TaskCrossEntropy(), optimizer, memory, **options)


def of_forgotten(life: xr.Dataset) -> xr.DataArray:
    """Return FA: the accuracy at the end on tasks that are not to be known."""
    return life.accuracy.isel(exam=-1, task=np.atleast_1d(life.attrs["gone"])).mean("task", skipna=False)


def selectivity(life: xr.Dataset) -> xr.DataArray:
    """Return RA − FA."""
    return m.retained_accuracy(life) - of_forgotten(life)


def relearning_steps(life: xr.Dataset) -> xr.DataArray:
    """Return the steps until a forgotten task is answered nine tenths as well as the retained ones are."""
    level = 0.9 * m.retained_accuracy(life)
    curve = life.relearning.mean("asked")
    return xr.apply_ufunc(
        lambda c, at: steps_to_reach(c, at, every=LOOK).astype(float),
        curve,
        level,
        input_core_dims=[["look"], []],
    )


study = Study(
    slug="uncle",
    question="Can a hypernetwork unlearn tasks without their data, and without harm to the others or relapse?",
    arms={
        "uncle": Arm("method", "what is written for the task becomes noise", uncle),
        "ascent": Arm(
            "baseline",
            "a head for each task; ascent on the forget set, L2",
            lambda s: (GradientAscent(), L2()),
            STRENGTHS,
        ),
        "bounded-ascent": Arm(
            "baseline",
            "the same, up to the loss of a guess",
            lambda s: (GradientAscent(np.log(10.0)), L2()),
            STRENGTHS,
        ),
        "random-labels": Arm(
            "baseline",
            "a head for each task; random labels on the forget set, L2",
            lambda s: (RandomLabels(), L2()),
            STRENGTHS,
        ),
        "written-ascent": Arm(
            "baseline",
            "a hypernetwork; ascent on the forget set, preservation",
            lambda s: (GradientAscent(), OutputPreservation(s.beta)),
        ),
        "no-noise": Arm("knock-out", "no alignment with noise (γ = 0)", lambda s: uncle(s, noise=0.0), like="uncle"),
        "no-preservation": Arm(
            "knock-out", "earlier tasks are not held (β = 0)", lambda s: uncle(s, preserved=0.0), like="uncle"
        ),
        "not-held": Arm(
            "knock-out", "unlearned tasks are not held at their noise", lambda s: uncle(s, held=0.0), like="uncle"
        ),
        "never": Arm("positive control", "never asked for the tasks that the others unlearn", uncle),
    },
    lifetime=lifetime,
    measures={
        "selectivity": selectivity,
        "retained_accuracy": m.retained_accuracy,
        "forgotten_accuracy": of_forgotten,
        "spill": m.spill,
        "log10_spill": lambda life: xr.ufuncs.log10(m.spill(life).clip(1e-4)),
        "relapse": m.relapse,
        "relearning_steps": relearning_steps,
        "membership_auc": m.membership_auc,
    },
    claim=Claim(
        better="uncle",
        than="ascent",
        on="selectivity",
        by=0.05,
        knockout="no-noise",
        sentence="After all requests, accuracy on retained less accuracy on forgotten tasks is at least five points higher "
        "with UnCLe than with gradient ascent on shared weights, and without noise alignment the gain is lost.",
    ),
    controls=(
        Control("uncle", "retained_accuracy", at_least=0.6, because="forgetting by a network at chance means nothing"),
        Control("no-noise", "forgotten_accuracy", at_least=0.5, because="there must be something to unlearn"),
        Control("never", "forgotten_accuracy", at_least=0.05, at_most=0.15, because="chance is 1 in 10"),
        Control("never", "membership_auc", at_least=0.47, at_most=0.53, because="it learned from none of the examples"),
    ),
    secondary=(
        less("uncle", "a-tenth-above-chance", FA, sentence="UnCLe leaves forgotten tasks within a tenth of chance."),
        Claim("uncle", "ascent", RA, by=0.05, sentence="UnCLe retains five points more than gradient ascent."),
        Claim(
            "uncle",
            "bounded-ascent",
            "selectivity",
            by=0.05,
            sentence="And against ascent that stops at a guess's loss.",
        ),
        Claim("uncle", "random-labels", "selectivity", by=0.05, sentence="And against random labels."),
        Claim("uncle", "written-ascent", "selectivity", sentence="It is the noise, not the hypernetwork alone."),
        less("uncle", "ascent", "spill", sentence="A request to unlearn disturbs other tasks less than ascent does."),
        less("uncle", "no-preservation", "log10_spill", by=1.0, sentence="Without preservation spill is tenfold."),
        less(
            "uncle",
            "not-held",
            "relapse",
            sentence="Holding unlearned tasks at their noise keeps them from coming back.",
        ),
        less("uncle", "ascent", "relapse", sentence="They come back less than after gradient ascent."),
        less(
            "uncle",
            "never",
            "relearning_steps",
            sentence="Something is left: they are relearned sooner than new tasks.",
        ),
    ),
    across=lambda lives: {"a-tenth-above-chance": {"forgotten_accuracy": 0.2 + 0.0 * lives["uncle"].diverged_at}},
    derived=("a-tenth-above-chance",),
    tune_on="selectivity",
    settings={
        "world": "fashion-mnist",
        "requests": "L0 L1 U0 L2 U1 L3 L4",
        "seeds": 16,
        "side": 14,
        "per_class": 300,
        "test_per_class": 100,
        "epochs": 1,
        "batch": 32,
        "width": 32,
        "chunks": 20,
        "learning_rate": 1e-3,
        "beta": 0.01,
        "gamma": 0.1,
        "burn_in": 100,
        "relearn": 92,
    },
    budgets={
        "smoke": {"seeds": 2, "world": "digits", "side": 8, "per_class": 60, "test_per_class": 30, "burn_in": 20},
        "quick": {"seeds": 8, "per_class": 150},
        "full": {},
    },
    simplified="Five permutations of Fashion-MNIST at 14×14, one pass of 3000 images each, networks of 6634 weights written in "
    "20 chunks, and seven requests stand for 20 tasks of Tiny-ImageNet, ResNet-50 and 30 requests. γ is 0.1, not 0.01, as "
    "burn-ins are short. In a single pass little is memorised, so that membership inference has little to find in any arm. "
    "A task is relearned with the code it had; the paper gives a task that is learned again a new one.",
)
