"""OREAL: what can be learned from whether an answer was right, when nothing is said about its steps.

A transformer was taught chains of arithmetic, where certain facts (the holes) came up in one chain of a hundred, and
practises chains that cross one hole or two. It is told whether its last number is right. Of eight answers to a prompt one right
and one wrong one are kept. Right answers are cloned, which by the paper's lemma is enough for the best policy near the first
one. Wrong ones are pushed away by as much as the lemma asks for: by the share of the other answers that were right. And since
most steps of a wrong answer are fine, a second model, which learns which outcome follows from which tokens, weighs the tokens.

The baseline clones right answers alone, all tokens alike. Knock-outs push wrong answers away with full strength, or weigh all
tokens alike. REINFORCE with rewards of ±1 and GRPO learn from all eight answers. All sample as many tokens; where tokens are
weighed, the model waits for five rounds until the weights mean something.

Whether the weights find the mistakes is asked in the end, of a verifier that no learner meets.

In a first run the base model had never met a hole, and stopped early. Its right answers were luck, and no arm learned anything;
since then it is taught longer and shown a few, and nothing else has changed.
"""

import jax.numpy as jnp
import xarray as xr
from jaxtyping import Array, Float

from lifelong.exams import Blame, Solved
from lifelong.feedback import GRPO, OREAL, Rollouts, group_standardised
from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study
from lifelong.learners import (
    Inherited,
    SelectiveLearner,
    TokenCreditLearner,
    warmed_adamw,
)
from lifelong.life import live, sit_afterwards
from lifelong.recipe import Number, Recipe, number
from lifelong.teachers import Only
from lifelong.worlds import OpChain

from ._chains import BASE_STEPS, PRACTISED, taught_chains

DIVERGENCE = 0.01
"""What a nat away from the base model costs, in all arms (the authors' β)."""

RATES = Grid("learner.optimizer.numbers.learning_rate", (3e-4, 1e-3))
"""Every arm's rate is chosen on tuning seeds: that of the specification of this miniature, or a larger one."""


