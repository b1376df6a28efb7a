"""iCaRL: keep the examples that stand best for each class, and answer by their means."""

from typing import Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import weighted_mean
from lifelong.keys import key_for
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory
from ._buffer import Buffer, empty_buffer, like_held, put_in, sample, write
from ._prototypes import check_features, features_of, herd, means_held, nearest_mean
from ._shares import runs

Form = Literal["binary", "softened", "learner"]
"""What iCaRL descends, see `ICaRL`."""


class ICaRLState(NamedTuple):
    """What iCaRL keeps: exemplars class by class in herding order, the old model's arrays, the tasks finished.

    `met_of` of the store counts the training examples reviewed, so it also tells which classes are old.
    """

    store: Buffer
    old: PyTree
    finished: Int[Array, ""]


class ICaRL(Memory):
    """Keep the examples that stand best for each class, rehearse them, hold on to old outputs, answer by their means.

    At the end of a task each of its classes gets `capacity / classes met` exemplars, chosen by `herd` on unit-length
    features; older classes keep the first so many of theirs. Answers are those of the nearest mean of exemplars. What
    is descended, over current and replayed examples as one batch, with h the logits, o those of the model at the end of
    the last task, σ the logistic function and BCE(h, z) = −z·log σ(h) − (1−z)·log(1−σ(h)), is

        'binary':    mean over x of  Σ_{c new} BCE(h_c, 1[c = y]) + α Σ_{c old} T²·BCE(h_c/T, σ(o_c/T)),
        'softened':  mean over x of  Σ_{c new} BCE(h_c, 1[c = y]) + α Σ_{c old} BCE(h_c, σ(o_c/T)),
        'learner':   mean over x of  the learner's own loss       + α Σ_{c old} T²·BCE(h_c/T, σ(o_c/T)).

    'binary' with α = T = 1 is Rebuffi et al. 2017, "iCaRL: Incremental Classifier and Representation Learning",
    algorithm 3: the learner's own loss is not used, and exemplars are learned from the old outputs alone. 'softened'
    with T = 2 is what van de Ven et al. 2022 run: old outputs fade a little with every task. A class met again in a
    later task gets its exemplars anew from that task.

    Args:
        capacity: examples held, of all classes together (2000 in the paper).
        batch: exemplars replayed in a step; where the mix is 'among', the examples of a step.
        strength: α.
        temperature: T.
        form: 'binary', 'softened' or 'learner'.
        classes: reserve room for so many classes, each capacity / classes; None divides it among those met.
        mix: 'beside' adds exemplars to the current batch; 'among' lets them take places in it, as many as if epochs went
            through the task and the exemplars together (the paper), a task being as large as those before on average.
    """

    strength: Number = number(1.0)
    temperature: Number = number(1.0)
    capacity: int = eqx.field(static=True, default=2000)
    batch: int = eqx.field(static=True, default=32)
    form: Form = eqx.field(static=True, default="binary")
    classes: int | None = eqx.field(static=True, default=None)
    mix: Literal["beside", "among"] = eqx.field(static=True, default="beside")

    def __init__(
        self,
        capacity: int = 2000,
        batch: int = 32,
        strength: Number = 1.0,
        temperature: Number = 1.0,
        form: Form = "binary",
        classes: int | None = None,
        mix: Literal["beside", "among"] = "beside",
    ):
        if not 1 <= batch <= capacity:
            raise BadInput(f"the replayed batch must be 1 … capacity, and it is {batch} of {capacity}")
        if form not in get_args(Form):
            raise BadInput(f"the form of iCaRL's loss must be 'binary', 'softened' or 'learner', not '{form}'")
        if mix not in ("beside", "among"):
            raise BadInput(f"exemplars are learned 'beside' or 'among' the current batch, not '{mix}'")
        self.strength, self.temperature = jnp.asarray(strength, jnp.float32), jnp.asarray(temperature, jnp.float32)
        self.capacity, self.batch, self.form, self.classes, self.mix = capacity, batch, form, classes, mix

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> ICaRLState:
        """Return an empty store; raise `Mismatch` or `BadInput` where model, batch or capacity do not suit."""
        check_features(model)
        outputs = eqx.filter_eval_shape(model, like.x[0]).shape[-1]
        if self.mix == "among" and len(like) != self.batch:
            raise Mismatch(f"iCaRL blends batches of {self.batch}, and the learner's have {len(like)} examples")
        if self.classes is not None and not outputs <= self.classes <= self.capacity:
            raise BadInput(f"room is reserved for {outputs} (all) … {self.capacity} classes, not for {self.classes}")
        if self.capacity < outputs:
            raise BadInput(f"{self.capacity} exemplars are fewer than one for each of {outputs} classes; keep more")
        store = empty_buffer(like, self.capacity, outputs)
        return ICaRLState(store, eqx.filter(model, eqx.is_array), jnp.int32(0))

    def recall(self, m: ICaRLState, *, key: PRNGKeyArray) -> Batch:
        """Return a draw of exemplars, those that take no place in the batch with weight 0."""
        drawn = sample(m.store, self.batch, jax.random.bits(key, (), jnp.uint32))[0]
        if self.mix == "beside":
            return drawn
        held, task = m.store.filled, m.store.met / jnp.maximum(m.finished, 1)
        takes = jax.random.uniform(key_for(key, "places"), (self.batch,)) < held / jnp.maximum(held + task, 1)
        return eqx.tree_at(lambda b: b.weight, drawn, drawn.weight * takes)

    def blend(self, m: ICaRLState, batch: Batch, recalled: Batch) -> Batch:
        """Return the batch with exemplars in their places, where the mix is 'among'."""
        return put_in(batch, recalled) if self.mix == "among" else batch

    def weigh(self, m: ICaRLState, batch: Batch, recalled: Batch) -> Float[Array, ""] | float:
        """Return the weight of the learner's own loss on the batch; 0 in the forms that have a loss of their own."""
        if self.form != "learner":
            return 0.0
        beside = recalled.weight.sum() if self.mix == "beside" else 0.0
        return batch.weight.sum() / (batch.weight.sum() + beside)

    def penalty(self, m: ICaRLState, model: PyTree, batch: Batch, recalled: Batch, loss: Loss) -> Float[Array, ""]:
        """Return the loss on exemplars and the distance to the old outputs on all that the step learns."""
        batches = (batch, recalled) if self.mix == "beside" else (batch,)
        x, y, weight = (jnp.concatenate(parts) for parts in zip(*map(_parts, batches), strict=True))
        logits = jax.vmap(model)(x)
        before = jax.lax.stop_gradient(jax.vmap(eqx.combine(m.old, model))(x))
        old = m.store.met_of > 0
        kept = weighted_mean(self.strength * (self._apart(logits, before) * old).sum(-1), weight)
        if self.form == "learner":
            rest = 1 - self.weigh(m, batch, recalled)
            return kept + (rest * loss(model, recalled) if self.mix == "beside" else 0.0)
        new = ~old if batch.allowed is None else batch.allowed.any(0) & ~old
        labelled = optax.sigmoid_binary_cross_entropy(logits, jax.nn.one_hot(y, len(old)))
        return kept + weighted_mean((labelled * new).sum(-1), weight)

    def _apart(self, logits: Float[Array, "n outputs"], before: Float[Array, "n outputs"]) -> Float[Array, "n outputs"]:
        """Return how far every output is from the old one."""
        softness, target = self.temperature, jax.nn.sigmoid(before / self.temperature)
        if self.form == "softened":
            return optax.sigmoid_binary_cross_entropy(logits, target)
        return softness**2 * optax.sigmoid_binary_cross_entropy(logits / softness, target)

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
            return write(store, slots, like_held(page, store), None)

        store = jax.lax.fori_loop(0, review.count, put, store)
        return model, ICaRLState(store, eqx.filter(model, eqx.is_array), m.finished + 1)

    def answer(self, m: ICaRLState, model: PyTree, x: Float[Array, "n *shape"]) -> Float[Array, "n outputs"]:
        """Return minus the squared distances to the means of exemplars; the model's logits before there are any."""
        mean, count = means_held(m.store, model)
        return nearest_mean(model, x, mean, count > 0)


