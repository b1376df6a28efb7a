"""We-Math: whether a solver lacks knowledge, cannot put it together, masters it, or memorises, told by sub-problems.

Every composite problem comes with its parts: one operation each, asked alone with the value it truly meets. With s_i whether
part i was solved and m whether the whole was, a composite shows insufficient knowledge (IK: m = 0, some s_i = 0), inadequate
generalisation (IG: m = 0, all s_i = 1), complete mastery (CM: m = 1, all s_i = 1) or rote memorisation (RM: m = 1, some
s_i = 0) (`lifelong.exams.four_way`). Here solvers are taught so that the reason is known, composite by composite:

- missing: single operations, but for 40 % of the pairs of operation and number. IK where a part is such a pair, else IG.
- atoms: all single operations, no composite: IG.
- composites: composites of two and three operations, never one alone: RM.
- both: CM.
- cards: like missing, then the missing pairs too, as a knowledge card would tell them.

The composites asked are never taught. The score of interest is the share of composites whose class is the one planted. Its
knock-out deals the results of sub-problems out to other composites of the same length; its baseline sees no sub-problems
at all, and takes what is solved for mastered and what is not for a failure to generalise.
"""

from collections.abc import Mapping

import numpy as np
import optax
import xarray as xr

from lifelong.exams import Accuracy, Decomposition, four_way, several
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.nets import Reader
from lifelong.recipe import Recipe
from lifelong.teachers import Blend
from lifelong.worlds import ComposedOperations

IK, IG, CM, RM = range(4)
PHASES = 3
MISSING, ALL, TOGETHER = [1.0, 0.0, 0.0, 0.0], [0.6, 0.4, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]
BOTH = [0.3, 0.2, 0.25, 0.25]
PLANTED = {"missing": IK, "atoms": IG, "composites": RM, "both": CM}


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live one regime: a recurrent network that reads the number first, then the operations; untaught, it need not live on."""
    world, untaught = ComposedOperations(questions=settings.questions), arm.role == "negative control"
    rate, steps = (0.0, PHASES) if untaught else (settings.learning_rate, settings.steps)
    learner = GradientLearner(
        Recipe(Reader, symbols=world.symbols, outputs=world.outputs, width=settings.width),
        optimizer=Recipe(optax.adam, learning_rate=rate),
        batch=settings.batch,
        active="all",
    )
    teacher, exam = Blend(arm.build, steps // PHASES), several(Accuracy(), Decomposition())
    return live(learner, world, teacher, exam, steps=steps, **options).to_xarray()


def final(life: xr.Dataset, name: str) -> np.ndarray:
    """Return what the last exam found, of every seed: [seeds, composites …]."""
    return life[name].isel(exam=-1).transpose("seed", "composite", ...).values


def classes(parts: np.ndarray, whole: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the class of every composite; parts that there are not count as solved."""
    all_right = ((parts > 0.5) | (present < 0.5)).all(-1)
    return np.select([(whole < 0.5) & ~all_right, whole < 0.5, all_right], [IK, IG, CM], RM)


