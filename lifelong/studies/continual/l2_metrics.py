"""The lifelong-learning metrics: one suite for any learner, and the trade-off it is meant to expose.

A lifetime alternates blocks of learning with frozen exams of all tasks. From that log, and from experts that learned one
task alone, the suite computes performance maintenance (PM), forward and backward transfer, relative performance (RP),
sample efficiency, recovery time and mean performance (`lifelong.exams.assess`, checked against the authors' package).

The quantitative claim is the stability-plasticity dilemma: along a dial of stability, the strength of EWC's anchor, what
is maintained and what is newly learned move against each other. For every seed the Spearman correlation of PM with RP is
taken over seven strengths; `trade_off` is its negative, so 1 is a perfect trade-off. The knock-out shuffles the task
labels of the same logs, which leaves every performance in place and destroys what it belongs to.
"""

from collections.abc import Mapping

import numpy as np
import optax
import xarray as xr
from scipy.stats import spearmanr

from lifelong.exams import LifetimeLog, assess, preprocess
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.memory import EWC, Nothing, Replay
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne, Only
from lifelong.worlds import Transformed, dataset

STRENGTHS = {"learner.memory.strength": (0.0, 0.3, 1.0, 3.0, 10.0, 20.0, 30.0)}
REPLAYED = {"learner.memory.labels": (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)}


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live twice through all tasks in an order of its own for every seed; or, as an expert, through each task alone."""
    memory, sweep = arm.build
    data = dataset(settings.world).take(per_class=settings.per_class)
    world = Transformed(data, settings.tasks, scenario="domain")
    learner = GradientLearner(
        Recipe(MLP, inputs=data.features, outputs=world.outputs, width=settings.width, depth=1),
        optimizer=Recipe(optax.sgd, learning_rate=settings.learning_rate),
        memory=memory(settings),
        batch=settings.batch,
    )
    expert = arm.role == "positive control"
    teacher = Only() if expert else OneByOne(settings.tasks, settings.steps, shuffle=True)
    sweep = {"teacher.task": range(settings.tasks)} if expert else sweep
    visits = 2 if expert else 2 * settings.tasks
    life = live(learner, world, teacher, steps=visits * settings.steps, **{**options, "sweep": sweep})
    raw = life.to_xarray().rename({next(iter(sweep)): "dial"})
    return raw if expert else raw.assign(order=(("dial", "seed", "visit"), _order(life.state.plan, raw)))


def _order(plan: tuple, raw: xr.Dataset) -> np.ndarray:
    """Return the order in which each lane met the tasks, as the teacher's plan has it."""
    return np.asarray(plan[1]).reshape(raw.sizes["dial"], raw.sizes["seed"], -1)


def log_of(life: xr.Dataset, steps: int) -> LifetimeLog:
    """Return the log of one lane: an exam, then blocks of learning (one batch an experience), each with its exam."""
    order, learned, exams = life.order.values, life.learning_accuracy.values, life.accuracy.values
    tasks = np.arange(exams.shape[1])
    kinds, blocks, names, performances = ["test"] * len(tasks), [0] * len(tasks), [*tasks], [*exams[0]]
    for visit in range(len(exams) - 1):
        task = order[visit % len(order)]
        kinds += ["train"] * steps + ["test"] * len(tasks)
        blocks += [2 * visit + 1] * steps + [2 * visit + 2] * len(tasks)
        names += [task] * steps + [*tasks]
        performances += [*learned[visit * steps : (visit + 1) * steps], *exams[visit + 1]]
    return LifetimeLog(np.array(blocks), np.array(kinds), np.array(names), np.array(performances, np.float64))


def shuffled(log: LifetimeLog, seed: int) -> LifetimeLog:
    """Return the log with the task labels of its experiences shuffled among those of the same kind."""
    task, generator = log.task.copy(), np.random.default_rng(seed)
    for kind in ("train", "test"):
        rows = np.flatnonzero(log.kind == kind)
        task[rows] = task[generator.permutation(rows)]
    return LifetimeLog(log.block, log.kind, task, log.performance)


