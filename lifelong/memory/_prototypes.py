"""Prototypes: answer with the class whose mean is nearest, and keep the examples that stand for a class best."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import FORBIDDEN, class_means, unit_length, weighted_mean
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory, Step
from ._buffer import Buffer, Policy, empty_buffer, insert, like_held, sample, write

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


def _check_features(model: PyTree) -> None:
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
        _check_features(model)
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
        mean, count = _means_held(m, model, self.unit) if isinstance(m, Buffer) else m
        return nearest_mean(model, x, mean, count > 0, self.unit)


def _means_held(buffer: Buffer, model: PyTree, unit: bool = True) -> Means:
    """Return the means of the examples held under the model's features."""
    taken = (jnp.arange(len(buffer)) < buffer.filled).astype(jnp.float32)
    held = buffer.examples
    return Means(*class_means(features_of(model, held.x, unit), held.y, taken, len(buffer.met_of)))


class ICaRLState(NamedTuple):
    """What iCaRL keeps: exemplars with their place in the herding order, and the old model's arrays.

    `met_of` of the store counts the training examples reviewed, so it also tells which classes are old.
    """

    store: Buffer
    old: PyTree


class ICaRL(Memory):
    """Keep the examples that stand best for each class, rehearse them, hold on to old outputs, answer by their means.

    At the end of a task each of its classes gets `capacity / classes met` exemplars, chosen by `herd` on unit-length
    features; older classes keep the first so many of theirs. Answers are those of the nearest mean of exemplars. What
    is descended, over current and replayed examples as one batch, with h the logits, o those of the model at the end of
    the last task, σ the logistic function and BCE(h, z) = −z·log σ(h) − (1−z)·log(1−σ(h)), is

        'binary':   mean over x of  Σ_{c new} BCE(h_c, 1[c = y]) + α Σ_{c old} T²·BCE(h_c/T, σ(o_c/T)),
        'learner':  mean over x of  the learner's own loss       + α Σ_{c old} T²·BCE(h_c/T, σ(o_c/T)).

    'binary' with α = T = 1 is Rebuffi et al. 2017, "iCaRL: Incremental Classifier and Representation Learning",
    algorithm 3: the learner's own loss is not used, and exemplars are learned from the old outputs alone. A class met
    again in a later task gets its exemplars anew from that task.

    Args:
        capacity: examples held, of all classes together (2000 in the paper).
        batch: exemplars replayed in a step.
        strength: α.
        temperature: T.
        form: 'binary' or 'learner'.
        classes: reserve room for so many classes, each capacity / classes; None divides it among those met.
    """

    strength: Number = number(1.0)
    temperature: Number = number(1.0)
    capacity: int = eqx.field(static=True, default=2000)
    batch: int = eqx.field(static=True, default=32)
    form: Literal["binary", "learner"] = eqx.field(static=True, default="binary")
    classes: int | None = eqx.field(static=True, default=None)

    def __init__(
        self,
        capacity: int = 2000,
        batch: int = 32,
        strength: Number = 1.0,
        temperature: Number = 1.0,
        form: Literal["binary", "learner"] = "binary",
        classes: int | None = None,
    ):
        if not 1 <= batch <= capacity:
            raise BadInput(f"the replayed batch must be 1 … capacity, and it is {batch} of {capacity}")
        if form not in ("binary", "learner"):
            raise BadInput(f"the form of iCaRL's loss must be 'binary' or 'learner', not '{form}'")
        self.strength, self.temperature = jnp.asarray(strength, jnp.float32), jnp.asarray(temperature, jnp.float32)
        self.capacity, self.batch, self.form, self.classes = capacity, batch, form, classes

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> ICaRLState:
        """Return an empty store; raise `Mismatch` or `BadInput` where model or capacity do not suit."""
        _check_features(model)
        outputs = eqx.filter_eval_shape(model, like.x[0]).shape[-1]
        if self.classes is not None and not outputs <= self.classes <= self.capacity:
            raise BadInput(f"room is reserved for {outputs} (all) … {self.capacity} classes, not for {self.classes}")
        if self.capacity < outputs:
            raise BadInput(f"{self.capacity} exemplars are fewer than one for each of {outputs} classes; keep more")
        store = empty_buffer(like, self.capacity, outputs, jnp.zeros(1, jnp.int32))
        return ICaRLState(store, eqx.filter(model, eqx.is_array))

    def recall(self, m: ICaRLState, *, key: PRNGKeyArray) -> Batch:
        """Return a draw of exemplars."""
        return sample(m.store, self.batch, jax.random.bits(key, (), jnp.uint32))[0]

    def weigh(self, m: ICaRLState, batch: Batch, recalled: Batch) -> Float[Array, ""] | float:
        """Return the current batch's share of both batches; 0 in the 'binary' form, which has a loss of its own."""
        return 0.0 if self.form == "binary" else batch.weight.sum() / (batch.weight.sum() + recalled.weight.sum())

    def penalty(self, m: ICaRLState, model: PyTree, batch: Batch, recalled: Batch, loss: Loss) -> Float[Array, ""]:
        """Return the loss on exemplars and the distance to the old outputs on both batches."""
        x, y, weight = (jnp.concatenate(pair) for pair in zip(_parts(batch), _parts(recalled), strict=True))
        logits = jax.vmap(model)(x)
        before = jax.lax.stop_gradient(jax.vmap(eqx.combine(m.old, model))(x))
        old, softness = m.store.met_of > 0, self.temperature
        bce = optax.sigmoid_binary_cross_entropy
        kept = softness**2 * bce(logits / softness, jax.nn.sigmoid(before / softness))
        kept = weighted_mean(self.strength * (kept * old).sum(-1), weight)
        if self.form == "learner":
            return (1 - self.weigh(m, batch, recalled)) * loss(model, recalled) + kept
        new = ~old if batch.allowed is None else batch.allowed.any(0) & ~old
        return kept + weighted_mean((bce(logits, jax.nn.one_hot(y, len(old))) * new).sum(-1), weight)

    def consolidate(
        self, m: ICaRLState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, ICaRLState]:
        """Choose exemplars of the finished task, shorten the lists of older classes, and remember the model."""
        outputs = len(m.store.met_of)
        features, y, weight = jax.lax.map(lambda i: _read(model, review.page(i)), jnp.arange(review.count))
        features, y, weight = features.reshape(-1, features.shape[-1]), y.reshape(-1), weight.reshape(-1)
        fresh = jnp.zeros(outputs, jnp.int32).at[y].add((weight > 0).astype(jnp.int32))
        met_of = m.store.met_of + fresh
        quota = jnp.int32(self.capacity) // (self.classes or jnp.maximum((met_of > 0).sum(), 1))
        places = herd(features, y, weight, outputs, quota).reshape(review.count, -1)
        store, starts = _make_room(m.store, fresh, quota)
        store = eqx.tree_at(lambda b: (b.met, b.met_of), store, (met_of.sum(), met_of))

        def put(i: Array, store: Buffer) -> Buffer:
            page = review.page(i)
            slots = jnp.where(places[i] < quota, starts[page.y] + places[i], self.capacity)
            return write(store, slots, like_held(page, store), places[i])

        store = jax.lax.fori_loop(0, review.count, put, store)
        return model, ICaRLState(store, eqx.filter(model, eqx.is_array))

    def answer(self, m: ICaRLState, model: PyTree, x: Float[Array, "n *shape"]) -> Float[Array, "n outputs"]:
        """Return minus the squared distances to the means of exemplars; the model's logits before there are any."""
        mean, count = _means_held(m.store, model)
        return nearest_mean(model, x, mean, count > 0)


