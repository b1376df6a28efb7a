"""Retrain equivalence: can a rule that sees the examples to forget alone make a model what retraining would have made it?

Not if models that learned the same in other orders become different models under the rule: at most one of them can end
where retraining ends. In the linear world, two stages of ridge regression in either order and then gradient ascent, theory
says how fast two such models drift apart (`lifelong.exams.drift`); every step of real ascents is held against it. In the
neural one a perceptron learns four permutations of images in stages, the one to be forgotten as the first, second, third or
last among the others. Ascent, NPO and SimNPO then unlearn it, with the same examples in the same order whatever the path. All
paths have one retrained model: the other stages without that one. The forget score is the rise of the loss on the examples to
forget after 20 steps.

The knock-out takes away the stages and nothing else: the very same lessons in four random orders, and in the linear world
all rows in a single stage, in two orders. The claim has parts that must all hold; `margin` is the one that lies lowest:

- floor: the least half difference of the linear models' log distance and the theorem's bound, from its step t_0 on (the
  knock-out is held against the bound for stages);
- growth: the slope of half the log distance at the last step, less log(1 + λ*);
- for every rule, the standard deviation of the forget score over orders, less that over seeds with the order given.

That one order is nearer to retraining than another is not claimed.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import jax
import numpy as np
import optax
import xarray as xr

from lifelong.exams import Drift, Unlearned, drift, log_distances, ridge_stage
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import live, sit_afterwards
from lifelong.memory import NPO, GradientAscent, SimNPO
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import Timetable
from lifelong.worlds import Transformed, dataset

LOCAL = {"ascent": GradientAscent, "npo": NPO, "simnpo": SimNPO}
"""The rules that see the examples to forget alone."""

RATES, ROWS, GONE, ASKED, CLIMB = (0.005, 0.02), 40, 10, 200, 30
"""Of the linear world: rates of ascent, rows in a stage, those of them to forget, questions, steps of ascent."""

FORGET = 0


def in_stages(lessons: int, tasks: int) -> list[np.ndarray]:
    """Return one timetable for each place of the stage to forget among the others."""
    return [np.repeat(np.insert(np.arange(1, tasks), place, FORGET), lessons) for place in range(tasks)]


def mixed(lessons: int, tasks: int) -> list[np.ndarray]:
    """Return as many timetables of the same lessons, each in a random order of its own."""
    return [np.random.default_rng(i).permutation(np.repeat(np.arange(tasks), lessons)) for i in range(tasks)]


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live all paths, unlearn by every rule, and compare with retraining; and do the same in the linear world."""
    data = dataset(settings.world).take(settings.per_class, settings.test_per_class)
    world = Transformed(data := data.resize(settings.side).standardized(), settings.stages)
    options, rows = {**options, "checkpoint": None}, len(data.y_train)
    net = Recipe(MLP, inputs=data.features, outputs=world.outputs, width=settings.width, depth=1)
    rules = rules_of(settings, rows)

    def unlearned(timetable: np.ndarray, steps: int, names: Sequence[str], again: int = 0) -> xr.Dataset:
        adam = Recipe(optax.adam, learning_rate=settings.learning_rate)
        newborn = Recipe(again_born, net=net, again=np.int32(again))
        learner = GradientLearner(newborn, optimizer=adam, batch=settings.batch)
        life = live(learner, world, Timetable(timetable), steps=steps, record=100, **options).whole()
        found = [sit_afterwards(life, learner, world, rules[name]) for name in names]
        return xr.concat(found, xr.IndexVariable("rule", list(names))).assign(diverged_at=life.to_xarray().diverged_at)

    lessons = settings.epochs * rows // settings.batch
    paths = arm.build(lessons, settings.stages)
    without = np.concatenate([paths[0][paths[0] != FORGET], np.zeros(lessons, int)])
    again = [unlearned(without, len(without) - lessons, ["ascent"], time) for time in (0, 1)]
    retrained, twin = (life.outlook[0, :, 0] for life in again)
    lives = [unlearned(path, len(path), list(rules)) for path in paths]
    raw = xr.concat(lives, xr.IndexVariable("order", np.arange(len(paths))))
    raw = raw.assign(from_retrained=distance(raw.outlook, retrained), yardstick=distance(retrained, twin))
    raw = raw.drop_vars("outlook").rename(look="exam").assign_coords(exam=settings.every * np.arange(raw.sizes["look"]))
    return raw.merge(linear_world(arm, settings, options["seeds"]))


