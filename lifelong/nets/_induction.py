"""Networks in which an induction head can form, or that are little else than one."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput

from ._mlp import MLP


class InductionHead(eqx.Module):
    """An induction head of three numbers, a gain for what it finds, and a small network for what is known by heart.

    A sequence becomes tokens: item, label, item, label, …, target. The first layer attends from token j to j−1 with logit
    β₁ and to all others up to j with logit 0, so that it carries x̃_j = Σ_i p_ji x_i. The second attends from the target
    to the tokens before it with logits α x̃_j·x_target + β₂ [j is a label]; with u = Σ_j q_j y_j the answer is
    ξ u + MLP(x_target) (after Reddy 2023, "The mechanistic basis of data dependence and abrupt learning in an in-context
    classification task", section 3). The four numbers start at N(0, 0.1²), so that neither sign is preferred.

    Args:
        features, outputs: numbers in an item, and labels.
        width: hidden units of the network.
        key: draws the weights.
    """

    previous: Float[Array, ""]
    match: Float[Array, ""]
    label: Float[Array, ""]
    gain: Float[Array, ""]
    known: MLP
    features: int = eqx.field(static=True)

    def __init__(self, features: int, outputs: int, width: int = 64, *, key: PRNGKeyArray):
        for_numbers, for_known = jax.random.split(key)
        self.previous, self.match, self.label, self.gain = 0.1 * jax.random.normal(for_numbers, (4,))
        self.known, self.features = MLP(features, outputs, width, depth=1, key=for_known), features

    def attention(
        self, x: Float[Array, "length features_and_outputs"]
    ) -> tuple[Float[Array, "t t"], Float[Array, "t t"]]:
        """Return how tokens attend to tokens in either layer; in the second, the target's row is the one that counts."""
        items = interleaved(x, self.features)[:, : self.features]
        place = jnp.arange(len(items))
        just_before = place[:, None] - 1 == place
        first = _attended(self.previous * just_before, place[:, None] >= place)
        scores = self.match * (items @ (first @ items).T) + self.label * (place % 2 == 1)
        return first, _attended(scores, (place[:, None] > place) | (place == 0))

    def __call__(self, x: Float[Array, "length features_and_outputs"]) -> Float[Array, " outputs"]:
        """Return the logits of the target's label."""
        labels = interleaved(x, self.features)[:, self.features :]
        found = self.attention(x)[1][-1] @ labels
        return self.gain * found + self.known(x[-1, : self.features])


class AttentionOnly(eqx.Module):
    """Layers of causal attention with one head each, x ← x + softmax(x K·(x Q)ᵀ) x V, and a deep read-out of the last token.

    Tokens (item, label, item, label, …, target) have their position one-hot, numbers of an item and labels one-hot in places of
    their own; nothing is embedded, normed or scaled, so that the two-layer circuit of an induction head can be seen (Reddy
    2023, section 2). Weights of attention start at N(0, 1/features).

    Args:
        features, outputs: numbers in an item, and labels.
        length: items in a sequence, the target included.
        layers: layers of attention.
        depth: hidden layers of the read-out, as wide as a token; 3 as in the paper.
        key: draws the weights.
    """

    weights: Float[Array, "layers 3 width width"]
    out: MLP
    features: int = eqx.field(static=True)

    def __init__(self, features: int, outputs: int, length: int, layers: int = 2, depth: int = 3, *, key: PRNGKeyArray):
        if min(features, outputs, length, layers) < 1:
            raise BadInput(f"sizes must be at least 1: {features=}, {outputs=}, {length=}, {layers=}")
        width, (for_attention, for_out) = 2 * length - 1 + features + outputs, jax.random.split(key)
        self.weights = jax.random.normal(for_attention, (layers, 3, width, width)) / features**0.5
        self.out, self.features = MLP(width, outputs, width, depth, key=for_out), features

    def attention(self, x: Float[Array, "length features_and_outputs"]) -> tuple[Float[Array, "t t"], ...]:
        """Return how tokens attend to tokens, layer by layer."""
        return self._run(x)[1]

    def __call__(self, x: Float[Array, "length features_and_outputs"]) -> Float[Array, " outputs"]:
        """Return the logits of the target's label."""
        return self.out(self._run(x)[0][-1])

    def _run(self, x: Array) -> tuple[Array, tuple[Any, ...]]:
        """Return the tokens after all layers, and how they attended to each other."""
        content, maps = interleaved(x, self.features), []
        tokens = jnp.concatenate([jnp.eye(len(content)), content], axis=1)
        for query, key, value in self.weights:
            maps.append(_attended((tokens @ query) @ (tokens @ key).T, jnp.tri(len(tokens), dtype=bool)))
            tokens = tokens + maps[-1] @ (tokens @ value)
        return tokens, tuple(maps)


def interleaved(
    x: Float[Array, "length features_and_outputs"], features: int
) -> Float[Array, "t features_and_outputs"]:
    """Return items and labels as tokens of their own, each blank where the other is: item, label, …, and the last item."""
    is_item = jnp.arange(x.shape[1]) < features
    return jnp.stack([x * is_item, x * ~is_item], axis=1).reshape(-1, x.shape[1])[:-1]


def _attended(scores: Float[Array, "t t"], visible: Array) -> Float[Array, "t t"]:
    return jax.nn.softmax(jnp.where(visible, scores, -1e30))
