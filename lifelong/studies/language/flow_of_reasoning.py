"""Flow of reasoning: plans in proportion to what they are worth, instead of the one that is worth most.

A transformer moves four blocks, one at a time, and reads before every move how they lie, how they shall lie, and how many moves
are left; only moves that are allowed have a probability. Every goal can be reached by several plans. All arms begin with the
same model, which was shown one plan for each of 15 problems, and go on with those 15 problems alone.

The flow learner balances trajectories, so that log π − 2·log R becomes the same for all plans of one problem, and helps itself
with random moves, with a memory of the best plans, and with a search around them. The knock-out has the same loss, but
nothing to learn from than its own plans. The baselines maximise reward, with an entropy bonus chosen on other seeds, or do not
learn at all: one samples more boldly, at temperature 1.5.

What counts is how many different plans that work turn up among 40 samples, on problems with goals that were never posed. Plans
that differ only in the order of independent moves are different plans here. On the problems taught, the distance to the
distribution in proportion to R² is exact: all plans are enumerated.
"""

from functools import partial

import jax
import xarray as xr

from lifelong.exams import Proportion, Solved, several
from lifelong.feedback import NextToken, Reinforce, TrajectoryBalance, group_standardised
from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study, bases
from lifelong.learners import FlowLearner, GradientLearner, clipped_adam, warmed_adamw
from lifelong.life import live
from lifelong.memory import BestAnswers
from lifelong.nets import Exploring, Stepwise, language_model
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Blocks, after_move, allowed_moves, few

PROBLEMS = 15
"""How many are taught."""


class OnePlan(Blocks):
    """Blocks of which one plan a problem is shown, always the same."""

    def demonstrate(self, prompts, *, key):
        """Return that plan of every problem."""
        state, goal = self.state_and_goal(prompts)
        keys = jax.vmap(lambda code: jax.random.fold_in(jax.random.key(0), code))(100 * state + goal)
        one = super().demonstrate
        return jax.vmap(lambda prompt, key: one(prompt[None], key=key)[0])(prompts, keys)


def shown(world: Blocks, settings: Settings, **options):
    """Return the models that were shown plans for the problems taught, one for each seed."""
    planner = Recipe(
        Stepwise,
        net=Recipe(language_model, preset="micro", vocabulary=world.outputs),
        after=after_move,
        allowed=allowed_moves,
        prompt_length=world.prompt_length,
    )
    pupil = GradientLearner(
        planner,
        NextToken(),
        Recipe(warmed_adamw, learning_rate=settings.shown_rate, steps=settings.shown),
        batch=PROBLEMS,
        active="all",
    )
    return bases(pupil, world, OneByOne(1, settings.shown), steps=settings.shown, **options)


def lifetime(arm: Arm, settings: Settings, *, seeds, progress, **options) -> xr.Dataset:
    """Go on from the model that was shown plans, by one arm's feedback."""
    world = few(OnePlan(), PROBLEMS)  # pyright: ignore[reportCallIssue]
    base = shown(world, settings, seeds=seeds, progress=progress)
    build = {"explore": 0.0, "explore_end": 0.0, "rehearse": 0.0, "sharpness": 1.0, "rate": 1.0} | arm.build
    rate, temperature = build.pop("rate") * settings.learning_rate, build.pop("temperature", 1.0)
    feedback = build.pop("feedback", partial(Reinforce, baseline=group_standardised))()
    learner = FlowLearner(
        base.model,
        feedback,
        Recipe(clipped_adam, learning_rate=rate, max_norm=1.0),
        Exploring(temperature),
        memory=BestAnswers(PROBLEMS),
        rounds=settings.rounds,
        samples=settings.samples,
        **build,
    )
    exam = several(Solved(settings.questions, samples=40), Proportion(PROBLEMS))
    options |= {"seeds": seeds, "progress": progress}
    life = live(learner, world, OneByOne(1, settings.rounds), exam, steps=settings.rounds, **options)
    return life.to_xarray().assign_attrs(base_seconds=round(base.seconds, 1))


def final(name: str, over: str):
    """Return the measure of what the last exam found, on average."""
    return lambda life: life[name].isel(exam=-1).mean(over, skipna=False)


def across(lives):
    """Return what one has to reach to be no more than five points behind the baseline, and half as diverse again."""
    reinforced = lives["reinforce"]
    near = {"success": final("pass", "task")(reinforced) - 0.05}
    return {"near-reinforce": near, "half-more": {"distinct": 1.5 * final("different", "task")(reinforced)}}


FLOW = {"feedback": TrajectoryBalance, "sharpness": 2.0}

study = Study(
    slug="flow-of-reasoning",
    question="Does balancing trajectories find more different plans that work than maximising their reward?",
    arms={
        "flow": Arm(
            "method",
            "trajectory balance, exploration, memory and search",
            FLOW | {"explore": 0.5, "explore_end": 0.01, "rehearse": 1.0},
        ),
        "reinforce": Arm(
            "baseline",
            "maximises reward, entropy bonus from other seeds",
            {},
            tune=Grid("feedback.entropy", (0.0, 0.01, 0.05)),
        ),
        "on-policy": Arm("knock-out", "trajectory balance on its own plans alone", FLOW, like="flow"),
        "shown": Arm("variant", "shown 15 plans, no more", {"rate": 0.0}, like="reinforce"),
        "bold": Arm("variant", "shown 15 plans, sampled at 1.5", {"rate": 0.0, "temperature": 1.5}, like="reinforce"),
    },
    derived=("near-reinforce", "half-more"),
    lifetime=lifetime,
    measures={
        "distinct": final("different", "task"),
        "success": final("pass", "task"),
        "greedy": final("solved", "task"),
        "distance": final("distance", "problem"),
        "spread": final("spread", "problem"),
    },
    across=across,
    claim=Claim(
        better="flow",
        than="half-more",
        on="distinct",
        knockout="on-policy",
        sentence="Among 40 plans for a goal never posed, flows find at least one and a half times as many different ones that "
        "work as maximising reward does, and without exploration, memory and search the gain is lost.",
    ),
    controls=(
        Control("shown", "success", at_least=0.05, because="a model that never succeeds has nothing to learn from"),
        Control("flow", "spread", at_least=0.5, because="flows that always take one plan balance nothing"),
    ),
    secondary=(
        Claim("flow", "near-reinforce", "success", sentence="Success in 40 is within five points of the baseline's."),
        Claim(
            "flow", "reinforce", "distance", higher_is_better=False, sentence="It is closer to R² where it was taught."
        ),
        Claim(
            "flow", "on-policy", "distance", higher_is_better=False, sentence="And closer than on its own plans alone."
        ),
        Claim("flow", "bold", "distinct", sentence="It finds more plans that work than bolder sampling."),
    ),
    curve="different",
    settings={
        "seeds": 8,
        "shown": 60,
        "shown_rate": 3e-3,
        "rounds": 200,
        "samples": 8,
        "learning_rate": 5e-4,
        "questions": 64,
    },
    budgets={
        "smoke": {"seeds": 2, "shown": 4, "rounds": 4, "questions": 4},
        "quick": {"seeds": 2, "questions": 16},
        "full": {},
    },
    simplified="0.1 million weights trained from nothing for a language model of 8 billion with adapters; four blocks, four "
    "moves, one word each; no bonus for likelihood, no tempered sampling beside random moves; the same 15 problems for "
    "all seeds. Plans that differ in the order of independent moves count as different.",
)
