"""What studies share that let a model of chains teach itself: whom they begin with, and what is practised."""

from collections.abc import Sequence

from lifelong.lab import bases
from lifelong.learners import Inherited, next_token_learner
from lifelong.teachers import Blend
from lifelong.worlds import OpChain

PRACTISED = (1, 2)
"""The tasks practised and examined: chains that cross one hole, or two."""

SEEN = 0.01
"""The share of the base model's chains that cross one hole; all others cross none."""

BASE_STEPS = 120
"""Steps of the base model, of a course of 400.

A model that never met a hole knows nothing of it: however long it was taught, its likeliest answers were right as often as a
guess among eleven numbers, and early, when 16 tries of it solved 60 % of chains across one hole, it did not know the others
either. With one chain in a hundred across a hole it solves 26 % after 100 steps and 56 % after 150, 16 tries
49 % and 76 % (two seeds of a pilot).
"""


def taught_chains(world: OpChain, steps: int, seeds: Sequence[int]) -> Inherited:
    """Return models that were taught chains, nearly all without holes, one for each seed."""
    pupil = next_token_learner(world.outputs, steps=400)
    return bases(pupil, world, Blend([[1 - SEEN, SEEN, 0.0]], steps), steps=steps, seeds=seeds).model
