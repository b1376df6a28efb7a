"""Models that learn in context: from a sequence of items with their labels to what each item's label should be."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._lstm import LSTM
from ._mlp import linears
from ._transformer import LanguageModel


class InContextModel(eqx.Module):
    """A model of sequences x [length, features + outputs]: items and, beside each, its label one-hot.

    Each item's logits depend on it, on the items before it and on their labels, never on its own label. A model of this
    kind implements `read`, for any number of sequences at once.
    """

    features: eqx.AbstractVar[int]

    def read(self, x: Float[Array, "*n length features_and_outputs"]) -> Float[Array, "*n length outputs"]:
        """Return the logits of every item's label."""
        raise NotImplementedError

    def __call__(self, x: Float[Array, "length features_and_outputs"]) -> Float[Array, " outputs"]:
        """Return the logits of the last item's label."""
        return self.read(x)[-1]

    def parts(self, x: Float[Array, "*n length features_and_outputs"]) -> tuple[Array, Array]:
        """Return the items, and the labels one-hot."""
        return x[..., : self.features], x[..., self.features :]


class InContextTransformer(InContextModel):
    """A causal transformer over items and labels.

    Its j-th token is W x_j + E y_{j−1}, an item and the label of the one before. Where tokens are `paired`, there are two for
    each item: W x_j + E y_j, which later items may attend to, and the question W x_j, which attends to itself and to the pairs
    before it. That costs twice as much, and spares a model the discovery that a label belongs to the item one token before.

    Args:
        features, outputs: numbers in an item, and labels.
        width, layers, heads, hidden: the sizes of `LanguageModel`.
        window: to how many earlier items each may attend: with fewer, the parameters are the same and the state that
            decides a prediction is smaller. All of them unless stated; an array of one whole number, so that models
            with different windows share a compiled program.
        paired: whether items and their labels share a token.
        key: draws the weights.
    """

    trunk: LanguageModel
    enter: Float[Array, "features width"]
    window: Int[Array, ""]
    features: int = eqx.field(static=True)
    paired: bool = eqx.field(static=True)

    def __init__(
        self,
        features: int,
        outputs: int,
        width: int = 32,
        layers: int = 2,
        heads: int = 2,
        hidden: int = 64,
        window: Any = 2**30,
        paired: bool = False,
        *,
        key: PRNGKeyArray,
    ):
        if features < 1:
            raise BadInput(f"an item has at least one number, not {features}")
        for_enter, for_trunk = jax.random.split(key)
        self.enter = jax.random.normal(for_enter, (features, width)) / (features * width) ** 0.5
        self.trunk = LanguageModel(outputs, width, layers, heads, heads, hidden, tied=False, key=for_trunk)
        self.features, self.window, self.paired = features, jnp.asarray(window, jnp.int32), paired

    def read(self, x: Float[Array, "*n length features_and_outputs"]) -> Float[Array, "*n length outputs"]:
        """Return the logits of every item's label."""
        items, labels = self.parts(x.reshape(-1, *x.shape[-2:]))
        given, place = items @ self.enter, jnp.arange(x.shape[-2])
        age = place[:, None] - place
        earlier = (age >= 1) & (age <= self.window)
        if self.paired:
            vectors = jnp.concatenate([given + labels @ self.trunk.embedding, given], axis=1)
            visible = jnp.block([[earlier | (age == 0), jnp.zeros_like(earlier)], [earlier, age == 0]])
        else:
            vectors, visible = given + before(labels) @ self.trunk.embedding, earlier | (age == 0)
        made, _ = self.trunk.transform(vectors, jnp.broadcast_to(visible, (len(items), *visible.shape)))
        return self.trunk.logits(made[:, -x.shape[-2] :]).reshape(*x.shape[:-1], -1)


