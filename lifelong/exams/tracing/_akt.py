"""Attentive knowledge tracing (Ghosh, Heffernan and Lan 2020): what was answered before, weighed by likeness and distance."""

import math
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.worlds import PracticeLog

from ._deep import Deep
from ._network import Network, surprise
from ._rows import Rows
from ._tokens import Answers, Table, averaged

RASCH = 1e-5
"""The penalty of squared difficulties, as in the authors' code (`l2`)."""

NEVER = -1e9


class Attention(eqx.Module):
    """Attention whose weights fall with distance, followed by a position-wise layer; both with a skip and a norm.

    αₜₛ ∝ exp(exp(−θ·d(t, s))·qₜ·kₛ/√width), d(t, s)² = (t − s)·Σ_{s < u ≤ t} γₜᵤ, γ the plain softmax weights (section 3.2;
    the root is in the authors' code). No gradient flows through d. Queries and keys have the same projection.
    """

    inputs: Float[Array, "two width width"]
    outputs: Float[Array, "width width"]
    forget: Float[Array, " heads"]
    inner: Float[Array, "width inner"]
    outer: Float[Array, "inner width"]
    scales: Float[Array, "two width"]

    def __init__(self, width: int, heads: int, *, key: PRNGKeyArray):
        drawn = jax.random.uniform(key, (7, width, width), minval=-1.0) / math.sqrt(width)
        self.inputs, self.outputs = drawn[:2], drawn[2]
        self.inner = jnp.concatenate(list(drawn[3:5]), axis=1)
        self.outer = jnp.concatenate(list(drawn[5:7]), axis=0) / math.sqrt(2)
        self.forget, self.scales = jnp.zeros(heads), jnp.ones((2, width))

    def __call__(
        self,
        asking: Float[Array, "pieces length width"],
        offered: Float[Array, "pieces length width"],
        seen: Bool[Array, "pieces length length"],
        place: Int[Array, "pieces length"],
    ) -> Float[Array, "pieces length width"]:
        """Return what each place takes from the places it sees, by what is `offered` there; nothing where it sees none.

        Distances are those of `place`.
        """
        like, values = self._heads(asking @ self.inputs[0]), self._heads(offered @ self.inputs[1])
        scores = jnp.einsum("bthd,bshd->bhts", like, like) / math.sqrt(like.shape[-1])
        seen = seen[:, None]
        decay = jnp.exp(-jax.nn.softplus(self.forget)[:, None, None] * _distance(scores, seen, place))
        weight = jax.nn.softmax(jnp.where(seen, scores * decay, NEVER), axis=-1) * seen
        taken = jnp.einsum("bhts,bshd->bthd", weight, values).reshape(asking.shape) @ self.outputs
        middle = _normed(asking + taken, self.scales[0])
        return _normed(middle + jax.nn.relu(middle @ self.inner) @ self.outer, self.scales[1])

    def _heads(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], len(self.forget), -1)


def _distance(
    scores: Float[Array, "b h t s"], seen: Bool[Array, "b 1 t s"], place: Int[Array, "b t"]
) -> Float[Array, "b h t s"]:
    """Return d(t, s), the less the less is weighed between s and t."""
    plain = jax.nn.softmax(jnp.where(seen, jax.lax.stop_gradient(scores), NEVER), axis=-1) * seen
    after = plain.sum(axis=-1, keepdims=True) - jnp.cumsum(plain, axis=-1)
    apart = jnp.abs(place[:, :, None] - place[:, None, :])[:, None]
    squared = jnp.maximum(after, 0.0) * apart
    return jax.lax.stop_gradient(jnp.sqrt(squared))


def _normed(x: Float[Array, "*shape width"], scale: Float[Array, " width"]) -> Float[Array, "*shape width"]:
    centred = x - x.mean(axis=-1, keepdims=True)
    return scale * centred * jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)


