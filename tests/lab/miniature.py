"""Small studies to test the lab with.

Their learner is real, their data are made up. A `drawn` study has no learner at all: its record is drawn from a
generator, so that a report of any outcome is had at once.
"""

import numpy as np
import optax
import xarray as xr

from lifelong.lab import Arm, Claim, Control, Grid, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import Moment, live
from lifelong.memory import Replay
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce, OneByOne
from lifelong.worlds import Dataset, Split

CLASSES, FEATURES = 4, 4
LABELS = "learner.memory.labels"


def gaussians(per_class: int, shuffled: bool = False) -> Dataset:
    """Return well separated Gaussian classes; shuffled labels mean nothing, in either part."""
    generator = np.random.default_rng(0)
    y = np.tile(np.arange(CLASSES), per_class)
    centres = 3 * np.eye(CLASSES, FEATURES)
    x, x_test = (centres[y] + generator.normal(size=(len(y), FEATURES)) for _ in range(2))
    y, y_test = (generator.permutation(y) if shuffled else y for _ in range(2))
    return Dataset(x, y, x_test, y_test, tuple("abcd"))


def lifetime(arm, settings, **options):
    """Live through two tasks of two classes each, or through all four classes at once."""
    world = Split(gaussians(settings.per_class, arm.role == "negative control"), tasks=2)
    learner = GradientLearner(
        Recipe(MLP, inputs=FEATURES, outputs=CLASSES, width=8, depth=1),
        optimizer=Recipe(optax.sgd, learning_rate=settings.learning_rate),
        memory=Replay(24, 8),
        batch=8,
        active="all",
    )
    steps = settings.steps
    teacher = AllAtOnce(2) if arm.role == "positive control" else OneByOne(2, steps)
    return live(learner, world, teacher, steps=2 * steps, every=steps, **options).to_xarray()


NEVER, ALWAYS = Grid(LABELS, (0.0,)), Grid(LABELS, (1.0,))
ARMS = {
    "finetune": Arm("baseline", "no memory", tune=NEVER, like="replay"),
    "replay": Arm("method", "replays labels", tune=Grid(LABELS, (0.0, 1.0)), like="replay"),
    "joint": Arm("positive control", "all classes at once", tune=NEVER),
    "shuffled": Arm("negative control", "labels that mean nothing", tune=ALWAYS, like="replay"),
}
CONTROLS = (
    Control("joint", "final_accuracy", above="finetune", because="seeing all classes at once is the upper bound"),
    Control("shuffled", "final_accuracy", at_least=0.1, at_most=0.4, because="chance is 1 in 4"),
)


def study(**changes) -> Study:
    """Return the small study, with changes."""
    parts = {
        "slug": "uer",
        "question": "Does replay help at all?",
        "arms": ARMS,
        "lifetime": lifetime,
        "measures": {"final_accuracy": m.final_accuracy, "forgetting": m.forgetting},
        "claim": Claim("replay", "finetune", "final_accuracy", by=0.05, sentence="Replay forgets less."),
        "controls": CONTROLS,
        "settings": {"seeds": 2, "per_class": 24, "steps": 24, "learning_rate": 0.1, "name": "small", "careful": True},
        "budgets": {"smoke": {"seeds": 1}, "quick": {"steps": 12}, "full": {}},
        "tuning_seeds": (1000,),
        "simplified": "Everything.",
    }
    return Study(**{**parts, **changes})


LEVELS = {"finetune": 0.25, "replay": 0.6, "no-labels": 0.3, "joint": 0.9, "shuffled": 0.25}


def draw(arm, settings, *, seeds, sweep, progress, checkpoint, tasks=5, told=True, diverge=()):
    """Return a made-up record: accuracy rises to the arm's level on the last task and falls on earlier ones."""
    (path, values), *_ = [*sweep.items(), ("none", [0.0])]
    shape = (len(values), len(seeds), tasks + 1, tasks)
    noise = np.stack([np.random.default_rng([seed, len(arm.note)]).normal(size=shape[2:]) for seed in seeds])
    met = np.tri(tasks + 1, tasks, -1)
    level = LEVELS[arm.build] + np.asarray(values)[:, None, None, None]
    accuracy = np.clip(met * level * (1 + 0.3 * np.eye(tasks + 1, tasks, -1)) + 0.03 * noise, 0, 1)
    diverged = np.where(np.isin(seeds, diverge), 20, -1) * np.ones((len(values), 1), int)
    accuracy[:, diverged[0] >= 0, 3:] = np.nan
    progress(Moment(10 * tasks, 10 * tasks, 0.0, len(seeds), int((diverged >= 0).sum())))
    ends = 10 * np.arange(1, tasks + 1) if told else np.zeros(0, int)
    record = xr.Dataset(
        {"accuracy": ((path, "seed", "exam", "task"), accuracy), "diverged_at": ((path, "seed"), diverged)},
        {path: np.asarray(values), "seed": np.asarray(seeds), "exam": 10 * np.arange(tasks + 1)},
        attrs={"ends": ends, "finished": 1},
    )
    return record if sweep else record.isel({path: 0}, drop=True)


def drawn(seeds=16, tasks=5, diverge=(), **changes) -> Study:
    """Return a study whose records are made up: `replay` gains, `no-labels` loses the gain, `joint` is told no ends."""

    def lifetime(arm, settings, **options):
        lost = diverge if arm.build == "replay" else ()
        return draw(arm, settings, tasks=tasks, told=arm.build != "joint", diverge=lost, **options)

    arms = {
        "finetune": Arm("baseline", "no memory", "finetune"),
        "replay": Arm("method", "replays labels", "replay", tune=Grid("memory.labels", (0.0, 0.05))),
        "no-labels": Arm("knock-out", "replays inputs alone", "no-labels"),
        "joint": Arm("positive control", "all classes at once", "joint"),
        "shuffled": Arm("negative control", "labels without meaning", "shuffled"),
    }
    parts = {
        "arms": arms,
        "lifetime": lifetime,
        "measures": {
            "final_accuracy": m.final_accuracy,
            "forgetting": m.forgetting,
            "first_exam": lambda life: life.accuracy.isel(exam=1).sum("task"),
        },
        "claim": Claim(
            "replay", "finetune", "final_accuracy", 0.05, "no-labels", sentence="Replay raises accuracy by 5 points."
        ),
        "controls": (
            Control("joint", "final_accuracy", above="finetune", because="it is the upper bound"),
            Control("shuffled", "final_accuracy", at_least=0.1, at_most=0.4, because="chance is 1 in 4"),
        ),
        "secondary": (
            Claim("replay", "no-labels", "forgetting", higher_is_better=False, sentence="Replay forgets less."),
            Claim("joint", "replay", "first_exam", sentence="Joint learning is ahead early on."),
        ),
        "settings": {"seeds": seeds, "world": "made up"},
        "budgets": {"smoke": {"seeds": 2}, "quick": {"seeds": 8}, "full": {}},
        "tuning_seeds": (1000, 1001),
    }
    return study(**{**parts, **changes})
