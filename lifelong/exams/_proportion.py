"""How far a policy is from coming to every end as often as it is worth: exact, over all plans there are."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.recipe import Number, number
from lifelong.worlds import Blocks, World
from lifelong.worlds._block_plans import every_plan, word_of
from lifelong.worlds._blocks import configurations, worth

from ._exam import Exam

FLOOR = 1e-3
"""What plans that are worth nothing count as."""


class Proportion(Exam):
    """Compare a policy with p*(τ) = R(τ)^s / Σ R^s over all allowed plans τ of the first problems that are taught.

    distance[i] is the total variation ½ Σ_τ |π(τ) − p*(τ)| on problem i, spread[i] the entropy −Σ π log π of plans in nats.
    Both are sums over every plan, not estimates: at most 2736 start from one configuration. For worlds of blocks, and
    learners whose model is `Stepwise`.

    Args:
        problems: how many.
        sharpness: s, 2.
    """

    problems: int = eqx.field(static=True, default=15)
    sharpness: Number = number(2.0)

    def sit(self, state: Any, learner: Any, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'distance', 'spread'}, each [problems]."""
        here: Any = world
        numbers = here.first[0, 0] + jnp.arange(self.problems)
        prompts = here.read(here.codes[numbers])
        found = jax.lax.map(lambda prompt: self._compared(state.model, here, prompt), prompts)
        return dict(zip(("distance", "spread"), found, strict=True))

    def _compared(self, model: Any, world: Blocks, prompt: Array) -> tuple[Array, Array]:
        log_p, reward, there = plan_probabilities(model, world, prompt)
        wanted = jax.nn.softmax(jnp.where(there, self.sharpness * jnp.log(jnp.maximum(reward, FLOOR)), -jnp.inf))
        p = jnp.where(there, jnp.exp(log_p), 0.0)
        return 0.5 * jnp.abs(p - wanted).sum(), -(p * jnp.where(there, log_p, 0.0)).sum()

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a problem."""
        return dict.fromkeys(("distance", "spread"), ("problem",))

    @property
    def whole(self) -> bool:
        """The model is enough."""
        return False


def plan_probabilities(
    model: Any, world: Blocks, prompt: Array
) -> tuple[Float[Array, " plans"], Float[Array, " plans"], Array]:
    """Return log π of every plan from where a prompt stands, what each is worth, and which rows are plans at all."""
    moves = world.answer_length
    start, goal = (part[0] for part in world.state_and_goal(prompt[None]))
    states = jnp.arange(len(configurations()))
    left = jnp.arange(moves, 0, -1)
    asked = jax.vmap(lambda n: world.prompt(states, jnp.full_like(states, goal), jnp.full_like(states, n)))(left)
    log_policy = jax.nn.log_softmax(model.decide(asked.reshape(-1, asked.shape[-1]))).reshape(moves, len(states), -1)
    words, places = (jnp.asarray(table)[start] for table in every_plan(moves))
    steps = log_policy[jnp.arange(moves), jnp.maximum(places[:, :-1], 0), word_of(jnp.maximum(words, 0))]
    reached = places[:, -1]
    return steps.sum(-1), worth(reached, goal, reached == goal), places[:, 0] >= 0
