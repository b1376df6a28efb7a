"""How an agent fares: the exam of worlds to act in."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.worlds import Environment

from ._exam import Exam


class Returns(Exam):
    """Let the agent live episodes of every level; return what they were worth and how long they were.

    return[i] = mean over episodes of Σ r_t, without a discount, in level i; `terminated` is the share of episodes that came
    to an end of their own before the time was up.

    Args:
        episodes: of each level, lived side by side.
        greedy: take the best action each time; if not, draw it from the policy.
    """

    episodes: int = eqx.field(static=True, default=16)
    greedy: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.episodes < 1:
            raise BadInput(f"an exam of an agent has at least one episode, not {self.episodes}")

    def sit(self, state: Any, learner: Any, world: Environment, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'return', 'length', 'terminated'}, each [tasks]."""
        n = world.tasks * self.episodes
        tasks = world.level(jnp.repeat(jnp.arange(world.tasks), self.episodes))
        reset = jax.vmap(lambda task, key: world.reset(task, key=key))
        situation, seen = reset(tasks, jax.random.split(key_for(key, "reset"), n))
        step = jax.vmap(lambda situation, action, key: world.step(situation, action, key=key))
        mind = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)), learner.rest(state))

        def live_on(carry: tuple) -> tuple:
            t, situation, seen, mind, going, total, length, terminated = carry
            policy, mind = jax.vmap(lambda x, mind: learner.consider(state, x, mind))(seen, mind)
            chance = None if self.greedy else jax.random.uniform(key_for(key, "act", t), (n, world.outputs))
            action = policy.best() if chance is None else policy.sample(chance)
            situation, outcome = step(situation, action, jax.random.split(key_for(key, "step", t), n))
            total, length = total + going * outcome.reward, length + going
            terminated = terminated | (going & outcome.terminated)
            return t + 1, situation, outcome.observation, mind, going & ~outcome.ended, total, length, terminated

        none = jnp.zeros(n)
        start = (jnp.int32(0), situation, seen, mind, jnp.ones(n, bool), none, none, jnp.zeros(n, bool))
        *_, total, length, terminated = jax.lax.while_loop(lambda carry: carry[4].any(), live_on, start)
        found = {"return": total, "length": length, "terminated": terminated.astype(jnp.float32)}
        return {name: values.reshape(world.tasks, self.episodes).mean(1) for name, values in found.items()}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a level."""
        return dict.fromkeys(("return", "length", "terminated"), ("task",))

    @property
    def whole(self) -> bool:
        """What the agent does is enough."""
        return False
