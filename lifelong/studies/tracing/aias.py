"""The AI Assessment Scale: an exam measures what it is for only where what it permits is enforced and fits the construct.

The scale names five kinds of assessment, from none to free use of AI, and holds that validity comes from the task and its
conditions, not from a ban that is merely declared, nor from detectors. That is checked here inside a stated model of
learners, and is no evidence about people.

Learners have three independent latents, N(0, 1): skill s, judgement j of a helper's output, direction r of a helper. An exam
has items of difficulty b ~ N(0, 1), each made in four stages. What a learner makes alone is right with probability σ(s − b).
What a helper makes is right with probability h, the same for all, and where the learner reviews it a mistake is found with
probability σ(j). Who makes what follows from the design (`AssessmentDesign`): at stages that it opens the helper is
called, and at the others only by learners who do not keep to it, which a controlled exam makes impossible. The score is the
mean over right stages; a criterion on evaluation or direction adds, with the same weight, how often a helper's output was
judged rightly (σ(j)) or the helper set to the right goal (σ(r)).

Validity for a construct is Spearman's correlation, over learners, of the score with the latent that the construct names.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import expit
from scipy.stats import rankdata

from lifelong.exams import AssessmentDesign, Level
from lifelong.lab import Arm, Claim, Control, Settings, Study

HELP = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
STRONG = 0.9
STAGES = ("plan", "draft", "refine", "final")
LATENTS = ("skill", "judgement", "direction")
MARKED = {"evaluation of AI output": 1, "direction of AI": 2}
"""Construct of a criterion → the latent that decides about it."""

UNAIDED, EVALUATION, DIRECTION = "unaided skill", "evaluation of AI output", "direction of AI"


class Sitting(NamedTuple):
    """An exam: its design, the share of learners who keep to what nothing enforces, and a detector, if any.

    `by_item` lets every stage of every item be a decision of its own; otherwise a learner keeps to the rules or does not. A
    detector gives 0 to those it accuses: 70 % of those who broke the rules, 10 % of the others.
    """

    design: AssessmentDesign
    compliance: float = 1.0
    by_item: bool = False
    detector: bool = False


def lifetime(arm: Arm, settings: Settings, *, seeds, sweep, progress, checkpoint) -> xr.Dataset:
    """Let one population a seed sit the exam, with helpers of every strength; arms share populations."""
    validity = np.array([[_validity(arm.build, settings, seed, h) for h in HELP] for seed in seeds])
    return xr.Dataset(
        {"validity": (("seed", "help", "latent"), validity)},
        {"seed": list(seeds), "help": list(HELP), "latent": list(LATENTS)},
    )


def _validity(sitting: Sitting, settings: Settings, seed: int, h: float) -> list[float]:
    latents, scores = sat(sitting, settings.learners, settings.questions, h, seed)
    return [float(np.corrcoef(rankdata(scores), rankdata(latent))[0, 1]) for latent in latents]


def sat(sitting: Sitting, learners: int, items: int, h: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the latents [3, learners] of a population, and the scores [learners] of an exam."""
    random = np.random.default_rng(seed)
    latents = random.standard_normal((3, learners))
    difficulty, shape = random.standard_normal(items), (learners, items, len(STAGES))
    chance = random.random((5, *shape))
    keeps, accused = random.random(learners)[:, None, None], random.random(learners)
    skill, judgement, direction = (values[:, None, None] for values in latents)
    design = sitting.design
    opened = np.array([design.permits(stage) for stage in STAGES])
    obeys = (chance[4] if sitting.by_item else keeps) < sitting.compliance
    helped = opened | (~obeys & (not design.controlled))
    found = chance[2] < expit(judgement)
    alone = chance[0] < expit(skill - difficulty[:, None])
    aided = (chance[1] < h) | (found & opened)
    score = np.where(helped, aided, alone).mean((1, 2))
    events = {1: found, 2: chance[3] < expit(direction)}
    extra = [events[MARKED[of]].mean((1, 2)) for of in (design.criteria or {}).values() if of in MARKED]
    score = np.mean([score, *extra], axis=0)
    if sitting.detector:
        broke = (helped & ~opened).any((1, 2))
        score = np.where(accused < np.where(broke, 0.7, 0.1), 0.0, score)
    return latents, score


