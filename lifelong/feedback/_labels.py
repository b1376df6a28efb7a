"""Learning from labels."""

from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.worlds import Batch

FORBIDDEN = -1e9
"""The logit of a class that an answer may not name."""

Info = dict[str, Array]
"""What a loss reports besides: names and numbers."""


@runtime_checkable
class Feedback(Protocol):
    """What signal an experience gives: a loss to descend, and what is worth recording of it."""

    def __call__(self, model: PyTree, experience: Any, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss of the model on one experience, and named scalars."""
        ...


def permitted(logits: Float[Array, "n outputs"], batch: Batch) -> Float[Array, "n outputs"]:
    """Return the logits with those of classes an answer may not name pushed out of reach."""
    return logits if batch.allowed is None else jnp.where(batch.allowed, logits, FORBIDDEN)


def weighted_mean(values: Float[Array, " n"], weight: Float[Array, " n"]) -> Float[Array, ""]:
    """Return Σ w v / Σ w, and 0 where all weights are 0."""
    return (weight * values).sum() / jnp.maximum(weight.sum(), 1e-9)


def cross_entropy_of(logits: Float[Array, "n outputs"], batch: Batch) -> tuple[Float[Array, ""], Info]:
    """Return the weighted mean of −log softmax(logits)[y] over permitted classes, with loss and accuracy as info."""
    logits = permitted(logits, batch)
    picked = (jax.nn.log_softmax(logits) * jax.nn.one_hot(batch.y, logits.shape[-1])).sum(-1)
    loss = weighted_mean(-picked, batch.weight)
    accuracy = weighted_mean((logits.argmax(-1) == batch.y).astype(jnp.float32), batch.weight)
    return loss, {"loss": loss, "accuracy": accuracy}


class CrossEntropy(eqx.Module):
    """Softmax cross-entropy between the model's logits and the labels, over the classes an answer may name."""

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of a batch, its value and the accuracy."""
        return cross_entropy_of(jax.vmap(model)(experience.x), experience)


class SquaredError(eqx.Module):
    """Half the squared distance of the model's outputs from one-hot labels, summed over outputs: mean of ½ ‖f(x) − y‖²."""

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of a batch, its value and the accuracy."""
        outputs = jax.vmap(model)(experience.x)
        wrong = outputs - jax.nn.one_hot(experience.y, outputs.shape[-1])
        loss = weighted_mean(0.5 * (wrong**2).sum(-1), experience.weight)
        right = (permitted(outputs, experience).argmax(-1) == experience.y).astype(jnp.float32)
        return loss, {"loss": loss, "accuracy": weighted_mean(right, experience.weight)}


class PresentCrossEntropy(eqx.Module):
    """Softmax cross-entropy among the classes that the batch holds, so that new classes do not push away absent ones.

    On the current batch, with `Replay(feedback=CrossEntropy())` for the rehearsed one, this is ER-ACE: L(current; classes of
    the batch) + L(rehearsed; all classes seen) (Caccia et al. 2022, "New Insights on Reducing Abrupt Representation Change
    in Online Continual Learning"). The accuracy reported is that among all classes an answer may name.
    """

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of a batch, its value and the accuracy."""
        logits = jax.vmap(model)(experience.x)
        held = (jax.nn.one_hot(experience.y, logits.shape[-1]) * experience.weight[:, None]).sum(0) > 0
        loss, _ = cross_entropy_of(jnp.where(held, logits, FORBIDDEN), experience)
        return loss, {"loss": loss, "accuracy": cross_entropy_of(logits, experience)[1]["accuracy"]}


class AngleCrossEntropy(eqx.Module):
    """Cross-entropy of cosine logits s·cos θ_c between features and class weights: the angle factor alone.

    `scale` (s = 1/τ) is 10, the usual τ = 0.1 of cosine classifiers. The gradient flows through both norms.
    The model needs `features` and a bias-free `head`.
    """

    scale: Float[Array, ""] = eqx.field(converter=lambda s: jnp.asarray(s, jnp.float32), default=10.0)

    def __call__(self, model: PyTree, experience: Batch, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean loss of a batch, its value and the accuracy of the cosine logits."""
        features = jax.vmap(model.features)(experience.x)
        return cross_entropy_of(self.scale * cosines(features, model.head.weight), experience)


def cosines(features: Float[Array, "n width"], weights: Float[Array, "outputs width"]) -> Float[Array, "n outputs"]:
    """Return cos θ between every feature vector and every class weight."""

    def unit(v):
        return v / jnp.sqrt((v**2).sum(-1, keepdims=True) + 1e-12)

    return unit(features) @ unit(weights).T
