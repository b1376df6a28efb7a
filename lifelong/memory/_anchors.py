"""Anchors: hold every weight near the value it had, the more so the more it mattered.

All of them add

    penalty(θ) = λ/2 · Σ_i F_i (θ_i − θ*_i)²        with λ = `strength`

to the loss and differ in the importance F and the anchor θ*. The half is Kirkpatrick's; many publications leave it out,
and their λ is half of `strength` here:

    published as                                                   strength
    van de Ven: EWC, λ/2 · Σ F (θ − θ*)²                           λ
    van de Ven: online EWC, the same with γF in the penalty        γλ
    van de Ven: SI, c · Σ Ω (θ − θ*)²                              2c
    Hsu et al. 2018: L2, EWC, online EWC, SI, λ · Σ F (θ − θ*)²    2λ
    Hsu et al. 2018: MAS, of='page'                                2λ
    Mammoth: online EWC, Avalanche: RWalk, λ · Σ F (θ − θ*)²       2λ
    Aljundi et al. 2018: MAS, its gradient 2λ Ω (θ − θ*)           2λ

Good strengths differ by orders of magnitude between networks, estimators and scenarios: sweep them.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import squared_distance
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory, Step, number
from ._importance import Labels, Slopes, check_estimator, check_slopes, fisher, sensitivity, weights

Number = Float[Array, ""] | float
"""A hyperparameter that can be swept: given as a float, held as an array."""


class Held(NamedTuple):
    """How important each weight is, the value it should keep, and (SI) what its moves took off the loss in this task."""

    importance: PyTree
    anchor: PyTree
    path: PyTree = None


class Anchor(Memory):
    """The penalty that all anchors share; by itself it never learns what is important and holds nothing.

    Args:
        strength: λ; 0 is plain fine-tuning.
        where: picks the parts of a model that are held, as in `lambda model: model.hidden`; all weights unless stated.
    """

    strength: Number = number(1.0)
    where: Callable[[PyTree], Any] | None = eqx.field(static=True, default=None, kw_only=True)

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> Held:
        """Return importances of 0, and the first weights as anchors."""
        return Held(zeros_like(self._part(model)), self._part(model))

    def penalty(self, m: Any, model: PyTree, batch: Batch, recalled: Any, loss: Loss) -> Float[Array, ""]:
        """Return λ/2 · Σ F (θ − θ*)²."""
        return 0.5 * self.strength * squared_distance(self._part(model), m.anchor, m.importance)

    def _part(self, tree: PyTree) -> PyTree:
        """Return what is held of a model, or of a tree like its weights."""
        return weights(tree) if self.where is None else self.where(weights(tree))

    def _moves(self, m: Any, step: Step) -> tuple[PyTree, PyTree]:
        """Return the gradient of a step without this penalty's own, and what the step added to the weights."""
        before, after = self._part(step.before), self._part(step.after)
        pull = jax.tree.map(lambda f, w, a: self.strength * f * (w - a), m.importance, before, m.anchor)
        return jax.tree.map(jnp.subtract, self._part(step.gradient), pull), jax.tree.map(jnp.subtract, after, before)


class L2(Anchor):
    """Hold all weights alike near their values at the end of the last task: F = 1 after the first task, 0 before.

    The plain alternative to EWC (Hsu et al. 2018, "Re-evaluating Continual Learning Scenarios", whose strength for
    task-incremental Split-MNIST is the default; Smith et al. 2023, "A Closer Look at Rehearsal-Free Continual Learning").
    """

    strength: Number = number(0.02)

    def consolidate(self, m: Held, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray) -> tuple[Any, Held]:
        """Move the anchor to the weights of now."""
        return model, Held(jax.tree.map(jnp.ones_like, m.importance), self._part(model))


class EWC(Anchor):
    """Elastic weight consolidation with one penalty for every finished task k:

        penalty(θ) = λ/2 · Σ_k Σ_i F_ki (θ_i − θ_ki)² = λ/2 · Σ_i F_i (θ_i − θ*_i)² + constant,
        F = Σ_k F_k,   θ* = Σ_k F_k θ_k / F,

    so that sum and mean are all that needs keeping, however many tasks there are (Kirkpatrick et al. 2017, "Overcoming
    catastrophic forgetting in neural networks", equation 3).

    Args:
        strength: λ; the default is Hsu's for task- and domain-incremental Split-MNIST (with labels 'argmax').
        where: what is held.
        labels: the estimator of the Fisher information F_k, see `fisher`.
        samples: examples it is estimated from; None takes the whole task.
    """

    strength: Number = number(200.0)
    labels: Labels = eqx.field(static=True, default="sampled")
    samples: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_estimator(self.labels, self.samples)

    def _fisher(self, model: PyTree, review: Pages, loss: Loss, key: PRNGKeyArray) -> PyTree:
        return self._part(fisher(model, review, self.labels, samples=self.samples, loss=loss, key=key))

    def consolidate(self, m: Held, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray) -> tuple[Any, Held]:
        """Add the finished task's penalty to the others."""
        new = self._fisher(model, review, loss, key)
        total = jax.tree.map(jnp.add, m.importance, new)
        return model, Held(total, jax.tree.map(_drawn_nearer, m.anchor, self._part(model), new, total))


