"""Hyperparameters that can be swept, and calls that wait for their last arguments."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Number = Float[Array, ""] | float
"""A hyperparameter that can be swept: given as a float, held as an array leaf."""


def number(default: float) -> Any:
    """Declare a hyperparameter that can be swept: a float that becomes an array leaf."""
    return eqx.field(converter=lambda value: jnp.asarray(value, jnp.float32), default=default)


class Recipe(eqx.Module):
    """A callable with its configuration: `Recipe(optax.sgd, learning_rate=0.05)()`, `Recipe(MLP, width=64)(key=key)`.

    Floats (and arrays) become array leaves, so they can be swept by `vmap` without compiling again; everything else
    is static. Two recipes of the same function and settings are equal, so compiled programs are shared between them.
    """

    make: Callable[..., Any] = eqx.field(static=True)
    numbers: dict[str, Any]
    settings: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def __init__(self, make: Callable[..., Any], **configuration: Any):
        numbers = {k: v for k, v in configuration.items() if isinstance(v, float) or eqx.is_array(v)}
        self.make = make
        self.numbers = {k: jnp.asarray(v, jnp.float32) for k, v in numbers.items()}
        self.settings = tuple(sorted((k, v) for k, v in configuration.items() if k not in numbers))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with this configuration and the arguments given now."""
        return self.make(*args, **self.numbers, **dict(self.settings), **kwargs)
