"""Associative memory: learning by Hebb's rule, remembering by settling."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput, Mismatch
from lifelong.feedback import Info, class_means
from lifelong.recipe import Number, number
from lifelong.worlds import Batch, Lesson, Mixture, World

from ._learner import Learner, blank_batch


class HebbianState(eqx.Module):
    """What was stored: vectors, how many examples each of them is the mean of (0: nothing yet), and examples met."""

    stored: Float[Array, "rows features"]
    count: Float[Array, " rows"]
    met: Int[Array, ""]


class HebbianLearner(Learner):
    """A network of N spins that stores vectors x by Hebb's rule and answers a cue with the state into which it settles.

    J_ij = w/Z · Σ_x x_i x_j for i ≠ j,  Z = mean ‖x‖²,  h = J σ,  P(σ_i = 1) = 1 / (1 + exp(−2 h_i / τ)).

    Told which pattern an example is of ('supervised'), it stores each pattern's mean example, w = 1; else it stores
    every example, w = 1/examples (Agliari et al. 2023, "Parallel Learning by Multitasking Neural Networks"). J is never
    formed: h is computed from the overlaps x·σ, which are kept up to date block by block, at a cost of rows · N a sweep.
    Blocks of spins are updated one after the other, since a network updated as a whole can swing between two states;
    where h is 0 a spin stays as it is. An answer is the mean of the spins over the second half of the sweeps.

    Args:
        form: 'supervised' or 'unsupervised'.
        capacity: rows held; None takes one for every task of the world. Unsupervised, the oldest leave when it is full.
        temperature: τ, in units in which a stored vector, all alone, holds its spins with a field of 1. Without the
            diagonal and normalised as here, the temperature of J = Σ x xᵀ / N is T = τ (1−d) for patterns of dilution d.
        batch: examples in a step.
        sweeps: updates of every spin.
        blocks: parts of the network that are updated one after the other.
    """

    form: Literal["supervised", "unsupervised"] = eqx.field(static=True, default="supervised")
    capacity: int | None = eqx.field(static=True, default=None)
    temperature: Number = number(0.0)
    batch: int = eqx.field(static=True, default=1)
    sweeps: int = eqx.field(static=True, default=60)
    blocks: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        if self.form not in ("supervised", "unsupervised"):
            raise BadInput(f"the form must be 'supervised' or 'unsupervised', not '{self.form}'")
        if min(self.batch, self.sweeps, self.blocks, self.capacity or 1) < 1:
            raise BadInput("an associative memory needs a batch, sweeps, blocks and a capacity of at least 1")

    def init(self, world: World, *, key: PRNGKeyArray) -> HebbianState:
        """Return an empty memory; raise `Mismatch` for a world whose answers are not as long as its examples."""
        like = blank_batch(world, self.batch, key=key)
        if like.x.shape[1:] != (world.outputs,):
            raise Mismatch(
                f"an associative memory answers with as many numbers as it is shown, and this world shows "
                f"{like.x.shape[1:]} and expects {world.outputs}; `Patterns` is a world for it"
            )
        rows = self.capacity or world.tasks
        return HebbianState(jnp.zeros((rows, world.outputs)), jnp.zeros(rows), jnp.int32(0))

    def meet(self, state: HebbianState, world: World, lesson: Lesson | Mixture, *, key: PRNGKeyArray) -> Batch:
        """Return a batch of what the teacher asked for."""
        return world.draw(lesson, self.batch, key=key)

    def learn(self, state: HebbianState, experience: Batch, *, key: PRNGKeyArray) -> tuple[HebbianState, Info]:
        """Store a batch; return the new state and how many rows are taken."""
        rows = len(state.count)
        offered = (experience.weight > 0).astype(jnp.float32)
        if self.form == "supervised":
            mean, new = class_means(experience.x, experience.y, offered, rows)
            count = state.count + new
            stored = state.stored + (new / jnp.maximum(count, 1.0))[:, None] * (mean - state.stored)
        else:
            slots = (state.met + jnp.cumsum(offered).astype(jnp.int32) - 1) % rows
            slots = jnp.where(offered > 0, slots, rows)
            stored = state.stored.at[slots].set(experience.x, mode="drop")
            count = state.count.at[slots].set(1.0, mode="drop")
        met = state.met + offered.sum().astype(jnp.int32)
        return HebbianState(stored, count, met), {"rows": (count > 0).sum().astype(jnp.float32)}

    def answer(
        self,
        state: HebbianState,
        x: Float[Array, "n features"],
        allowed: Bool[Array, "n features"] | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "n features"]:
        """Return where the network settles from each cue, a number in −1 … 1 for every spin; without a key, at τ = 0."""
        features = x.shape[1]
        stored, spins = self._in_blocks(state.stored), self._in_blocks(x)
        held = (state.count > 0).sum()
        weight = 1.0 if self.form == "supervised" else 1.0 / jnp.maximum(held, 1)
        scale = weight * held / jnp.maximum((state.stored**2).sum(), 1e-9)
        own = (stored**2).sum(1)

        def sweep(i: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            spins, overlaps, total = carry
            noise = self._noise(key, i, spins.shape)

            def block(overlaps: Array, parts: tuple[Array, ...]) -> tuple[Array, Array]:
                stored, own, spins, noise = parts
                field = scale * (overlaps @ stored - own * spins) + noise
                turned = jnp.where(field > 0, 1.0, jnp.where(field < 0, -1.0, spins))
                return overlaps + (turned - spins) @ stored.T, turned

            overlaps, spins = jax.lax.scan(block, overlaps, (stored, own, spins, noise))
            return spins, overlaps, total + jnp.where(i >= self.sweeps // 2, spins, 0.0)

        start = (spins, jnp.einsum("bns,brs->nr", spins, stored), jnp.zeros_like(spins))
        total = jax.lax.fori_loop(0, self.sweeps, sweep, start)[2]
        mean = total / (self.sweeps - self.sweeps // 2)
        return mean.transpose(1, 0, 2).reshape(len(x), -1)[:, :features]

    def _noise(self, key: PRNGKeyArray | None, sweep: Any, shape: tuple[int, ...]) -> Float[Array, "blocks n size"]:
        """Return what is added to the fields of one sweep: τ/2 times logistic noise, whose sign is a Glauber update."""
        if key is None:
            return jnp.zeros(shape)
        return 0.5 * self.temperature * jax.random.logistic(jax.random.fold_in(key, sweep), shape)

    def _in_blocks(self, x: Float[Array, "n features"]) -> Float[Array, "blocks n size"]:
        """Return columns in blocks, the last of them filled up with zeros."""
        n, features = x.shape
        size = -(-features // self.blocks)
        filled = jnp.pad(x, ((0, 0), (0, self.blocks * size - features)))
        return filled.reshape(n, self.blocks, size).transpose(1, 0, 2)
