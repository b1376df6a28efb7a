"""What has become of agents in environments of their own."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import World

from ._exam import Exam


class NicheScores(Exam):
    """Let every agent live fresh episodes of its own environment, twice, so that what one score chooses the other may judge.

    score[i, j] = mean return of `episodes` episodes of pair i, for j = 0, 1; it means nothing where a slot is not `alive`.
    `tasks` are the environments' parameters; `hops`, `transfers`, `admitted` and `spent`, the episodes lived, are the state's.

    Args:
        episodes: of each score.
    """

    episodes: int = eqx.field(static=True, default=16)

    def __check_init__(self):
        if self.episodes < 1:
            raise BadInput(f"a score has at least one episode, not {self.episodes}")

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return what is in every slot, and how it fares."""
        keys = jax.random.split(key, (len(state.alive), 2, self.episodes))
        live = lambda point, task, key: learner.value(world, point, task, key=key)  # noqa: E731
        for _ in range(2):
            live = jax.vmap(live, (None, None, 0))
        score = jax.vmap(live)(state.search.point, state.tasks, keys).mean(-1)
        named = {name: getattr(state, name) for name in ("tasks", "hops", "transfers", "admitted")}
        return named | {"score": score, "alive": state.alive.astype(jnp.float32), "spent": state.episodes}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One row for each slot."""
        return {"hops": ("slot",), "alive": ("slot",), "score": ("slot", "half"), "tasks": ("slot", "parameter")}
