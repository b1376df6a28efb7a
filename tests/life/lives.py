"""Small lives for tests; equal shapes, so that tests share compiled programs."""

from functools import partial

import optax

from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import Nothing, Replay
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Split

STEPS = 36


def learner(memory=None, learning_rate: float = 0.05, outputs: int = 6, **options) -> GradientLearner:
    return GradientLearner(
        Recipe(MLP, inputs=8, outputs=outputs, width=16, depth=1),
        optimizer=Recipe(optax.sgd, learning_rate=learning_rate, momentum=0.9),
        memory=memory or Nothing(),
        batch=10,
        **options,
    )


def remembering(**options) -> GradientLearner:
    return learner(Replay(30, 10, logits=0.5), **options)


def world(data, **options) -> Split:
    return Split(data, tasks=3, shuffle=True, **options)


TEACHER = OneByOne(tasks=3, steps=12)
quiet_life = partial(live, teacher=TEACHER, steps=STEPS, progress=silent)
