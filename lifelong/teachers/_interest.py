"""Tasks that can be learned and are worth it: learning progress over a list, and a model of interestingness (OMNI)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number
from lifelong.worlds import task_space

from ._searching import Searching, in_proportion, listed, sometimes


class Successes(NamedTuple):
    """A fast and a slow mean of success on every task, how much each is asked for, and how many tries were told."""

    fast: Float[Array, " tasks"]
    slow: Float[Array, " tasks"]
    weights: Float[Array, " tasks"]
    told: Int[Array, ""]


class OMNI(Searching):
    """Ask for tasks of a list on which success changes, and which are interesting given what is done well already.

    Success p̃ = max(p − p_random, 0) / (1 − p_random) enters a fast mean, p_f ← p_f + α(p̃ − p_f), and that a slow one,
    p_s ← p_s + α(p_f − p_s). With f(p) = (1 − θ)p / (p + θ(1 − 2p)), which gives low success more weight, progress is
    |f(p_f) − f(p_s)|; tasks without progress and success are left out (unless all are), the others weighed by the sigmoid of
    their standardised progress. Tasks are then gone through from the highest success on: one that no earlier one made
    boring is interesting, and makes boring what `interesting` says; boring tasks count `dull` times as much.

    Zhang et al. 2023 (arXiv:2306.01711) and its repository, but that means move when a task is told of, rather than at
    evaluations of all tasks, so that a share `explore` of tasks must be drawn from all.

    Args:
        interesting: [a, b] says whether b is interesting to who does a well; or a function of the tasks' names that
            returns this table, such as `Adviser.interesting`; None: everything is, which is plain learning progress.
        chance: success of an agent that acts at random, for each task.
        rate: α.
        bias: θ.
        dull: the weight of boring tasks.
        explore: tasks drawn from the whole list.
        every: tries between two looks at progress.
    """

    interesting: Bool[Array, "tasks tasks"]
    chance: Float[Array, " tasks"]
    rate: Number
    bias: Number
    dull: Number
    explore: Number
    every: int = eqx.field(static=True)

    def __init__(
        self,
        space: Any,
        interesting: Any = None,
        chance: Any = 0.0,
        rate: Number = 0.1,
        bias: Number = 0.1,
        dull: Number = 0.001,
        explore: Number = 0.1,
        every: int = 25,
        *,
        measure: str = "return",
    ):
        self.space, self.measure, self.every = task_space(space), measure, every
        names = listed(self).names
        self.interesting = _table(interesting, names)
        self.chance = jnp.broadcast_to(jnp.asarray(chance, jnp.float32), (len(names),))
        numbers = (rate, bias, dull, explore)
        self.rate, self.bias, self.dull, self.explore = (jnp.asarray(value, jnp.float32) for value in numbers)
        if every < 1:
            raise BadInput(f"progress is looked at every so many tries, at least 1, not {every}")

    def init(self, *, key: PRNGKeyArray) -> Successes:
        """Return no success, and all tasks as likely."""
        none = jnp.zeros(listed(self).count)
        return Successes(none, none, jnp.ones_like(none), jnp.int32(0))

    def choose(self, plan: Successes, *, key: PRNGKeyArray) -> Int[Array, ""]:
        """Return a task by its weight, or any."""
        gate, place = jax.random.uniform(key, (2,))
        weights = jnp.where(gate < self.explore, jnp.ones_like(plan.weights), plan.weights)
        return in_proportion(weights, place).astype(jnp.int32)

    def hear(self, plan: Successes, task: Array, value: Array, told: Array, *, key: PRNGKeyArray) -> Successes:
        """Return the means after one more try, and new weights where it is time for them."""
        success = jnp.maximum(value - self.chance[task], 0.0) / jnp.maximum(1 - self.chance[task], 1e-6)
        fast = plan.fast.at[task].add(told * self.rate * (success - plan.fast[task]))
        slow = plan.slow.at[task].add(told * self.rate * (fast[task] - plan.slow[task]))
        count = plan.told + told
        weights = sometimes(
            told & (count % self.every == 0),
            lambda _: self.progress(fast, slow) * jnp.where(self.worth(fast), 1.0, self.dull),
            plan.weights,
        )
        return Successes(fast, slow, weights, count)

    def progress(self, fast: Float[Array, " tasks"], slow: Float[Array, " tasks"]) -> Float[Array, " tasks"]:
        """Return how likely each task is by its learning progress alone."""
        change = jnp.abs(self._weighed(fast) - self._weighed(slow))
        kept = (change > 0) | (fast > 0)
        kept = kept | ~kept.any()
        mean = jnp.where(kept, change, 0.0).sum() / kept.sum()
        deviation = jnp.sqrt(jnp.where(kept, (change - mean) ** 2, 0.0).sum() / kept.sum())
        weights = jnp.where(kept, jax.nn.sigmoid((change - mean) / jnp.maximum(deviation, 1e-6)), 0.0)
        return weights / weights.sum()

    def _weighed(self, p: Float[Array, " tasks"]) -> Float[Array, " tasks"]:
        return (1 - self.bias) * p / jnp.maximum(p + self.bias * (1 - 2 * p), 1e-6)

    def worth(self, success: Float[Array, " tasks"]) -> Bool[Array, " tasks"]:
        """Return which tasks are interesting, given the success on all of them."""
        order = jnp.argsort(-success, stable=True)

        def look(i: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
            interesting, boring = carry
            task = order[i]
            new = ~boring[task]
            boring = boring | (new & ~self.interesting[task] & ~interesting & (jnp.arange(len(boring)) != task))
            return interesting.at[task].set(new), boring

        nothing = jnp.zeros(len(success), bool)
        return jax.lax.fori_loop(0, len(success), look, (nothing, nothing))[0]


def _table(interesting: Any, names: tuple[str, ...]) -> Bool[Array, "tasks tasks"]:
    """Return the table of what is interesting; raise `BadInput` where it has another shape."""
    if isinstance(interesting, Callable):
        interesting = interesting(names)
    n = len(names)
    table = np.ones((n, n), bool) if interesting is None else np.asarray(interesting)
    if table.shape != (n, n):
        raise BadInput(f"{n} tasks need a table of {n}×{n} of what is interesting, and it has the shape {table.shape}")
    return jnp.asarray(table.astype(bool))
