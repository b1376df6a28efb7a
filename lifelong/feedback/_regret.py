"""How much better a task could have been done."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def paired_regret(
    protagonist: Float[Array, "t *n"],
    antagonist: Float[Array, "t *n"],
    protagonist_ended: Bool[Array, "t *n"],
    antagonist_ended: Bool[Array, "t *n"],
) -> Float[Array, "*n"]:
    """Return max(max U(antagonist) − mean U(protagonist), 0), over the returns U of episodes that ended; NaN where none did.

    Dennis et al. 2020, "Emergent Complexity and Zero-shot Transfer via Unsupervised Environment Design"; the best of
    one against the mean of the other is what the code of Azad et al. 2022 ("CLUTR") takes for PAIRED.
    """
    best = jnp.where(antagonist_ended, antagonist, -jnp.inf).max(0)
    count = protagonist_ended.sum(0)
    mean = jnp.where(protagonist_ended, protagonist, 0.0).sum(0) / count
    return jnp.where((count > 0) & jnp.isfinite(best), jnp.maximum(best - mean, 0.0), jnp.nan)
