"""What a student's answers so far say about the student: an ability on a grid, followed row by row."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lifelong.worlds import PracticeLog, buckets

NODES = np.linspace(-4.0, 4.0, 41, dtype=np.float32)
"""Abilities that are weighed, in standard deviations; the grid is finer than any student's posterior."""


def followed(
    eta: Float[np.ndarray, " rows"], slope: Float[np.ndarray, " rows"], sd: float, log: PracticeLog
) -> Float[np.ndarray, " rows"]:
    """Return the probability that each row is right, P(right) = ∫ σ(η + a·θ) P(θ | earlier answers) dθ.

    θ is normal with mean 0 and standard deviation `sd` before the first answer (Bock and Mislevy 1982, "Adaptive EAP
    estimation of ability"); a is `slope`. Ungraded rows say nothing about it.
    """
    out = np.empty(len(eta))
    for group in buckets(log, ratio=8.0):
        values = (np.asarray(column[group.row].T, np.float32) for column in (eta, sd * slope))
        out = group.unpad(np.asarray(_follow(*values, group.outcome.T)).T, out)
    return out


@jax.jit
def _follow(
    eta: Float[Array, "length students"], slope: Float[Array, "length students"], outcome: Int[Array, "length students"]
) -> Float[Array, "length students"]:
    def step(weight: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        eta, slope, outcome = row
        logits = eta[:, None] + slope[:, None] * NODES
        share = jax.nn.softmax(weight, axis=1)
        turned = jnp.where(outcome == 1, 1.0, -1.0)[:, None] * logits
        seen = jnp.where((outcome >= 0)[:, None], jax.nn.log_sigmoid(turned), 0.0)
        weight = weight + seen
        return weight - weight.max(axis=1, keepdims=True), (jax.nn.sigmoid(logits) * share).sum(axis=1)

    start = jnp.broadcast_to(-0.5 * NODES**2, (eta.shape[1], len(NODES)))
    return jax.lax.scan(step, start, (eta, slope, outcome))[1]
