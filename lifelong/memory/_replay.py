"""Rehearsal: keep some examples and learn them again beside the new ones."""

from typing import Any, Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import Feedback, weighted_mean
from lifelong.keys import key_for
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory, Step, number
from ._buffer import Buffer, Policy, empty_buffer, insert, put_in, sample
from ._shares import set_aside

Mix = Literal["sum", "concatenate", "by_task", "blend"]
"""How current and replayed losses are put together: 'sum' L_now + β·L_replay (Mammoth's ER), 'concatenate' the mean
over both batches as one (Avalanche), 'by_task' L_now/k + (1 − 1/k)·L_replay in the k-th task (van de Ven), 'blend' the
mean over one batch in which every place is taken by a replayed example with probability `share`, β left out, as if
epochs went through the new data and the buffer together (Hsu et al. 2018)."""

POLICIES = (*get_args(Policy), "by_task")


class Recalled(NamedTuple):
    """Examples to rehearse for their labels, and an independent draw with the logits stored beside them."""

    labelled: Batch
    answered: Batch | None
    logits: Float[Array, "n outputs"] | None


class ReplayState(NamedTuple):
    """What replay keeps: the buffer, what it will rehearse next, and the number of tasks finished.

    The next rehearsal is drawn as soon as the buffer has been written: reading after writing lets the compiler write
    in place, where reading before it would copy the whole buffer in every step.
    """

    buffer: Buffer
    recalled: Recalled
    finished: Int[Array, ""]


