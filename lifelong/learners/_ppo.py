"""Proximal policy optimization, all of it compiled: acting, judging, and epochs of learning are one step of a life."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import Acts, ClippedSurrogate, Info, advantages
from lifelong.keys import key_for
from lifelong.nets import Policy
from lifelong.recipe import Number, Recipe
from lifelong.worlds import World, shuffled

from ._agent import Agent, Crew, Lived, act, check_actions, crew_of, environment, outcome_of, restarted, without
from ._optimizers import clipped_adam


class PPOState(eqx.Module):
    """What an actor-critic carries through its life."""

    model: PyTree
    optimizer: PyTree
    crew: Crew


class PPO(Agent):
    """Act for a while with many bodies, then learn from it for some epochs (Schulman et al. 2017).

    One step of a life is `bodies`·`steps` steps in the world and epochs·parts steps of the optimizer. Steps of a model with a
    memory of its own (`RecurrentActorCritic`) are learned in stretches as long as they were lived, body by body, from the
    state of mind they began with; those of others are learned one by one. The defaults are CleanRL's (ppo.py).

    Args:
        model: called with `key=` it returns an `ActorCritic`, a `RecurrentActorCritic` or a module like them.
        feedback: the loss, `ClippedSurrogate()` unless stated.
        optimizer: a `Recipe` or an Optax transformation; `clipped_adam` with a rate of 0.00025 unless stated.
        discount: γ.
        trace: λ of the advantages.
        bodies: episodes lived side by side.
        steps: steps that each of them takes.
        epochs: times that every step is learned.
        parts: into how many batches an epoch is cut.
        bootstrap: whether what would have followed counts where time is up; False takes it for an end, as CleanRL does.
        restart: begin every lesson with new episodes, so that what the teacher hears is of its own lesson alone.
    """

    model: Callable[..., PyTree]
    feedback: ClippedSurrogate
    optimizer: Recipe | optax.GradientTransformation
    discount: Number
    trace: Number
    bodies: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    epochs: int = eqx.field(static=True)
    parts: int = eqx.field(static=True)
    bootstrap: bool = eqx.field(static=True)
    restart: bool = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., PyTree],
        feedback: ClippedSurrogate | None = None,
        optimizer: Recipe | optax.GradientTransformation | None = None,
        *,
        discount: Number = 0.99,
        trace: Number = 0.95,
        bodies: int = 4,
        steps: int = 128,
        epochs: int = 4,
        parts: int = 4,
        bootstrap: bool = True,
        restart: bool = False,
    ):
        if min(bodies, steps, epochs, parts) < 1:
            raise BadInput(f"an agent needs sizes of at least 1: {bodies=}, {steps=}, {epochs=}, {parts=}")
        self.model, self.feedback = model, feedback or ClippedSurrogate()
        self.optimizer = optimizer or Recipe(clipped_adam, learning_rate=2.5e-4)
        self.discount, self.trace = jnp.asarray(discount, jnp.float32), jnp.asarray(trace, jnp.float32)
        self.bodies, self.steps, self.epochs, self.parts = bodies, steps, epochs, parts
        self.bootstrap, self.restart = bootstrap, restart

    def init(self, world: World, *, key: PRNGKeyArray) -> PPOState:
        """Return a newborn agent with its bodies; raise `Mismatch` where the model does not fit the world."""
        here = environment(world, self)
        for_model, for_crew = jax.random.split(key)
        model = self.model(key=for_model)
        crew = crew_of(here, self.bodies, model.rest(), key=for_crew)
        try:
            policy, *_ = eqx.filter_eval_shape(model, crew.observation[0], model.rest())
        except (TypeError, ValueError) as error:
            shape = crew.observation.shape[1:]
            raise Mismatch(f"the model cannot take the world's observations of shape {shape}: {error}") from error
        check_actions(here.outputs, policy, here)
        self._check_parts(model.recurrent)
        return PPOState(model, self._optimizer().init(eqx.filter(model, eqx.is_inexact_array)), crew)

    def _check_parts(self, recurrent: bool) -> None:
        count, what = (self.bodies, "bodies") if recurrent else (self.bodies * self.steps, "bodies · steps")
        if count % self.parts:
            raise BadInput(f"{what} = {count} cannot be cut into {self.parts} equal parts; choose parts that divide it")

    def _optimizer(self) -> optax.GradientTransformation:
        return self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer

    def rest(self, state: PPOState) -> PyTree:
        """Return the model's state of mind at the start of an episode."""
        return state.model.rest()

    def consider(self, state: PPOState, x: Array, mind: PyTree) -> tuple[Policy, PyTree]:
        """Return the actor's policy."""
        policy, _, mind = state.model(x, mind)
        return policy, mind

    def meet(self, state: PPOState, world: World, lesson: Any, *, key: PRNGKeyArray) -> Lived:
        """Act in what the teacher asked for."""
        here, crew = environment(world, self), state.crew
        tasks = here.asked(lesson, self.bodies, key=key_for(key, "tasks"))
        if self.restart:
            crew = restarted(crew, here, tasks, self.rest(state), key=key_for(key, "restart"))
        return act(self, state, here, crew, tasks, self.steps, key=key).of(lesson)

    def learn(self, state: PPOState, experience: Lived, *, key: PRNGKeyArray) -> tuple[PPOState, Info]:
        """Learn from what was lived; report how the episodes went, and the mean of what the losses report."""
        acts = self._judged(state.model, experience)
        count = len(acts.fresh)
        place = jnp.arange(self.epochs * count, dtype=jnp.int32)
        order = shuffled(place % count, jnp.int32(count), place // count, jax.random.bits(key, (), jnp.uint32))
        transformation = self._optimizer()

        def descend(carry: tuple[PyTree, PyTree], rows: Array) -> tuple[tuple[PyTree, PyTree], Info]:
            arrays, optimizer = carry
            model = eqx.combine(arrays, static)
            batch = jax.tree.map(lambda leaf: leaf[rows], acts)
            gradient, info = eqx.filter_grad(lambda m: self.feedback(m, batch, key=key), has_aux=True)(model)
            updates, optimizer = transformation.update(gradient, optimizer, eqx.filter(model, eqx.is_inexact_array))
            return (eqx.filter(eqx.apply_updates(model, updates), eqx.is_array), optimizer), info

        arrays, static = eqx.partition(state.model, eqx.is_array)
        batches = order.reshape(self.epochs * self.parts, -1)
        (arrays, optimizer), infos = jax.lax.scan(descend, (arrays, state.optimizer), batches)
        info = jax.tree.map(lambda values: values.mean(), infos)
        new, old = (eqx.combine(arrays, static), optimizer), (state.model, state.optimizer)
        model, optimizer = experience.kept(new, old)
        return PPOState(model, optimizer, experience.crew), outcome_of(experience) | info

    def _judged(self, model: PyTree, lived: Lived) -> Acts:
        """Return the stretches to learn from, with their advantages."""
        steps = lived.steps
        everywhere = jax.vmap(jax.vmap(model))
        policy, value, _ = everywhere(steps.observation, steps.mind)
        _, after, _ = everywhere(steps.after, steps.after_mind)
        over = steps.terminated if self.bootstrap else steps.ended
        gain = advantages(steps.reward, value, after, over, steps.ended, self.discount, self.trace)
        log_probability = policy.log_probability(steps.action)
        mind = jax.tree.map(lambda leaf: leaf[0], steps.mind)
        acts = Acts(steps.observation, steps.fresh, mind, steps.action, log_probability, value, gain)
        return _by_body(acts) if model.recurrent else _one_by_one(acts)

    def examinee(self) -> "PPO":
        """Return the agent without what only learning needs."""
        return without(self, "feedback", "optimizer", "discount", "trace")

    def examined(self, state: PPOState) -> PPOState:
        """Return the model alone."""
        return without(state, "optimizer", "crew")


def _by_body(acts: Acts) -> Acts:
    """Return [t, n] steps as n stretches of t."""
    turned = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), eqx.tree_at(lambda a: a.mind, acts, None))
    return eqx.tree_at(lambda a: a.mind, turned, acts.mind, is_leaf=lambda node: node is None)


def _one_by_one(acts: Acts) -> Acts:
    """Return [t, n] steps as t·n stretches of one."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, 1, *leaf.shape[2:]), acts)
