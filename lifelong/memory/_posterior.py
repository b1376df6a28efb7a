"""What was learned becomes the prior: binary weights held by the divergence from an earlier posterior."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory, Step
from ._importance import weights


def field_divergence(fields: Float[Array, "*shape"], prior: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Return Σ KL(q_θ ‖ q_θ*) between independent weights ±1 with q_θ(w) ∝ exp(θ w).

    KL = (θ − θ*) tanh θ − ln cosh θ + ln cosh θ*, with gradient (1 − tanh² θ)(θ − θ*).
    """
    return jnp.sum((fields - prior) * jnp.tanh(fields) - _log_cosh(fields) + _log_cosh(prior))


def _log_cosh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.logaddexp(x, -x) - jnp.log(2.0)


class Prior(NamedTuple):
    """The fields of the earlier posterior, and whether there is one."""

    fields: PyTree
    known: Float[Array, ""]


class PosteriorAnchor(Memory):
    """Learn on from the earlier posterior over binary weights as the prior: penalty(θ) = γ · Σ KL(q_θ ‖ q_θ*).

    Every floating-point array of the model is taken for fields, as in `BinaryPerceptron`. The pull on a weight,
    γ σ (θ − θ*) with its own variance σ = 1 − tanh² θ, is the stronger the less certain the weight is: what is certain
    hardly moves by itself (Li et al. 2022, "Statistical mechanics of continual learning", where γ = 1 is Bayes' rule).
    For losses that are sums over examples; for a mean, divide γ by their number.

    Args:
        strength: γ; 0 is plain fine-tuning.
        reference: 'task' takes the fields at the end of the last task as θ*, 'step' those before the last step, which
            needs no ends of tasks (the authors' code for deep networks).
        pull: 'own' is the divergence; 'mean' replaces every weight's variance by the mean over all of them, which is L2
            of the same overall strength, blind to what is certain.
    """

    strength: Number = number(1.0)
    reference: Literal["task", "step"] = eqx.field(static=True, default="task")
    pull: Literal["own", "mean"] = eqx.field(static=True, default="own")

    def __check_init__(self):
        if self.reference not in ("task", "step") or self.pull not in ("own", "mean"):
            raise BadInput(
                f"the reference must be 'task' or 'step' and the pull 'own' or 'mean'; "
                f"they are '{self.reference}' and '{self.pull}'"
            )

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> Prior:
        """Return a state without a prior."""
        return Prior(weights(model), jnp.float32(0.0))

    def penalty(self, m: Prior, model: PyTree, batch: Batch, recalled: None, loss: Loss) -> Float[Array, ""]:
        """Return γ times the divergence from the prior, 0 while there is none."""
        fields = weights(model)
        if self.pull == "own":
            parts = jax.tree.map(field_divergence, fields, m.fields)
        else:
            spread = jax.lax.stop_gradient(_mean_variance(fields))
            parts = jax.tree.map(lambda f, p: 0.5 * spread * jnp.sum((f - p) ** 2), fields, m.fields)
        return self.strength * m.known * jax.tree.reduce(jnp.add, parts)

    def keep(self, m: Prior, step: Step, *, key: PRNGKeyArray) -> Prior:
        """Take the fields before this step as the prior of the next, where that is the reference."""
        return m if self.reference == "task" else Prior(weights(step.before), jnp.float32(1.0))

    def consolidate(
        self, m: Prior, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, Prior]:
        """Take the fields of now as the prior of the next task, where that is the reference."""
        return model, m if self.reference == "step" else Prior(weights(model), jnp.float32(1.0))

    @property
    def consolidates(self) -> bool:
        """Only the reference 'task' needs to know about the ends of tasks."""
        return self.reference == "task"


def _mean_variance(fields: PyTree) -> Float[Array, ""]:
    leaves = jax.tree.leaves(fields)
    return jnp.concatenate([(1 - jnp.tanh(leaf) ** 2).ravel() for leaf in leaves]).mean()
