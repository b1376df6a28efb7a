"""What each layer knows: linear probes and ranks, layer by layer."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import Mismatch
from lifelong.recipe import Number, number

from ._exam import Exam
from ._plasticity import effective_rank


class LinearProbe(eqx.Module):
    """A linear readout: scores = weights · (features − mean) / scale + offset."""

    weights: Float[Array, "features outputs"]
    mean: Float[Array, " features"]
    scale: Float[Array, " features"]
    offset: Float[Array, " outputs"]

    def __call__(self, features: Float[Array, "n features"]) -> Float[Array, "n outputs"]:
        """Return the scores of examples, one a row."""
        return (features - self.mean) / self.scale @ self.weights + self.offset


def fit_probe(
    features: Float[Array, "n features"],
    targets: Float[Array, "n outputs"],
    weight: Float[Array, " n"] | None = None,
    *,
    ridge: Number = 1e-3,
) -> LinearProbe:
    """Return the ridge regression of targets on standardised features: W = (ZᵀZ/n + λI)⁻¹ ZᵀY/n, the offset not shrunk.

    `weight` counts examples (0 leaves one out); a feature that does not vary is left out. One-hot targets make it a
    classifier. λ = `ridge` is relative to the variance of a feature, which is 1.
    """
    weight = jnp.ones(len(features)) if weight is None else weight
    share = weight / jnp.maximum(weight.sum(), 1e-9)
    mean, offset = share @ features, share @ targets
    spread = jnp.sqrt(share @ (features - mean) ** 2)
    scale = jnp.where(spread > 1e-6 * jnp.abs(mean), spread, jnp.inf)
    z = (features - mean) / scale
    gram = z.T @ (share[:, None] * z) + ridge * jnp.eye(z.shape[1])
    weights = jnp.linalg.solve(gram, z.T @ (share[:, None] * (targets - offset)))
    return LinearProbe(weights, mean, scale, offset)


class LayerProbes(Exam):
    """Probe the input and every layer for the classes, and look at how many directions each layer uses.

    A ridge probe is fitted on the training examples of task 0 and asked about the test examples. The singular values are
    those of the layer's centred activations on the training examples. For learners whose state holds a `model` with
    `activations`, as MLP and SigmoidNet. The probe is the examiner's: what it reads is no accuracy of the learner.

    Args:
        ridge: λ of `fit_probe`.
    """

    ridge: Number = number(1e-3)

    def sit(self, state: Any, learner: Any, world: Any, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'probe_accuracy', 'effective_rank', 'first_share': [layers]}, the input first; `first_share` is the
        part of the variance along the first direction. Raise `Mismatch` for a model without `activations`.
        """
        if not hasattr(state.model, "activations"):
            raise Mismatch(
                f"layers are probed through `model.activations(x)`, which {type(state.model).__name__} lacks; "
                f"use a model that has it, such as MLP"
            )
        shown, asked = world.review(jnp.int32(0), world.longest).page(0), questions(world)
        train, test = _layers(state.model, shown.x), _layers(state.model, asked.x)
        targets = jax.nn.one_hot(shown.y, world.outputs)

        def probed(layer: tuple[Array, Array]) -> dict[str, Array]:
            features, questions = layer
            probe = fit_probe(features, targets, shown.weight, ridge=self.ridge)
            right = (probe(questions).argmax(-1) == asked.y).astype(jnp.float32)
            accuracy = (right * asked.weight).sum() / asked.weight.sum()
            return {"probe_accuracy": accuracy, **_spread((features - probe.mean) * jnp.sqrt(shown.weight)[:, None])}

        return jax.lax.map(probed, (train, test))

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One value a layer, the input first."""
        return dict.fromkeys(("probe_accuracy", "effective_rank", "first_share"), ("layer",))

    @property
    def whole(self) -> bool:
        """It looks at the model alone."""
        return False


def questions(world: Any) -> Any:
    """Return all test examples as one page."""
    pages = world.papers(500)
    rows = jax.vmap(pages.page)(jnp.arange(pages.count))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), rows)


def _spread(centred: Float[Array, "n features"]) -> dict[str, Array]:
    """Return how many directions centred activations use, and the share of their variance along the first."""
    sigma = jnp.linalg.svd(jnp.linalg.qr(centred, mode="r"), compute_uv=False)
    return {
        "effective_rank": effective_rank(sigma),
        "first_share": sigma[0] ** 2 / jnp.maximum((sigma**2).sum(), 1e-30),
    }


def _layers(model: Any, x: Float[Array, "n *shape"]) -> Float[Array, "layers n features"]:
    """Return the input and every layer, filled up with zeros to one width, so that one program serves them all."""
    layers = [x.reshape(len(x), -1), *(layer.reshape(len(x), -1) for layer in jax.vmap(model.activations)(x))]
    width = max(layer.shape[1] for layer in layers)
    return jnp.stack([jnp.pad(layer, ((0, 0), (0, width - layer.shape[1]))) for layer in layers])
