"""How a likelihood is climbed from a start: by quasi-Newton steps that never search along a line."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

COMPILED = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT", "xla_cpu_prefer_vector_width": 512}
"""Sums stay with XLA itself (its library for them crashes in jaxlib 0.10.2), and vectors are as wide as processors have."""

NOISE = 2e-7
"""A loss is known up to this share in single precision: a step that raises it by no more is taken."""

GAIN = 1e-7
"""A climb ends where the next step promises less than this."""

FIRST = 0.1
"""The first step is no longer than this."""

SHORTER = 4.0
"""How much shorter the next step is after one that was not taken; and longer, up to a whole one, after one that was."""


class _Climb(NamedTuple):
    """Where a climb is: a point, loss and slope there, the inverse Hessian as learned, the share of a step to try next."""

    point: Float[Array, " numbers"]
    loss: Float[Array, ""]
    slope: Float[Array, " numbers"]
    inverse: Float[Array, "numbers numbers"]
    share: Float[Array, ""]
    tried: Int[Array, ""]


def climbed(
    loss: Callable[[Float[Array, " numbers"]], Float[Array, ""]],
    start: Float[Array, " numbers"],
    steps: int | Int[Array, ""],
) -> tuple[Float[Array, " numbers"], Float[Array, ""]]:
    """Return where BFGS comes to in so many steps at most, and the loss there; losses are means, of order 1.

    A step that raises the loss is not taken, and the next is shorter. Each step costs one slope, so that climbs side by side
    do not wait for the longest search along a line.
    """
    both = jax.value_and_grad(loss)

    def goes_on(now: _Climb) -> Bool[Array, ""]:
        return (now.tried == 0) | ((now.tried < steps) & (now.slope @ now.inverse @ now.slope > 2 * GAIN))

    def step(now: _Climb) -> _Climb:
        move = -now.share * (now.inverse @ now.slope)
        there = (now.point + move, *both(now.point + move))
        taken = there[1] < now.loss + NOISE * jnp.abs(now.loss)
        point, value, slope = (jnp.where(taken, *pair) for pair in zip(there, now[:3], strict=True))
        share = jnp.where(taken, jnp.minimum(1.0, SHORTER * now.share), now.share / SHORTER)
        inverse = jnp.where(taken, _learned(now, move, there[2] - now.slope), now.inverse)
        return _Climb(point, value, slope, inverse, share, now.tried + 1)

    nothing = jnp.zeros_like(start)
    unknown = _Climb(start, jnp.float32(jnp.inf), nothing, jnp.diag(nothing), jnp.float32(1.0), jnp.int32(0))
    last = jax.lax.while_loop(goes_on, step, unknown)
    return last.point, last.loss


def _learned(now: _Climb, move: Array, bent: Array) -> Float[Array, "numbers numbers"]:
    """Return the inverse Hessian H after a move s that bent the slope by y, or as it was where sᵀy ≤ 0 (BFGS):

    (I − s yᵀ/sᵀy) H (I − y sᵀ/sᵀy) + s sᵀ/sᵀy. Before the first move H is what makes it short, and then sᵀy/yᵀy (times I).
    """
    along, unit = move @ bent, jnp.eye(len(move))
    before = jnp.where(now.tried == 1, unit * along / (bent @ bent), now.inverse)
    turned = before @ bent
    crossed = jnp.outer(turned, move)
    found = before + ((1 + bent @ turned / along) * jnp.outer(move, move) - crossed - crossed.T) / along
    found = jnp.where((along > 0) & jnp.isfinite(found).all(), found, now.inverse)
    return jnp.where(now.tried == 0, unit * FIRST / jnp.maximum(FIRST, jnp.linalg.norm(bent)), found)
