"""How many problems are solved: the exam of learners that answer in words."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.worlds import World

from ._exam import Exam


class Solved(Exam):
    """Pose held-out problems of every task; return the share solved by likeliest answers, and by any of several.

    solved[i] is the share of right likeliest answers in task i; pass[i] the share of problems with a right one among k sampled
    answers (pass@k, where k are drawn); different[i] how many different right ones there are on average.

    Args:
        questions: of each task.
        samples: k; 0 leaves out what is sampled.
    """

    questions: int = eqx.field(static=True, default=100)
    samples: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.questions < 1 or self.samples < 0:
            raise BadInput(
                f"an exam has questions, and no fewer than 0 samples: questions={self.questions}, samples={self.samples}"
            )

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'solved', and with samples 'pass' and 'different'}, each [tasks]."""
        here: Any = world
        asked = jnp.concatenate([here.exam_set(task, self.questions) for task in range(world.tasks)])
        right = here.judge(asked, learner.answer(state, asked)).right
        found = {"solved": right.astype(jnp.float32)}
        if self.samples:
            several = jnp.repeat(asked, self.samples, axis=0)
            answers = learner.answer(state, several, key=key_for(key, "samples"))
            hit = here.judge(several, answers).right.reshape(-1, self.samples)
            found |= {"pass": hit.any(-1).astype(jnp.float32)}
            found |= {"different": _different(answers.reshape(*hit.shape, -1), hit).astype(jnp.float32)}
        return {name: values.reshape(world.tasks, self.questions).mean(1) for name, values in found.items()}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a task."""
        return dict.fromkeys(("solved", *(("pass", "different") if self.samples else ())), ("task",))

    @property
    def whole(self) -> bool:
        """What the learner answers is enough."""
        return False


def _different(answers: Array, right: Array) -> Array:
    """Return how many different right answers there are to every problem."""
    same = (answers[:, :, None] == answers[:, None]).all(-1) & right[:, :, None] & right[:, None]
    earlier = jax.vmap(lambda rows: jnp.tril(rows, -1).any(-1))(same)
    return (right & ~earlier).sum(-1)
