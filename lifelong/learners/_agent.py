"""Learners that act: bodies in a world, what they live through, and how they have fared."""

from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import Mismatch
from lifelong.keys import key_for
from lifelong.nets import Policy
from lifelong.worlds import Discrete, Environment, Several, Situation, World

from ._learner import Learner

RECENT = 100
"""Episodes over which returns are averaged: what papers and CleanRL report of training is the mean of the last hundred."""


Holder = TypeVar("Holder", bound=eqx.Module)


class Fortunes(eqx.Module):
    """The returns of the last episodes, oldest overwritten first, and how many there have been in all."""

    returns: Float[Array, " recent"]
    lengths: Float[Array, " recent"]
    count: Int[Array, ""]

    @property
    def mean(self) -> Float[Array, ""]:
        """The mean return of the last episodes, of the last hundred at most; 0 before the first."""
        return _mean_of_first(self.returns, self.count)

    @property
    def length(self) -> Float[Array, ""]:
        """The mean length of the last episodes."""
        return _mean_of_first(self.lengths, self.count)


class Crew(eqx.Module):
    """`n` bodies in the midst of their episodes: where each stands, what it sees, whether that is the first it sees of the
    episode, its state of mind, and the return and length of the episode so far.
    """

    situation: Situation
    observation: Float[Array, "n *shape"]
    fresh: Bool[Array, " n"]
    mind: PyTree
    returns: Float[Array, " n"]
    lengths: Float[Array, " n"]
    fortunes: Fortunes


class Steps(NamedTuple):
    """What a crew lived through in `t` steps; `after` is what a step led to, of the old episode where it ended one."""

    observation: Float[Array, "t n *shape"]
    fresh: Bool[Array, "t n"]
    mind: PyTree
    action: Array
    reward: Float[Array, "t n"]
    terminated: Bool[Array, "t n"]
    ended: Bool[Array, "t n"]
    after: Float[Array, "t n *shape"]
    after_mind: PyTree
    score: Float[Array, "t n"]
    """The return of the episode up to and with this step."""
    length: Float[Array, "t n"]


class Lived(NamedTuple):
    """An experience: the steps of a crew, the crew after them, and whether it is to be learned from.

    Where `several` is true each body had a task of its own, and what became of each is told.
    """

    steps: Steps
    crew: Crew
    learn: Bool[Array, ""] | bool = True
    several: bool = False

    def of(self, lesson: Any) -> "Lived":
        """Return the experience as the lesson wants it: only tried where the lesson's `learn` is false."""
        return self._replace(learn=getattr(lesson, "learn", True), several=isinstance(lesson, Several))

    def kept(self, new: PyTree, old: PyTree) -> PyTree:
        """Return what learning has made of a state, or the old state where the experience is not to be learned from."""
        if isinstance(self.learn, bool):
            return new if self.learn else old
        return where(self.learn, new, old)


class Agent(Learner):
    """A learner that acts. It says what it would do about an observation; how it learns is its subclass's."""

    def rest(self, state: Any) -> PyTree:
        """Return the state of mind at the start of an episode."""
        raise NotImplementedError

    def consider(self, state: Any, x: Array, mind: PyTree) -> tuple[Policy, PyTree]:
        """Return the policy for one observation, and the state of mind after it."""
        raise NotImplementedError

    def answer(
        self,
        state: Any,
        x: Float[Array, "n *shape"],
        allowed: Bool[Array, "n outputs"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Array:
        """Return what the agent would do about each observation, seen with a mind at rest; without a key, what is best."""
        policy, _ = jax.vmap(lambda x: self.consider(state, x, self.rest(state)))(x)
        if key is None:
            return policy.best()
        chance = jax.random.uniform(key, jax.tree.leaves(policy)[0].shape)
        return policy.sample(chance)


def environment(world: World, learner: Learner) -> Environment:
    """Return a world to act in; raise `Mismatch` for any other."""
    if isinstance(world, Environment):
        return world
    name = type(learner).__name__
    raise Mismatch(f"{name} learns by acting, and {type(world).__name__} is no world to act in; `CartPole()` is one")


def crew_of(world: Environment, n: int, mind: PyTree, *, key: PRNGKeyArray) -> Crew:
    """Return `n` bodies at the start of episodes of the first level."""
    tasks = world.asked(jnp.int32(0), n, key=key)
    situation, observation = jax.vmap(lambda task, key: world.reset(task, key=key))(tasks, jax.random.split(key, n))
    none = jnp.zeros(n)
    fortunes = Fortunes(jnp.zeros(RECENT), jnp.zeros(RECENT), jnp.int32(0))
    return Crew(situation, observation, jnp.ones(n, bool), _crowd(mind, n), none, none, fortunes)


def _crowd(mind: PyTree, n: int) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)), mind)


def restarted(crew: Crew, world: Environment, tasks: PyTree, mind: PyTree, *, key: PRNGKeyArray) -> Crew:
    """Return the crew at the start of new episodes; those underway are dropped and not counted."""
    n = len(crew.fresh)
    situation, observation = jax.vmap(lambda task, key: world.reset(task, key=key))(tasks, jax.random.split(key, n))
    none = jnp.zeros(n)
    return Crew(situation, observation, jnp.ones(n, bool), _crowd(mind, n), none, none, crew.fortunes)


