"""Unlearning: take back what a model has learned from some of its examples.

    unlearner = NPO(steps=100)
    model = eqx.filter_jit(unlearner.forget)(model, forget, retain, loss, key=key)

`forget` and `retain` are batches of any size (rows of weight 0 are padding, so one compiled program serves many sizes),
`loss(model, batch)` is the loss the model was trained with. Nothing here can promise that the examples are gone: that
accuracy on them fell is not that nothing is left of them, and only an audit shows how much is.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt

from lifelong.errors import BadInput
from lifelong.feedback import weighted_mean
from lifelong.recipe import Number, Recipe, number
from lifelong.worlds import Batch, shuffled

from ._base import Loss

Objective = Callable[[PyTree, Int[Array, ""]], Float[Array, ""]]
"""What is descended: a function of the model and the number of the step."""


def _adam() -> Recipe:
    return Recipe(optax.adam, learning_rate=1e-3)


class Unlearner(eqx.Module):
    """A way of taking back what a model has learned from some examples: configuration is this module, no state."""

    def forget(self, model: PyTree, forget: Batch, retain: Batch | None, loss: Loss, *, key: PRNGKeyArray) -> PyTree:
        """Return the model after unlearning the examples of `forget`, without harm to those of `retain` if given.

        Pure, and so fit for `eqx.filter_jit` and `vmap`; the model returned has the structure of the model given.
        """
        raise NotImplementedError

    @property
    def needs_data(self) -> bool:
        """Whether the examples to forget are looked at; if not, only the task of the first of them is."""
        return True

    @property
    def needs_retained(self) -> bool:
        """Whether there must be examples to retain."""
        return False


class GradientUnlearner(Unlearner):
    """What all unlearners share that follow a gradient; by itself it forgets nothing, and rehearses what is retained.

    `steps` times, on one mini-batch of each:

        θ ← θ − optimizer(∇[F(θ; forget) + ρ · L(θ; retain) + protection(θ)])

    with F the `objective`, L the loss, and the optimizer's state fresh.

    Args:
        retention: ρ, the weight of the loss on examples to retain, where there are any.
        optimizer: a `Recipe` or a ready Optax transformation; Adam with a learning rate of 10⁻³ unless stated.
        steps: how many steps.
        batch: examples to forget, and to retain, in a step; all of them where they are fewer.
    """

    retention: Number = eqx.field(converter=lambda v: jnp.asarray(v, jnp.float32), default=1.0, kw_only=True)
    optimizer: Recipe | optax.GradientTransformation = eqx.field(default_factory=_adam, kw_only=True)
    steps: int = eqx.field(static=True, default=50, kw_only=True)
    batch: int = eqx.field(static=True, default=32, kw_only=True)

    def __check_init__(self):
        if min(self.steps, self.batch) < 1:
            raise BadInput(f"unlearning takes at least one step and example: steps={self.steps}, batch={self.batch}")

    def objective(
        self, model: PyTree, reference: PyTree, forget: Batch, loss: Loss, *, key: PRNGKeyArray
    ) -> Float[Array, ""] | float:
        """Return what is descended in order to forget; `reference` is the model as it was before."""
        return 0.0

    def protection(self, model: PyTree, reference: PyTree, forget: Batch) -> Float[Array, ""] | float:
        """Return what holds the rest of the model without data. In a life the learner's memory does that instead."""
        return 0.0

    def forget(self, model: PyTree, forget: Batch, retain: Batch | None, loss: Loss, *, key: PRNGKeyArray) -> PyTree:
        """Return the model after `steps` steps down the objective."""
        return descended(model, self._total(model, forget, retain, loss, key), self.optimizer, self.steps)

    def course(
        self,
        model: PyTree,
        forget: Batch,
        retain: Batch | None,
        loss: Loss,
        look: Callable[[PyTree], PyTree],
        every: int = 1,
        *,
        key: PRNGKeyArray,
    ) -> PyTree:
        """Return what `look(model)` finds before, and after every `every`-th of the steps that `forget` takes.

        Every array found has a leading axis of 1 + steps // every looks.
        """
        total = self._total(model, forget, retain, loss, key)
        return followed(model, total, self.optimizer, self.steps, look, every)

    def _total(
        self, reference: PyTree, forget: Batch, retain: Batch | None, loss: Loss, key: PRNGKeyArray
    ) -> Objective:
        """Return what is descended at each step: all terms, each on the mini-batches of that step."""
        for_draws, for_steps = jax.random.split(key)
        seeds = jax.random.bits(for_draws, (2,), jnp.uint32)

        def total(now: PyTree, i: Int[Array, ""]) -> Float[Array, ""]:
            gone = turn_of(forget, i, self.batch, seeds[0])
            value = self.objective(now, reference, gone, loss, key=jax.random.fold_in(for_steps, i))
            if retain is not None:
                value += self.retention * loss(now, turn_of(retain, i, self.batch, seeds[1]))
            return jnp.asarray(value + self.protection(now, reference, gone), jnp.float32)

        return total


