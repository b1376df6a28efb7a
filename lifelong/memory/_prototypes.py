"""Prototypes: answer with the class whose mean is nearest, and find the examples that stand for a class best."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import FORBIDDEN, class_means, unit_length
from lifelong.worlds import Batch

from ._base import Memory, Step
from ._buffer import Buffer, Policy, empty_buffer, insert

UNCHOSEN = 1 << 30
"""The place in the herding order of an example that is not in it."""


def nearest_mean(
    model: PyTree,
    x: Float[Array, "n *shape"],
    means: Float[Array, "outputs width"],
    known: Bool[Array, " outputs"],
    unit: bool = True,
) -> Float[Array, "n outputs"]:
    """Return −‖φ(x) − μ_c‖² with features φ and means μ both scaled to length 1, or not; unknown classes are out of reach.

    Where no class is known, the model answers.
    """
    features, means = features_of(model, x, unit), unit_length(means) if unit else means
    near = 2 * features @ means.T - (features**2).sum(-1, keepdims=True) - (means**2).sum(-1)
    return jnp.where(known.any(), jnp.where(known, near, FORBIDDEN), jax.vmap(model)(x))


def features_of(model: PyTree, x: Float[Array, "n *shape"], unit: bool = True) -> Float[Array, "n width"]:
    """Return the model's features of every input, scaled to length 1 or as they are."""
    features = jax.vmap(model.features)(x)
    return unit_length(features) if unit else features


def check_features(model: PyTree) -> None:
    """Raise `Mismatch` unless the model has features."""
    if not hasattr(model, "features"):
        raise Mismatch(
            f"class means are means of features, and {type(model).__name__} has no method `features(x)` for one input; "
            f"give it one, or use a model that has it, such as MLP"
        )


def herd(
    features: Float[Array, "n width"],
    y: Int[Array, " n"],
    weight: Float[Array, " n"],
    outputs: int,
    quota: Int[Array, ""],
) -> Int[Array, " n"]:
    """Return each example's place in its class's herding order, `UNCHOSEN` where it is not among the first `quota`.

    The k-th example of a class is the one, not yet chosen, that brings the mean of the chosen nearest to the mean μ of
    the class: argmin_x ‖μ − (φ(x) + Σ_{j<k} φ(p_j)) / k‖ (Rebuffi et al. 2017, algorithm 4).
    """
    n = len(features)
    member = (jax.nn.one_hot(y, outputs) * weight[:, None]) > 0
    means, _ = class_means(features, y, (weight > 0).astype(jnp.float32), outputs)
    lengths = (features**2).sum(-1)[:, None]

    def choose(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        sums, place = carry
        distance = lengths + 2 * features @ (sums - (k + 1) * means).T
        distance = jnp.where(member & (place == UNCHOSEN)[:, None], distance, jnp.inf)
        best, found = distance.argmin(0), jnp.isfinite(distance.min(0))
        place = place.at[jnp.where(found, best, n)].set(k, mode="drop")
        return sums + jnp.where(found[:, None], features[best], 0.0), place

    start = (jnp.zeros_like(means), jnp.full(n, UNCHOSEN, jnp.int32))
    return jax.lax.fori_loop(0, quota, choose, start)[1]


class Means(NamedTuple):
    """The mean of every class's features, and how many examples it is of."""

    mean: Float[Array, "outputs width"]
    count: Float[Array, " outputs"]


class NearestMean(Memory):
    """Answer with the class whose mean feature vector is nearest; learning goes on as without it.

    answer(x)_c = −‖φ(x) − μ_c‖² with φ the model's features and μ_c the mean of a class's φ, all scaled to length 1
    (Mensink et al. 2013, "Distance-Based Image Classification", with the Euclidean distance). The mean is either a
    running one, in which every example counts with the features it had when it was learned, or, with a buffer, that of
    the examples held under today's features (at the cost of one pass over the buffer in every page of an exam).

    With features as they are and a model that does not change (`optax.set_to_zero()`), these are the prototypes of a
    prototypical network, accumulated over a stream (Snell et al. 2017, "Prototypical Networks for Few-shot Learning",
    equations 1 and 2).

    Args:
        capacity: examples held; None keeps running means and no examples.
        policy: who stays in the buffer.
        unit: whether features and means are scaled to length 1.
    """

    capacity: int | None = eqx.field(static=True, default=None)
    policy: Policy = eqx.field(static=True, default="balanced")
    unit: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.capacity is not None and self.capacity < 1:
            raise BadInput(f"a buffer needs room for at least 1 example: capacity={self.capacity}")
        if self.policy not in ("reservoir", "balanced", "greedy"):
            raise BadInput(f"policy must be 'reservoir', 'balanced' or 'greedy', not '{self.policy}'")

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> Means | Buffer:
        """Return no means, or an empty buffer; raise `Mismatch` where the model has no features."""
        check_features(model)
        outputs = eqx.filter_eval_shape(model, like.x[0]).shape[-1]
        if self.capacity is not None:
            return empty_buffer(like, self.capacity, outputs)
        width = eqx.filter_eval_shape(model.features, like.x[0]).shape[-1]
        return Means(jnp.zeros((outputs, width)), jnp.zeros(outputs))

    def keep(self, m: Means | Buffer, step: Step, *, key: PRNGKeyArray) -> Means | Buffer:
        """Take the batch into the means or the buffer."""
        batch = step.batch
        if isinstance(m, Buffer):
            return insert(m, batch, None, self.policy, key=key)
        offered = (batch.weight > 0).astype(jnp.float32)
        mean, new = class_means(features_of(step.before, batch.x, self.unit), batch.y, offered, len(m.count))
        count = m.count + new
        return Means(m.mean + (new / jnp.maximum(count, 1.0))[:, None] * (mean - m.mean), count)

    def answer(self, m: Means | Buffer, model: PyTree, x: Float[Array, "n *shape"]) -> Float[Array, "n outputs"]:
        """Return minus the squared distances to the class means."""
        mean, count = means_held(m, model, self.unit) if isinstance(m, Buffer) else m
        return nearest_mean(model, x, mean, count > 0, self.unit)


def means_held(buffer: Buffer, model: PyTree, unit: bool = True) -> Means:
    """Return the means of the features of the examples held under the model of now."""
    taken = (jnp.arange(len(buffer)) < buffer.filled).astype(jnp.float32)
    held = buffer.examples
    return Means(*class_means(features_of(model, held.x, unit), held.y, taken, len(buffer.met_of)))
