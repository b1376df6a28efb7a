"""Transformations of inputs, one for each task."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput


class Transform(eqx.Module):
    """A family of transformations: `draw` one for each task of a lifetime, `apply` them to rows."""

    def fit(self, shape: tuple[int, ...], tasks: int, identity_first: bool) -> "Transform":
        """Return this family for inputs of one shape and a number of tasks; raise `BadInput` where it cannot be."""
        raise NotImplementedError

    def draw(self, *, key: PRNGKeyArray) -> Any:
        """Draw the parameters of every task's transformation."""
        raise NotImplementedError

    def apply(self, drawn: Any, x: Float[Array, "n *shape"], task: Int[Array, " n"]) -> Float[Array, "n *shape"]:
        """Transform each row as its task does."""
        raise NotImplementedError


class Permutation(Transform):
    """Each task shuffles all pixels (features) in a fixed way of its own."""

    features: int = eqx.field(static=True, default=0)
    tasks: int = eqx.field(static=True, default=0)
    identity_first: bool = eqx.field(static=True, default=False)

    def fit(self, shape: tuple[int, ...], tasks: int, identity_first: bool) -> "Permutation":
        """Return this family for inputs of `shape`."""
        features = 1
        for side in shape:
            features *= side
        return Permutation(features, tasks, identity_first)

    def draw(self, *, key: PRNGKeyArray) -> Int[Array, "tasks features"]:
        """Draw a permutation of the features for every task."""
        order = jax.vmap(lambda k: jax.random.permutation(k, self.features))(jax.random.split(key, self.tasks))
        return order.at[0].set(jnp.arange(self.features)) if self.identity_first else order

    def apply(self, drawn: Any, x: Float[Array, "n *shape"], task: Int[Array, " n"]) -> Float[Array, "n *shape"]:
        """Return x with feature i taken from place drawn[task][i]."""
        flat = x.reshape(len(x), -1)
        return jnp.take_along_axis(flat, drawn[task], axis=1).reshape(x.shape)


class Rotation(Transform):
    """Each task turns the image by an angle of its own, drawn uniformly from `low` … `high` degrees."""

    low: Float[Array, ""]
    high: Float[Array, ""]
    tasks: int = eqx.field(static=True, default=0)
    identity_first: bool = eqx.field(static=True, default=False)

    def fit(self, shape: tuple[int, ...], tasks: int, identity_first: bool) -> "Rotation":
        """Return this family for images of `shape` (height, width) or (height, width, channels)."""
        if len(shape) not in (2, 3):
            raise BadInput(f"only images can be rotated: inputs of shape {shape} are not (height, width[, channels])")
        return Rotation(self.low, self.high, tasks, identity_first)

    def draw(self, *, key: PRNGKeyArray) -> Float[Array, " tasks"]:
        """Draw an angle in degrees for every task."""
        angles = jax.random.uniform(key, (self.tasks,), minval=self.low, maxval=self.high)
        return angles.at[0].set(0.0) if self.identity_first else angles

    def apply(self, drawn: Any, x: Float[Array, "n *shape"], task: Int[Array, " n"]) -> Float[Array, "n *shape"]:
        """Return images turned about their centre, bilinearly, with zeros beyond the edge."""
        return jax.vmap(_rotate)(x, jnp.deg2rad(drawn[task]))


def _rotate(image: Float[Array, "*shape"], angle: Float[Array, ""]) -> Float[Array, "*shape"]:
    height, width = image.shape[:2]
    rows, columns = jnp.meshgrid(
        jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij"
    )
    source_row = jnp.cos(angle) * rows + jnp.sin(angle) * columns + (height - 1) / 2
    source_column = -jnp.sin(angle) * rows + jnp.cos(angle) * columns + (width - 1) / 2

    def turn(plane):
        return map_coordinates(plane, [source_row, source_column], order=1)

    return turn(image) if image.ndim == 2 else jax.vmap(turn, in_axes=-1, out_axes=-1)(image)


def permutation() -> Permutation:
    """Return the family of random pixel permutations."""
    return Permutation()


def rotation(low: float = 0.0, high: float = 180.0) -> Rotation:
    """Return the family of rotations by `low` … `high` degrees (Lopez-Paz and Ranzato 2017, section 5: 0 … 180)."""
    return Rotation(jnp.float32(low), jnp.float32(high))