class GradientAscent(GradientUnlearner):
    """Climb the loss on what is to be forgotten: F(θ) = −L(θ; forget), or −mean min(L(θ; x, y), ceiling).

    Without a ceiling the loss grows without bound and the rest of the model goes down with it; log(classes), the loss
    of a guess, is a sensible one. The published method has none (Jang et al. 2023, "Knowledge Unlearning for Mitigating
    Privacy Risks in Language Models"; Yu et al. 2025, "On the Impossibility of Retrain Equivalence in Machine
    Unlearning", section 4).

    Args:
        ceiling: the loss at which an example is left alone; None for none.
        retention, optimizer, steps, batch: as in `GradientUnlearner`.
    """

    ceiling: Float[Array, ""] | None = eqx.field(
        converter=lambda v: None if v is None else jnp.asarray(v, jnp.float32), default=None
    )

    def objective(
        self, model: PyTree, reference: PyTree, forget: Batch, loss: Loss, *, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """Return minus the mean loss, each example's counted up to the ceiling."""
        if self.ceiling is None:
            return -loss(model, forget)
        return -weighted_mean(jnp.minimum(losses(loss, model, forget), self.ceiling), forget.weight)


class NPO(GradientUnlearner):
    """Negative preference optimisation: gradient ascent that slows down where the model has moved away from itself.

        F(θ) = −2/β · mean log σ(β (L(θ; x, y) − L(θ_ref; x, y)))

    with θ_ref the model before unlearning (Zhang et al. 2024, "Negative Preference Optimization: From Catastrophic
    Collapse to Effective Unlearning"). Its gradient is that of ascent times 2σ(−β(L − L_ref)): 1 at first, 0 far away;
    β → 0 is gradient ascent.

    Args:
        beta: β; 0.5 as in Yu et al. 2025 (their published code).
        retention, optimizer, steps, batch: as in `GradientUnlearner`.
    """

    beta: Number = number(0.5)

    def objective(
        self, model: PyTree, reference: PyTree, forget: Batch, loss: Loss, *, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """Return the mean preference loss."""
        risen = losses(loss, model, forget) - jax.lax.stop_gradient(losses(loss, reference, forget))
        return weighted_mean(-2 / self.beta * jax.nn.log_sigmoid(self.beta * risen), forget.weight)


class SimNPO(GradientUnlearner):
    """Negative preference optimisation without a reference model.

        F(θ) = −2/β · mean log σ(β L(θ; x, y) − margin)

    (Fan et al. 2024, "Simplicity Prevails: Rethinking Negative Preference Optimization for LLM Unlearning").

    Args:
        beta: β; 1 as in Yu et al. 2025 (their published code).
        margin: γ in the paper; 0 there too.
        retention, optimizer, steps, batch: as in `GradientUnlearner`.
    """

    beta: Number = number(1.0)
    margin: Number = number(0.0)

    def objective(
        self, model: PyTree, reference: PyTree, forget: Batch, loss: Loss, *, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """Return the mean preference loss."""
        reached = self.beta * losses(loss, model, forget) - self.margin
        return weighted_mean(-2 / self.beta * jax.nn.log_sigmoid(reached), forget.weight)


class RandomLabels(GradientUnlearner):
    """Learn labels drawn anew in every step, uniformly among those an answer may name, true ones included.

    In expectation F(θ) is the cross-entropy with the uniform distribution, so that the model is taught to guess (Graves
    et al. 2021, "Amnesiac Machine Learning", whose labels are drawn once).
    """

    def objective(
        self, model: PyTree, reference: PyTree, forget: Batch, loss: Loss, *, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """Return the loss on random labels."""
        outputs = eqx.filter_eval_shape(model, forget.x[0]).shape[-1]
        chance = jax.random.gumbel(key, (len(forget), outputs))
        chance = chance if forget.allowed is None else jnp.where(forget.allowed, chance, -jnp.inf)
        return loss(model, eqx.tree_at(lambda b: b.y, forget, chance.argmax(-1).astype(forget.y.dtype)))


class Retrain(Unlearner):
    """Learn anew, from scratch, what is to be retained: the reference for every other unlearner.

    Args:
        model: called with `key=` it returns a newborn model, as in `GradientLearner`.
        optimizer: a `Recipe` or a ready Optax transformation; Adam with a learning rate of 10⁻³ unless stated.
        steps: how many steps.
        batch: examples in a step.
    """

    model: Callable[..., PyTree]
    optimizer: Recipe | optax.GradientTransformation = eqx.field(default_factory=_adam)
    steps: int = eqx.field(static=True, default=500)
    batch: int = eqx.field(static=True, default=32)

    def __check_init__(self):
        if min(self.steps, self.batch) < 1:
            raise BadInput(f"retraining takes at least one step and example: steps={self.steps}, batch={self.batch}")

    def forget(self, model: PyTree, forget: Batch, retain: Batch | None, loss: Loss, *, key: PRNGKeyArray) -> PyTree:
        """Return a model that has never seen the examples to forget; raise `BadInput` without examples to retain."""
        if retain is None:
            raise BadInput("retraining needs the examples to retain; give them, or choose another unlearner")
        for_model, for_draws = jax.random.split(key)
        seed = jax.random.bits(for_draws, (), jnp.uint32)

        def total(now: PyTree, i: Int[Array, ""]) -> Float[Array, ""]:
            return loss(now, turn_of(retain, i, self.batch, seed))

        return descended(self.model(key=for_model), total, self.optimizer, self.steps)

    @property
    def needs_data(self) -> bool:
        """The examples to forget are not looked at."""
        return False

    @property
    def needs_retained(self) -> bool:
        """It has nothing else to learn from."""
        return True


def descended(
    model: PyTree, objective: Objective, optimizer: Recipe | optax.GradientTransformation, steps: int
) -> PyTree:
    """Return the model after `steps` steps down `objective(model, step)`, with the optimizer's state fresh."""
    descend, start, whole = _descent(model, objective, optimizer)
    return whole(jax.lax.fori_loop(0, steps, descend, start))


def followed(
    model: PyTree,
    objective: Objective,
    optimizer: Recipe | optax.GradientTransformation,
    steps: int,
    look: Callable[[PyTree], PyTree],
    every: int = 1,
) -> PyTree:
    """Return what `look(model)` finds before, and after every `every`-th step of the way that `descended` goes."""
    descend, start, whole = _descent(model, objective, optimizer)

    def onward(carry: Any, k: Int[Array, ""]) -> tuple[Any, PyTree]:
        carry = jax.lax.fori_loop(jnp.maximum(k - 1, 0) * every, k * every, descend, carry)
        return carry, look(whole(carry))

    return jax.lax.scan(onward, start, jnp.arange(steps // every + 1))[1]


def _descent(
    model: PyTree, objective: Objective, optimizer: Recipe | optax.GradientTransformation
) -> tuple[Callable, PyTree, Callable]:
    """Return one step, what is carried from step to step, and how the model is had from it."""
    rule: Any = optimizer() if isinstance(optimizer, Recipe) else optimizer
    theta, rest = eqx.partition(model, eqx.is_inexact_array)

    def descend(i: Array, carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        theta, state = carry
        gradient = jax.grad(lambda theta: objective(eqx.combine(theta, rest), i))(theta)
        updates, state = rule.update(gradient, state, theta)
        return eqx.apply_updates(theta, updates), state

    return descend, (theta, rule.init(theta)), lambda carry: eqx.combine(carry[0], rest)


def losses(loss: Loss, model: PyTree, batch: Batch) -> Float[Array, " n"]:
    """Return the loss of every example by itself; 0 for rows of weight 0."""
    alone = jax.tree.map(lambda leaf: leaf[:, None], batch)
    return jax.vmap(lambda one: loss(model, one))(alone)


def turn_of(batch: Batch, turn: Int[Array, ""], n: int, seed: UInt[Array, ""]) -> Batch:
    """Return the `turn`-th `n` rows of shuffled passes through a batch, the whole of it where it is smaller."""
    size = len(batch)
    if n >= size:
        return batch
    place = turn * n + jnp.arange(n)
    rows = shuffled(place % size, jnp.int32(size), place // size, seed)
    return jax.tree.map(lambda leaf: leaf[rows], batch)