def _drawn_nearer(anchor: Array, weight: Array, new: Array, total: Array) -> Array:
    """Return the mean of anchors weighted by importance, with one more weight of importance `new` among them."""
    return anchor + jnp.where(total > 0, new / jnp.where(total > 0, total, 1.0), 1.0) * (weight - anchor)


class OnlineEWC(EWC):
    """Elastic weight consolidation with a single, fading penalty around the weights at the end of the last task k:

        F ← γ F + F_k,   θ* ← θ_k

    (Schwarz et al. 2018, "Progress & Compress"; the decay is applied once, as Hsu et al. and Mammoth do).

    Args:
        strength: λ; the default is Hsu's for task-incremental Split-MNIST.
        where: what is held.
        labels, samples: the estimator of the Fisher information, as in `EWC`.
        decay: γ, what remains of the older importances; 1 forgets none (Hsu et al. 2018).
    """

    strength: Number = number(800.0)
    decay: Number = number(1.0)

    def consolidate(self, m: Held, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray) -> tuple[Any, Held]:
        """Let the old importances fade, add the new, and move the anchor to the weights of now."""
        new = self._fisher(model, review, loss, key)
        return model, Held(jax.tree.map(lambda f, n: self.decay * f + n, m.importance, new), self._part(model))


class MAS(Anchor):
    """Memory-aware synapses: a weight matters as much as the outputs depend on it, whatever the labels say.

    F ← F + mean |∂ ‖h(x)‖² / ∂θ| over the finished task, θ* ← θ (Aljundi et al. 2018, "Memory Aware Synapses"). The
    default strength is the authors' λ = 1.

    Args:
        strength: λ.
        where: what is held.
        of: whose gradient the absolute value is taken of, an 'example' (the paper) or a 'page' (Hsu et al. 2018, whose
            pages are of 128); see `sensitivity`.
    """

    strength: Number = number(2.0)
    of: Slopes = eqx.field(static=True, default="example")

    def __check_init__(self):
        check_slopes(self.of)

    def consolidate(self, m: Held, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray) -> tuple[Any, Held]:
        """Add the outputs' sensitivity over the finished task."""
        new = self._part(sensitivity(model, review, self.of))
        return model, Held(jax.tree.map(jnp.add, m.importance, new), self._part(model))


class SI(Anchor):
    """Synaptic intelligence: a weight matters as much as its own moves have lowered the loss.

    Every step: ω ← ω − g · Δθ. At a task's end: F ← F + max(ω, 0) / ((θ − θ*)² + ξ), θ* ← θ, ω ← 0, where θ* still is
    the weight at the task's beginning (Zenke et al. 2017, "Continual Learning Through Synaptic Intelligence").
    Weights whose moves raised the loss have ω < 0.

    Args:
        strength: λ; the default is Hsu's for task-incremental Split-MNIST.
        where: what is held.
        damping: ξ, keeps weights that hardly moved from mattering beyond measure; 0.1 with Hsu and van de Ven.
        gradient: 'task' takes g without this penalty's own gradient (Zenke, Hsu), 'total' with it (van de Ven).
        signed: put ω in place of max(ω, 0), so that F may fall below 0 (Hsu, van de Ven).
    """

    strength: Number = number(600.0)
    damping: Number = number(0.1)
    gradient: Literal["task", "total"] = eqx.field(static=True, default="task")
    signed: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.gradient not in ("task", "total"):
            raise BadInput(f"the gradient must be that of the 'task' or the 'total' loss, not '{self.gradient}'")

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> Held:
        """Return importances and paths of 0, and the first weights as anchors."""
        return super().init(model, like, key=key)._replace(path=zeros_like(self._part(model)))

    def keep(self, m: Held, step: Step, *, key: PRNGKeyArray) -> Held:
        """Add this step's share of the path integral."""
        slope, move = self._moves(m, step)
        slope = self._part(step.gradient) if self.gradient == "total" else slope
        return m._replace(path=jax.tree.map(lambda w, g, d: w - g * d, m.path, slope, move))

    def consolidate(self, m: Held, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray) -> tuple[Any, Held]:
        """Turn the path of the finished task into importance."""
        part = self._part(model)

        def grown(f: Array, path: Array, weight: Array, anchor: Array) -> Array:
            gain = path if self.signed else jnp.maximum(path, 0.0)
            return f + gain / ((weight - anchor) ** 2 + self.damping)

        return model, Held(jax.tree.map(grown, m.importance, m.path, part, m.anchor), part, zeros_like(part))


def zeros_like(tree: PyTree) -> PyTree:
    """Return a tree of zeros."""
    return jax.tree.map(jnp.zeros_like, tree)
