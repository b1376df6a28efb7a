"""Projection: keep out of the gradient what would raise the loss on remembered examples."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.worlds import Batch, Pages

from ._base import Loss, Memory, Step, number
from ._buffer import Buffer, empty_buffer, insert, sample
from ._importance import held_in, insert_all


class AGEMState(NamedTuple):
    """The examples remembered, and those the next step is checked against (drawn after the buffer was written)."""

    buffer: Buffer
    recalled: Batch


class AGEM(Memory):
    """Averaged gradient episodic memory: never step against the mean gradient r of remembered examples.

    g ← g − λ · (g·r / r·r) r   where g·r < 0   (Chaudhry et al. 2019, "Efficient Lifelong Learning with A-GEM",
    section 4).

    Args:
        capacity: examples remembered.
        batch: examples of which r is the gradient, drawn anew in every step.
        strength: λ, the share of the conflict that is taken out: 1 in the paper, 0 is plain fine-tuning.
        source: where the memory comes from. 'finished' offers all examples of a task to a reservoir when the task ends,
            so that r belongs to past tasks alone, as in the paper (whose memory has a fixed share for every task);
            'stream' offers every batch after its step, and needs no ends of tasks.
    """

    strength: Float[Array, ""] | float = number(1.0)
    capacity: int = eqx.field(static=True, default=500)
    batch: int = eqx.field(static=True, default=128)
    source: Literal["finished", "stream"] = eqx.field(static=True, default="finished")

    def __init__(
        self,
        capacity: int = 500,
        batch: int = 128,
        strength: float = 1.0,
        source: Literal["finished", "stream"] = "finished",
    ):
        if not 1 <= batch <= capacity:
            raise BadInput(f"a batch of 1 … capacity can be drawn: capacity={capacity}, batch={batch}")
        if source not in ("finished", "stream"):
            raise BadInput(f"the source must be 'finished' or 'stream', not '{source}'")
        self.capacity, self.batch, self.source = capacity, batch, source
        self.strength = jnp.float32(strength)

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> AGEMState:
        """Return an empty memory."""
        return self._with_draw(empty_buffer(like, self.capacity, 1), key)

    def _with_draw(self, buffer: Buffer, key: PRNGKeyArray) -> AGEMState:
        return AGEMState(buffer, sample(buffer, self.batch, jax.random.bits(key, (), jnp.uint32))[0])

    def recall(self, m: AGEMState, *, key: PRNGKeyArray) -> Batch:
        """Return the examples that this step must not harm."""
        return m.recalled

    def shape(self, m: AGEMState, gradient: PyTree, model: PyTree, recalled: Batch, loss: Loss) -> PyTree:
        """Return the gradient without its conflict with that of the remembered examples."""
        reference = eqx.filter_grad(loss)(model, recalled)
        along, size = _dot(gradient, reference), _dot(reference, reference)
        conflict = self.strength * jnp.where(along < 0, along / jnp.maximum(size, 1e-30), 0.0)
        return jax.tree.map(lambda g, r: g - conflict * r, gradient, reference)

    def keep(self, m: AGEMState, step: Step, *, key: PRNGKeyArray) -> AGEMState:
        """Offer the batch where the source is 'stream'; draw the next step's examples."""
        for_slots, for_draw = jax.random.split(key)
        buffer = m.buffer
        if self.source == "stream":
            buffer = insert(buffer, step.batch, None, "reservoir", key=for_slots)
        return self._with_draw(buffer, for_draw)

    def consolidate(
        self, m: AGEMState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, AGEMState]:
        """Offer the finished task's examples, unless the source is 'stream'."""
        if self.source == "stream":
            return model, m
        for_slots, for_draw = jax.random.split(key)
        return model, self._with_draw(insert_all(m.buffer, review, key=for_slots), for_draw)

    @property
    def consolidates(self) -> bool:
        """Whether the memory is filled at the ends of tasks."""
        return self.source == "finished"


class GEMState(NamedTuple):
    """Examples of finished tasks, [tasks, per_task, …], those of slots not taken with weight 0; and how many finished."""

    examples: Batch
    finished: Int[Array, ""]


