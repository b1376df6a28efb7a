"""On the provable advantage of unsupervised pretraining: many examples without labels, then few with them.

x = B z + μ has 64 numbers and 4 hidden factors, and y depends on the factors alone. Pretraining is maximum likelihood on m
unlabelled x (probabilistic principal components; rank and noise are known, as the theory assumes) and then least squares on
E[z | x] with n labelled ones. The bound on its excess risk is of order κ√(dr/m) + √(r/n); supervised learning has √(d/n).

The baseline is ridge regression on x, with the best of nine ridges at every n, chosen on the evaluation seeds themselves,
which favours the baseline. In the knock-out y depends on what of x the factors do not explain: then
pretraining is uninformative, and its gain over ridge regression must go. Other arms have true or random factors, a rank two
off, or weak loadings, under which m matters. Excess risk is the mean squared distance to E[y | x], which the world knows.

`log_ratio` is the logarithm of excess risk over that of ridge regression on the same examples, at m = 2000 and n = 32; below 0
pretraining wins. Rates are read as slopes of log risk, m-slopes where loadings are weak, n-slopes at the largest m; the
theory's are upper bounds, and nothing is claimed of their size. Two more instances of the paper, mixtures and contrastive
learning, are left out.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from lifelong.exams import ExcessRisk
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.learners import PretrainedRegressor
from lifelong.life import live
from lifelong.teachers import OneByOne
from lifelong.worlds import LatentFactors

M, N, RIDGE = "world.unlabelled", "world.labelled", "learner.ridge"
UNLABELLED = (64.0, 256.0, 2000.0, 8000.0)
LABELLED = (16.0, 32.0, 64.0, 128.0, 512.0)
RIDGES = (1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
AT_M, AT_N = 2000.0, 32.0


class How(NamedTuple):
    """What an arm represents, how many factors, and what world it lives in."""

    representation: str = "fitted"
    rank: int = 4
    strength: float = 4.0
    informative: float = 1.0


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Meet all unlabelled examples and then the labelled ones, for all m (or ridges) and n side by side."""
    how: How = arm.build
    world = LatentFactors(strength=how.strength, informative=how.informative, questions=settings.questions)
    learner = PretrainedRegressor(how.rank, how.representation, batch=settings.batch)  # type: ignore[arg-type]
    steps = tuple(-(-int(max(most)) // settings.batch) for most in (UNLABELLED, LABELLED))
    if how.representation == "fitted":
        sweep: dict[str, tuple[float, ...]] = {M: UNLABELLED, N: LABELLED}
    else:
        steps, sweep = (1, steps[1]), {N: LABELLED}
        sweep |= {RIDGE: RIDGES} if how.representation == "inputs" else {}
    options = {**options, "sweep": sweep}
    total = sum(steps)
    life = live(learner, world, OneByOne(2, steps), ExcessRisk(), steps=total, at_ends=False, record=total, **options)
    return life.to_xarray().rename({path: path.split(".")[1] for path in sweep})


def risk(life: xr.Dataset) -> xr.DataArray:
    """Return the excess risk at the end, for every n and, where it has one, m; with the ridge that is best on average."""
    found = life.excess_risk.isel(exam=-1)
    if "ridge" in found.dims:
        found = found.isel(ridge=found.mean("seed").argmin("ridge"))
    return found


def here(values: xr.DataArray) -> xr.DataArray:
    """Return what is measured at m = 2000 and n = 32."""
    values = values.sel(labelled=AT_N)
    return values.sel(unlabelled=AT_M) if "unlabelled" in values.dims else values


def log(values: xr.DataArray) -> xr.DataArray:
    """Return logarithms."""
    return values.copy(data=np.log(values.values))


def log_risk(life: xr.Dataset) -> xr.DataArray:
    """Return the logarithm of the excess risk at m = 2000 and n = 32."""
    return log(here(risk(life)))


def slope(values: xr.DataArray, over: str) -> xr.DataArray:
    """Return, seed by seed, the slope of log values over the logarithm of a dimension."""
    size, logs = log(values[over]), log(values)
    centred = size - size.mean()
    return (centred * logs).sum(over) / (centred**2).sum()


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return risks over those of ridge regression in the same world, and how they fall with m and n."""
    risks = {arm: risk(life) for arm, life in lives.items()}
    pairs = {"pretrained": "supervised", "uninformative": "uninformative-supervised", "weak": "weak-supervised"}
    ratios = {arm: log(risks[arm] / risks[other]) for arm, other in pairs.items()}
    values = {arm: {"log_ratio": here(ratio)} for arm, ratio in ratios.items()}
    nothing = 0 * values["pretrained"]["log_ratio"]
    naive = lives["pretrained"].naive_risk.isel(exam=-1)
    values["pretrained"] |= {
        "n_slope": slope(risks["pretrained"].sel(unlabelled=max(UNLABELLED)), "labelled"),
        "won": (here(ratios["pretrained"]) < 0) * 1.0,
    }
    values["weak"] |= {
        "m_slope": slope(risks["weak"].sel(labelled=max(LABELLED)), "unlabelled"),
        "few_unlabelled": ratios["weak"].sel(labelled=AT_N, unlabelled=min(UNLABELLED)),
        "many_unlabelled": ratios["weak"].sel(labelled=AT_N, unlabelled=max(UNLABELLED)),
    }
    values["few"] = {"log_ratio": values["weak"]["few_unlabelled"]}
    values["many"] = {"log_ratio": values["weak"]["many_unlabelled"]}
    values["supervised"] = {"log_ratio": nothing, "log_risk": here(log(risks["supervised"]))}
    values["nothing"] = {"log_risk": log(here(naive)), "m_slope": nothing, "n_slope": nothing}
    return values


study = Study(
    slug="unsup-pretraining",
    question="With many unlabelled and few labelled examples, does pretraining beat supervised learning, however well tuned?",
    arms={
        "pretrained": Arm("method", "factors by maximum likelihood, then least squares", How()),
        "supervised": Arm("baseline", "ridge regression, the best ridge at every n", How("inputs")),
        "uninformative": Arm("knock-out", "factors tell nothing of y", How(informative=0.0), like="pretrained"),
        "uninformative-supervised": Arm(
            "baseline", "ridge regression where factors tell nothing", How("inputs", informative=0.0), like="supervised"
        ),
        "random": Arm("knock-out", "factors drawn at random", How("random")),
        "true": Arm("positive control", "the world's own factors", How("true")),
        "weak": Arm("variant", "weak loadings", How(strength=1.0), like="pretrained"),
        "weak-supervised": Arm(
            "baseline", "ridge regression under weak loadings", How("inputs", strength=1.0), like="supervised"
        ),
        "rank-2": Arm("variant", "two factors too few", How(rank=2)),
        "rank-6": Arm("variant", "two factors too many", How(rank=6)),
    },
    derived=("nothing", "few", "many"),
    lifetime=lifetime,
    measures={"log_risk": log_risk},
    across=across,
    claim=Claim(
        better="pretrained",
        than="supervised",
        on="log_ratio",
        knockout="uninformative",
        higher_is_better=False,
        sentence="With 2,000 unlabelled and 32 labelled examples the excess risk after pretraining is below that of ridge "
        "regression with the best ridge (expected: 0.3 to 0.6 of it), and not where the factors tell nothing of y.",
    ),
    controls=(
        Control("nothing", "log_risk", above="true", because="the true factors predict better than nothing at all"),
        Control("nothing", "log_risk", above="supervised", because="the baseline has learned something"),
    ),
    secondary=(
        Claim("pretrained", "random", "log_risk", higher_is_better=False, sentence="Random factors are worse."),
        Claim("true", "pretrained", "log_risk", higher_is_better=False, sentence="The true factors are better still."),
        Claim(
            "supervised",
            "uninformative",
            "log_ratio",
            higher_is_better=False,
            sentence="Where factors tell nothing, pretraining is worse than ridge regression.",
        ),
        Claim(
            "many",
            "few",
            "log_ratio",
            higher_is_better=False,
            sentence="Under weak loadings the gain is larger with 8,000 unlabelled examples than with 64.",
        ),
        Claim("weak", "nothing", "m_slope", higher_is_better=False, sentence="Risk falls with m."),
        Claim("pretrained", "nothing", "n_slope", higher_is_better=False, sentence="Risk falls with n."),
        Claim("pretrained", "rank-2", "log_risk", higher_is_better=False, sentence="Two factors too few are worse."),
        Claim("pretrained", "rank-6", "log_risk", higher_is_better=False, sentence="Two factors too many are worse."),
    ),
    settings={"seeds": 32, "batch": 256, "questions": 1000},
    budgets={"smoke": {"seeds": 2, "questions": 100}, "quick": {"seeds": 8, "questions": 500}, "full": {}},
    simplified="The factor model alone, of three instances; m up to 8,000 and n up to 512, on simulated numbers; squared "
    "errors are not truncated.",
    curve="excess_risk",
)
