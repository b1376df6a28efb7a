"""Hyperparameters that can be swept, and calls that wait for their last arguments."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lifelong.errors import BadInput

Number = Float[Array, ""] | float
"""A hyperparameter that can be swept: given as a float, held as an array leaf."""


def number(default: float) -> Any:
    """Declare a hyperparameter that can be swept: a float that becomes an array leaf."""
    return eqx.field(converter=lambda value: jnp.asarray(value, jnp.float32), default=default)


class Recipe(eqx.Module):
    """A callable with its configuration: `Recipe(optax.sgd, learning_rate=0.05)()`, `Recipe(MLP, width=64)(key=key)`.

    Floats (and arrays) become array leaves, so they can be swept by `vmap` without compiling again; everything else
    is static, but for recipes within the recipe, whose numbers can be swept like its own. Two recipes of the same function
    and settings are equal, so compiled programs are shared between them.
    Raises BadInput for a setting that cannot be hashed, such as a list.
    """

    make: Callable[..., Any] = eqx.field(static=True)
    numbers: dict[str, Any]
    settings: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def __init__(self, make: Callable[..., Any], **configuration: Any):
        numbers = {name: value for name, value in configuration.items() if _has_numbers(value)}
        self.make = make
        self.numbers = {name: _leaf(value) for name, value in numbers.items()}
        self.settings = tuple(sorted((k, v) for k, v in configuration.items() if k not in numbers))
        for name, value in self.settings:
            _check_hashable(name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with this configuration and the arguments given now."""
        return self.make(*args, **self.numbers, **dict(self.settings), **kwargs)


def _has_numbers(value: Any) -> bool:
    return eqx.is_array(value) or isinstance(value, float | np.floating | np.ndarray | Recipe)


def _leaf(value: Any) -> Any:
    """Return floats as float32; whole numbers, truth values, keys and recipes stay what they are."""
    if isinstance(value, Recipe):
        return value
    value = jnp.asarray(value)
    return value.astype(jnp.float32) if jnp.issubdtype(value.dtype, jnp.floating) else value


def _check_hashable(name: str, value: Any) -> None:
    try:
        hash(value)
    except TypeError:
        kind = type(value).__name__
        raise BadInput(f"'{name}' is a {kind}, by which compiled programs cannot be told apart; give a tuple") from None
