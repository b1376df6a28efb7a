"""How important each weight is to what has been learned: estimates over all examples of a task."""

from collections.abc import Callable
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import weighted_mean
from lifelong.feedback._labels import cross_entropy_of
from lifelong.worlds import Batch, Pages

from ._base import Loss
from ._buffer import Buffer, empty_buffer, insert, like_held
from ._slopes import SIZE, SQUARE, alone, sum_of_slopes

Labels = Literal["sampled", "all", "argmax", "true", "weighted"]
"""Whose log-likelihood the Fisher information differentiates: 'sampled' one label drawn from the model's own answer (the
Fisher information itself, but for sampling noise), 'all' every label in proportion to its probability (the same without
noise, at the cost of one gradient a class), 'argmax' the model's own best answer (Hsu et al. 2018), 'true' the given
label (the empirical Fisher), 'weighted' the given label, its square multiplied by its probability (as Mammoth's online
EWC and refresh learning estimate it)."""


Slopes = Literal["example", "page"]
"""Of whose gradient `sensitivity` takes the absolute value."""


def check_slopes(of: str) -> None:
    """Raise `BadInput` unless these are slopes whose absolute values can be taken."""
    if of not in get_args(Slopes):
        raise BadInput(f"absolute values are taken of the gradient of an 'example' or a 'page', not of '{of}'")


def check_estimator(labels: str, samples: int | None) -> None:
    """Raise `BadInput` unless the Fisher information can be estimated with these labels and so many samples."""
    if labels not in get_args(Labels):
        raise BadInput(f"labels must be one of {', '.join(map(repr, get_args(Labels)))}, not '{labels}'")
    if samples is not None and samples < 1:
        raise BadInput(f"the Fisher information needs at least one example, not samples={samples}; None takes all")


