"""Sine waves of random amplitude and phase: the world in which meta-learning of regression began."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput

from ._episodes import Episode
from ._few_shot import FewShot, Points, episode


class Sines(FewShot):
    """y = a·sin(x − φ) with an amplitude a, a phase φ and places x that are uniform, drawn anew for every episode.

    The defaults are those of Finn et al. 2017 ("Model-Agnostic Meta-Learning", section 5.1): a in 0.1 … 5, φ in 0 … π,
    x in −5 … 5, ten shots and as many queries.

    Args:
        shots, queries: points in the support set and in the questions.
        amplitude, phase, place: the ends of what is drawn from.
    """

    amplitude: Float[Array, " 2"] = eqx.field(converter=jnp.asarray, default=(0.1, 5.0))
    phase: Float[Array, " 2"] = eqx.field(converter=jnp.asarray, default=(0.0, jnp.pi))
    place: Float[Array, " 2"] = eqx.field(converter=jnp.asarray, default=(-5.0, 5.0))
    shots: int = eqx.field(static=True, default=10)
    queries: int = eqx.field(static=True, default=10)
    parts: tuple[str, ...] = eqx.field(static=True, default=("training",))
    outputs: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if min(self.shots, self.queries) < 1:
            raise BadInput(f"an episode needs shots and queries of at least 1: {self.shots} and {self.queries}")

    def deal(self, part: Int[Array, ""], *, key: PRNGKeyArray) -> Episode:
        """Return one wave's episode."""
        chance = jax.random.uniform(key, (2 + self.shots + self.queries,))
        amplitude, phase = _within(self.amplitude, chance[0]), _within(self.phase, chance[1])
        x = _within(self.place, chance[2:])[None, :, None]
        return episode(x, amplitude * jnp.sin(x - phase), self.shots, part, Points)


def _within(ends: Float[Array, " 2"], chance: Float[Array, "*n"]) -> Float[Array, "*n"]:
    return ends[0] + chance * (ends[1] - ends[0])
