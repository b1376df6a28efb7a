"""A random order of n things that is computed, not stored: the swap-or-not shuffle."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt

ROUNDS = 40


def shuffled(
    position: Int[Array, " n"], size: Int[Array, ""], pass_number: Int[Array, " n"], seed: UInt[Array, ""]
) -> Int[Array, " n"]:
    """Return what stands at `position` in a random order of 0 … size−1, one order for each pass and seed.

    In every round each number x either stays or swaps with its partner (pivot − x) mod size, and the two agree on
    which by hashing the larger of them: so each round, and therefore the whole, is a bijection, for any size, in
    constant memory (Hoang, Morris and Rogaway 2012, "An Enciphering Scheme Based on a Card Shuffle", section 3).
    """
    here, size = position.astype(jnp.uint32), jnp.asarray(size, jnp.uint32)
    salt = _mix(seed + _mix(pass_number.astype(jnp.uint32)))

    def swap(round_number, x):
        word = _mix(salt + jnp.uint32(0x9E3779B9) * (round_number.astype(jnp.uint32) + 1))
        partner = _below(size, word) + size - x
        partner = jnp.where(partner >= size, partner - size, partner)
        swaps = _mix(jnp.maximum(x, partner) ^ (word + jnp.uint32(0x7F4A7C15))) >> 31
        return jnp.where(swaps == 1, partner, x)

    return jax.lax.fori_loop(0, ROUNDS, swap, here, unroll=4).astype(position.dtype)


def _below(size: UInt[Array, "..."], word: UInt[Array, "..."]) -> UInt[Array, "..."]:
    """Return word·size / 2³², rounded down (but for a carry), from 32-bit products: a division would take most of the time."""
    high, low, size_high, size_low = word >> 16, word & 0xFFFF, size >> 16, size & 0xFFFF
    return high * size_high + ((high * size_low) >> 16) + ((low * size_high) >> 16)


def _mix(word: UInt[Array, "..."]) -> UInt[Array, "..."]:
    """Scramble 32 bits (the finalizer of MurmurHash3: xor-shifts and odd multipliers)."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)
