"""Remembering and forgetting in a hypernetwork: hold what it writes for some tasks, let go of what it writes for one."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from lifelong.errors import Mismatch
from lifelong.nets import Hypernetwork
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory
from ._unlearning import GradientUnlearner


class Preserved(NamedTuple):
    """What was written for every task when the last one ended, which tasks have ended, and how much each is held."""

    written: Float[Array, "tasks size"]
    finished: Bool[Array, " tasks"]
    held: Float[Array, " tasks"]


class OutputPreservation(Memory):
    """Keep writing the same networks for earlier tasks, without any of their data.

    penalty(φ) = β · mean over p in P of ‖h(e_p; φ) − h(e_p; φ°)‖²

    with φ° the hypernetwork at the end of the last task and P the finished tasks but the current one (von Oswald et al.
    2020, "Continual learning with hypernetworks", equation 2; the norm is a sum over all parameters). A task's code is
    learned in that task's first visit and the chunks' codes until the first task has ended; after that they stay. Give
    the learner `reset_optimizer=True`, or they drift on an old momentum.

    A task that was unlearned is told by a review without examples; it stays in P with the weight `forgotten`, because
    what is left of it comes back when nothing holds it down (UnCLe, "An Unlearning Framework for Continual Learning",
    2025, equation 2).

    Args:
        strength: β; 0.01 as in UnCLe's experiments on Tiny-ImageNet.
        forgotten: how much the networks of unlearned tasks are held, relative to the others.
        scaled: compare parameters as the networks have them, instead of the numbers as they are written.
    """

    strength: Number = number(0.01)
    forgotten: Number = number(1.0)
    scaled: bool = eqx.field(static=True, default=False)

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> Preserved:
        """Return a state in which no task has ended; raise `Mismatch` where the model is not a hypernetwork."""
        model = check_hypernetwork(model, type(self).__name__)
        tasks = len(model.codes)
        return Preserved(jnp.zeros((tasks, model.size)), jnp.zeros(tasks, bool), jnp.zeros(tasks))

    def penalty(self, m: Preserved, model: Any, batch: Batch, recalled: None, loss: Loss) -> Float[Array, ""]:
        """Return how far the networks of earlier tasks have moved."""
        others = m.held * (jnp.arange(len(m.held)) != batch.task[0])
        moved = squared_distances(model, model.written(), m.written, self.scaled)
        return self.strength * (others * moved).sum() / jnp.maximum(others.sum(), 1.0)

    def shape(self, m: Preserved, gradient: Any, model: PyTree, recalled: None, loss: Loss) -> PyTree:
        """Return the gradient without that of the codes of finished tasks and, after the first, of the chunks."""
        codes = jnp.where(m.finished[:, None], 0.0, gradient.codes)
        chunks = jnp.where(m.finished.any(), 0.0, gradient.chunks)
        return eqx.tree_at(lambda g: (g.codes, g.chunks), gradient, (codes, chunks))

    def consolidate(
        self, m: Preserved, model: Any, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, Preserved]:
        """Take down what is written now, and count the task among the finished."""
        page = review.page(jnp.int32(0))
        ended = jnp.arange(len(m.held)) == page.task[0]
        weight = jnp.where(page.weight.any(), 1.0, self.forgotten)
        return model, Preserved(model.written(), m.finished | ended, jnp.where(ended, weight, m.held))


class NoiseAlignment(GradientUnlearner):
    """Let a hypernetwork write noise for the task to be forgotten, without any data.

        F(φ) = γ · mean over k of ‖h(e_u; φ) − z_k‖²,   z_1 … z_n ~ N(0, I), drawn anew in every step
        protection(φ) = strength · mean over p ≠ u of ‖h(e_p; φ) − h(e_p; φ_before)‖²

    with u the task of the first example to forget; nothing else of the examples is looked at (UnCLe, "An Unlearning
    Framework for Continual Learning", 2025, equation 3 and algorithm 2). The norms are sums over all parameters.
    Because the noise is fresh, the expected F is γ‖h(e_u; φ)‖² and a constant: what is written goes to 0, and the noise
    only makes its way there unsteady. The mean over k is computed as the distance to the mean noise, a draw from
    N(0, I/n), which differs by a number that does not depend on φ.

    Args:
        strength: γ; 0.01 in the paper.
        samples: n, noise vectors in a step; 10 in the paper.
        protected: the strength of the protection; 1 in the paper. In a life `OutputPreservation` protects.
        scaled: measure distances between parameters as the networks have them, instead of numbers as they are written.
        retention, optimizer, steps, batch: as in `GradientUnlearner`; 100 steps in the paper.
    """

    strength: Number = number(0.01)
    samples: Number = number(10.0)
    protected: Number = number(1.0)
    scaled: bool = eqx.field(static=True, default=False)
    steps: int = eqx.field(static=True, default=100, kw_only=True)

    def objective(
        self, model: Any, reference: PyTree, forget: Batch, loss: Loss, *, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """Return the squared distance of what is written for the task from noise."""
        model = _with_fixed_codes(check_hypernetwork(model, type(self).__name__))
        noise = jax.random.normal(key, (model.size,)) / jnp.sqrt(self.samples)
        written = model.write(model.codes[forget.task[0]])
        return self.strength * squared_distances(model, written, noise, self.scaled)

    def protection(self, model: Any, reference: Any, forget: Batch) -> Float[Array, ""]:
        """Return how far the networks of all other tasks have moved."""
        model, before = _with_fixed_codes(model), jax.lax.stop_gradient(reference.written())
        moved = squared_distances(model, model.written(), before, self.scaled)
        others = jnp.arange(len(moved)) != forget.task[0]
        return self.protected * (others * moved).sum() / jnp.maximum(others.sum(), 1)

    @property
    def needs_data(self) -> bool:
        """Only the task is looked at."""
        return False


def squared_distances(
    model: Hypernetwork, a: Float[Array, "*tasks size"], b: Float[Array, "*tasks size"], scaled: bool
) -> Float[Array, "*tasks"]:
    """Return ‖a − b‖² of flat networks, of numbers as written or as the parameters they become."""
    apart = (a - b) * model.scale() if scaled else a - b
    return (apart**2).sum(-1)


def _with_fixed_codes(model: Hypernetwork) -> Hypernetwork:
    """Return the model with codes that no gradient reaches."""
    return eqx.tree_at(lambda net: (net.codes, net.chunks), model, replace_fn=jax.lax.stop_gradient)


def check_hypernetwork(model: PyTree, who: str) -> Hypernetwork:
    """Return the model; raise `Mismatch` where it is not a hypernetwork."""
    if not isinstance(model, Hypernetwork):
        raise Mismatch(f"{who} works on what a Hypernetwork writes, and the model is a {type(model).__name__}")
    return model