def _parts(batch: Batch) -> tuple[Array, Array, Array]:
    return batch.x, batch.y, batch.weight


def _read(model: PyTree, page: Batch) -> tuple[Array, Array, Array]:
    return features_of(model, page.x), page.y, page.weight


def _make_room(
    store: Buffer, fresh: Int[Array, " outputs"], quota: Int[Array, ""]
) -> tuple[Buffer, Int[Array, " outputs"]]:
    """Move exemplars so that every class has its new quota in slots of its own; return where each class starts.

    Classes with fresh examples give up what they held.
    """
    capacity, outputs = len(store), len(fresh)
    held, place = store.examples, store.extra
    taken = jnp.arange(capacity) < store.filled
    had = jnp.zeros(outputs, jnp.int32).at[held.y].add(taken.astype(jnp.int32))
    size = jnp.minimum(jnp.where(fresh > 0, fresh, had), quota)
    starts = jnp.cumsum(size) - size
    stays = taken & (fresh[held.y] == 0) & (place < quota)
    slots = jnp.where(stays, starts[held.y] + place, capacity)
    weighed = Batch(held.x, held.y, held.task, taken.astype(jnp.float32), held.allowed)
    store = eqx.tree_at(lambda b: b.filled, store, size.sum())
    return write(store, slots, weighed, place), starts