def dealt(parts: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the results of parts dealt out to other composites of the same length, anew for every seed."""
    out, sizes = parts.copy(), present.sum(-1)
    for seed in range(len(parts)):
        for size in np.unique(sizes[seed]):
            rows = np.flatnonzero(sizes[seed] == size)
            out[seed, rows] = parts[seed, np.random.default_rng(seed).permutation(rows)]
    return out


def planted(life: xr.Dataset, arm: str) -> np.ndarray:
    """Return the class that every composite should have."""
    known = ~(final(life, "withheld") > 0.5).any(-1)
    return np.where(known, IG, IK) if arm == "missing" else np.full(known.shape, PLANTED[arm])


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return how often each way of judging finds the class planted, and whether the commonest class is the regime's."""
    found: dict[str, list[np.ndarray]] = {"four-way": [], "dealt": [], "outcome-alone": []}
    modal: dict[str, list[np.ndarray]] = {name: [] for name in found}
    for arm, regime in PLANTED.items():
        parts, whole, present = (final(lives[arm], name) for name in ("parts", "whole", "present"))
        judged = {
            "four-way": classes(parts, whole, present),
            "dealt": classes(dealt(parts, present), whole, present),
            "outcome-alone": np.where(whole > 0.5, CM, IG),
        }
        for name, of in judged.items():
            found[name].append((of == planted(lives[arm], arm)).mean(1))
            modal[name].append(np.array([np.bincount(row, minlength=4).argmax() == regime for row in of]))
    seeds = lives["both"].seed
    return {
        name: {
            "found": xr.DataArray(np.mean(found[name], 0), {"seed": seeds}),
            "modal": xr.DataArray(np.mean(modal[name], 0), {"seed": seeds}),
        }
        for name in found
    }


def share_of(kind: int):
    """Return the measure of the share of one class among all composites."""

    def share(life: xr.Dataset) -> xr.DataArray:
        of = classes(*(final(life, name) for name in ("parts", "whole", "present")))
        return xr.DataArray((of == kind).mean(1), {"seed": life.seed})

    return share


def rote(life: xr.Dataset, name: str) -> xr.DataArray:
    """Return the share of rote memorisation among composites solved, or what it would be by chance."""
    whole, parts, present = (final(life, part) > 0.5 for part in ("whole", "parts", "present"))
    values = [getattr(four_way(p, w, there), name) for p, w, there in zip(parts, whole, present, strict=True)]
    return xr.DataArray(np.array(values), {"seed": life.seed})


def step_cost(life: xr.Dataset) -> xr.DataArray:
    """Return by how much accuracy falls from composites of two operations to those of three, none taught."""
    whole, three = final(life, "whole"), final(life, "present").all(-1)
    means = [(whole * rows).sum(1) / rows.sum(1) for rows in (~three, three)]
    return xr.DataArray(means[0] - means[1], {"seed": life.seed})


study = Study(
    slug="we-math",
    question="Do sub-problems tell why composite problems go wrong, or right, where results of the whole cannot?",
    arms={
        "both": Arm("method", "single operations and composites: mastery", [BOTH] * PHASES),
        "missing": Arm(
            "variant", "40 % of pairs withheld, no composite: lacks knowledge", [MISSING] * PHASES, like="both"
        ),
        "atoms": Arm("variant", "single operations, no composite: cannot generalise", [ALL] * PHASES, like="both"),
        "composites": Arm("variant", "composites only: memorises", [TOGETHER] * PHASES, like="both"),
        "cards": Arm("variant", "as missing, then the withheld pairs too", [MISSING, MISSING, ALL], like="both"),
        "untaught": Arm("negative control", "a network that does not learn", [BOTH] * PHASES, like="both"),
    },
    derived=("four-way", "dealt", "outcome-alone"),
    lifetime=lifetime,
    measures={
        "whole": lambda life: xr.DataArray(final(life, "whole").mean(1), {"seed": life.seed}),
        "single": lambda life: life.accuracy.isel(exam=-1, task=[0, 1]).mean("task"),
        "insufficient_knowledge": share_of(IK),
        "inadequate_generalisation": share_of(IG),
        "complete_mastery": share_of(CM),
        "rote_memorisation": share_of(RM),
        "step_cost": step_cost,
        "rote_rate": lambda life: rote(life, "rote_rate"),
        "rote_by_chance": lambda life: rote(life, "rote_by_chance"),
    },
    across=across,
    claim=Claim(
        better="four-way",
        than="outcome-alone",
        on="found",
        by=0.2,
        knockout="dealt",
        sentence="Sub-problems find the class planted in 20 points more of the composites than results of the whole alone do, "
        "and the same results dealt out to other composites find it less often.",
    ),
    controls=(
        Control("both", "whole", at_least=0.5, because="what is to be mastered must be learnable"),
        Control("atoms", "single", at_least=0.9, because="single operations must have been learned"),
        Control("untaught", "whole", at_most=0.12, because="chance is 1 in 17"),
    ),
    secondary=(
        Claim(
            "four-way",
            "dealt",
            "modal",
            sentence="The commonest class is the regime's more often than with dealt results.",
        ),
        Claim(
            "composites",
            "both",
            "rote_rate",
            by=0.2,
            sentence="Who never met an operation alone memorises in more of the composites solved.",
        ),
        Claim(
            "missing",
            "cards",
            "insufficient_knowledge",
            by=0.15,
            sentence="Cards lower insufficient knowledge by 15 points (gain: without cards minus with).",
        ),
        Claim("both", "untaught", "step_cost", sentence="Accuracy falls with the number of operations."),
    ),
    settings={
        "seeds": 16,
        "questions": 200,
        "width": 64,
        "batch": 128,
        "steps": 1500,
        "learning_rate": 0.003,
    },
    budgets={"smoke": {"seeds": 2, "questions": 20, "steps": 30}, "quick": {"seeds": 8, "steps": 600}, "full": {}},
    simplified="Operations on 17 numbers stand for 67 concepts of mathematics, a recurrent network of 64 units trained from "
    "scratch for multimodal models, 400 composites of two and three operations for 525. A knowledge card is training on what "
    "it would say. Regimes are extreme, so that the right class is known.",
)
