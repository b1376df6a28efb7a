"""Whether the credit of tokens lies where answers went wrong."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.feedback import token_credit
from lifelong.keys import key_for
from lifelong.worlds import World

from ._exam import Exam


class Blame(Exam):
    """Ask a token reward model which steps of wrong answers are to blame; only for examination, no learner sees it.

    The learner's state has a `judge`, the world tells the `first_error` of answers. `blame` is the area under the ROC curve of
    ω⁻ of every step for whether it lies at or after the first error, over all steps of wrong answers to held-out problems;
    `lateness` is that of the step's number, which knows nothing of the answer.

    Args:
        tasks: whose problems are posed.
        questions: of each task.
        samples: answers to each, sampled.
    """

    tasks: tuple[int, ...] = eqx.field(static=True)
    questions: int = eqx.field(static=True, default=100)
    samples: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        if min(len(self.tasks), self.questions, self.samples) < 1:
            raise BadInput(
                f"an exam has tasks, questions and samples: tasks={self.tasks}, questions={self.questions}, "
                f"samples={self.samples}"
            )

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'blame', 'lateness'}."""
        here: Any = world
        asked = jnp.concatenate([here.exam_set(task, self.questions) for task in self.tasks])
        asked = jnp.repeat(asked, self.samples, axis=0)
        answers = learner.answer(state, asked, key=key_for(key, "samples"))
        tokens = jnp.concatenate([asked, answers], 1)
        own = (tokens >= 0) & (jnp.arange(tokens.shape[1]) >= asked.shape[1])
        wrong = ~here.judge(asked, answers).right
        steps = here.steps(asked, answers)
        place = jnp.arange(steps.true.shape[1])
        to_blame = place >= steps.first_error[:, None]
        counts = wrong[:, None] & own[:, asked.shape[1] :][:, : len(place)]
        weight = token_credit(state.judge.read(tokens), own, ~wrong)[:, asked.shape[1] :][:, : len(place)]
        late = jnp.broadcast_to(place.astype(jnp.float32), to_blame.shape)
        return {"blame": area(weight, to_blame, counts), "lateness": area(late, to_blame, counts)}

    @property
    def whole(self) -> bool:
        """It looks at the judge, too."""
        return True


def area(score: Float[Array, "*n"], positive: Bool[Array, "*n"], counts: Bool[Array, "*n"]) -> Float[Array, ""]:
    """Return the area under the ROC curve among those that count: the chance that a positive one scores above a negative
    one, ties being half of one. NaN where either are missing.
    """
    score, positive, counts = (values.reshape(-1) for values in (score, positive, counts))
    order = jnp.argsort(score)
    score, positive, counts = score[order], positive[order], counts[order]
    yes, no = ((counts & which).astype(jnp.float32) for which in (positive, ~positive))
    before = jnp.concatenate([jnp.zeros(1), jnp.cumsum(no)])
    below, upto = (before[jnp.searchsorted(score, score, side=side)] for side in ("left", "right"))
    return (yes * (below + upto) / 2).sum() / (yes.sum() * no.sum())
