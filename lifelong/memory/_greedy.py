"""Store greedily, learn only from the store: GDumb."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.recipe import Number, Recipe
from lifelong.worlds import Batch, Pages, shuffled

from ._base import Loss, Memory, Step
from ._buffer import Buffer, empty_buffer, insert
from ._importance import weights


class GDumbState(NamedTuple):
    """What GDumb keeps: examples, and the weights it starts from each time."""

    buffer: Buffer
    newborn: PyTree


def clipped_momentum(momentum: Number, weight_decay: Number, clip: Number) -> optax.GradientTransformation:
    """Return gradient descent of learning rate 1 with the gradient clipped to a length, weight decay and momentum."""
    return optax.chain(
        optax.clip_by_global_norm(clip), optax.add_decayed_weights(weight_decay), optax.sgd(1.0, momentum)
    )


class GDumb(Memory):
    """Learn nothing from the stream but what to store; at the end of a task, learn the store from scratch.

    Examples are kept by the 'greedy' policy. Consolidation trains the learner's initial weights on the store alone,
    `passes` times over every example in a new random order, with the learner's loss; pass e has the learning rate

        η_0 = η_max / 10,    η_e = η_min + ½(η_max − η_min)(1 + cos(π(e − 2ʲ) / 2ʲ)),   j = ⌊log₂ e⌋,

    cosines restarting at passes 1, 2, 4, 8 … Defaults are those of the authors' code (Prabhu et al. 2020, "GDumb: A
    Simple Approach that Questions Our Progress in Continual Learning"), without its augmentation; it makes 128 passes on
    MNIST and 256 on CIFAR-10. Until the first task has ended the model stays newborn, provided that the learner's own
    optimizer leaves weights without gradient alone (no weight decay).

    Args:
        capacity: examples held.
        batch: examples in a step of consolidation.
        passes: how often the store is gone through.
        highest: η_max.
        lowest: η_min.
        optimizer: a `Recipe` or an Optax transformation of learning rate 1, whose updates are multiplied by η; unless
            stated, descent with momentum 0.9, weight decay 10⁻⁶ and gradients clipped to length 10.
    """

    highest: Float[Array, ""]
    lowest: Float[Array, ""]
    optimizer: Recipe | optax.GradientTransformation
    capacity: int = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    passes: int = eqx.field(static=True)

    def __init__(
        self,
        capacity: int = 500,
        batch: int = 16,
        passes: int = 128,
        highest: Number = 0.05,
        lowest: Number = 0.0005,
        optimizer: Recipe | optax.GradientTransformation | None = None,
    ):
        if not 1 <= batch <= capacity:
            raise BadInput(f"the batch must be 1 … capacity, and it is {batch} of {capacity}")
        if passes < 1:
            raise BadInput(f"the store must be gone through at least once: passes={passes}")
        self.highest, self.lowest = jnp.asarray(highest, jnp.float32), jnp.asarray(lowest, jnp.float32)
        self.optimizer = optimizer or Recipe(clipped_momentum, momentum=0.9, weight_decay=1e-6, clip=10.0)
        self.capacity, self.batch, self.passes = capacity, batch, passes

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> GDumbState:
        """Return an empty store and the weights as they are."""
        outputs = eqx.filter_eval_shape(model, like.x[0]).shape[-1]
        return GDumbState(empty_buffer(like, self.capacity, outputs), weights(model))

    def weigh(self, m: GDumbState, batch: Batch, recalled: None) -> float:
        """Return 0: the stream itself is not learned."""
        return 0.0

    def keep(self, m: GDumbState, step: Step, *, key: PRNGKeyArray) -> GDumbState:
        """Offer the batch to the store."""
        return m._replace(buffer=insert(m.buffer, step.batch, None, "greedy", key=key))

    def rate(self, pass_number: Int[Array, ""]) -> Float[Array, ""]:
        """Return the learning rate η_e of pass e, counted from 0."""
        cycle = 1 << (31 - jax.lax.clz(jnp.maximum(jnp.int32(pass_number), 1)))
        cosine = jnp.cos(jnp.pi * (pass_number - cycle) / cycle)
        later = self.lowest + (self.highest - self.lowest) * (1 + cosine) / 2
        return jnp.where(pass_number == 0, 0.1 * self.highest, later)

    def consolidate(
        self, m: GDumbState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, GDumbState]:
        """Return a model trained from its initial weights on the store alone."""
        optimizer = self.optimizer() if isinstance(self.optimizer, Recipe) else self.optimizer
        seed = jax.random.bits(key, (), jnp.uint32)
        steps = -(-m.buffer.filled // self.batch)

        def descend(i: Array, carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
            theta, state = carry
            batch = self._draw(m.buffer, i % steps, i // steps, seed)
            gradient = eqx.filter_grad(lambda theta: loss(eqx.combine(theta, model), batch))(theta)
            updates, state = optimizer.update(gradient, state, theta)
            rate = self.rate(i // steps)
            return eqx.apply_updates(theta, jax.tree.map(lambda u: rate * u, updates)), state

        start = (m.newborn, optimizer.init(m.newborn))
        theta, _ = jax.lax.fori_loop(0, self.passes * steps, descend, start)
        return eqx.combine(theta, model), m

    def _draw(self, buffer: Buffer, turn: Array, pass_number: Array, seed: Array) -> Batch:
        """Return the batch of one turn in a pass; the last of a pass may be padded."""
        place = turn * self.batch + jnp.arange(self.batch)
        filled = jnp.maximum(buffer.filled, 1)
        slot = shuffled(place % filled, filled, jnp.broadcast_to(pass_number, place.shape), seed)
        held = jax.tree.map(lambda leaf: leaf[slot], buffer.examples)
        return Batch(held.x, held.y, held.task, (place < buffer.filled).astype(jnp.float32), held.allowed)
