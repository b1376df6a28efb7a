"""A theory of how induction heads form: three logits, each of use only once the others have grown."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int


def nested_loss(logits: Float[Array, " 3"], items: ArrayLike, labels: ArrayLike) -> Float[Array, ""]:
    """Return the loss of a head with logits (β₁, α, ξ) on N items and L labels.

    s₁ = e^β₁/(e^β₁ + N) is the attention to the item before; s₂ = e^(α s₁)/(e^(α s₁) + N − 1) that to the right label; with
    o = (1 − s₂)/(N − 1) the loss is −log[e^(ξ s₂)/(e^(ξ s₂) + (N−1) e^(ξ o) + L − N)] (after Reddy 2023, "The mechanistic
    basis of data dependence and abrupt learning in an in-context classification task", section 4). Where L > N, ξ alone can
    tell labels shown from others, and its growth makes α and β₁ worth learning; where L = N nothing can be gained at 0.
    """
    before, match, gain = logits
    items, labels = jnp.asarray(items, jnp.float32), jnp.asarray(labels, jnp.float32)
    first = jax.nn.sigmoid(before - jnp.log(items))
    second = jax.nn.sigmoid(match * first - jnp.log(items - 1))
    other = (1 - second) / (items - 1)
    absent = jnp.where(labels > items, jnp.log(jnp.maximum(labels - items, 1e-9)), -jnp.inf)
    all_labels = jnp.stack([gain * second, gain * other + jnp.log(items - 1), absent])
    return jax.nn.logsumexp(all_labels) - gain * second


@jax.jit
def nested_learning_times(
    starts: Float[Array, "n 3"],
    items: ArrayLike,
    labels: Int[Array, " sizes"],
    rate: ArrayLike = 0.1,
    steps: ArrayLike = 6000,
    below: ArrayLike = 0.1,
) -> Float[Array, "sizes n"]:
    """Return after how many steps of gradient descent the loss is below a bound, from every start; ∞ where never.

    Sizes of the dictionary share the starts.
    """

    def step(i: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        logits, when = now
        value, slope = grad(logits, labels)
        return logits - rate * slope, jnp.where((value < below) & jnp.isinf(when), i, when)

    each = jax.value_and_grad(lambda logits, labels: nested_loss(logits, items, labels))
    grad = jax.vmap(jax.vmap(each, (0, None)))
    shape = (len(labels), *starts.shape)
    now = (jnp.broadcast_to(starts, shape), jnp.full(shape[:2], jnp.inf))
    return jax.lax.fori_loop(0, steps, step, now)[1]
