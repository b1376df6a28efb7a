"""Tasks made out of one data set: a random linear map of its inputs, a permutation of its labels."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray

from lifelong.keys import key_for


def drawn_projection(
    pool: ArrayLike, strange: Bool[Array, ""], features: int, outputs: int, *, key: PRNGKeyArray
) -> tuple[Float[Array, "f f"], Int[Array, " outputs"]]:
    """Return A with A_ij ~ N(0, 1/features) and the new names π of the labels, of one task of `pool` tasks.

    Tasks of the pool are told apart by their number alone; where `strange`, the task is of no pool.
    """
    drawn, apart = jax.random.bits(key, (2,), jnp.uint32)
    known = drawn % jnp.asarray(pool, jnp.uint32)
    number, purpose = jnp.where(strange, drawn, known), jnp.where(strange, apart, 0)
    mine = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), number), purpose)
    projection = jax.random.normal(key_for(mine, "map"), (features, features)) / features**0.5
    order = jnp.argsort(jax.random.uniform(key_for(mine, "labels"), outputs))  # pyright: ignore[reportArgumentType]
    return projection, order.astype(jnp.int32)
