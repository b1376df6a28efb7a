"""Online prototype learning: keep classes apart by their prototypes, and rehearse mixtures of those that lie close."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree
from scipy.stats import beta

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import class_means, prototype_contrast, supervised_contrast
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Pages, RandomViews

from ._base import Loss, Memory, Step
from ._buffer import Buffer, Gone, empty_buffer, insert, released, sample
from ._pairs import Mixed, draw_of_class, draw_pairs, mix, pair_probabilities

WIDEST = 0.6
"""The largest share of a random partner in a mixture (the authors' code)."""


class OnProState(NamedTuple):
    """The examples held, what the next step rehearses as it is and mixed, and the number of tasks finished."""

    buffer: Buffer
    seen: Batch
    mixed: Mixed
    finished: Int[Array, ""]


class Rehearsal(NamedTuple):
    """What a step rehearses, and the key of its random views."""

    seen: Batch
    mixed: Mixed
    key: PRNGKeyArray


class OnPro(Memory):
    """Contrastive replay with online prototype equilibrium (OPE) and adaptive prototypical feedback (APF).

    A step descends, with two views of every image (as it is, and at random), R a draw from a reservoir, R* its mixtures, and
    the prototypes p_c of a batch the means of the projections z of its examples of class c,

        w · L(θ; batch) + L(θ; R*)                      the learner's loss: on the batch in the first task, on R* later
        + `instances` · [ C(batch) + C(R*) ]            C: `supervised_contrast` of the z, a mixture in a group of its own
        + `prototypes` · [ P(batch) + P(R) ]            P: `prototype_contrast` between the views (OPE)

    where w is 1 in the first task and `current` afterwards, and terms with R* are 0 in the first task. Of R*, the first part
    is R itself, each example mixed with the next, U(0, 0.6) of it; a share `pairs` are two stored examples of two classes
    drawn with probability softmax(`focus` / distance of their prototypes), the second of them Beta(α, α) of the mixture
    (APF). Any of them is a mixture with probability `mixing`, else its first example. Prototypes for APF are those of the
    last step's R, over both views; the first step of a task, without any, rehearses R as it is.

    Wei et al. 2023, "Online Prototype Learning for Online Continual Learning"; the defaults are those of the authors' code
    for CIFAR-10 but for the temperature of C, which there is 0.07. Pairs are drawn one by one where they round quotas, which
    fixed shapes do not allow. Needs a model with `project` (`Projected`), and to be told of the ends of tasks; give the
    learner an `Augmented` feedback, as theirs sees random views too.

    Args:
        capacity: examples held.
        batch: examples in R, and in R*.
        views: makes random views.
        instances, prototypes: weights of C and P.
        current: w after the first task; anything but 0 is another method, more biased to new classes.
        pairs, mixing, focus: as above; focus = 0 draws pairs of classes uniformly.
        alpha: α; not to be swept.
        prototype_temperature, instance_temperature: τ of P and of C.
    """

    views: RandomViews
    shares: Float[Array, " quantiles"]
    capacity: int = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    instances: Number = number(1.0)
    prototypes: Number = number(1.0)
    current: Number = number(0.0)
    pairs: Number = number(0.25)
    mixing: Number = number(0.6)
    focus: Number = number(1.0)
    prototype_temperature: Number = number(0.5)
    instance_temperature: Number = number(0.1)

    def __init__(
        self,
        capacity: int = 200,
        batch: int = 64,
        views: RandomViews | None = None,
        *,
        instances: Number = 1.0,
        prototypes: Number = 1.0,
        current: Number = 0.0,
        pairs: Number = 0.25,
        mixing: Number = 0.6,
        focus: Number = 1.0,
        alpha: float = 0.4,
        prototype_temperature: Number = 0.5,
        instance_temperature: Number = 0.1,
    ):
        if not 2 <= batch <= capacity:
            raise BadInput(f"the rehearsed batch must be 2 … capacity, and it is {batch} of {capacity}")
        if not alpha > 0:
            raise BadInput(f"the α of a Beta distribution is above 0, and it is {alpha}")
        self.views = views or RandomViews()
        self.instances, self.prototypes, self.current = instances, prototypes, current
        self.pairs, self.mixing, self.focus = pairs, mixing, focus
        self.prototype_temperature, self.instance_temperature = prototype_temperature, instance_temperature
        self.shares = jnp.asarray(beta(alpha, alpha).ppf(np.linspace(0, 1, 513)), jnp.float32)
        self.capacity, self.batch = capacity, batch

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> OnProState:
        """Return an empty reservoir; raise `Mismatch` where the model has no projection or tasks are known."""
        if not hasattr(model, "project"):
            raise Mismatch(
                f"OnPro compares projections, and {type(model).__name__} has no method `project(x)` for one input; wrap it: "
                f"Recipe(Projected, net=Recipe({type(model).__name__}, …))"
            )
        if like.allowed is not None:
            raise Mismatch("OnPro mixes examples of all classes, and where tasks are known they must not be mixed")
        outputs = eqx.filter_eval_shape(model, like.x[0]).shape[-1]
        width = eqx.filter_eval_shape(model.project, like.x[0]).shape[-1]
        buffer = empty_buffer(like, self.capacity, outputs)
        nothing = eqx.filter_eval_shape(self._draw, buffer, jnp.zeros((outputs, width)), jnp.zeros(outputs), key)
        seen, mixed = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), nothing)
        return OnProState(buffer, seen, mixed, jnp.int32(0))

    def recall(self, m: OnProState, *, key: PRNGKeyArray) -> Rehearsal:
        """Return what was drawn after the last step, with a key for its views."""
        return Rehearsal(m.seen, m.mixed, key)

    def weigh(self, m: OnProState, batch: Batch, recalled: Rehearsal) -> Float[Array, ""]:
        """Return w."""
        return jnp.where(m.finished > 0, self.current, 1.0)

    def penalty(self, m: OnProState, model: PyTree, batch: Batch, recalled: Rehearsal, loss: Loss) -> Float[Array, ""]:
        """Return all but the loss on the batch."""
        mixed, seen, outputs = recalled.mixed, recalled.seen, len(m.buffer.met_of)
        now, blended, past = self._project(model, batch, recalled)
        later = (m.finished > 0).astype(jnp.float32)
        group = jnp.where(mixed.share > 0, outputs + jnp.arange(len(mixed.y)), mixed.y)
        instances = self._contrast(now, batch.y, batch.weight) + later * self._contrast(blended, group, mixed.weight)
        prototypes = sum(
            prototype_contrast(*views, b.y, b.weight, outputs, self.prototype_temperature)
            for views, b in ((now, batch), (past, seen))
        )
        return later * loss(model, mixed.as_batch()) + self.instances * instances + self.prototypes * prototypes

    def _contrast(
        self, views: tuple[Array, Array], group: Int[Array, " n"], weight: Float[Array, " n"]
    ) -> Float[Array, ""]:
        """Return C of both views together."""
        return supervised_contrast(
            jnp.concatenate(views), jnp.tile(group, 2), jnp.tile(weight, 2), self.instance_temperature
        )

    def _project(self, model: PyTree, batch: Batch, recalled: Rehearsal) -> list[tuple[Array, Array]]:
        """Return the projections of batch, mixtures and rehearsed examples: of each as it is, and of a random view."""
        parts = (batch.x, recalled.mixed.x, recalled.seen.x)
        clean = jnp.concatenate(parts)
        z = jax.vmap(model.project)(jnp.concatenate([clean, self.views(clean, key=recalled.key)]))
        ends = np.cumsum([len(part) for part in parts])[:-1]
        return list(zip(*(jnp.split(view, ends) for view in jnp.split(z, 2)), strict=True))

    def keep(self, m: OnProState, step: Step, *, key: PRNGKeyArray) -> OnProState:
        """Offer the batch to the reservoir, and draw what comes next by the prototypes of what was rehearsed."""
        for_slots, for_draw = jax.random.split(key)
        outputs, seen = len(m.buffer.met_of), step.recalled.seen
        *_, past = self._project(step.before, step.batch, step.recalled)
        (one, counts), (other, _) = (class_means(z, seen.y, seen.weight, outputs) for z in past)
        buffer = insert(m.buffer, step.batch, None, "reservoir", key=for_slots)
        seen, mixed = self._draw(buffer, (one + other) / 2, counts, for_draw)
        return m._replace(buffer=buffer, seen=seen, mixed=mixed)

    def _draw(
        self,
        buffer: Buffer,
        prototypes: Float[Array, "outputs width"],
        counts: Float[Array, " outputs"],
        key: PRNGKeyArray,
    ) -> tuple[Batch, Mixed]:
        """Return a draw from the reservoir and its mixtures, the last of them of pairs of classes."""
        words = jax.random.bits(key, (6, self.batch), jnp.uint32)
        uniform = (words >> 8).astype(jnp.float32) / 2.0**24
        seen = sample(buffer, self.batch, words[0, 0])[0]
        place, known = jnp.arange(self.batch), counts > 0
        plain = jnp.where(known.sum() > 1, jnp.floor(self.batch * (1 - self.pairs)), self.batch)
        partner = (place + 1) % jnp.maximum(jnp.minimum(plain, seen.weight.sum()), 1).astype(jnp.int32)
        y_a, y_b = draw_pairs(*pair_probabilities(prototypes, known, self.focus), uniform[1])
        a, b = (draw_of_class(buffer, y, w) for y, w in zip((y_a, y_b), words[2:4], strict=True))
        chance = jnp.where(uniform[4] < self.mixing, uniform[5], 0.0)
        neighbours = mix(seen, jax.tree.map(lambda leaf: leaf[partner], seen), WIDEST * chance)
        paired = mix(a, b, jnp.interp(chance, jnp.linspace(0, 1, len(self.shares)), self.shares))
        return seen, jax.tree.map(lambda a, b: jnp.where(_as(place < plain, a), a, b), neighbours, paired)

    def consolidate(
        self, m: OnProState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, OnProState]:
        """Count the finished task, and let the next one begin with what was drawn as it is."""
        seen = m.seen
        return model, m._replace(mixed=mix(seen, seen, jnp.zeros(self.batch)), finished=m.finished + 1)

    def release(self, m: OnProState, gone: Gone) -> OnProState:
        """Return the state without the examples that `gone` marks, and without any mixture."""
        m = released(m, gone)
        return m._replace(mixed=mix(m.seen, m.seen, jnp.zeros(self.batch)))


def _as(mask: Array, like: Array) -> Array:
    """Return a mask of examples with as many axes as an array of theirs."""
    return mask.reshape(-1, *[1] * (like.ndim - 1))
