"""How important each weight is to what has been learned: estimates over all examples of a task."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import cross_entropy_of
from lifelong.worlds import Batch, Pages

from ._base import Loss
from ._buffer import Buffer, empty_buffer, insert

Labels = Literal["sampled", "all", "argmax", "true", "weighted"]
"""Whose log-likelihood the Fisher information differentiates: 'sampled' one label drawn from the model's own answer (the
Fisher information itself, with sampling noise), 'all' every label in proportion to its probability (the same without
noise, at the cost of one gradient a class), 'argmax' the model's own best answer (Hsu et al. 2018), 'true' the given
label (the empirical Fisher), 'weighted' the given label, its square multiplied by its probability (Mammoth)."""


def check_labels(labels: str) -> None:
    """Raise `BadInput` unless this is an estimator of the Fisher information."""
    if labels not in ("sampled", "all", "argmax", "true", "weighted"):
        raise BadInput(f"labels must be 'sampled', 'all', 'argmax', 'true' or 'weighted', not '{labels}'")


def weights(model: PyTree) -> PyTree:
    """Return what a gradient can change: the floating-point arrays of a model, None in place of all else."""
    return eqx.filter(model, eqx.is_inexact_array)


def cross_entropy(model: PyTree, batch: Batch) -> Float[Array, ""]:
    """Return the mean of −log softmax(logits)[y] over the classes that the batch allows."""
    return cross_entropy_of(jax.vmap(model)(batch.x), batch)[0]


def fisher(
    model: PyTree,
    review: Pages,
    labels: Labels = "sampled",
    *,
    key: PRNGKeyArray,
    samples: int | None = None,
    loss: Loss = cross_entropy,
) -> PyTree:
    """Return the diagonal of the Fisher information, a tree like the model's weights.

    F_i = Σ_x w Σ_y c(y|x) (∂ log p(y|x) / ∂θ_i)² / Σ_x w, squared example by example: never the square of a batch's
    mean gradient, which is another quantity. Examples of weight 0 do not count. c is 1 for the one label that `labels`
    names, p(y|x) for 'all' and 'weighted'.

    Args:
        model: from one input to logits.
        review: the examples.
        labels: the estimator.
        key: draws labels and samples.
        samples: so many examples, drawn uniformly without replacement, instead of all.
        loss: −log p(y|x) of a batch of one; unless stated the cross-entropy over the classes the pages allow. Where it
            is no negative log-likelihood of labels 0 … outputs−1, only 'true' has a meaning.
    """
    check_labels(labels)
    for_samples, for_labels = jax.random.split(key)
    pages = review if samples is None else _Sheet(draw_from(review, samples, key=for_samples), 1)

    def squares(example: Batch, key: PRNGKeyArray) -> PyTree:
        asked, counts = _labels_of(model, example, labels, loss, key)
        slopes = jax.vmap(lambda y: eqx.filter_grad(loss)(model, _alone(example, y)))(asked)
        return jax.tree.map(lambda slope: _weighted_sum(counts, slope**2), slopes)

    return _mean_over(squares, pages, weights(model), for_labels)


def sensitivity(model: PyTree, review: Pages) -> PyTree:
    """Return how far each weight moves the outputs, a tree like the model's weights; no label is looked at.

    Ω_i = Σ_x w |∂‖h(x)‖² / ∂θ_i| / Σ_x w over examples x with logits h of the classes their page allows, the absolute
    value taken example by example (Aljundi et al. 2018, "Memory Aware Synapses", equation 5 with the squared norm of
    section 4.1).
    """

    def moved(example: Batch, _: PRNGKeyArray) -> PyTree:
        def size(model: PyTree) -> Float[Array, ""]:
            logits = model(example.x)
            return (logits**2).sum(where=True if example.allowed is None else example.allowed)

        return jax.tree.map(jnp.abs, eqx.filter_grad(size)(model))

    return _mean_over(moved, review, weights(model), jax.random.key(0))


def insert_all(buffer: Buffer, review: Pages, *, key: PRNGKeyArray) -> Buffer:
    """Offer every example of a review to a buffer's reservoir.

    Where the buffer's examples do not say which classes are allowed, that is not stored either.
    """
    unmarked = buffer.examples.allowed is None

    def offer(buffer: Buffer, i: Int[Array, ""]) -> tuple[Buffer, None]:
        page = review.page(i)
        page = Batch(page.x, page.y, page.task, page.weight) if unmarked else page
        return insert(buffer, page, None, "reservoir", key=jax.random.fold_in(key, i)), None

    return jax.lax.scan(offer, buffer, jnp.arange(review.count))[0]


def draw_from(review: Pages, n: int, *, key: PRNGKeyArray) -> Batch:
    """Return n examples of a review, uniformly without replacement; where it has fewer, the rest has weight 0."""
    like = jax.eval_shape(lambda: review.page(jnp.int32(0)))
    return held_in(insert_all(empty_buffer(like, n, 1), review, key=key))


def held_in(buffer: Buffer) -> Batch:
    """Return all slots of a buffer, those not taken with weight 0."""
    kept, taken = buffer.examples, jnp.arange(len(buffer)) < buffer.filled
    return Batch(kept.x, kept.y, kept.task, taken.astype(jnp.float32), kept.allowed)


class _Sheet(Pages):
    """A batch as pages."""

    batch: Batch
    size: int = eqx.field(static=True)

    @property
    def count(self) -> int:
        """How many pages there are."""
        return -(-len(self.batch) // self.size)