def validity_for(latent: str):
    """Return the measure of validity for one construct at a strong helper."""
    return lambda life: life.validity.sel(help=STRONG, latent=latent)


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return by how much control keeps an exam of skill more valid, with strong helpers and with weak ones."""
    gap = (lives["controlled"].validity - lives["declared"].validity).sel(latent="skill")
    return {"strong": {"gap": gap.sel(help=HELP[-1])}, "weak": {"gap": gap.sel(help=HELP[0])}}


def design(level: Level, construct: str, marked: tuple[str, ...], **others) -> AssessmentDesign:
    """Return a design whose criteria are about these constructs."""
    return AssessmentDesign(level=level, construct=construct, criteria={of: of for of in marked}, **others)


SUPERVISED = design(Level.NO_AI, UNAIDED, (UNAIDED,), controlled=True)
BANNED = design(Level.NO_AI, UNAIDED, (UNAIDED,))
REVIEWED = design(Level.COLLABORATION, EVALUATION, ("the product", EVALUATION))
UNREVIEWED = design(Level.COLLABORATION, EVALUATION, ("the product",))
DIRECTED = design(Level.FULL, DIRECTION, ("the product", DIRECTION))

study = Study(
    slug="aias",
    question="Is a ban on help enough for an exam to measure skill, and does the best kind of exam depend on the construct?",
    arms={
        "controlled": Arm("method", "no AI, under control", Sitting(SUPERVISED)),
        "declared": Arm("knock-out", "no AI, declared only: half of the learners keep to it", Sitting(BANNED, 0.5)),
        "declared-by-item": Arm(
            "variant", "the same, decided anew at every stage of every item", Sitting(BANNED, 0.5, True)
        ),
        "detector": Arm("variant", "declared only, with a detector and penalties", Sitting(BANNED, 0.5, detector=True)),
        "detector-honest": Arm("variant", "the same among learners who all keep to it", Sitting(BANNED, detector=True)),
        "honest": Arm("positive control", "declared only, and all learners keep to it", Sitting(BANNED, 1.0)),
        "ungated": Arm("negative control", "helpers make everything, unseen", Sitting(BANNED, 0.0)),
        "collaboration": Arm("variant", "AI collaboration, evaluation marked", Sitting(REVIEWED)),
        "collaboration-unmarked": Arm("knock-out", "the same without that criterion", Sitting(UNREVIEWED)),
        "full": Arm("variant", "full AI, direction marked", Sitting(DIRECTED)),
    },
    derived=("strong", "weak"),
    lifetime=lifetime,
    measures={f"validity_{latent}": validity_for(latent) for latent in LATENTS},
    across=across,
    claim=Claim(
        better="controlled",
        than="declared",
        on="validity_skill",
        by=0.2,
        knockout="ungated",
        sentence="With helpers that are right in 90 % of cases, an exam of unaided skill under control is more valid, by at "
        "least 0.2 in rank correlation, than one in which help is forbidden and half of the learners keep to it.",
    ),
    controls=(
        Control("controlled", "validity_skill", at_least=0.7, because="48 stages must measure skill well"),
        Control("ungated", "validity_skill", at_least=-0.1, at_most=0.1, because="nobody shows own skill there"),
        Control("controlled", "validity_judgement", at_least=-0.1, at_most=0.1, because="the latents are independent"),
    ),
    secondary=(
        Claim("strong", "weak", "gap", sentence="The better helpers are, the more control matters (0.95 against 0.5)."),
        Claim(
            "collaboration",
            "controlled",
            "validity_judgement",
            knockout="collaboration-unmarked",
            sentence="For judgement, collaboration is more valid than an exam without AI, through the criterion on evaluation.",
        ),
        Claim(
            "full",
            "controlled",
            "validity_direction",
            sentence="For direction, full AI is more valid: no level is best for all constructs.",
        ),
        Claim(
            "controlled",
            "detector",
            "validity_skill",
            by=0.05,
            sentence="A detector does not restore the validity lost, to within 0.05.",
        ),
        Claim(
            "honest",
            "detector-honest",
            "validity_skill",
            sentence="The detector's false alarms make an exam of honest learners less valid.",
        ),
        Claim(
            "declared-by-item",
            "declared",
            "validity_skill",
            sentence="Where all break the rule half of the time, less validity is lost.",
        ),
    ),
    settings={"seeds": 16, "learners": 500, "questions": 12},
    budgets={"smoke": {"seeds": 2, "learners": 100}, "quick": {"seeds": 8}, "full": {}},
    simplified="A framework for teachers becomes a model of independent latents; stages of an item weigh the same and do not "
    "depend on each other, helpers are equally good for all, and a learner keeps to a rule that nothing enforces with "
    "probability ½. That declared bans fail inside this model is a consistency check of the framework's logic, not evidence "
    "about students. Levels 2 and 5 are not simulated.",
    curve="validity",
)
