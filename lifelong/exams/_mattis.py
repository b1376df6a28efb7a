"""What an associative memory brings back: overlaps of its answers with the patterns."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.worlds import Patterns

from ._exam import Exam


class Mattis(Exam):
    """Show a cue of every pattern, and measure how much of every pattern is in the answer.

    overlap[μ, ν] = Σ_i ξ_i^ν s_i / Σ_i |ξ_i^ν| for the answer s to the cue of pattern μ: 1 where all entries of ν that are
    not blank are recalled. Unless the temperature is 0, answers are means over time and overlaps those means' overlaps.
    """

    def sit(self, state: Any, learner: Any, world: Patterns, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return {'overlap': [tasks, patterns]}."""
        cues = world.papers(world.tasks).page(0)
        return {"overlap": overlaps(world.xi, learner.answer(state, cues.x, key=key))}

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """One row a cue, one column a pattern."""
        return {"overlap": ("task", "pattern")}


def overlaps(patterns: Float[Array, "k features"], spins: Float[Array, "n features"]) -> Float[Array, "n k"]:
    """Return Mattis overlaps Σ ξ s / Σ |ξ|, each pattern's measured on its own entries that are not blank."""
    return spins @ patterns.T / jnp.maximum(jnp.abs(patterns).sum(1), 1.0)


def pattern_energy(patterns: Float[Array, "k features"], spins: Float[Array, "n features"]) -> Float[Array, " n"]:
    """Return H/N = −½ Σ_μ m_μ² with m_μ = Σ ξ^μ s / N, the energy per spin of Hebb's rule on the patterns themselves."""
    return -0.5 * ((spins @ patterns.T / spins.shape[1]) ** 2).sum(1)


def reconstruction_losses(
    patterns: Float[Array, "k features"], spins: Float[Array, "n features"]
) -> tuple[Float[Array, "n k"], Float[Array, "n k"]]:
    """Return L⁺ and L⁻, the half mean square distances of the spins from every pattern and from its negative.

    L^±_μ = Σ_{i: ξ_i ≠ 0} (ξ_i^μ ∓ s_i)² / 2N. For spins of ±1 and a share a of entries that are not blank it is a ∓ m_μ,
    so that L⁺L⁻ = a² − m_μ²: what lowers the energy lowers the sum of these products (Agliari et al. 2023).
    """
    present = jnp.abs(patterns)[None]
    plus, minus = ((present * (patterns[None] - sign * spins[:, None]) ** 2).sum(-1) for sign in (1.0, -1.0))
    return plus / (2 * spins.shape[1]), minus / (2 * spins.shape[1])