def weights(model: PyTree) -> PyTree:
    """Return what a gradient can change: the floating-point arrays of a model, with None in place of all else."""
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

    F_i = Σ_x w(x) Σ_y c(y|x) (∂ log p(y|x) / ∂θ_i)² / Σ_x w(x), squared example by example: the square of a batch's mean
    gradient would be another quantity. Examples of weight 0 do not count. c is 1 for the one label that `labels` names;
    it is p(y|x) for 'all' and 'weighted'. No gradients are laid out example by example in memory; for an `MLP`, whose
    layers allow it, a page costs little more than a step of learning on it.

    Args:
        model: from one input to logits.
        review: the examples.
        labels: the estimator.
        key: draws labels and samples.
        samples: so many examples, drawn uniformly without replacement, in place of all.
        loss: −log p(y|x) of a batch of one; unless stated the cross-entropy over the classes the pages allow. Where it
            is no negative log-likelihood of labels 0 … outputs−1, only 'true' has a meaning.

    Raises `BadInput` for an unknown estimator or less than one sample.
    """
    check_estimator(labels, samples)
    for_samples, for_labels = jax.random.split(key)
    pages = review if samples is None else _drawn(review, samples, for_samples)

    def add(total: PyTree, i: Int[Array, ""], page: Batch) -> PyTree:
        asked, counts = _ask(model, page, labels, loss, jax.random.fold_in(for_labels, i))
        return sum_of_slopes(model, asked, counts, loss, SQUARE, total)

    return _mean_over(pages, add, weights(model))


def sensitivity(model: PyTree, review: Pages, of: Slopes = "example") -> PyTree:
    """Return how much each weight moves the outputs, a tree like the model's weights; no label is looked at.

    With the logits h of the k classes that the pages allow, and over all examples x or over pages P of |P| examples,

        'example':  Ω_i = Σ_x w(x) |∂ ‖h(x)‖² / ∂θ_i| / Σ_x w(x),
        'page':     Ω_i = Σ_P |P| |∂ mean_{x in P} ‖h(x)‖²/k / ∂θ_i| / Σ_P |P|

    (Aljundi et al. 2018, "Memory Aware Synapses", section 4; Hsu et al. 2018, "Re-evaluating Continual Learning
    Scenarios", authors' code, with pages of 128). Within a page, slopes of opposite sign cancel. Raises `BadInput` for
    anything else.
    """
    check_slopes(of)

    def size(model: PyTree, example: Batch) -> Float[Array, ""]:
        return (jax.vmap(model)(example.x) ** 2).sum(where=example.allowed)

    def mean_size(model: PyTree, page: Batch) -> Float[Array, ""]:
        return weighted_mean((jax.vmap(model)(page.x) ** 2).mean(-1, where=page.allowed), page.weight)

    def add(total: PyTree, i: Int[Array, ""], page: Batch) -> PyTree:
        if of == "example":
            return sum_of_slopes(model, page, page.weight, size, SIZE, total)
        slope, n = eqx.filter_grad(mean_size)(model, page), page.weight.sum()
        return jax.tree.map(lambda t, s: t + n * jnp.abs(s), total, slope)

    return _mean_over(review, add, weights(model))


def _ask(
    model: PyTree, page: Batch, labels: Labels, loss: Loss, key: PRNGKeyArray
) -> tuple[Batch, Float[Array, " questions"]]:
    """Return the examples with the labels to differentiate, and how much each of them counts."""
    if labels == "true":
        return page, page.weight
    outputs = eqx.filter_eval_shape(model, page.x[0]).shape[-1]
    classes = jnp.arange(outputs)

    def log_likelihoods(example: Batch) -> Float[Array, " outputs"]:
        return jax.vmap(lambda y: -loss(model, alone(_labelled(example, y))))(classes)

    log_p = jax.vmap(log_likelihoods)(page)
    if labels == "all":
        every = jax.tree.map(lambda leaf: jnp.repeat(leaf, outputs, axis=0), page)
        return _labelled(every, jnp.tile(classes, len(page))), every.weight * jnp.exp(log_p).reshape(-1)
    if labels == "weighted":
        return page, page.weight * (jnp.exp(log_p) * jax.nn.one_hot(page.y, outputs)).sum(-1)
    answer = log_p.argmax(-1) if labels == "argmax" else jax.random.categorical(key, log_p)
    return _labelled(page, answer), page.weight


def _labelled(batch: Batch, y: Int[Array, "..."]) -> Batch:
    return eqx.tree_at(lambda b: b.y, batch, y)


def _mean_over(pages: Pages, add: Callable[[PyTree, Int[Array, ""], Batch], PyTree], like: PyTree) -> PyTree:
    """Return Σ over pages / Σ w, where `add` adds to the first what one page has to it."""

    def turn(total: PyTree, i: Int[Array, ""]) -> tuple[PyTree, Float[Array, ""]]:
        page = pages.page(i)
        return add(total, i, page), page.weight.sum()

    total, weight = jax.lax.scan(turn, jax.tree.map(jnp.zeros_like, like), jnp.arange(pages.count))
    return jax.tree.map(lambda leaf: leaf / jnp.maximum(weight.sum(), 1e-9), total)


def _drawn(review: Pages, n: int, key: PRNGKeyArray) -> Pages:
    """Return n examples of a review, uniformly without replacement; where it has fewer, all of them."""
    like = eqx.filter_eval_shape(review.page, jnp.int32(0))
    drawn = insert_all(empty_buffer(like, n, 1), review, key=key)
    return _Sheet(batch=held_in(drawn), count=1)


def insert_all(buffer: Buffer, review: Pages, *, key: PRNGKeyArray) -> Buffer:
    """Offer every example of a review to a buffer's reservoir.

    Where the buffer's examples do not say which classes an answer may name, the review's are stored without that, too.
    """

    def offer(buffer: Buffer, i: Int[Array, ""]) -> tuple[Buffer, None]:
        page = like_held(review.page(i), buffer)
        return insert(buffer, page, None, "reservoir", key=jax.random.fold_in(key, i)), None

    return jax.lax.scan(offer, buffer, jnp.arange(review.count))[0]


def held_in(buffer: Buffer) -> Batch:
    """Return the examples in all slots of a buffer, those of slots not taken with weight 0."""
    kept, taken = buffer.examples, jnp.arange(len(buffer)) < buffer.filled
    return Batch(kept.x, kept.y, kept.task, taken.astype(jnp.float32), kept.allowed)


class _Sheet(Pages):
    """A batch as the only page of a body of examples."""

    batch: Batch
    count: int = eqx.field(static=True)

    def page(self, i: Int[Array, ""]) -> Batch:
        """Return the batch."""
        return self.batch