class Attentive(Network):
    """Two encoders, of questions and of answers, and a retriever that asks the second in terms of the first."""

    concepts: Table
    answers: Answers
    variation: Table
    answered: Answers
    difficulty: Float[Array, " items"]
    blocks: tuple[Attention, Attention, Attention]
    hidden: Float[Array, "double width"]
    last: Float[Array, " width"]
    bias: Float[Array, ""]

    def __init__(self, skills: int, items: int, width: int, heads: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 8)
        self.concepts, self.variation = (Table(skills, width, key=keys[i]) for i in (0, 1))
        self.answers, self.answered = (Answers(skills, width, key=keys[i]) for i in (2, 3))
        self.difficulty, self.bias = jnp.zeros(items), jnp.zeros(())
        self.blocks = (Attention(width, heads, key=keys[4]), Attention(width, heads, key=keys[5]),
            Attention(width, heads, key=keys[6]))  # fmt: skip
        drawn = jax.random.uniform(keys[7], (2 * width + 1, width), minval=-1.0) / math.sqrt(2 * width)
        self.hidden, self.last = drawn[:-1], drawn[-1]

    def logits(self, rows: Rows) -> Float[Array, "pieces length"]:
        """Return logits; questions see questions up to themselves, and answers strictly before."""
        skill, outcome = jnp.asarray(rows.skill), jnp.asarray(rows.outcome)
        harder = self.difficulty[jnp.asarray(rows.item)][..., None]
        question = averaged(self.concepts(skill), skill) + harder * averaged(self.variation(skill), skill)
        answer = self.answers(skill, outcome) + harder * self.answered(skill, outcome)
        upto, before, place = _visible(rows)
        asks, knows, retrieves = self.blocks
        asking = asks(question, question, upto, place)
        found = retrieves(asking, knows(answer, answer, upto, place), before, place)
        inside = jax.nn.relu(jnp.concatenate([found, question], axis=-1) @ self.hidden)
        return inside @ self.last + self.bias

    def loss(self, rows: Rows, *, key: PRNGKeyArray) -> Float[Array, " pieces"]:
        """Return −ln P(answers), and the penalty of the difficulties of the rows."""
        rasch = jnp.where(jnp.asarray(rows.row) >= 0, self.difficulty[jnp.asarray(rows.item)] ** 2, 0.0)
        return surprise(self.logits(rows), rows) + RASCH * rasch.sum(axis=1)


def _visible(rows: Rows) -> tuple[Array, Array, Int[Array, "pieces length"]]:
    """Return which places each one sees, up to itself and before, and how many leave a trace before it.

    Rows that ask are not seen by others.
    """
    length = rows.outcome.shape[1]
    past, itself = jnp.tril(jnp.ones((length, length), bool), -1), jnp.eye(length, dtype=bool)
    traces = jnp.asarray(rows.row) >= 0
    traces = traces if rows.asks is None else traces & ~rows.asks
    before = past & traces[:, None, :]
    return before | itself, before, jnp.cumsum(traces, axis=1) - traces


@dataclass
class AKT(Deep):
    """Attention over what was answered before, which falls off with distance and knows items by their difficulty.

    Ghosh, Heffernan and Lan 2020 ("Context-Aware Attentive Knowledge Tracing"), with one block for each of the question
    encoder, the knowledge encoder and the knowledge retriever, `heads` heads, and Rasch embeddings: an item is its skills
    plus its difficulty times their direction of variation. Of the attention models it is this one and not SAKT because it
    needs no table of positions, so that histories may be longer than those learned from, and because it is ahead by six
    points of AUC on ASSISTments 2009 in the pyKT benchmark (Liu et al. 2022).

    Raises BadInput where `heads` does not divide `width`.
    """

    heads: int = 4
    batch: int = 16
    learning_rate: float = 2e-3

    def __post_init__(self):
        super().__post_init__()
        if self.heads < 1 or self.width % self.heads:
            raise BadInput(f"AKT: {self.heads} heads do not divide a width of {self.width}")

    def network(self, log: PracticeLog, *, key: PRNGKeyArray) -> Attentive:
        """Return attention blocks for the skills and items of a log."""
        return Attentive(log.skill_codes, log.item_codes, self.width, self.heads, key=key)
