"""Decoder-only transformers: language models, small enough to live many lives at once or loaded from elsewhere."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput, UnknownName

from ._attention import Cache, attend, rms_normed, rotated, rotation
from ._feedforward import Experts, SwiGLU
from ._lookup import lookup
from ._product import product

BLANK = -1
"""What stands where there is no token: it is not attended to, and any negative number will do."""

SHALLOW = 4
"""Up to so many layers are unrolled: they compile as fast as a loop and run a tenth faster. Deeper models compile their
layer once, whatever their depth.
"""


class Layer(eqx.Module):
    """The weights of a transformer's layers, stacked along a leading axis.

    `qkv` makes queries, keys and values of all heads in one product.
    """

    before_attention: Float[Array, "*layers width"]
    qkv: Float[Array, "*layers width projected"]
    qkv_bias: Float[Array, "*layers projected"] | None
    out: Float[Array, "*layers all_heads width"]
    before_feedforward: Float[Array, "*layers width"]
    feedforward: SwiGLU | Experts


class LanguageModel(eqx.Module):
    """A decoder-only transformer: rotary positions, RMS norms before each half of a layer, SwiGLU, grouped-query attention.

    x ← x + attention(norm(x)); x ← x + feedforward(norm(x)); logits = norm(x)·head. Qwen2, Qwen2.5 and Llama are of this
    kind. Layers are stacked, and in deep models scanned, so that compile time does not grow with depth.

    Args:
        vocabulary: how many tokens there are.
        width, layers, hidden: numbers per token, layers, and hidden units of a feed-forward network.
        heads, kv_heads: heads of queries, and of keys and values; the first must be a multiple of the second.
        head_width: numbers per head, width / heads unless stated.
        bias: whether queries, keys and values have biases, as in Qwen2.
        tied: whether the head is the embedding.
        experts, chosen: how many experts every layer has, and how many of them a token gets; 0 for one plain network.
        theta: base of the rotary angles, 10⁴ as in Su et al. 2021; None leaves positions to the causal mask alone
            (Kazemnejad et al. 2023).
        epsilon: what keeps norms from dividing by 0, 10⁻⁶ as in Qwen2.
        key: draws the weights, normal with variance 1/fan_in (embedding: 1/width), what is added to x divided by √(2·layers)
            besides (Radford et al. 2019).

    Raises BadInput for sizes that are not positive or do not divide each other.
    """

    embedding: Float[Array, "vocabulary width"]
    layers: Layer
    norm: Float[Array, " width"]
    head: Float[Array, "width vocabulary"] | None
    heads: int = eqx.field(static=True)
    kv_heads: int = eqx.field(static=True)
    head_width: int = eqx.field(static=True)
    theta: float | None = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)

    def __init__(
        self,
        vocabulary: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        kv_heads: int = 2,
        hidden: int = 176,
        *,
        head_width: int | None = None,
        bias: bool = False,
        tied: bool = True,
        experts: int = 0,
        chosen: int = 2,
        theta: float | None = 1e4,
        epsilon: float = 1e-6,
        key: PRNGKeyArray,
    ):
        head_width = width // max(heads, 1) if head_width is None else head_width
        sizes = {"vocabulary": vocabulary, "width": width, "layers": layers, "hidden": hidden}
        _check(experts, chosen, **sizes, heads=heads, kv_heads=kv_heads, head_width=head_width)
        projected, several = (heads + 2 * kv_heads) * head_width, (experts,) if experts else ()
        shapes = {
            "embedding": (vocabulary, width),
            "qkv": (layers, width, projected),
            "out": (layers, heads * head_width, width),
            "gate": (layers, *several, width, hidden),
            "up": (layers, *several, width, hidden),
            "down": (layers, *several, hidden, width),
            "head": (0 if tied else width, vocabulary),
            "router": (layers, width, experts),
        }
        drawn = _drawn(shapes, key)
        added, ones = 1 / math.sqrt(2 * layers), jnp.ones((layers, width))
        gated = drawn["gate"], drawn["up"], added * drawn["down"]
        self.embedding = drawn["embedding"] * math.sqrt(vocabulary / width)
        self.layers = Layer(
            before_attention=ones,
            qkv=drawn["qkv"],
            qkv_bias=jnp.zeros((layers, projected)) if bias else None,
            out=added * drawn["out"],
            before_feedforward=ones,
            feedforward=Experts(drawn["router"], *gated, chosen) if experts else SwiGLU(*gated),
        )
        self.norm, self.head = jnp.ones(width), None if tied else drawn["head"]
        self.heads, self.kv_heads, self.head_width = heads, kv_heads, head_width
        self.theta, self.epsilon = theta, epsilon

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return self.embedding.shape[0]

    @property
    def width(self) -> int:
        """Numbers per token."""
        return self.embedding.shape[1]

    @property
    def depth(self) -> int:
        """How many layers there are."""
        return len(self.layers.before_attention)

    def __call__(self, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t vocabulary"]:
        """Return the logits of the next token after every token; those after a blank mean nothing."""
        return self.read(tokens)

    def read(self, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t vocabulary"]:
        """Return the logits of the next token after every token; those after a blank mean nothing."""
        return self.logits(self.features(tokens))

    def features(self, tokens: Int[Array, "*n t"]) -> Float[Array, "*n t width"]:
        """Return what the last layer makes of every token, normed."""
        return self._run(tokens)[0]

    def logits(self, features: Float[Array, "*n width"]) -> Float[Array, "*n vocabulary"]:
        """Return the logits that belong to features."""
        return product(features, self.embedding.T if self.head is None else self.head)

    def routing(self, tokens: Int[Array, "*n t"]) -> Float[Array, "layers *n t experts"]:
        """Return the probabilities that every layer's router gives its experts; raise BadInput where there are none."""
        if isinstance(self.layers.feedforward, SwiGLU):
            raise BadInput("this model has no experts among which to route; build it with experts=8, for example")
        return self._run(tokens)[1]

    def _run(self, tokens: Int[Array, "*n t"]) -> tuple[Array, Any]:
        """Return features, and what the routers of all layers say."""
        rows = tokens.reshape(-1, tokens.shape[-1])
        visible = jnp.tri(rows.shape[1], dtype=bool) & (rows >= 0)[:, None, :]
        shaped, routed = self.transform(lookup(self.embedding, rows), visible)
        shaped = shaped.reshape(*tokens.shape, -1)
        return shaped, None if routed is None else routed.reshape(self.depth, *tokens.shape, -1)

    def transform(
        self, x: Float[Array, "n t width"], visible: Bool[Array, "n t t"]
    ) -> tuple[Float[Array, "n t width"], Any]:
        """Return what the layers make of any vectors, normed, and what routers say; `visible` is what each may attend to."""
        turn = rotation(jnp.arange(x.shape[1]), self.head_width, self.theta)

        def through(x: Array, layer: Layer) -> tuple[Array, Any]:
            query, key, value = self._heads(layer, x, turn)
            return self._after(layer, x, attend(query, key, value, visible))

        x, routed = jax.lax.scan(through, x, self.layers, unroll=self.depth <= SHALLOW)
        return rms_normed(x, self.norm, self.epsilon), routed

    def blank_cache(self, n: int, capacity: int) -> Cache:
        """Return an empty cache for `n` sequences of at most `capacity` tokens.

        It holds 2·layers·n·capacity·kv_heads·head_width numbers.
        """
        zeros = jnp.zeros((self.depth, n, capacity, self.kv_heads, self.head_width), self.embedding.dtype)
        return Cache(zeros, zeros, jnp.zeros((n, capacity), bool), jnp.int32(0))

    def extend(self, cache: Cache, tokens: Int[Array, "n t"]) -> tuple[Cache, Float[Array, "n t vocabulary"]]:
        """Return the cache with `tokens` added in the next slots, and the logits of the next token after each of them.

        Token by token or all at once, the logits are those of one call on the whole sequence. What goes beyond the
        capacity overwrites the last slots.
        """
        cache, features = self.continued(cache, tokens)
        return cache, self.logits(features)

    def continued(self, cache: Cache, tokens: Int[Array, "n t"]) -> tuple[Cache, Float[Array, "n t width"]]:
        """Return what `extend` does, but for features in place of logits."""
        t, start = tokens.shape[1], cache.length
        real = jax.lax.dynamic_update_slice(cache.real, tokens >= 0, (0, start))
        slots = start + jnp.arange(t)
        visible = (jnp.arange(cache.capacity) <= slots[:, None]) & real[:, None, :]
        turn = rotation(slots, self.head_width, self.theta)

        def through(carry: tuple[Array, Array, Array], now: tuple[Layer, Array]) -> tuple[Any, None]:
            x, keys, values = carry
            layer, number = now
            query, key, value = self._heads(layer, x, turn)
            keys = jax.lax.dynamic_update_slice(keys, key[None], (number, 0, start, 0, 0))
            values = jax.lax.dynamic_update_slice(values, value[None], (number, 0, start, 0, 0))
            x, _ = self._after(layer, x, attend(query, keys[number], values[number], visible))
            return (x, keys, values), None

        carry = (lookup(self.embedding, tokens), cache.keys, cache.values)
        (x, keys, values), _ = jax.lax.scan(
            through, carry, (self.layers, jnp.arange(self.depth)), unroll=self.depth <= SHALLOW
        )
        return Cache(keys, values, real, start + t), rms_normed(x, self.norm, self.epsilon)

    def _heads(self, layer: Layer, x: Array, turn: tuple[Array, Array] | None) -> tuple[Array, Array, Array]:
        """Return queries, keys and values of all heads, the first two rotated where positions turn them."""
        made = rms_normed(x, layer.before_attention, self.epsilon)
        made = product(made, layer.qkv)
        made = made if layer.qkv_bias is None else made + layer.qkv_bias
        made = made.reshape(*x.shape[:-1], -1, self.head_width)
        cuts = (self.heads, self.heads + self.kv_heads)
        query, key, value = jnp.split(made, cuts, axis=-2)
        return (query, key, value) if turn is None else (rotated(query, turn), rotated(key, turn), value)

    def _after(self, layer: Layer, x: Array, attended: Array) -> tuple[Array, Any]:
        """Return x after both halves of a layer, given what its heads attended to, and what the router said."""
        x = x + product(attended, layer.out)
        made, routed = layer.feedforward(rms_normed(x, layer.before_feedforward, self.epsilon))
        return x + made, routed


