"""Items of many classes in sequences whose context sometimes holds the answer, and sometimes is all that does."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt

from lifelong.errors import BadInput
from lifelong.keys import key_for
from lifelong.recipe import Number

from ._in_context import InContext


class BurstySequences(InContext):
    """Sequences of `items` labelled items and a target; classes are Gaussian, μ_k ~ N(0, I/features), and share labels.

    An item of class k is (μ_k + ε η)/√(1 + ε²), η ~ N(0, I/features), and its label k mod L. A bursty context holds items/B
    classes of different labels, B items each, and the target is of one of them; another context has nothing to do with its
    target. Fresh classes come in one sequence only, so that its context is all that helps (Reddy 2023, "The mechanistic basis
    of data dependence and abrupt learning in an in-context classification task", section 2). Parts:

    - 'training': a sequence is fresh (and bursty) with probability p_C, else bursty with p_B;
    - 'in context': bursty, fresh classes (IC);
    - 'in weights': trained classes, a context that does not help (IW);
    - 'contradicted': bursty, trained classes under the label after theirs, in context and answer (IC2).

    All classes come equally often: the skew of the paper, rank^−α, is that of α = 0.

    Args:
        items, features, classes: N, D and K of the paper.
        outputs: how many labels there can be.
        asked: sequences of each part in an exam.
        labels: L, how many of the outputs are labels; it divides `classes`.
        burst: B, items of each class in a bursty context; it divides `items`.
        bursty, fresh: p_B and p_C, ½ as in the paper's runs.
        noise: ε, 0.1 as in the paper.

    Raises BadInput for numbers that do not fit each other.
    """

    means: Float[Array, "classes features"]
    labels: Number
    burst: Number
    bursty: Number
    fresh: Number
    noise: Number
    seed: UInt[Array, ""]
    items: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    asked: int = eqx.field(static=True)
    parts: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        items: int = 8,
        features: int = 63,
        classes: int = 512,
        outputs: int = 32,
        asked: int = 256,
        *,
        labels: int | None = None,
        burst: int = 1,
        bursty: float = 0.5,
        fresh: float = 0.5,
        noise: float = 0.1,
    ):
        labels = outputs if labels is None else labels
        sizes = {"items": items, "features": features, "classes": classes, "outputs": outputs, "asked": asked}
        _check(labels, burst, **sizes)
        numbers = (labels, burst, bursty, fresh, noise)
        self.labels, self.burst, self.bursty, self.fresh, self.noise = (jnp.float32(value) for value in numbers)
        self.means, self.seed = jnp.zeros((classes, features)), jnp.uint32(0)
        self.items, self.outputs, self.asked = items, outputs, asked
        self.parts = ("training", "in context", "in weights", "contradicted")

    @property
    def features(self) -> int:
        """Numbers in an item."""
        return self.means.shape[1]

    @property
    def allowed(self) -> Bool[Array, " outputs"]:
        """The labels there are."""
        return jnp.arange(self.outputs) < self.labels

    def open(self, *, key: PRNGKeyArray) -> "BurstySequences":
        """Draw the means of this lifetime's classes, and what exams ask about."""
        means = jax.random.normal(key_for(key, "means"), self.means.shape) / self.features**0.5
        return eqx.tree_at(lambda world: world.means, super().open(key=key), means)

    def sequence(
        self, part: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "length features"], Int[Array, " length"]]:
        """Return the items and labels of one sequence."""
        chance = jax.random.uniform(key_for(key, "kind"), (2,))
        fresh = jnp.where(part == 0, chance[0] < self.fresh, part == 1)
        bursty = fresh | jnp.where(part == 0, chance[1] < self.bursty, part == 3)
        label, kind = self._plan(bursty, key_for(key, "plan"))
        drawn = jax.random.normal(key_for(key, "numbers"), (2, self.items + 1, self.features)) / self.features**0.5
        same = jax.nn.one_hot(self._group(key_for(key, "plan")), self.items)
        centres = jnp.where(fresh, same @ drawn[0, : self.items], self.means[kind])
        items = (centres + self.noise * drawn[1]) / jnp.sqrt(1 + self.noise**2)
        return items, jnp.where(part == 3, (label + 1) % jnp.asarray(self.labels, jnp.int32), label)

    def _group(self, key: PRNGKeyArray) -> Int[Array, " length"]:
        """Return to which class of a bursty context each item belongs, the target's last."""
        groups = self.items // jnp.asarray(self.burst, jnp.int32)
        order = jnp.argsort(jax.random.uniform(key_for(key, "order"), (self.items,)))
        target = jax.random.randint(key_for(key, "target"), (1,), 0, self.items)
        return jnp.concatenate([order, target]) % groups

    def _plan(self, bursty: Bool[Array, ""], key: PRNGKeyArray) -> tuple[Int[Array, " length"], Int[Array, " length"]]:
        """Return the label and the class of every item: by groups of different labels, or each by itself."""
        labels = jnp.asarray(self.labels, jnp.int32)
        place = jnp.where(self.allowed, jax.random.uniform(key_for(key, "labels"), (self.outputs,)), 2.0)
        chosen = jnp.argsort(place)[self._group(key) % labels]
        alone, turn = jax.random.bits(key_for(key, "alone"), (2, self.items + 1), jnp.uint32)
        turn = jnp.where(bursty, turn[self._group(key)], turn)
        label = jnp.where(bursty, chosen, (alone % labels.astype(jnp.uint32)).astype(jnp.int32)).astype(jnp.int32)
        each = (len(self.means) // labels).astype(jnp.uint32)
        return label, label + labels * (turn % each).astype(jnp.int32)


def _check(labels: int, burst: int, **sizes: int) -> None:
    if min(sizes.values()) < 1:
        raise BadInput(f"sizes must be at least 1: {sizes}")
    if not 2 <= labels <= sizes["outputs"] or sizes["classes"] % labels:
        raise BadInput(f"labels must divide the classes, and be 2 or more and no more than outputs: {labels=}, {sizes}")
    if burst < 1 or sizes["items"] % burst or sizes["items"] // burst > labels:
        raise BadInput(
            f"a burst must divide the {sizes['items']} items and leave no more classes than labels: {burst=}, {labels=}"
        )
