"""Teachers that are agents themselves: they make tasks, and are paid with what becomes of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from lifelong.errors import BadInput, Mismatch
from lifelong.keys import key_for
from lifelong.learners import PPO, Lived, PPOState
from lifelong.worlds import Making, Several, Trial

from ._teacher import Teacher


class Design(NamedTuple):
    """A designer's plan: what it has learned, and, until it is told of it, how it made the tasks asked for last."""

    agent: PPOState
    making: Lived | None = None


class Designer(Teacher):
    """Make a task for each body of an agent by acting in a world where tasks are made; learn from the regret about each.

    Every ask is an episode of each of the agent's bodies. Its only reward is what learning reports of the task, as
    `each_regret` unless stated, in its last step; where that is NaN of any body, nothing is learned. With a pair of students
    (`learners.Pair`) this is

    - PAIRED in `PlacingMazes`, where a maze is placed cell after cell (Dennis et al. 2020, "Emergent Complexity and Zero-shot
      Transfer via Unsupervised Environment Design");
    - CLUTR in `LatentMazes`, where a maze is one vector, which a decoder that was trained before spells out, and which
      nothing changes any more (Azad et al. 2022, "CLUTR: Curriculum Learning via Unsupervised Task Representation Learning").

    Args:
        world: where tasks are made.
        agent: who makes them, with as many bodies as those it teaches, and a step for every step of an episode.
        measure: what the designer is paid with.

    Raises BadInput for an agent that does not live one whole episode of the world at a time.
    """

    world: Making
    agent: PPO
    measure: str = eqx.field(static=True, default="regret", kw_only=True)

    def __check_init__(self):
        if not self.agent.restart or self.agent.steps != self.world.limit:
            raise BadInput(
                f"a designer in {type(self.world).__name__} lives episodes of {self.world.limit} steps: build its agent with "
                f"steps={self.world.limit}, restart=True, not steps={self.agent.steps}, restart={self.agent.restart}"
            )

    def init(self, *, key: PRNGKeyArray) -> Design:
        """Return the plan of a newborn designer."""
        return Design(self.agent.init(self.world, key=key))

    def ask(self, plan: Design, *, key: PRNGKeyArray) -> tuple[Several, Design]:
        """Return a new task for each body."""
        making = self.agent.meet(plan.agent, self.world, Trial(jnp.int32(0)), key=key_for(key, "making"))
        seen = making.steps.after[-1]
        keys = jax.random.split(key_for(key, "made"), len(seen))
        tasks = jax.vmap(lambda seen, key: self.world.made(seen, key=key))(seen, keys)
        return Several(tasks), Design(plan.agent, making)

    def tell(self, plan: Design, lesson: Several, outcome: Mapping[str, Any], *, key: PRNGKeyArray) -> Design:
        """Return the plan after learning from the regret.

        Raises `Mismatch` where nobody reports on each task, and `BadInput` where the plan was not asked before.
        """
        name, making = f"each_{self.measure}", plan.making
        if name not in outcome:
            raise Mismatch(
                f"a designer listens to '{name}', and learning reports {', '.join(outcome) or 'nothing'}; teach a `Pair`, or "
                "build the designer with measure='…'"
            )
        if making is None:
            raise BadInput(
                "a designer is told of the tasks it was asked for last, and it was asked for none since: ask first"
            )
        regret = jnp.asarray(outcome[name], jnp.float32)
        steps = making.steps._replace(reward=making.steps.reward.at[-1].set(regret))
        making = making._replace(steps=steps, learn=jnp.isfinite(regret).all())
        return Design(self.agent.learn(plan.agent, making, key=key)[0])
