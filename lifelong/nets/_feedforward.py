"""The feed-forward half of a transformer's layer: one gated network, or several of which a router chooses."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class SwiGLU(eqx.Module):
    """A gated feed-forward network, (silu(x·W_gate) ⊙ x·W_up)·W_down (Shazeer 2020), without biases.

    `gate_up` holds W_gate and W_up side by side, so that both are one product.
    """

    gate_up: Float[Array, "*layers width twice"]
    down: Float[Array, "*layers hidden width"]

    def __call__(self, x: Float[Array, "*n width"]) -> tuple[Float[Array, "*n width"], None]:
        """Return what the network makes of x; nothing was routed."""
        gate, up = jnp.split(x @ self.gate_up, 2, axis=-1)
        return (jax.nn.silu(gate) * up) @ self.down, None


class Experts(eqx.Module):
    """Several gated networks of which a router chooses `chosen` for every token, Σ_e g_e·SwiGLU_e(x).

    p = softmax(x·W_router); g is p on the likeliest `chosen` experts, scaled to sum to 1, and 0 elsewhere (Jiang et al. 2024,
    "Mixtral of Experts"). All experts are computed: that is exact and, where experts are few and small, faster than moving
    tokens about.
    """

    router: Float[Array, "*layers width experts"]
    gate_up: Float[Array, "*layers experts width twice"]
    down: Float[Array, "*layers experts hidden width"]
    chosen: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "*n width"]) -> tuple[Float[Array, "*n width"], Float[Array, "*n experts"]]:
        """Return what the chosen experts make of x, and the router's probabilities."""
        probabilities = jax.nn.softmax(x @ self.router)
        best, which = jax.lax.top_k(probabilities, self.chosen)
        shares = best / best.sum(-1, keepdims=True)
        shares = (jax.nn.one_hot(which, probabilities.shape[-1]) * shares[..., None]).sum(-2)
        gate, up = jnp.split(jnp.einsum("...w,ewh->...eh", x, self.gate_up), 2, axis=-1)
        hidden = jax.nn.silu(gate) * up * shares[..., None]
        return jnp.einsum("...eh,ehw->...w", hidden, self.down), probabilities
