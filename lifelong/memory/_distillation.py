"""Distillation: keep answering as the model of yesterday did."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import kullback_leibler, weighted_mean
from lifelong.feedback._labels import FORBIDDEN
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory, Step, number


class LwFState(NamedTuple):
    """The arrays of the model as it was at the end of the last task, when each class was met, and the tasks finished.

    `task_of` is the number of tasks that were finished when a class was first met; −1 for classes not met yet.
    """

    old: PyTree
    task_of: Int[Array, " outputs"]
    finished: Int[Array, ""]


class LwF(Memory):
    """Learning without forgetting: answer new examples as the model at the end of the last task would have.

    penalty(θ) = λ T² · mean KL(softmax(h_old(x)/T) ‖ softmax(h_θ(x)/T)) over the current batch, 0 before a task has been
    finished (Li and Hoiem 2016, "Learning without Forgetting"; T² after Hinton et al. 2015, so that the size of the
    gradient does not depend on T: van de Ven's loss lacks it, and is strength = 1/T² here).

    Args:
        strength: λ; 0 is plain fine-tuning.
        temperature: T (Li and Hoiem: 2).
        classes: what the softmax runs over. 'old': the classes met before the last task's end, as one; 'heads': the same,
            task by task, summed over the tasks (Li and Hoiem, where the task is known); 'seen': for h_old as 'old', for
            h_θ all classes met, so that new ones are held down (van de Ven and Tolias 2018, where it is not known);
            'all': every output, met or not.
        mix: how the losses are put together: 'sum' L + penalty; 'by_task' L/k + (1 − 1/k) · penalty in the k-th task, in
            which heads are not summed but averaged (van de Ven and Tolias 2018).
    """

    strength: Float[Array, ""] | float = number(1.0)
    temperature: Float[Array, ""] | float = number(2.0)
    classes: Literal["old", "heads", "seen", "all"] = eqx.field(static=True, default="old")
    mix: Literal["sum", "by_task"] = eqx.field(static=True, default="sum")

    def __check_init__(self):
        if self.classes not in ("old", "heads", "seen", "all") or self.mix not in ("sum", "by_task"):
            raise BadInput(
                f"classes must be 'old', 'heads', 'seen' or 'all' and mix 'sum' or 'by_task'; "
                f"they are '{self.classes}' and '{self.mix}'"
            )

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> LwFState:
        """Return a state in which no task has been finished and no class met."""
        outputs = eqx.filter_eval_shape(model, like.x[0]).shape[-1]
        return LwFState(eqx.filter(model, eqx.is_array), jnp.full(outputs, -1, jnp.int32), jnp.int32(0))

    def weigh(self, m: LwFState, batch: Batch, recalled: None) -> Float[Array, ""] | float:
        """Return 1, or 1/k in the k-th task where the mix is 'by_task'."""
        return 1.0 if self.mix == "sum" else 1.0 / (m.finished + 1.0)

    def penalty(self, m: LwFState, model: PyTree, batch: Batch, recalled: None, loss: Loss) -> Float[Array, ""]:
        """Return how far the answers on the batch are from those of the old model."""
        old = jax.vmap(eqx.combine(m.old, model))(batch.x) / self.temperature
        new = jax.vmap(model)(batch.x) / self.temperature

        met = (m.task_of >= 0) & (m.finished > 0)

        def distance(group: Bool[Array, " outputs"]) -> Float[Array, " n"]:
            target = jax.nn.softmax(jnp.where(group, old, FORBIDDEN))
            return kullback_leibler(target, jnp.where(met if self.classes == "seen" else group, new, FORBIDDEN))

        apart = weighted_mean(jax.vmap(distance)(self._groups(m)).sum(0), batch.weight)
        return self.strength * self._share(m) * self.temperature**2 * apart

    def _share(self, m: LwFState) -> Float[Array, ""] | float:
        """Return the weight of what is summed over heads, before the strength."""
        if self.mix == "sum":
            return 1.0
        heads = jnp.maximum(m.finished, 1) if self.classes == "heads" else 1.0
        return (1.0 - 1.0 / (m.finished + 1.0)) / heads

    def _groups(self, m: LwFState) -> Bool[Array, "groups outputs"]:
        """Return the sets of classes over which a softmax runs; over no classes at all, the distance is 0."""
        if self.classes == "all":
            return jnp.broadcast_to(m.finished > 0, (1, len(m.task_of)))
        old = (m.task_of >= 0) & (m.task_of < m.finished)
        if self.classes in ("old", "seen"):
            return old[None]
        return old & (m.task_of == jnp.arange(len(m.task_of))[:, None])

    def keep(self, m: LwFState, step: Step, *, key: PRNGKeyArray) -> LwFState:
        """Note which classes are met for the first time."""
        met = (jax.nn.one_hot(step.batch.y, len(m.task_of)) * step.batch.weight[:, None]).sum(0) > 0
        return m._replace(task_of=jnp.where(met & (m.task_of < 0), m.finished, m.task_of))

    def consolidate(
        self, m: LwFState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, LwFState]:
        """Let the model of now be the old model."""
        return model, LwFState(eqx.filter(model, eqx.is_array), m.task_of, m.finished + 1)
