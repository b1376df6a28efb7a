"""A language model that is taught by demonstrations."""

from typing import Any

from lifelong.feedback import NextToken
from lifelong.nets import Completion, language_model
from lifelong.recipe import Recipe

from ._gradient import GradientLearner
from ._optimizers import warmed_adamw


def next_token_learner(
    vocabulary: int,
    *,
    steps: int,
    learning_rate: float = 3e-3,
    batch: int = 128,
    preset: str = "micro",
    **changes: Any,
) -> GradientLearner:
    """Return a fresh language model that learns to say the tokens of demonstrations, by `NextToken` and `warmed_adamw`.

    Args:
        vocabulary: how many tokens there are: the world's `outputs`.
        steps: of the whole course, by which the rate falls; a life may be shorter.
        learning_rate: at its peak.
        batch: demonstrations in a step.
        preset, changes: of `language_model`; numbers that are no whole numbers cannot be changed here.
    """
    net = Recipe(language_model, preset=preset, vocabulary=vocabulary, **changes)
    optimizer = Recipe(warmed_adamw, learning_rate=learning_rate, steps=steps)
    return GradientLearner(Recipe(Completion, net=net), NextToken(), optimizer, batch=batch, active="all")
