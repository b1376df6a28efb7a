"""Meta-learning through gradients: what is learned is where, and how fast, gradient descent sets out."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree, Shaped

from lifelong.errors import BadInput, UnknownName
from lifelong.feedback import Info
from lifelong.keys import key_for
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Episode

from ._few_shot import FewShotLearner, FewShotState, Start
from ._gradient import GradientState


class MAML(FewShotLearner):
    """Learn a start from which a few steps of the student's own learning answer the questions of an episode.

    min over θ of  E[ L(θ_K; query) ],  θ_0 = θ,  θ_{k+1} = learn(θ_k; support)

    The student is any `GradientLearner`; with `optax.sgd` this is model-agnostic meta-learning (Finn et al. 2017,
    algorithm 1). Its optimizer and its memory start afresh in every episode. First order drops the derivative of the
    movement θ_{k+1} − θ_k, so that the gradient is ∇L at θ_K (section 5.2 there).

    Memory: second order stores the K models on the way, K·(θ + what one step keeps for its derivative) for each episode
    of a step; first order one.

    Args:
        learner, optimizer, episodes, at_once: as in `FewShotLearner`.
        inner_steps: K, steps on the support set in training; 5 as in learn2learn's example.
        test_steps: steps on it when asked; as in training unless stated.
        first_order: whether to drop second derivatives.
        adapts: the parts of the model that an episode changes, by name, such as ('head',); all unless stated.

    Raises BadInput for numbers of steps below 0, UnknownName for parts that the model does not have.
    """

    inner_steps: int = eqx.field(static=True, default=5, kw_only=True)
    test_steps: int | None = eqx.field(static=True, default=None, kw_only=True)
    first_order: bool = eqx.field(static=True, default=False, kw_only=True)
    adapts: tuple[str, ...] | None = eqx.field(static=True, default=None, kw_only=True)

    def __check_init__(self):
        if min(self.inner_steps, self.test_steps or 0) < 0:
            raise BadInput(f"steps on a support set are at least 0: {self.inner_steps=}, {self.test_steps=}")

    def begin(self, model: PyTree) -> Start:
        """Return the start before anything was learned."""
        for name in self.adapts or ():
            if not hasattr(model, name):
                raise UnknownName(f"part of {type(model).__name__}", name, vars(model))
        return Start(model)

    def objective(
        self, start: Start, state: FewShotState, episode: Episode, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Info]:
        """Return the loss on the questions after K steps on the support set."""
        student, _ = self.adapted(start, state, episode.support, self.inner_steps, key=key)
        return self.learner.feedback(student.model, episode.query, key=key_for(key, "query"))

    def adapted(
        self, start: Start, state: FewShotState, support: Batch, steps: int, x: Any = None, *, key: PRNGKeyArray
    ) -> tuple[GradientState, Any]:
        """Return the student after so many steps, and before each of them its answers to `x`, if that is given."""
        born, static = eqx.partition(state.born(start), eqx.is_array)

        def step(arrays: PyTree, i: Array) -> tuple[PyTree, Any]:
            before = eqx.combine(arrays, static)
            after, _ = self.learner.learn(before, support, key=key_for(key, "inner", i))
            model = self._moved(before.model, after.model, start.rates)
            after = eqx.tree_at(lambda s: s.model, after, model)
            return eqx.filter(after, eqx.is_array), None if x is None else self.learner.answer(before, x)

        arrays, looks = jax.lax.scan(step, born, jnp.arange(steps))
        return eqx.combine(arrays, static), looks

    def _moved(self, before: PyTree, after: PyTree, rates: PyTree) -> PyTree:
        """Return the model moved from `before` towards `after`: in what adapts, at the learned rates, if there are any."""
        if self.first_order or rates is not None:
            movement = jax.tree.map(lambda a, b: a - b if eqx.is_inexact_array(a) else None, after, before)
            movement = jax.lax.stop_gradient(movement) if self.first_order else movement
            paced = movement if rates is None else jax.tree.map(jnp.multiply, rates, movement)
            after = eqx.apply_updates(before, paced)
        if self.adapts is None:
            return after
        names = self.adapts
        parts = [getattr(after, name) for name in names]
        return eqx.tree_at(lambda model: [getattr(model, name) for name in names], before, parts)

    def solve(
        self, state: FewShotState, support: Batch, x: Shaped[Array, "n *shape"], *, key: PRNGKeyArray
    ) -> Float[Array, "looks n outputs"]:
        """Return the answers after 0, 1 … steps on the support set."""
        steps = self.inner_steps if self.test_steps is None else self.test_steps
        student, looks = self.adapted(state.start, state, support, steps, x, key=key)
        return jnp.concatenate([looks, self.learner.answer(student, x)[None]])


class ANIL(MAML):
    """MAML whose episodes change the head alone (Raghu et al. 2020, "Rapid Learning or Feature Reuse?")."""

    adapts: tuple[str, ...] | None = eqx.field(static=True, default=("head",), kw_only=True)


class MetaSGD(MAML):
    """MAML that also learns a rate for every number of the model: θ_{k+1} = θ_k + α ⊙ (learn(θ_k; support) − θ_k).

    With a student of `optax.sgd(1.0)`, α are the paper's learning rates (Li et al. 2017, "Meta-SGD", equation 2). In first
    order the gradient reaches α, but not through the movement.

    Args:
        initial_rate: α before anything was learned, above 0: 0.01 in Gupta 2025 (code: `main.py`).
    """

    initial_rate: Number = number(0.01)

    def begin(self, model: PyTree) -> Start:
        """Return the start before anything was learned, with one rate a number."""
        weights = eqx.filter(super().begin(model).model, eqx.is_inexact_array)
        return Start(model, jax.tree.map(lambda leaf: jnp.full_like(leaf, self.initial_rate), weights))


class Reptile(MAML):
    """Move the start towards where learning leads, without a derivative of it: ∇ := θ − mean over episodes of θ_K.

    With an outer `optax.sgd(ε)` this is θ ← θ + ε·mean(θ_K − θ) (Nichol et al. 2018, "On First-Order Meta-Learning
    Algorithms", algorithm 2). Only support sets are learned from.
    """

    def slope(self, state: FewShotState, episodes: Episode, keys: Key[Array, " episodes"]) -> tuple[PyTree, Info]:
        """Return how far the start is from where episodes end, and their mean loss on the questions there."""

        def end(episode: Episode, key: PRNGKeyArray) -> tuple[PyTree, Info]:
            student, _ = self.adapted(state.start, state, episode.support, self.inner_steps, key=key)
            _, info = self.learner.feedback(student.model, episode.query, key=key_for(key, "query"))
            return eqx.filter(student.model, eqx.is_inexact_array), info

        ends, info = jax.tree.map(lambda values: values.mean(0), jax.vmap(end)(episodes, keys))
        weights = eqx.filter(state.start.model, eqx.is_inexact_array)
        return Start(jax.tree.map(jnp.subtract, weights, ends)), info


class MultiTask(MAML):
    """Learn all episodes' examples at once, support and query, as if they were of one task; adapt only when asked.

    The same examples and the same student as MAML's, without learning to learn: its knock-out.
    """

    def objective(
        self, start: Start, state: FewShotState, episode: Episode, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Info]:
        """Return the loss of the start on the whole episode."""
        whole = jax.tree.map(lambda *parts: jnp.concatenate(parts), *episode)
        return self.learner.feedback(start.model, whole, key=key)
