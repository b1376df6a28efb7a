"""The feed-forward half of a transformer's layer: one gated network, or several of which a router chooses."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._product import over_rows


@jax.custom_vjp
def gated(
    x: Float[Array, "*n width"],
    gate: Float[Array, "width hidden"],
    up: Float[Array, "width hidden"],
    down: Float[Array, "hidden width"],
) -> Float[Array, "*n width"]:
    """Return (silu(x·W_gate) ⊙ x·W_up)·W_down. Between forward and backward only both products with x are kept."""
    return _forward(x, gate, up, down)[0]


def _forward(x: Array, gate: Array, up: Array, down: Array) -> tuple[Array, tuple[Array, ...]]:
    opened, raised = x @ gate, x @ up
    return (opened * _sigmoid(opened) * raised) @ down, (x, opened, raised, gate, up, down)


def _sigmoid(x: Array) -> Array:
    """Return σ(x) by way of tanh, which is faster on the CPU."""
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)


def _backward(kept: tuple[Array, ...], wanted: Array) -> tuple[Array, ...]:
    x, opened, raised, gate, up, down = kept
    open_share = _sigmoid(opened)
    silu, to_hidden = opened * open_share, wanted @ down.T
    to_opened = to_hidden * raised * (open_share + silu * (1 - open_share))
    to_raised = to_hidden * silu
    to_x = to_opened @ gate.T + to_raised @ up.T
    return to_x, over_rows(x, to_opened), over_rows(x, to_raised), over_rows(silu * raised, wanted)


gated.defvjp(_forward, _backward)


class SwiGLU(eqx.Module):
    """A gated feed-forward network, (silu(x·W_gate) ⊙ x·W_up)·W_down (Shazeer 2020), without biases."""

    gate: Float[Array, "*layers width hidden"]
    up: Float[Array, "*layers width hidden"]
    down: Float[Array, "*layers hidden width"]

    def __call__(self, x: Float[Array, "*n width"]) -> tuple[Float[Array, "*n width"], None]:
        """Return what the network makes of x; nothing was routed."""
        return gated(x, self.gate, self.up, self.down), None


class Experts(eqx.Module):
    """Several gated networks of which a router chooses `chosen` for every token, Σ_e g_e·SwiGLU_e(x).

    p = softmax(x·W_router); g is p on the likeliest `chosen` experts, scaled to sum to 1, and 0 elsewhere (Jiang et al. 2024,
    "Mixtral of Experts"). All experts are computed: that is exact and, where experts are few and small, faster than moving
    tokens about.
    """

    router: Float[Array, "*layers width experts"]
    gate: Float[Array, "*layers experts width hidden"]
    up: Float[Array, "*layers experts width hidden"]
    down: Float[Array, "*layers experts hidden width"]
    chosen: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "*n width"]) -> tuple[Float[Array, "*n width"], Float[Array, "*n experts"]]:
        """Return what the chosen experts make of x, and the router's probabilities."""
        probabilities = jax.nn.softmax(x @ self.router)
        best, which = jax.lax.top_k(probabilities, self.chosen)
        shares = best / best.sum(-1, keepdims=True)
        shares = (jax.nn.one_hot(which, probabilities.shape[-1]) * shares[..., None]).sum(-2)
        gate, up = (jnp.einsum("...w,ewh->...eh", x, weight) for weight in (self.gate, self.up))
        hidden = jax.nn.silu(gate) * up * shares[..., None]
        return jnp.einsum("...eh,ehw->...w", hidden, self.down), probabilities