class Whole(GRPO):
    """Learning from all answers, whole: GRPO, or REINFORCE with rewards of ±1, whose gradients are those of one step's
    unclipped surrogate.
    """

    standardised: Number = number(1.0)

    def advantage(self, experience: Rollouts) -> Float[Array, "prompts samples length"]:
        """Return the advantage of every token: that of its answer among those to the same prompt, or its reward."""
        reward = experience.reward
        gain = jnp.where(self.standardised > 0.5, group_standardised(reward), 2 * reward - 1)
        return jnp.broadcast_to(gain[..., None], experience.tokens.shape)


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Let a base model practise; ask in the end how it does, and whom its judge would blame."""
    world = OpChain(holes=True)
    learner = practising(arm, settings, taught_chains(world, settings.base_steps, options["seeds"]))
    exam = Solved(settings.questions)
    life = live(learner, world, Only(PRACTISED[0]), exam, steps=settings.rounds, at_ends=False, **options)
    rate = xr.DataArray(
        life.state.learner.rate.reshape(*map(len, life.dims.values()), -1), life.dims, (*life.dims, "problem")
    )
    record = life.to_xarray().assign(rate=rate)
    if isinstance(learner, TokenCreditLearner):
        record = record.merge(sit_afterwards(life, learner, world, Blame(PRACTISED, settings.questions, samples=2)))
    return record


def practising(arm: Arm, settings: Settings, model: Inherited) -> SelectiveLearner:
    """Return the learner of an arm: on pairs with a judge of tokens, or on all answers."""
    descent = Recipe(warmed_adamw, steps=settings.rounds, warm_up=5, floor=0.2, learning_rate=1e-3)
    shared = {"prompts": 16, "samples": 8, "tasks": PRACTISED, "pool": settings.pool}
    if "standardised" in arm.build:
        feedback = Whole(clip=jnp.inf, divergence=DIVERGENCE, **arm.build)
        return SelectiveLearner(model, feedback, descent, **shared)
    credited = arm.build["credited"]
    feedback = OREAL(divergence=DIVERGENCE, wrong_weight=arm.build["wrong_weight"], reshaped=arm.build["reshaped"])
    own = {"credited": credited, "frozen": credited * settings.frozen}
    judging = Recipe(warmed_adamw, steps=settings.rounds, warm_up=5, floor=0.2, learning_rate=settings.judge_rate)
    return TokenCreditLearner(model, feedback, descent, judging=judging, **own, **shared)


def accuracy(life: xr.Dataset, exam: int = -1) -> xr.DataArray:
    """Return the share of likeliest answers to held-out chains across one hole or two that are right."""
    return life.solved.isel(exam=exam, task=list(PRACTISED)).mean("task", skipna=False)


def across(lives):
    """Return whom the judges blame, of arms that have one, and what would be no better than chance or than the place."""
    blamed = {arm: {"blame": life.blame} for arm, life in lives.items() if "blame" in life}
    seeds = 0.0 * lives["oreal"].blame
    return blamed | {"six-in-ten": {"blame": seeds + 0.6}, "later-is-worse": {"blame": lives["oreal"].lateness}}


def _pairs(wrong_weight: float, reshaped: float, credited: float) -> dict[str, float]:
    return {"wrong_weight": wrong_weight, "reshaped": reshaped, "credited": credited}


study = Study(
    slug="oreal",
    question="Are right answers cloned with reshaped wrong ones and token weights worth more than right answers alone?",
    arms={
        "oreal": Arm("method", "right cloned, wrong reshaped, tokens weighed", _pairs(0.5, 1.0, 1.0), RATES),
        "bc-pos": Arm("baseline", "right answers cloned alone", _pairs(0.0, 1.0, 0.0), RATES, "oreal"),
        "no-reshape": Arm(
            "knock-out", "wrong answers pushed with full strength", _pairs(0.5, 0.0, 1.0), RATES, "oreal"
        ),
        "no-token-rm": Arm("knock-out", "all tokens weigh the same", _pairs(0.5, 1.0, 0.0), RATES, "oreal"),
        "grpo": Arm("baseline", "all answers, standardised within a prompt", {"standardised": 1.0}, RATES),
        "reinforce": Arm("baseline", "all answers, rewarded with +1 and -1", {"standardised": 0.0}, RATES, "grpo"),
    },
    lifetime=lifetime,
    measures={
        "accuracy": accuracy,
        "gain": lambda life: accuracy(life) - accuracy(life, 0),
        "without_holes": lambda life: life.solved.isel(exam=-1, task=0),
        "spread": lambda life: abs(accuracy(life) - accuracy(life).mean("seed")),
        "base_pass": lambda life: (life.rate.isel(problem=slice(None, None, len(PRACTISED))) > 0).mean("problem"),
        "last_right": lambda life: life.learning_right.isel(step=slice(-10, None)).mean("step", skipna=False),
    },
    claim=Claim(
        better="oreal",
        than="bc-pos",
        on="accuracy",
        by=0.02,
        knockout="no-reshape",
        sentence="At equal samples OREAL answers at least 2 points more of held-out chains across holes than cloning right "
        "answers alone, and loses that where wrong answers are pushed away with full strength.",
    ),
    controls=(
        Control(
            "oreal",
            "base_pass",
            at_least=0.5,
            because="the base must solve one hole in 16 tries, often enough to learn",
        ),
        Control(
            "oreal", "gain", at_least=0.02, because="who has not learned from outcomes cannot show how it is done best"
        ),
    ),
    secondary=(
        Claim("oreal", "no-token-rm", "accuracy", sentence="Token weights help."),
        Claim("oreal", "no-reshape", "spread", higher_is_better=False, sentence="Without reshaping seeds differ more."),
        Claim("oreal", "reinforce", "accuracy", sentence="It is more accurate than REINFORCE with rewards of ±1."),
        Claim("oreal", "grpo", "accuracy", sentence="It is more accurate than GRPO, which learns from all answers."),
        Claim(
            "oreal",
            "six-in-ten",
            "blame",
            sentence="Weights of wrong tokens find the first mistake: an area above 0.6.",
        ),
        Claim("oreal", "later-is-worse", "blame", sentence="They do so better than blaming later steps more."),
    ),
    across=across,
    derived=("six-in-ten", "later-is-worse"),
    curve="solved",
    settings={
        "seeds": 8,
        "base_steps": BASE_STEPS,
        "rounds": 60,
        "frozen": 5,
        "pool": 256,
        "questions": 200,
        "judge_rate": 5e-4,
    },
    budgets={
        "smoke": {"seeds": 2, "rounds": 2, "pool": 16, "questions": 20},
        "quick": {"seeds": 4, "rounds": 20, "questions": 100},
        "full": {},
    },
    simplified="97 thousand weights for 7 billion, chains of five numbers for thoughts of thousands of words; 16 prompts × 8 "
    "answers in each of 60 rounds for 64 × 16 in 90, of which 5 train the token model alone, for 10; sampled without top-p.",
)
