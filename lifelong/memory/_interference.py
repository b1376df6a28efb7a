"""Maximally interfered retrieval: rehearse what the coming step would harm most."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.feedback import Feedback
from lifelong.recipe import Number, number
from lifelong.worlds import Batch

from ._base import Loss, Memory, Step
from ._buffer import Buffer, Policy, empty_buffer, insert, sample
from ._importance import weights


class MIRState(NamedTuple):
    """The examples held, and the candidates of the next step (drawn after the buffer was written)."""

    buffer: Buffer
    recalled: Batch


class MIR(Memory):
    """Maximally interfered retrieval: of a random draw, rehearse the examples whose loss the coming step would raise most.

    penalty(θ) = β · L(θ; the `batch` candidates x with the largest  ℓ(θ′; x) − ℓ(θ; x)),     θ′ = θ − η ∇L(θ; current batch)

    Aljundi et al. 2019, "Online Continual Learning with Maximally Interfered Retrieval", criterion MI-1, candidates and
    batch as in the authors' code. What is selected is not differentiated. A step costs a gradient on the current batch and
    two evaluations of the candidates more than `Replay`. It is selected where it is needed, inside `penalty`: nobody else
    needs to know the model when a memory recalls.

    Args:
        capacity: examples held.
        batch: examples rehearsed in a step.
        candidates: examples of which they are selected.
        rate: η, the learning rate of the learner's optimizer; 0 selects at random.
        labels: β; 0 is plain fine-tuning.
        policy: who stays in the buffer.
        feedback: the loss on remembered examples, where it is not the learner's own.
    """

    rate: Number = number(0.05)
    labels: Number = number(1.0)
    feedback: Feedback | None = None
    capacity: int = eqx.field(static=True, default=500)
    batch: int = eqx.field(static=True, default=10)
    candidates: int = eqx.field(static=True, default=50)
    policy: Policy = eqx.field(static=True, default="reservoir")

    def __init__(
        self,
        capacity: int = 500,
        batch: int = 10,
        candidates: int = 50,
        rate: Number = 0.05,
        labels: Number = 1.0,
        policy: Policy = "reservoir",
        feedback: Feedback | None = None,
    ):
        if not 1 <= batch <= candidates <= capacity:
            raise BadInput(
                f"a batch is selected of candidates, and these of the examples held: 1 ≤ batch ≤ candidates ≤ capacity, and "
                f"they are {batch}, {candidates} and {capacity}"
            )
        if policy not in ("reservoir", "balanced", "greedy"):
            raise BadInput(f"the policy must be 'reservoir', 'balanced' or 'greedy', not '{policy}'")
        self.capacity, self.batch, self.candidates, self.policy = capacity, batch, candidates, policy
        self.rate, self.labels = jnp.asarray(rate, jnp.float32), jnp.asarray(labels, jnp.float32)
        self.feedback = feedback

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> MIRState:
        """Return an empty memory."""
        outputs = eqx.filter_eval_shape(model, like.x[0]).shape[-1]
        return self._with_draw(empty_buffer(like, self.capacity, outputs), key)

    def _with_draw(self, buffer: Buffer, key: PRNGKeyArray) -> MIRState:
        return MIRState(buffer, sample(buffer, self.candidates, jax.random.bits(key, (), jnp.uint32))[0])

    def recall(self, m: MIRState, *, key: PRNGKeyArray) -> Batch:
        """Return the candidates."""
        return m.recalled

    def penalty(self, m: MIRState, model: PyTree, batch: Batch, recalled: Batch, loss: Loss) -> Float[Array, ""]:
        """Return the weighted loss on the candidates that the step on the batch would harm most."""
        return self.labels * loss(model, self.select(model, batch, recalled, loss), self.feedback)

    def select(self, model: PyTree, batch: Batch, candidates: Batch, loss: Loss) -> Batch:
        """Return the candidates whose loss a step on the batch would raise most."""
        here = eqx.combine(jax.lax.stop_gradient(weights(model)), model)
        slope = eqx.filter_grad(loss)(here, batch)
        there = eqx.apply_updates(here, jax.tree.map(lambda g: -self.rate * g, slope))

        def harm(example: Batch) -> Float[Array, ""]:
            alone = jax.tree.map(lambda leaf: leaf[None], example)
            return loss(there, alone, self.feedback) - loss(here, alone, self.feedback)

        harms = jnp.where(candidates.weight > 0, jax.vmap(harm)(candidates), -jnp.inf)
        worst = jax.lax.top_k(harms, self.batch)[1]
        return jax.tree.map(lambda leaf: leaf[worst], candidates)

    def keep(self, m: MIRState, step: Step, *, key: PRNGKeyArray) -> MIRState:
        """Offer the batch to the buffer, and draw the next step's candidates."""
        for_slots, for_draw = jax.random.split(key)
        return self._with_draw(insert(m.buffer, step.batch, None, self.policy, key=for_slots), for_draw)
