"""Two students of one kind who live the same tasks side by side."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, PRNGKeyArray, PyTree

from lifelong.feedback import Info, paired_regret
from lifelong.nets import Policy
from lifelong.worlds import World

from ._agent import Agent, Lived


class Pair(Agent):
    """A protagonist and an antagonist, who meet the same tasks and learn each from its own experience.

    The state, and what was lived, are the student's with a leading axis of two. What is answered and examined is the
    protagonist's. It reports what the protagonist reports, `antagonist_return`, and `each_regret`, the `paired_regret` of what
    each body met (Dennis et al. 2020, "Emergent Complexity and Zero-shot Transfer via Unsupervised Environment Design").

    Args:
        student: how both of them learn; `PPO(restart=True)` with enough steps for an episode, if regret is of the task alone.
    """

    student: Agent

    def init(self, world: World, *, key: PRNGKeyArray) -> PyTree:
        """Return two newborn students."""
        return eqx.filter_vmap(lambda key: self.student.init(world, key=key))(jax.random.split(key))

    def rest(self, state: PyTree) -> PyTree:
        """Return the protagonist's state of mind at the start of an episode."""
        return self.student.rest(protagonist(state))

    def consider(self, state: PyTree, x: Array, mind: PyTree) -> tuple[Policy, PyTree]:
        """Return the protagonist's policy."""
        return self.student.consider(protagonist(state), x, mind)

    def meet(self, state: PyTree, world: World, lesson: Any, *, key: PRNGKeyArray) -> Lived:
        """Let both act in what the teacher asked for."""
        meeting = eqx.filter_vmap(lambda state, key: self.student.meet(state, world, lesson, key=key))
        return meeting(state, jax.random.split(key))

    def learn(self, state: PyTree, experience: Lived, *, key: PRNGKeyArray) -> tuple[PyTree, Info]:
        """Let both learn; report the protagonist's fortunes, the antagonist's return, and the regret."""
        learning = eqx.filter_vmap(lambda state, lived, key: self.student.learn(state, lived, key=key))
        state, infos = learning(state, experience, jax.random.split(key))
        steps = experience.steps
        regret = paired_regret(*steps.score, *steps.ended)
        return state, protagonist(infos) | {"antagonist_return": infos["return"][1], "each_regret": regret}

    def examinee(self) -> "Pair":
        """Return a pair of examinees."""
        return Pair(self.student.examinee())  # pyright: ignore[reportArgumentType]

    def examined(self, state: PyTree) -> PyTree:
        """Return what is examined of both."""
        return self.student.examined(state)


def protagonist(both: PyTree) -> PyTree:
    """Return the first of two stacked trees."""
    return jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, both)