PRESETS: dict[str, dict[str, int]] = {
    "micro": {"width": 64, "layers": 2, "heads": 4, "kv_heads": 2, "hidden": 176},
    "mini": {"width": 96, "layers": 3, "heads": 4, "kv_heads": 2, "hidden": 256},
    "small": {"width": 128, "layers": 4, "heads": 8, "kv_heads": 2, "hidden": 344},
}
"""Sizes of the library's own models: about 0.1, 0.3 and 0.7 million weights."""


def language_model(preset: str, vocabulary: int, *, key: PRNGKeyArray, **changes: Any) -> LanguageModel:
    """Return a fresh model of a preset's size, changed in whatever else `LanguageModel` takes.

    Raises UnknownName where there is no such preset.
    """
    if preset not in PRESETS:
        raise UnknownName("preset", preset, PRESETS)
    return LanguageModel(vocabulary, **{**PRESETS[preset], **changes}, key=key)


def _check(experts: int, chosen: int, **sizes: int) -> None:
    shown = ", ".join(f"{name}={size}" for name, size in sizes.items())
    if min(sizes.values()) < 1:
        raise BadInput(f"a language model needs positive sizes: {shown}")
    if sizes["heads"] % sizes["kv_heads"] or sizes["head_width"] % 2:
        raise BadInput(f"heads must be a multiple of kv_heads, and head_width even: {shown}")
    if experts and not 1 <= chosen <= experts:
        raise BadInput(f"a token can be given to 1 up to {experts} experts, not to {chosen}")


def _drawn(shapes: dict[str, tuple[int, ...]], key: PRNGKeyArray) -> dict[str, Array]:
    """Return normal numbers of variance 1/fan_in in these shapes [..., fan_in, fan_out], all from one draw."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    pieces = jnp.split(jax.random.normal(key, (int(ends[-1]),)), ends[:-1])
    return {
        name: piece.reshape(shape) / math.sqrt(max(shape[-2], 1))
        for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
    }
