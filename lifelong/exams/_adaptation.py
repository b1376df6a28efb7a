"""How well a few examples are learned from: the exam of learners that learn to learn."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import Batch, Episode, FewShot

from ._exam import Exam

AT_ONCE = 25
"""Episodes solved at a time: each has a student of its own."""


class Adaptation(Exam):
    """Let the learner solve fresh episodes of every part of a world, and mark its answers to their questions.

    The marks come look by look: after 0, 1 … steps on the support set for learners that take steps, and once for others.
    Every sitting deals other episodes.

    Args:
        episodes: of each part; 100 unless stated.
        measure: 'accuracy', the share of right answers, or 'squared_error'.
    """

    episodes: int = eqx.field(static=True, default=100)
    measure: Literal["accuracy", "squared_error"] = eqx.field(static=True, default="accuracy")

    def __check_init__(self):
        if self.episodes < 1 or self.measure not in ("accuracy", "squared_error"):
            raise BadInput(
                f"an exam has at least one episode and measures 'accuracy' or 'squared_error', not {self.episodes} and "
                f"'{self.measure}'"
            )

    def sit(self, state: Any, learner: Any, world: FewShot, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {measure: [parts, looks]}."""

        def look(part: Array, key: PRNGKeyArray) -> Float[Array, " looks"]:
            for_deal, for_answers = jax.random.split(key)
            episode: Episode = world.deal(part, key=for_deal)
            answers = learner.solve(state, episode.support, episode.query.x, key=for_answers)
            return jax.vmap(lambda answer: self._mark(answer, episode.query))(answers)

        parts = jnp.repeat(jnp.arange(world.tasks), self.episodes)
        keys = jax.random.split(key, len(parts))
        each = jax.lax.map(lambda one: look(*one), (parts, keys), batch_size=min(AT_ONCE, len(parts)))
        return {self.measure: each.reshape(world.tasks, self.episodes, -1).mean(1)}

    def _mark(self, answer: Float[Array, "n outputs"], query: Batch) -> Float[Array, ""]:
        if self.measure == "accuracy":
            return (answer.argmax(-1) == query.y).mean()
        return ((answer - query.y) ** 2).mean()

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One row a part, one column a look."""
        return {self.measure: ("task", "look")}