class InContextLSTM(InContextModel):
    """Long short-term memory that reads [x_j, y_{j−1}] and answers from its state of `width` numbers, and as many in its cell.

    Args:
        features, outputs, width: numbers in an item, labels, and numbers in the state.
        key: draws the weights.
    """

    lstm: LSTM
    head: eqx.nn.Linear
    features: int = eqx.field(static=True)

    def __init__(self, features: int, outputs: int, width: int = 64, *, key: PRNGKeyArray):
        if min(features, outputs, width) < 1:
            raise BadInput(f"sizes must be at least 1: features={features}, outputs={outputs}, width={width}")
        for_lstm, for_head = jax.random.split(key)
        self.lstm = LSTM(features + outputs, width, key=for_lstm)
        (self.head,) = linears([width, outputs], [True], key=for_head)
        self.features = features

    def read(self, x: Float[Array, "*n length features_and_outputs"]) -> Float[Array, "*n length outputs"]:
        """Return the logits of every item's label."""
        items, labels = self.parts(x.reshape(-1, *x.shape[-2:]))
        given = jnp.concatenate([items, before(labels)], axis=-1)
        states, _ = self.lstm(jnp.swapaxes(given, 0, 1))
        logits = jnp.swapaxes(states, 0, 1) @ self.head.weight.T + self.head.bias  # pyright: ignore[reportOperatorIssue]
        return logits.reshape(*x.shape[:-1], -1)


class NearestExample(InContextModel):
    """What is possible without meta-learning: the label of the nearest earlier item; nothing is learned from life.

    Logits are the negative squared distance to the nearest item of each label, and 0 throughout for the first.
    """

    features: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)

    def __init__(self, features: int, outputs: int, *, key: PRNGKeyArray):
        self.features, self.outputs = features, outputs

    def read(self, x: Float[Array, "*n length features_and_outputs"]) -> Float[Array, "*n length outputs"]:
        """Return the logits of every item's label."""
        items, labels = self.parts(x)
        square = (items**2).sum(-1)
        distance = square[..., :, None] + square[..., None, :] - 2 * items @ jnp.swapaxes(items, -1, -2)
        earlier = jnp.tri(x.shape[-2], k=-1, dtype=bool)[..., None] & (labels[..., None, :, :] > 0)
        nearest = jnp.where(earlier, distance[..., None], jnp.inf).min(-2)
        return jnp.where(jnp.isfinite(nearest).any(-1, keepdims=True), jnp.maximum(-nearest, -1e9), 0.0)


class OnlineRegression(InContextModel):
    """Softmax regression from zero weights, by one step of gradient descent on every item once it has been answered.

    W ← W − η (softmax(W [x_j, 1]) − y_j) [x_j, 1]ᵀ: learning within a sequence by a rule that nobody had to learn.

    Args:
        features, outputs: numbers in an item, and labels.
        learning_rate: η, to be swept like any number.
    """

    learning_rate: Float[Array, ""]
    features: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)

    def __init__(self, features: int, outputs: int, learning_rate: Any = 0.1, *, key: PRNGKeyArray):
        self.learning_rate = jnp.asarray(learning_rate, jnp.float32)
        self.features, self.outputs = features, outputs

    def read(self, x: Float[Array, "*n length features_and_outputs"]) -> Float[Array, "*n length outputs"]:
        """Return the logits of every item's label."""
        items, labels = self.parts(jnp.moveaxis(x, -2, 0))
        items = jnp.concatenate([items, jnp.ones((*items.shape[:-1], 1))], axis=-1)

        def step(weights: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
            item, label = now
            logits = jnp.einsum("...of,...f->...o", weights, item)
            error = jax.nn.softmax(logits) - label
            return weights - self.learning_rate * error[..., :, None] * item[..., None, :], logits

        start = jnp.zeros((*items.shape[1:-1], self.outputs, self.features + 1))
        return jnp.moveaxis(jax.lax.scan(step, start, (items, labels))[1], 0, -2)


def before(labels: Float[Array, "*n length outputs"]) -> Float[Array, "*n length outputs"]:
    """Return for every item the label of the one before it, and zeros for the first."""
    return jnp.pad(labels[..., :-1, :], [(0, 0)] * (labels.ndim - 2) + [(1, 0), (0, 0)])