class Replay(Memory):
    """Experience replay, dark experience replay (DER), and both (DER++), by what the replayed examples are asked for.

    penalty(θ) = β · L(θ; buffer) + α · mean ‖h_θ(x) − z‖² / outputs, with z the logits the model gave when x was stored
    and the two terms on independent draws (Buzzega et al. 2020, "Dark Experience for General Continual Learning",
    equation 6: DER is β = 0, ER is α = 0).

    Args:
        capacity: examples held.
        batch: examples replayed in a step; where the mix is 'blend', the examples of a step.
        labels: β, the weight of the loss on replayed labels.
        logits: α, the weight of the distance to stored logits; None stores none.
        policy: who stays in the buffer; 'by_task' needs to be told of the ends of tasks.
        mix: how the losses are put together.
        feedback: the loss on replayed labels, where it is not the learner's own.
        tasks: with the policy 'by_task', reserve room for so many tasks; None divides it among those finished.
        share: of a blended batch, how much is replayed.
    """

    labels: Float[Array, ""] = number(1.0)
    logits: Float[Array, ""] | None = None
    share: Float[Array, ""] = number(0.5)
    feedback: Feedback | None = None
    capacity: int = eqx.field(static=True, default=500)
    batch: int = eqx.field(static=True, default=32)
    policy: Policy | Literal["by_task"] = eqx.field(static=True, default="reservoir")
    mix: Mix = eqx.field(static=True, default="sum")
    tasks: int | None = eqx.field(static=True, default=None)

    def __init__(
        self,
        capacity: int = 500,
        batch: int = 32,
        labels: float = 1.0,
        logits: float | None = None,
        policy: Policy | Literal["by_task"] = "reservoir",
        mix: Mix = "sum",
        feedback: Feedback | None = None,
        tasks: int | None = None,
        share: float = 0.5,
    ):
        if capacity < 1 or batch < 1:
            raise BadInput(f"replay needs room and a batch of at least 1: capacity={capacity}, batch={batch}")
        if batch > capacity:
            raise BadInput(f"a replay batch of {batch} cannot be drawn from a buffer of {capacity}; lower the batch")
        if policy not in POLICIES or mix not in get_args(Mix):
            raise BadInput(
                f"policy must be one of {', '.join(POLICIES)} and mix one of {', '.join(get_args(Mix))}; "
                f"they are '{policy}' and '{mix}'"
            )
        if not 0.0 <= share <= 1.0:
            raise BadInput(f"the share of a batch that is replayed must lie between 0 and 1, and it is {share}")
        if mix == "blend" and feedback is not None:
            raise BadInput("a blended batch has one loss, the learner's: replay cannot have a feedback of its own")
        if tasks is not None and not (policy == "by_task" and 1 <= tasks <= capacity):
            raise BadInput(f"room is reserved for 1 … capacity tasks by the policy 'by_task', not tasks={tasks}")
        self.capacity, self.batch, self.policy, self.mix, self.feedback = capacity, batch, policy, mix, feedback
        self.labels, self.share, self.tasks = jnp.float32(labels), jnp.float32(share), tasks
        self.logits = None if logits is None else jnp.float32(logits)

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> ReplayState:
        """Return an empty buffer; raise `Mismatch` where batches of another size are to be blended."""
        if self.mix == "blend" and len(like) != self.batch:
            raise Mismatch(f"replay blends batches of {self.batch}, and the learner's have {len(like)} examples")
        answers = eqx.filter_eval_shape(jax.vmap(model), like.x)
        stored = None if self.logits is None else answers
        buffer = empty_buffer(like, self.capacity, answers.shape[-1], stored)
        nothing = eqx.filter_eval_shape(self._draw, buffer, key)
        return ReplayState(buffer, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), nothing), jnp.int32(0))

    def _draw(self, buffer: Buffer, key: PRNGKeyArray) -> Recalled:
        seeds = jax.random.bits(key, (1 if self.logits is None else 2,), jnp.uint32)
        draws = jax.vmap(lambda seed: sample(buffer, self.batch, seed))(seeds)
        labelled, _ = jax.tree.map(lambda leaf: leaf[0], draws)
        if self.mix == "blend":
            takes = jax.random.uniform(key_for(key, "places"), (self.batch,)) < self.share
            labelled = eqx.tree_at(lambda b: b.weight, labelled, labelled.weight * takes)
        if self.logits is None:
            return Recalled(labelled, None, None)
        return Recalled(labelled, *jax.tree.map(lambda leaf: leaf[1], draws))

    def recall(self, m: ReplayState, *, key: PRNGKeyArray) -> Recalled:
        """Return one draw for the labels and an independent one for the logits."""
        return m.recalled

    def blend(self, m: ReplayState, batch: Batch, recalled: Recalled) -> Batch:
        """Return the batch with replayed examples in their places, where the mix is 'blend'."""
        return put_in(batch, recalled.labelled) if self.mix == "blend" else batch

    def weigh(self, m: ReplayState, batch: Batch, recalled: Recalled) -> Float[Array, ""] | float:
        """Return the weight of the current batch's loss."""
        return self._weights(m, batch, recalled)[0]

    def _weights(self, m: ReplayState, batch: Batch, recalled: Recalled) -> tuple[Any, Any]:
        if self.mix == "sum":
            return 1.0, self.labels
        if self.mix == "blend":
            return 1.0, 0.0
        if self.mix == "by_task":
            current = jnp.where(m.buffer.filled > 0, 1.0 / (m.finished + 1.0), 1.0)
            return current, self.labels * (1.0 - current)
        now, then = batch.weight.sum(), recalled.labelled.weight.sum()
        return now / (now + then), self.labels * then / (now + then)

    def penalty(self, m: ReplayState, model: PyTree, batch: Batch, recalled: Recalled, loss: Loss) -> Float[Array, ""]:
        """Return the weighted loss on replayed labels plus the distance to stored logits."""
        total = jnp.float32(0.0)
        if self.mix != "blend":
            total = self._weights(m, batch, recalled)[1] * loss(model, recalled.labelled, self.feedback)
        if self.logits is None or recalled.answered is None:
            return total
        distance = ((jax.vmap(model)(recalled.answered.x) - recalled.logits) ** 2).mean(-1)
        return total + self.logits * weighted_mean(distance, recalled.answered.weight)

    def keep(self, m: ReplayState, step: Step, *, key: PRNGKeyArray) -> ReplayState:
        """Offer the batch to the buffer, with the logits of the model at which the gradient was taken."""
        for_slots, for_draw = jax.random.split(key)
        buffer = m.buffer
        if self.policy != "by_task":
            buffer = insert(buffer, step.batch, self._stored(step.before, step.batch), self.policy, key=for_slots)
        return m._replace(buffer=buffer, recalled=self._draw(buffer, for_draw))

    def _stored(self, model: PyTree, batch: Batch) -> Float[Array, "n outputs"] | None:
        return None if self.logits is None else jax.vmap(model)(batch.x)

    def consolidate(
        self, m: ReplayState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, ReplayState]:
        """Count the finished task, and give it its share of the buffer where the policy is 'by_task'."""
        if self.policy == "by_task":
            buffer = set_aside(m.buffer, review, self.tasks, lambda page: self._stored(model, page))
            m = m._replace(buffer=buffer, recalled=self._draw(buffer, key))
        return model, m._replace(finished=m.finished + 1)

    @property
    def consolidates(self) -> bool:
        """Whether the ends of tasks matter, to the mix or to the policy."""
        return "by_task" in (self.mix, self.policy)
