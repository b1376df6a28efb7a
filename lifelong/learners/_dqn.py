"""Deep Q-learning: a net that values actions, learned from a store of steps."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import Info, SquaredBellmanError, Valued, q_targets
from lifelong.keys import key_for
from lifelong.nets import EpsilonGreedy
from lifelong.recipe import Number, Recipe
from lifelong.worlds import World

from ._agent import Agent, Crew, Lived, act, check_actions, crew_of, environment, outcome_of, where, without


class Transitions(eqx.Module):
    """Steps in the order in which they were taken, the oldest overwritten first."""

    observation: Float[Array, "rows *shape"]
    action: Int[Array, " rows"]
    reward: Float[Array, " rows"]
    after: Float[Array, "rows *shape"]
    terminated: Bool[Array, " rows"]


class DQNState(eqx.Module):
    """What a Q-learner carries through its life; `taken` counts the steps it has taken in the world."""

    model: PyTree
    target: PyTree
    optimizer: PyTree
    store: Transitions
    crew: Crew
    taken: Int[Array, ""]


class DQN(Agent):
    """Value actions by what they lead to, and take the best but for now and then (Mnih et al. 2015, "Human-level control
    through deep reinforcement learning").

    One step of a life is `bodies`·`steps` steps in the world, which are stored, and one of the optimizer on a batch drawn from
    the store: the square of Q(s, a) − (r + γ max Q′(s′, ·)·[not terminated]), with Q′ an older copy of Q. Where time is up,
    what would have followed counts. The chance of an action at random falls in a straight line from `start` to `end` within
    `fall` steps. The defaults are CleanRL's for classic control (dqn.py), for 500,000 steps.

    Args:
        model: called with `key=` it returns a net from an observation to the values of all actions.
        optimizer: a `Recipe` or an Optax transformation; Adam with a rate of 0.00025 unless stated.
        discount: γ.
        start, end: chances of an action at random.
        fall: steps within which the chance falls.
        capacity: steps that are stored.
        batch: steps that are learned at a time.
        bodies: episodes lived side by side.
        steps: steps that each of them takes between two steps of the optimizer.
        patience: steps before the first step of the optimizer.
        renew: steps after which the older copy is renewed.
    """

    model: Callable[..., PyTree]
    feedback: SquaredBellmanError
    optimizer: Recipe | optax.GradientTransformation
    discount: Number
    start: Number
    end: Number
    fall: Number
    capacity: int = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    bodies: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    patience: int = eqx.field(static=True)
    renew: int = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., PyTree],
        optimizer: Recipe | optax.GradientTransformation | None = None,
        *,
        discount: Number = 0.99,
        start: Number = 1.0,
        end: Number = 0.05,
        fall: Number = 250_000.0,
        capacity: int = 10_000,
        batch: int = 128,
        bodies: int = 1,
        steps: int = 10,
        patience: int = 10_000,
        renew: int = 500,
    ):
        if min(capacity, batch, bodies, steps, renew) < 1 or patience < 0:
            raise BadInput(
                f"an agent needs sizes of at least 1: {capacity=}, {batch=}, {bodies=}, {steps=}, {renew=}, {patience=}"
            )
        if capacity < bodies * steps:
            raise BadInput(
                f"a store of {capacity} has no room for the {bodies * steps} steps that are stored at a time"
            )
        self.model, self.feedback = model, SquaredBellmanError()
        self.optimizer = optimizer or Recipe(optax.adam, learning_rate=2.5e-4)
        numbers = (jnp.asarray(value, jnp.float32) for value in (discount, start, end, fall))
        self.discount, self.start, self.end, self.fall = numbers
        self.capacity, self.batch, self.bodies, self.steps = capacity, batch, bodies, steps
        self.patience, self.renew = patience, renew

    def init(self, world: World, *, key: PRNGKeyArray) -> DQNState:
        """Return a newborn agent with its bodies; raise `Mismatch` where the model does not fit the world."""
        here = environment(world, self)
        for_model, for_crew = jax.random.split(key)
        model, crew = self.model(key=for_model), crew_of(here, self.bodies, None, key=for_crew)
        seen = crew.observation[0]
        try:
            policy = eqx.filter_eval_shape(lambda net, x: EpsilonGreedy(net(x), jnp.float32(0.0)), model, seen)
        except (TypeError, ValueError) as error:
            raise Mismatch(f"the model cannot take the world's observations of shape {seen.shape}: {error}") from error
        check_actions(here.outputs, policy, here)
        rows = jnp.zeros((self.capacity, *seen.shape))
        none = jnp.zeros(self.capacity)
        store = Transitions(rows, none.astype(jnp.int32), none, rows, none.astype(bool))
        optimizer = self._optimizer().init(eqx.filter(model, eqx.is_inexact_array))
        return DQNState(model, model, optimizer, store, crew, jnp.int32(0))

    def _optimizer(self) -> optax.GradientTransformation:
        return self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer

    def rest(self, state: DQNState) -> None:
        """Return the state of mind at the start of an episode: none."""
        return None

    def consider(self, state: DQNState, x: Array, mind: None) -> tuple[EpsilonGreedy, None]:
        """Return the best action, and the chance with which one is taken at random."""
        done = jnp.minimum(state.taken / self.fall, 1.0)
        return EpsilonGreedy(state.model(x), self.start + (self.end - self.start) * done), None

    def meet(self, state: DQNState, world: World, lesson: Any, *, key: PRNGKeyArray) -> Lived:
        """Act in what the teacher asked for."""
        here = environment(world, self)
        tasks = here.asked(lesson, self.bodies, key=key_for(key, "tasks"))
        return act(self, state, here, state.crew, tasks, self.steps, key=key).of(lesson)

    def learn(self, state: DQNState, experience: Lived, *, key: PRNGKeyArray) -> tuple[DQNState, Info]:
        """Store what was lived and learn a batch of what is stored; report how the episodes went, and the loss."""
        store, taken = self._stored(state, experience), state.taken + self.bodies * self.steps
        row = jax.random.randint(key, (self.batch,), 0, jnp.minimum(taken, self.capacity))
        drawn = jax.tree.map(lambda leaf: leaf[row], store)
        goal = q_targets(drawn.reward, jax.vmap(state.target)(drawn.after), drawn.terminated, self.discount)
        batch = Valued(drawn.observation, drawn.action, goal)
        gradient, info = eqx.filter_grad(lambda m: self.feedback(m, batch, key=key), has_aux=True)(state.model)
        parameters = eqx.filter(state.model, eqx.is_inexact_array)
        updates, optimizer = self._optimizer().update(gradient, state.optimizer, parameters)
        ready = taken > self.patience
        new = (eqx.apply_updates(state.model, updates), optimizer)
        model, optimizer = where(ready, new, (state.model, state.optimizer))
        renewed = ready & (taken // self.renew > state.taken // self.renew)
        target = where(renewed, model, state.target)
        new, old = (
            (model, target, optimizer, store, taken),
            (state.model, state.target, state.optimizer, state.store, state.taken),
        )
        model, target, optimizer, store, taken = experience.kept(new, old)
        return DQNState(model, target, optimizer, store, experience.crew, taken), outcome_of(experience) | info

    def _stored(self, state: DQNState, lived: Lived) -> Transitions:
        steps, count = lived.steps, self.bodies * self.steps
        parts = (steps.observation, steps.action, steps.reward, steps.after, steps.terminated)
        new = Transitions(*(part.reshape(count, *part.shape[2:]) for part in parts))
        slot = (state.taken + jnp.arange(count)) % self.capacity
        return jax.tree.map(lambda kept, new: kept.at[slot].set(new, unique_indices=True), state.store, new)

    def examinee(self) -> "DQN":
        """Return the agent without what only learning needs."""
        return without(self, "optimizer", "discount")

    def examined(self, state: DQNState) -> DQNState:
        """Return the model, and how far the agent has come."""
        return without(state, "target", "optimizer", "store", "crew")