class GEM(Memory):
    """Gradient episodic memory: step as near to the gradient as possible without harming any finished task.

    g̃ = argmin ½‖g̃ − g‖²  subject to  g̃·r_k ≥ 0  for the gradient r_k on what is remembered of each finished task k; solved
    in its dual, g̃ = g + Σ_k v_k r_k with v ≥ margin (Lopez-Paz and Ranzato 2017, "Gradient Episodic Memory for Continual
    Learning", section 3; a positive margin, as in their code, bends the step further towards the past).

    When a task ends, `per_task` of its examples are drawn uniformly and remembered from then on, as Hsu et al. 2018 and
    Avalanche do; the paper keeps the last ones met in the stream. Needs to be told of the ends of tasks. Every step costs
    a gradient on every slot that is full in some lane.

    Args:
        per_task: examples remembered of a task.
        tasks: tasks remembered; when there are more, the oldest gives way.
        margin: the least v_k of a conflict (0.5 in the authors' scripts and with Hsu).
        strength: the share of the way from g to g̃ that is gone: 1 in the paper, 0 is plain fine-tuning.
    """

    margin: Float[Array, ""] | float = number(0.5)
    strength: Float[Array, ""] | float = number(1.0)
    per_task: int = eqx.field(static=True, default=256)
    tasks: int = eqx.field(static=True, default=5)

    def __init__(self, per_task: int = 256, tasks: int = 5, margin: float = 0.5, strength: float = 1.0):
        if min(per_task, tasks) < 1 or margin < 0:
            raise BadInput(
                f"GEM remembers at least one example and task, and its margin is not negative: "
                f"per_task={per_task}, tasks={tasks}, margin={margin}"
            )
        self.per_task, self.tasks = per_task, tasks
        self.margin, self.strength = jnp.float32(margin), jnp.float32(strength)

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> GEMState:
        """Return a memory of no task."""
        blank = held_in(empty_buffer(like, self.per_task, 1))
        return GEMState(jax.tree.map(lambda leaf: jnp.stack([leaf] * self.tasks), blank), jnp.int32(0))

    def shape(self, m: GEMState, gradient: PyTree, model: PyTree, recalled: Any, loss: Loss) -> PyTree:
        """Return the gradient turned so that it harms no finished task."""

        def filled(slot: Array, rows: PyTree) -> PyTree:
            examples = jax.tree.map(lambda leaf: leaf[slot], m.examples)
            return jax.tree.map(lambda row, g: row.at[slot].set(g), rows, eqx.filter_grad(loss)(model, examples))

        blank = jax.tree.map(lambda leaf: jnp.zeros((self.tasks, *leaf.shape), leaf.dtype), gradient)
        full = _most_of_lanes(jnp.minimum(m.finished, self.tasks))
        references = jax.lax.fori_loop(0, full, filled, blank)
        turned = project(gradient, references, self.margin)
        return jax.tree.map(lambda g, t: g + self.strength * (t - g), gradient, turned)

    def consolidate(
        self, m: GEMState, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, GEMState]:
        """Remember examples of the finished task."""
        slot = m.finished % self.tasks
        like = jax.tree.map(lambda leaf: leaf[0], m.examples)
        drawn = held_in(insert_all(empty_buffer(like, self.per_task, 1), review, key=key))
        examples = jax.tree.map(lambda held, new: held.at[slot].set(new), m.examples, drawn)
        return model, GEMState(examples, m.finished + 1)


@jax.custom_batching.custom_vmap
def _most_of_lanes(count: Int[Array, ""]) -> Int[Array, ""]:
    """Return the greatest count of all lanes, the same for each, so that a loop of so many steps needs no selection."""
    return count


@_most_of_lanes.def_vmap
def _over_lanes(lanes: int, batched: list[bool], count: Int[Array, " lanes"]) -> tuple[Int[Array, ""], bool]:
    return _most_of_lanes(count.max()), False


def project(gradient: PyTree, references: PyTree, margin: Float[Array, ""] | float = 0.0) -> PyTree:
    """Return the vector nearest to a gradient that has no negative product with any reference.

    g̃ = g + Σ_k v_k r_k with v = argmin ½‖g + Σ_k v_k r_k‖² over v ≥ margin where some g·r_k < 0, and g̃ = g elsewhere.
    `references` is a tree like `gradient` whose leaves have one more, first axis; a reference of zeros demands nothing.
    """
    vector = jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(gradient)])
    rows = jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(references)], axis=1)
    gram, products = rows @ rows.T, rows @ vector
    v = margin + nonnegative_minimum(gram, products + margin * gram.sum(1))
    v = jnp.where((products < 0).any(), v, 0.0)
    return jax.tree.map(lambda g, r: g + jnp.tensordot(v, r, 1), gradient, references)


def nonnegative_minimum(gram: Float[Array, "k k"], slope: Float[Array, " k"]) -> Float[Array, " k"]:
    """Return the v ≥ 0 at which ½ vᵀ·gram·v + slope·v is least, by a primal-dual interior-point method.

    `gram` is positive semidefinite. Scaled to a unit diagonal, the optimality conditions z = gram·v + slope, z·v = μ,
    z ≥ 0, v ≥ 0 are followed to μ → 0 by twenty Newton steps, about five digits in single precision. Their number does
    not depend on the data, as an active-set method's would, so all lanes run the same program.
    """
    size = jnp.sqrt(jnp.diag(gram))
    unit = jnp.where(size > 0, size, 1.0)
    scale = jnp.maximum(jnp.abs(slope / unit).max(), 1e-30)
    curve, tilt = gram / (unit[:, None] * unit) + 1e-6 * jnp.eye(len(slope)), slope / (unit * scale)

    def newton(_: Int[Array, ""], state: tuple[Array, Array]) -> tuple[Array, Array]:
        v, z = state
        mu = 0.1 * (z * v).mean()
        dv = jnp.linalg.solve(curve + jnp.diag(z / v), mu / v - curve @ v - tilt)
        dz = (mu - z * dv) / v - z
        inside = 0.99 / jnp.maximum(jnp.maximum(-dv / v, -dz / z).max(), 0.99)
        return v + inside * dv, z + inside * dz

    ones = jnp.ones_like(tilt)
    return jax.lax.fori_loop(0, 20, newton, (ones, ones))[0] * scale / unit


def _dot(a: PyTree, b: PyTree) -> Float[Array, ""]:
    return jax.tree.reduce(jnp.add, jax.tree.map(jnp.vdot, a, b))
