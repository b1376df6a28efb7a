"""Learning by comparing: what belongs together should lie close on a sphere, and apart from all else."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.keys import key_for
from lifelong.recipe import Number
from lifelong.worlds import Batch

from ._labels import FORBIDDEN, Feedback, Info, weighted_mean


def class_means(
    features: Float[Array, "n width"], y: Int[Array, " n"], weight: Float[Array, " n"], outputs: int
) -> tuple[Float[Array, "outputs width"], Float[Array, " outputs"]]:
    """Return the mean of every class's features, 0 where it has none, and how many examples there were."""
    member = jax.nn.one_hot(y, outputs) * weight[:, None]
    counts = member.sum(0)
    return member.T @ features / jnp.maximum(counts, 1.0)[:, None], counts


def unit_length(v: Float[Array, "*n width"]) -> Float[Array, "*n width"]:
    """Return vectors scaled to length 1."""
    return v / jnp.sqrt((v**2).sum(-1, keepdims=True) + 1e-12)


def supervised_contrast(
    z: Float[Array, "n width"], group: Int[Array, " n"], weight: Float[Array, " n"], temperature: Number
) -> Float[Array, ""]:
    """Return the supervised contrastive loss of unit vectors (NT-Xent where a group is two views of one example).

    mean over i of  −mean over p ≠ i of i's group of  log( exp(z_i·z_p/τ) / Σ_{j≠i} exp(z_i·z_j/τ) )

    (Khosla et al. 2020, "Supervised Contrastive Learning", equation 2). Vectors of weight 0 take no part; vectors alone in
    their group are only compared with.
    """
    others = ~jnp.eye(len(z), dtype=bool) & (weight > 0)
    log_p = _log_share(z @ z.T / temperature, others)
    positive = others & (group[:, None] == group)
    counts = positive.sum(1)
    each = -jnp.where(positive, log_p, 0.0).sum(1) / jnp.maximum(counts, 1)
    return weighted_mean(each, weight * (counts > 0))


def prototype_contrast(
    one: Float[Array, "n width"],
    other: Float[Array, "n width"],
    y: Int[Array, " n"],
    weight: Float[Array, " n"],
    outputs: int,
    temperature: Number,
) -> Float[Array, ""]:
    """Return the contrast between the class means of one view of a batch and those of another, classes absent left out.

    With p_c, p′_c the means of either view's vectors of class c, scaled to length 1, and P both lists one after the other,

        L = −mean over rows i of  log( exp(P_i·P_pos(i)/τ) / Σ_{j≠i} exp(P_i·P_j/τ) )

    where pos(i) is the same class in the other view (Wei et al. 2023, "Online Prototype Learning for Online Continual
    Learning", online prototype equilibrium, as in the authors' code). It is 0 for a batch of one class.
    """
    means, counts = class_means(one, y, weight, outputs)
    prototypes = unit_length(jnp.concatenate([means, class_means(other, y, weight, outputs)[0]]))
    present = jnp.tile(counts > 0, 2)
    log_p = _log_share(prototypes @ prototypes.T / temperature, present & ~jnp.eye(2 * outputs, dtype=bool))
    rows = jnp.arange(2 * outputs)
    return weighted_mean(-log_p[rows, (rows + outputs) % (2 * outputs)], present.astype(jnp.float32))


def _log_share(similarity: Float[Array, "n n"], among: Bool[Array, "n n"]) -> Float[Array, "n n"]:
    """Return the logarithm of every entry's share of its row's softmax over some entries."""
    return jax.nn.log_softmax(jnp.where(among, similarity, FORBIDDEN))


class Augmented(eqx.Module):
    """Another feedback, on a random view of every input, such as `RandomViews` makes."""

    feedback: Feedback
    views: Callable[..., Array]

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return what the feedback says of the views."""
        seen: Any = eqx.tree_at(lambda batch: batch.x, experience, self.views(experience.x, key=key_for(key, "views")))
        return self.feedback(model, seen, key=key)