def again_born(net: Recipe, again, *, key) -> MLP:
    """Return a newborn network: another one where it is born again."""
    return net(key=jax.random.fold_in(key, again))


def rules_of(settings: Settings, rows: int) -> dict[str, Unlearned]:
    """Return what unlearns by each rule: the local ones, and ascent that goes on learning what is to be retained."""
    looks = {"task": FORGET, "every": settings.every, "rows": rows}
    adam = Recipe(optax.adam, learning_rate=settings.learning_rate)
    how = {"optimizer": adam, "steps": settings.unlearn, "batch": settings.batch}
    rules = {name: Unlearned(rule(**how), **looks) for name, rule in LOCAL.items()}
    return rules | {"replay": Unlearned(GradientAscent(**how), retaining=True, **looks)}


def distance(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    """Return the mean over questions of the squared distance of two models' predictions."""
    return ((a - b) ** 2).sum("answer", skipna=False).mean("question", skipna=False)


def linear_world(arm: Arm, settings: Settings, seeds: Sequence[int]) -> xr.Dataset:
    """Return what becomes of pairs of linear models, for every seed, draw and rate."""
    found = [[pair(np.random.default_rng([seed, i]), arm, settings) for i in range(settings.draws)] for seed in seeds]
    values = {name: [[one[name] for one in draws] for draws in found] for name in found[0][0]}
    dims = {"log_distance": ("step",), "log_floor": ("step",), "start": (), "growth": ()}
    return xr.Dataset({name: (("seed", "draw", "rate", *dims[name]), np.array(v)) for name, v in values.items()})


def pair(random: np.random.Generator, arm: Arm, settings: Settings) -> dict[str, list]:
    """Return one pair's log mean squared distances at each step of ascent, and the bound for pairs taught in stages."""
    d = settings.features
    truth, centres = random.normal(size=d) / d**0.5, random.normal(size=(2, 1, d))
    a, b = ((x, x @ truth) for x in centres + random.normal(size=(2, ROWS, d)))
    models = [ridge_stage(*b, ridge_stage(*a)), ridge_stage(*a, ridge_stage(*b))]
    (x, y), questions = (part[:GONE] for part in a), random.normal(size=(ASKED, d))
    bounds = [drift(models[0] - models[1], x, questions, rate, CLIMB) for rate in RATES]
    if arm.build is mixed:
        orders = [np.arange(2 * ROWS), random.permutation(2 * ROWS)]
        rows, labels = (np.concatenate(parts) for parts in zip(a, b, strict=True))
        models = [ridge_stage(rows[order], labels[order]) for order in orders]
    found = [log_distances(models, x, y, questions, rate, CLIMB) for rate in RATES]
    return {"log_distance": found} | {name: [getattr(bound, name) for bound in bounds] for name in Drift._fields}


def forget_scores(life: xr.Dataset, step: int = 20) -> xr.DataArray:
    """Return how far the loss on the examples to forget has risen after some steps, by rule, order and seed."""
    return life.loss.sel(exam=step) - life.loss.sel(exam=0)


def spreads(life: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return, by rule and seed, the spread of the forget score over orders, and over seeds with the order given.

    The latter is √(S/(S−1) · mean over orders of (score − mean over seeds)²) for each of S seeds.
    """
    scores, seeds = forget_scores(life), life.sizes["seed"]
    off = (scores - scores.mean("seed")) ** 2 * seeds / max(seeds - 1, 1)
    return scores.std("order", ddof=1, skipna=False), off.mean("order", skipna=False) ** 0.5


def parts(life: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return, part by part of the claim, how far each seed is from its bound."""
    above = (life.log_distance - life.log_floor).where(life.step >= life.start) / 2
    slope = life.log_distance.isel(step=slice(-2, None)).diff("step").squeeze("step") / 2 - life.growth
    over_orders, over_seeds = spreads(life)
    margins = {"floor": above.min(("step", "draw", "rate")), "growth": slope.min(("draw", "rate"))}
    return margins | by_rule(over_orders - over_seeds)


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return the margins of the claim with stages and without, and what else paths tell."""
    values: dict[str, dict[str, xr.DataArray]] = {}
    for arm, life in lives.items():
        margins, right = parts(life), life.right.sel(rule=list(LOCAL)).isel(task=slice(1, None)).mean("task")
        cost = right.sel(exam=0) - right.sel(exam=20)
        values[arm] = {"margin": m.weakest(margins), "spread": spreads(life)[0].sel(rule=list(LOCAL)).mean("rule")}
        values[arm]["cost_range"] = (cost.max("order") - cost.min("order")).mean("rule")
        values[arm] |= {f"margin_{name}": margin for name, margin in margins.items()}
    paths = lives["orders"]
    scores, (over_orders, over_seeds) = forget_scores(paths), spreads(paths)
    recency = scores.isel(order=slice(None, -1)).mean("order", skipna=False) - scores.isel(order=-1, drop=True)
    nearest = paths.from_retrained.sel(rule=list(LOCAL)).max("order", skipna=False).min(("rule", "exam"), skipna=False)
    values["orders"] |= {"recency": m.weakest(by_rule(recency)), "farther": nearest - paths.yardstick}
    values["orders"]["threefold"] = m.weakest(by_rule(over_orders - 3**0.5 * over_seeds))
    for name, rule in {"local": "ascent", "replaying": "replay"}.items():
        values[name] = {"ascent_spread": over_orders.sel(rule=rule, drop=True)}
    values["bound"] = {name: 0 * paths.yardstick for name in ("margin", "threefold", "recency", "farther")}
    return values


def by_rule(values: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return what the local rules have, each by itself."""
    return {rule: values.sel(rule=rule, drop=True) for rule in LOCAL}


beyond = partial(Claim, "orders", "bound")

study = Study(
    slug="retrain-equivalence",
    question="Does what local unlearning leaves depend on the order in which a model learned, so that it cannot be retraining?",
    arms={
        "orders": Arm("method", "stages, the one to forget at each place", in_stages),
        "shuffles": Arm("knock-out", "the same lessons without stages, in random orders", mixed, like="orders"),
    },
    derived=("bound", "local", "replaying"),
    lifetime=lifetime,
    measures={
        "forget_score": lambda life: forget_scores(life).sel(rule=list(LOCAL)).mean(("rule", "order"), skipna=False),
        "learned": lambda life: life.right.isel(rule=0, order=-1, exam=0, task=FORGET),
        "started": lambda life: (life.start < life.step.max()).mean(("draw", "rate")),
    },
    across=across,
    claim=Claim(
        better="orders",
        than="bound",
        on="margin",
        knockout="shuffles",
        sentence="Linear models taught in two orders drift apart at least as fast as theory says, and for ascent, NPO and "
        "SimNPO the forget score differs more between orders of stages than between seeds; without stages it does not.",
    ),
    controls=(
        Control("orders", "learned", at_least=0.6, because="what is to be unlearned must have been learned"),
        Control("orders", "forget_score", at_least=0.1, because="unlearning must unlearn"),
        Control("orders", "started", at_least=1.0, because="the bound must be tested in all draws"),
    ),
    secondary=(
        beyond("threefold", sentence="Orders make three times the variance of seeds, by every rule."),
        beyond("recency", sentence="What was learned last is forgotten slowest, by every rule."),
        beyond("farther", sentence="At every look some order is farther from retraining than a second retraining is."),
        Claim("orders", "shuffles", "cost_range", by=0.2, sentence="What it costs other stages varies 20 points more."),
        Claim(
            "replaying",
            "local",
            "ascent_spread",
            higher_is_better=False,
            sentence="With rehearsal of what is to be retained, ascent is no longer local and depends less on the order.",
        ),
    ),
    settings={
        "world": "fashion-mnist",
        "seeds": 16,
        "side": 14,
        "per_class": 200,
        "test_per_class": 50,
        "stages": 4,
        "epochs": 2,
        "batch": 32,
        "width": 128,
        "learning_rate": 1e-3,
        "unlearn": 50,
        "every": 10,
        "features": 200,
        "draws": 4,
    },
    budgets={
        "smoke": {"seeds": 2, "world": "digits", "side": 8, "per_class": 60, "test_per_class": 20, "features": 60},
        "quick": {"seeds": 8, "per_class": 100},
        "full": {},
    },
    simplified="Four permutations of Fashion-MNIST at 14×14, two passes of 2000 images each, and a perceptron of 128 units "
    "stand for four stages of fine-tuning of language models; the fourth stage's questions for paraphrases. Adam at 0.001 "
    "learns and, fresh, unlearns in 50 steps of 32; in learning its moments are carried from stage to stage. Four draws a "
    "seed of the linear world, of 200 features, 2 × 40 rows of different means and 10 rows to forget.",
    curve="loss",
)