def act(
    agent: Agent, state: Any, world: Environment, crew: Crew, tasks: PyTree, steps: int, *, key: PRNGKeyArray
) -> Lived:
    """Let a crew act for some steps; episodes that end are followed by ones of `tasks`, one for each body.

    All randomness is drawn before the first step: a draw in every step would cost more than the step.
    """
    n, rest = len(crew.fresh), agent.rest(state)
    chances = jax.random.uniform(key_for(key, "actions"), (steps, n, world.outputs))
    keys = jax.random.split(key_for(key, "world"), (steps, n))
    step_on = jax.vmap(lambda situation, action, task, key: world.step_on(situation, action, task, key=key))

    def step(crew: Crew, chance: tuple[Array, Array]) -> tuple[Crew, Steps]:
        policy, mind = jax.vmap(lambda x, mind: agent.consider(state, x, mind))(crew.observation, crew.mind)
        action = policy.sample(chance[0])
        situation, outcome, seen = step_on(crew.situation, action, tasks, chance[1])
        ended, score, length = outcome.ended, crew.returns + outcome.reward, crew.lengths + 1.0
        done = Steps(
            crew.observation,
            crew.fresh,
            crew.mind,
            action,
            outcome.reward,
            outcome.terminated,
            ended,
            outcome.observation,
            mind,
            score,
            length,
        )
        mind = jax.tree.map(lambda kept, new: jnp.where(ended[:, None], new, kept), mind, rest)
        none = jnp.zeros(n)
        returns, lengths = jnp.where(ended, none, score), jnp.where(ended, none, length)
        return Crew(situation, seen, ended, mind, returns, lengths, crew.fortunes), done

    crew, done = jax.lax.scan(step, crew, (chances, keys))
    fortunes = told(crew.fortunes, done.score, done.length, done.ended)
    return Lived(done, eqx.tree_at(lambda c: c.fortunes, crew, fortunes))


def told(
    fortunes: Fortunes, score: Float[Array, "t n"], length: Float[Array, "t n"], ended: Bool[Array, "t n"]
) -> Fortunes:
    """Return the fortunes with the episodes that ended, in the order of time."""
    size, ended = len(fortunes.returns), ended.reshape(-1)
    number, total = jnp.cumsum(ended), ended.sum()
    kept = ended & (number > total - size)
    slot = jnp.where(kept, (fortunes.count + number - 1) % size, size)
    returns = fortunes.returns.at[slot].set(score.reshape(-1), mode="drop")
    lengths = fortunes.lengths.at[slot].set(length.reshape(-1), mode="drop")
    return Fortunes(returns, lengths, fortunes.count + total.astype(jnp.int32))


def outcome_of(lived: Lived) -> dict[str, Array]:
    """Return what a teacher is told of a lesson, and what is recorded.

    `return` is the mean return of the episodes that ended in the lesson (of what there is of those underway where none did),
    `episodes` how many they were; `recent` and `recent_length` are means over the last hundred episodes, whoever's lessons
    they were. Where each body had its own task, `each_return` is the mean return of its episodes that ended, NaN of none.
    """
    steps, fortunes = lived.steps, lived.crew.fortunes
    ended = steps.ended.astype(jnp.float32)
    total, count = (ended * steps.score).sum(0), ended.sum(0)
    of_ended = total.sum() / jnp.maximum(count.sum(), 1.0)
    score = jnp.where(ended.sum() > 0, of_ended, steps.score[-1].mean())
    own = {"each_return": jnp.where(count > 0, total / jnp.maximum(count, 1.0), jnp.nan)} if lived.several else {}
    return own | {
        "return": score,
        "episodes": ended.sum(),
        "recent": fortunes.mean,
        "recent_length": fortunes.length,
    }


def check_actions(outputs: int, policy: Policy, world: Environment) -> None:
    """Raise `Mismatch` where a policy's actions are not the world's."""
    discrete = isinstance(world.actions, Discrete)
    found = jax.tree.leaves(policy)[0].shape[-1]
    if found != outputs or discrete == hasattr(policy, "mean"):
        wanted = f"one of {outputs} actions" if discrete else f"{outputs} numbers"
        continuous = f", continuous={not discrete}"
        raise Mismatch(
            f"{type(world).__name__} takes {wanted}, and the model gives {found} outputs of a {type(policy).__name__}; "
            f"build it with outputs={outputs}{continuous}"
        )


def where(condition: Bool[Array, ""], new: PyTree, old: PyTree) -> PyTree:
    """Return one of two trees."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b) if eqx.is_array(a) else a, new, old)


def without(module: Holder, *names: str) -> Holder:
    """Return an agent, or its state, without what some of its fields hold."""
    return eqx.tree_at(
        lambda module: [getattr(module, name) for name in names],
        module,
        [None] * len(names),
        is_leaf=lambda node: node is None,
    )


def _mean_of_first(values: Float[Array, " recent"], count: Int[Array, ""]) -> Float[Array, ""]:
    held = jnp.arange(len(values)) < count
    return (held * values).sum() / jnp.maximum(held.sum(), 1)
