"""A study small enough to run the command line on.

In the world "drawn" its record is made up from a generator, at once; any other world is a data set that is really
learned from. `python -m tiny_study run …` is the command line with this study in place of the real ones.
"""

import os
import sys
import time

import numpy as np
import xarray as xr

from lifelong import studies
from lifelong.lab import Arm, Claim, Control, Grid, Study
from lifelong.lab import measures as m

SLUGS = ("refresh-learning", "uer")
LABELS = "learner.memory.labels"
LEVELS = {"finetune": 0.3, "replay": 0.6, "no-labels": 0.3, "joint": 0.9}


def lifetime(arm, settings, *, seeds, sweep, progress, checkpoint):
    """Make up a record, or live with a data set."""
    how = drawn if settings.world == "drawn" else lived
    return how(arm, settings, seeds=seeds, sweep=sweep, progress=_slowed(progress), checkpoint=checkpoint)


def drawn(arm, settings, *, seeds, sweep, progress, checkpoint):
    """Return accuracies around the arm's level; the gain of `replay` can be set."""
    from lifelong.life import Moment

    (path, values), *_ = [*sweep.items(), ("none", [0.0])]
    progress(Moment(settings.steps, settings.steps, 0.1, len(seeds), 0))
    level = LEVELS[arm.build] + (settings.gain if arm.build == "replay" else 0)
    noise = np.stack([np.random.default_rng([seed, len(arm.note)]).normal(size=(3, 2)) for seed in seeds])
    accuracy = np.clip(level + 0.02 * noise, 0, 1)[None].repeat(len(values), 0)
    accuracy[:, np.isin(seeds, [int(seed) for seed in settings.diverge.split()])] = np.nan
    steps = settings.steps * np.arange(3)
    record = xr.Dataset(
        {"accuracy": ((path, "seed", "exam", "task"), accuracy)},
        {path: np.asarray(values), "seed": np.asarray(seeds), "exam": steps, "task": [0, 1]},
        attrs={"ends": steps[1:], "finished": 1},
    )
    return record if sweep else record.isel({path: 0}, drop=True)


def lived(arm, settings, **options):
    """Live through the classes of a data set in tasks, or through all at once."""
    import optax

    from lifelong.learners import GradientLearner
    from lifelong.life import live
    from lifelong.memory import Replay
    from lifelong.nets import MLP
    from lifelong.recipe import Recipe
    from lifelong.teachers import AllAtOnce, OneByOne
    from lifelong.worlds import Split, dataset

    data = dataset(settings.world)
    world = Split(data, settings.tasks)
    learner = GradientLearner(
        Recipe(MLP, inputs=data.x_train[0].size, outputs=world.outputs, width=8, depth=1),
        optimizer=Recipe(optax.sgd, learning_rate=0.1),
        memory=Replay(16, min(settings.batch, 16)),
        batch=settings.batch,
    )
    steps = settings.epochs * len(data.y_train) // settings.tasks // settings.batch
    teacher = AllAtOnce(settings.tasks) if arm.build == "joint" else OneByOne(settings.tasks, steps)
    every = max(1, steps // settings.looks)
    return live(learner, world, teacher, steps=steps * settings.tasks, every=every, **options).to_xarray()


def _slowed(progress):
    """Wait a little at every moment where the environment asks for it, so that there is time for Ctrl-C."""

    def wait(moment):
        time.sleep(float(os.environ.get("TINY_PAUSE", "0")))
        progress(moment)

    return wait


def study(slug):
    """Return the study under one of the slugs."""
    never = Grid(LABELS, (0.0,))
    return Study(
        slug=slug,
        question="Does replay help at all?",
        arms={
            "finetune": Arm("baseline", "no memory", "finetune", never, like="replay"),
            "replay": Arm("method", "replays labels", "replay", Grid(LABELS, (0.5, 1.0))),
            "no-labels": Arm("knock-out", "replays at strength 0", "no-labels", never, like="replay"),
            "joint": Arm("positive control", "all classes at once", "joint", never),
        },
        lifetime=lifetime,
        measures={"final_accuracy": m.final_accuracy, "forgetting": m.forgetting},
        claim=Claim("replay", "finetune", "final_accuracy", 0.05, "no-labels", sentence="Replay forgets less."),
        controls=(Control("joint", "final_accuracy", above="finetune", because="it is the upper bound"),),
        secondary=(Claim("replay", "no-labels", "final_accuracy", sentence="Labels matter."),),
        settings={
            "world": "drawn",
            "seeds": 8,
            "tasks": 2,
            "batch": 8,
            "epochs": 2,
            "steps": 10,
            "looks": 1,
            "gain": 0.0,
            "diverge": "",
        },
        budgets={"smoke": {"seeds": 2}, "quick": {"steps": 5}, "full": {}},
        simplified="Everything.",
    )


def points(tmp_path, classes="abcd", spoil=None):
    """Write a small table of separable classes, one row spoilt if asked for, and return its path."""
    generator = np.random.default_rng(0)
    rows = [
        f"{3 * k + generator.normal():.3f},{generator.normal():.3f},{c}"
        for c in classes * 20
        for k in [classes.index(c)]
    ]
    if spoil:
        rows[40] = spoil
    path = tmp_path / "points.csv"
    path.write_text("\n".join(["one,two,class", *rows]))
    return path


STUDIES = {slug: study(slug) for slug in SLUGS}
really_load = studies.load


def load(slug):
    """Return the tiny study where it stands in for a real one."""
    return STUDIES[slug] if slug in STUDIES else really_load(slug)


if __name__ == "__main__":
    import tiny_study

    from lifelong.cli import main

    studies.load = tiny_study.load
    sys.exit(main())
