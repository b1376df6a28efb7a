"""Step away before learning: refresh, sharpness-aware minimisation, and a random step as their control."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory, Objective
from ._importance import fisher, weights

Direction = Callable[[PyTree, PyTree, PRNGKeyArray], PyTree]
"""`direction(theta, gradient, key)` is the way to step, before size, preconditioner and noise."""


def uphill(theta: PyTree, gradient: PyTree, key: PRNGKeyArray) -> PyTree:
    """Return the gradient."""
    return gradient


def uphill_by_tensor(theta: PyTree, gradient: PyTree, key: PRNGKeyArray) -> PyTree:
    """Return the gradient, every tensor of it as long as the weights it belongs to: ‖θ_p‖ · g_p / ‖g_p‖."""
    return jax.tree.map(lambda w, g: _norm(w) / (_norm(g) + 1e-20) * g, theta, gradient)


def uphill_by_one(theta: PyTree, gradient: PyTree, key: PRNGKeyArray) -> PyTree:
    """Return the gradient divided by its length over all weights: g / ‖g‖."""
    length = jnp.sqrt(jax.tree.reduce(jnp.add, jax.tree.map(lambda g: jnp.sum(g**2), gradient)))
    return jax.tree.map(lambda g: g / (length + 1e-12), gradient)


def anywhere(theta: PyTree, gradient: PyTree, key: PRNGKeyArray) -> PyTree:
    """Return a random direction, every tensor of it as long as the weights it belongs to."""
    return uphill_by_tensor(theta, gaussian_like(theta, key), key)


def gaussian_like(tree: PyTree, key: PRNGKeyArray) -> PyTree:
    """Return a tree of the same shapes filled with independent standard normal numbers."""
    flat, restore = ravel_pytree(tree)
    return restore(jax.random.normal(key, flat.shape, flat.dtype))


def _norm(tensor: Array) -> Float[Array, ""]:
    return jnp.sqrt(jnp.sum(tensor**2))


class Preconditioner(eqx.Module):
    """How far each weight follows the direction, and how much noise it gets."""

    def __call__(self, information: PyTree, size: Float[Array, ""]) -> tuple[PyTree, PyTree]:
        """Return the factor on the direction and the standard deviation of the noise, weight by weight."""
        raise NotImplementedError


class Damped(Preconditioner):
    """Factor 1 / (1 + w·F) and noise n / (1 + w·F), with F the Fisher information.

    The defaults w = n = 0.001 are those of the refresh authors' code; w = 0 leaves the Fisher out.
    """

    fisher_weight: Number = number(1e-3)
    noise: Number = number(1e-3)

    def __call__(self, information: PyTree, size: Float[Array, ""]) -> tuple[PyTree, PyTree]:
        """Return 1 / (1 + w·F) and n / (1 + w·F)."""
        factor = jax.tree.map(lambda f: 1 / (1 + self.fisher_weight * f), information)
        return factor, jax.tree.map(lambda p: self.noise * p, factor)


class Inverse(Preconditioner):
    """Factor H⁻¹ and noise n·√(2γH⁻¹) with H = (1 − w) + w·(F + c·max F), F the Fisher information and γ the size.

    w = 1, n = 1 is the Langevin step of the refresh paper, w = 0 leaves the Fisher out. The paper says nothing of
    damping; c = 0.001 keeps weights without information from stepping without bound. Before the first task has ended
    there is no information, and H = 1.
    """

    fisher_weight: Number = number(1.0)
    noise: Number = number(1.0)
    damping: Number = number(1e-3)

    def __call__(self, information: PyTree, size: Float[Array, ""]) -> tuple[PyTree, PyTree]:
        """Return H⁻¹ and n·√(2γH⁻¹)."""
        most = jax.tree.reduce(jnp.maximum, jax.tree.map(jnp.max, information))

        def factor_of(f: Array) -> Array:
            damped = jnp.where(most > 0, f + self.damping * most, 1.0)
            return 1 / (1 + self.fisher_weight * (damped - 1))

        factor = jax.tree.map(factor_of, information)
        return factor, jax.tree.map(lambda p: self.noise * jnp.sqrt(2 * size * p), factor)


class Perturb(Memory):
    """Step away from where one is, then learn from there: θ̃ = θ + δ·(P·d + s·ε), ε ~ N(0, 1).

    The gradient is taken at θ̃. The update is applied to θ̃ too, or to θ where `restore` is set. Noise is drawn for
    itself, so arms that differ in direction or preconditioner share it, and with δ = 0 nothing changes.

    A preconditioner that uses the Fisher information F gets it from the ends of tasks: F ← τF + F_new, from 0, with
    F_new the mean over the task's examples of p(y|x) (∂ log p(y|x) / ∂θ)² (τ = 10⁻⁵ in the refresh authors' code).

    Args:
        size: δ.
        direction: d, a function of weights, gradient and key.
        preconditioner: gives P and s; without one P = 1, s = 0 and no Fisher information is gathered.
        decay: τ.
        ascend_on: whose gradient the direction sees: that of the current 'batch' alone, or of the whole 'objective'
            with the penalties of all memories in the chain.
        restore: apply the update where the step began.
    """

    size: Float[Array, ""]
    preconditioner: Preconditioner | None
    decay: Float[Array, ""]
    direction: Direction = eqx.field(static=True)
    ascend_on: Literal["batch", "objective"] = eqx.field(static=True)
    restore: bool = eqx.field(static=True)

    def __init__(
        self,
        size: Number,
        direction: Direction = uphill_by_tensor,
        preconditioner: Preconditioner | None = None,
        *,
        decay: Number = 1e-5,
        ascend_on: Literal["batch", "objective"] = "batch",
        restore: bool = False,
    ):
        if ascend_on not in ("batch", "objective"):
            raise BadInput(f"a perturbation ascends on 'batch' or 'objective', not '{ascend_on}'")
        self.size, self.decay = jnp.asarray(size, jnp.float32), jnp.asarray(decay, jnp.float32)
        self.direction, self.preconditioner = direction, preconditioner
        self.ascend_on, self.restore = ascend_on, restore

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> PyTree:
        """Return a Fisher information of 0, where it is used."""
        return None if self.preconditioner is None else jax.tree.map(jnp.zeros_like, weights(model))

    def perturb(
        self,
        m: PyTree,
        model: PyTree,
        batch: Batch,
        recalled: Any,
        loss: Loss,
        objective: Objective | None = None,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, PyTree]:
        """Return the perturbed model, and the one to which the update is applied."""
        climbed = objective if self.ascend_on == "objective" else None
        gradient = eqx.filter_grad(climbed or (lambda model: loss(model, batch)))(model)
        change = self.direction(weights(model), gradient, key_for(key, "direction"))
        if self.preconditioner is not None:
            factor, deviation = self.preconditioner(m, self.size)
            noise = gaussian_like(change, key_for(key, "noise"))
            change = jax.tree.map(lambda p, d, s, e: p * d + s * e, factor, change, deviation, noise)
        moved = eqx.apply_updates(model, jax.tree.map(lambda c: self.size * c, change))
        return moved, model if self.restore else moved

    def consolidate(
        self, m: PyTree, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, PyTree]:
        """Take in the Fisher information of the finished task."""
        if self.preconditioner is None:
            return model, m
        new = fisher(model, review, "weighted", key=key, loss=loss)
        return model, jax.tree.map(lambda old, f: self.decay * old + f, m, new)

    @property
    def consolidates(self) -> bool:
        """Only a preconditioner needs to know about the ends of tasks."""
        return self.preconditioner is not None


def refresh(
    size: Number = 1e-5,
    form: Literal["repository", "paper"] = "repository",
    *,
    ascend_on: Literal["batch", "objective"] | None = None,
    fisher_weight: Number | None = None,
    noise: Number | None = None,
    decay: Number = 1e-5,
) -> Perturb:
    """Return refresh learning: unlearn a little, then relearn from there (Wang et al. 2024).

    'repository' is what the authors' code does: θ ← θ + δ·(‖θ_p‖·u_p/‖u_p‖ + 0.001·ε) / (1 + 0.001·F) for each tensor
    p, with u the gradient of the current batch's loss alone. 'paper' is θ ← θ + γ·(F⁻¹∇L + N(0, 2γF⁻¹)) with L the
    whole objective and one step (J = 1).

    To first order the gradient taken there is that of L + γ/2 · ∇Lᵀ F⁻¹ ∇L: flat places are sought, most where F is
    small. The step itself is not taken back, so it also works against the update that follows.

    Args:
        size: δ, relative to the length of each tensor, or γ. 10⁻⁵ is the δ of the code, and close to no step at all.
            The paper's γ is not known; F⁻¹ can reach 1000 / max F, so it must be small against max F.
        form: 'repository' or 'paper'.
        ascend_on: 'batch' or 'objective', where it should differ from the form's own.
        fisher_weight: how much the Fisher information counts; 0 leaves it out, None takes the form's default.
        noise: factor on the noise; None takes the form's default.
        decay: τ in F ← τF + F_new.
    """
    if form not in ("repository", "paper"):
        raise BadInput(f"the form of refresh must be 'repository' or 'paper', not '{form}'")
    given = {name: v for name, v in {"fisher_weight": fisher_weight, "noise": noise}.items() if v is not None}
    preconditioner = Damped(**given) if form == "repository" else Inverse(**given)
    direction = uphill_by_tensor if form == "repository" else uphill
    own = "batch" if form == "repository" else "objective"
    return Perturb(size, direction, preconditioner, decay=decay, ascend_on=ascend_on or own)


def sam(radius: Number = 0.05, *, ascend_on: Literal["batch", "objective"] = "objective") -> Perturb:
    """Return sharpness-aware minimisation: the gradient at θ + ρ·g/‖g‖, applied at θ.

    ρ = 0.05 is the default of Foret et al. 2021, "Sharpness-Aware Minimization for Efficiently Improving
    Generalization".
    """
    return Perturb(radius, uphill_by_one, ascend_on=ascend_on, restore=True)


def random_perturbation(
    size: Number = 1e-5, *, fisher_weight: Number = 1e-3, noise: Number = 1e-3, decay: Number = 1e-5
) -> Perturb:
    """Return refresh without its idea: a step of the same length in every tensor, in a random direction."""
    return Perturb(size, anywhere, Damped(fisher_weight=fisher_weight, noise=noise), decay=decay)