def _parts(batch: Batch) -> tuple[Array, Array, Array]:
    return batch.x, batch.y, batch.weight


def _read(model: PyTree, page: Batch) -> tuple[Array, Array, Array]:
    return features_of(model, page.x), page.y, page.weight


def _make_room(
    store: Buffer, fresh: Int[Array, " outputs"], quota: Int[Array, ""]
) -> tuple[Buffer, Int[Array, " outputs"]]:
    """Move exemplars so that every class has its new quota in slots of its own; return where each class starts.

    Classes with fresh examples give up what they held; the others keep their first, in herding order.
    """
    capacity, outputs, held = len(store), len(fresh), store.examples
    taken = jnp.arange(capacity) < store.filled
    had = jnp.zeros(outputs, jnp.int32).at[held.y].add(taken.astype(jnp.int32))
    size = jnp.minimum(jnp.where(fresh > 0, fresh, had), quota)
    starts, place = jnp.cumsum(size) - size, runs(held.y, store.filled).place
    stays = taken & (fresh[held.y] == 0) & (place < quota)
    slots = jnp.where(stays, starts[held.y] + place, capacity)
    weighed = Batch(held.x, held.y, held.task, taken.astype(jnp.float32), held.allowed)
    store = eqx.tree_at(lambda b: b.filled, store, size.sum())
    return write(store, slots, weighed, None), starts