def assessed(lives: xr.Dataset, experts: xr.Dataset, shuffle: bool = False) -> dict[str, np.ndarray]:
    """Return lifetime metrics by name, each with one value a dial setting and seed."""
    steps = lives.sizes["step"] // (lives.sizes["exam"] - 1)
    found = []
    for seed in lives.seed.values:
        alone = {
            str(task): [experts.sel(seed=seed).learning_accuracy.values[task]] for task in range(lives.sizes["task"])
        }
        logs = [log_of(lives.sel(seed=seed).isel(dial=dial), steps) for dial in range(lives.sizes["dial"])]
        logs = [shuffled(log, int(seed)) for log in logs] if shuffle else logs
        found.append([assess(*preprocess(log, alone)).lifetime for log in logs])
    names = ("performance_maintenance", "relative_performance", "sample_efficiency", "mean_training", "mean_evaluation")
    return {name: np.array([[one[name] for one in row] for row in found]).T for name in names}


def trade_off(metrics: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return, for every seed, minus the rank correlation of maintenance and relative performance along the dial.

    A setting at which either is undefined (a shuffled log can lack what maintenance refers to) is left out.
    """
    pairs = zip(metrics["performance_maintenance"].T, metrics["relative_performance"].T, strict=True)
    return -np.array([spearmanr(maintained, learned, nan_policy="omit")[0] for maintained, learned in pairs])


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Assess all logs: the trade-off of either dial, with true and with shuffled labels, and the best of both fronts."""
    sources = {"ewc": ("ewc", False), "replay": ("replay", False), "shuffled": ("ewc", True)}
    values = {}
    for arm, (source, shuffle) in sources.items():
        if {source, "experts"} <= set(lives):
            metrics = assessed(lives[source], lives["experts"], shuffle)
            summed = metrics["performance_maintenance"] + metrics["relative_performance"]
            scalars = {"trade_off": trade_off(metrics), "best_sum": summed.max(0)}
            scalars |= {f"mean_{name}": found.mean(0) for name, found in metrics.items()}
            lived = (lives[source].diverged_at < 0).all("dial").values
            values[arm] = {name: xr.DataArray(np.where(lived, v, np.nan), dims="seed") for name, v in scalars.items()}
    return values


study = Study(
    slug="l2-metrics",
    question="Do the lifelong-learning metrics expose the trade-off between stability and plasticity?",
    arms={
        "ewc": Arm("method", "seven strengths of EWC: a dial of stability", (lambda s: EWC(), STRENGTHS)),
        "replay": Arm("baseline", "six strengths of replay", (lambda s: Replay(s.buffer, s.batch), REPLAYED)),
        "experts": Arm("positive control", "each task alone", (lambda s: Nothing(), {})),
    },
    derived=("shuffled",),
    lifetime=lifetime,
    measures={"final_training": lambda life: life.learning_accuracy.isel(step=slice(-20, None)).mean(("dial", "step"))},
    across=across,
    claim=Claim(
        better="ewc",
        than="shuffled",
        on="trade_off",
        by=0.6,
        sentence="Along the strength of EWC, performance maintenance and relative performance are rank-correlated at −0.6 or "
        "below, and not where the task labels of the log are shuffled.",
    ),
    controls=(
        Control("experts", "final_training", at_least=0.7, because="an expert must learn its task"),
        Control("shuffled", "trade_off", at_least=-0.3, at_most=0.3, because="shuffled labels carry no trade-off"),
    ),
    secondary=(
        Claim(
            "replay",
            "ewc",
            "best_sum",
            sentence="The best replay has a larger sum of maintenance and relative performance.",
        ),
        Claim("ewc", "replay", "trade_off", sentence="EWC trades stability against plasticity more than replay does."),
    ),
    settings={
        "world": "digits",
        "seeds": 16,
        "per_class": 100,
        "tasks": 4,
        "steps": 100,
        "batch": 16,
        "width": 64,
        "learning_rate": 0.05,
        "buffer": 200,
    },
    budgets={"smoke": {"seeds": 2, "steps": 20}, "quick": {"seeds": 8, "steps": 60}, "full": {}},
    simplified="One domain, four permutations of 8×8 digits met twice each; performance is the accuracy on each batch. The "
    "replay dial is its strength, not the size of its buffer. The suite's own correctness is not a study but a test: its "
    "numbers equal those of the authors' package on scripted logs.",
)
