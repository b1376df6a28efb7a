"""Networks that predict one view's representation from another's."""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from lifelong.errors import BadInput

from ._batch_norm import Moments, NormedMLP

Layout = Literal["cascaded", "parallel", "shared"]
"""Where mined views are compared: behind the first projector, beside it, or with the augmented views."""


class ViewNetwork(eqx.Module):
    """An encoder f with what self-supervision needs above it: projectors g and h, predictors q and r, prototypes c.

    Augmented views are compared as q(g(f(x))) with g(f(x′)), mined ones as r(v) with v, where v is h(g(f(x))) ('cascaded'),
    h(f(x)) ('parallel') or, with q for r, g(f(x)) itself ('shared'). Whole batches go in, as all parts are normalised over
    the batch (Azabou et al. 2021, "Mine Your Own vieW", section 3; sizes are half those of their code for recordings).

    Args:
        encoder: called with `key=` it returns f, a net of whole batches such as `Recipe(NormedMLP, …)`.
        features: numbers that f gives.
        projection, width: numbers that g gives, and hidden units of g and q.
        mined_projection, mined_width: the same of h and r.
        prototypes: how many c there are, unit vectors of the first projection space by which views are clustered.
        layout: where mined views are compared.
        key: draws all weights.

    Raises BadInput for a layout that does not exist.
    """

    encoder: NormedMLP
    projector: NormedMLP
    predictor: NormedMLP
    mined_projector: NormedMLP
    mined_predictor: NormedMLP
    prototypes: Float[Array, "prototypes projection"]
    layout: Layout = eqx.field(static=True)

    def __init__(
        self,
        encoder: Callable[..., NormedMLP],
        features: int = 32,
        projection: int = 16,
        width: int = 64,
        mined_projection: int = 8,
        mined_width: int = 32,
        prototypes: int = 16,
        layout: Layout = "cascaded",
        *,
        key: PRNGKeyArray,
    ):
        if layout not in ("cascaded", "parallel", "shared"):
            raise BadInput(f"the layout must be 'cascaded', 'parallel' or 'shared', not '{layout}'")
        keys = jax.random.split(key, 6)
        below = features if layout == "parallel" else projection
        self.encoder = encoder(key=keys[0])
        self.projector = NormedMLP(features, projection, (width,), key=keys[1])
        self.predictor = NormedMLP(projection, projection, (width,), key=keys[2])
        self.mined_projector = NormedMLP(below, mined_projection, (mined_width,), key=keys[3])
        self.mined_predictor = NormedMLP(mined_projection, mined_projection, (mined_width,), key=keys[4])
        self.prototypes = jax.random.normal(keys[5], (prototypes, projection))
        self.layout = layout

    def represent(self, x: Float[Array, "n *shape"], moments: Moments | None = None) -> Float[Array, "n features"]:
        """Return y = f(x)."""
        return self.encoder(x, moments)

    def project(self, y: Float[Array, "n features"]) -> Float[Array, "n projection"]:
        """Return z = g(y)."""
        return self.projector(y)

    def predict(self, z: Float[Array, "n projection"]) -> Float[Array, "n projection"]:
        """Return q(z)."""
        return self.predictor(z)

    def project_mined(self, y: Float[Array, "n features"]) -> Float[Array, "n width"]:
        """Return v."""
        if self.layout == "shared":
            return self.projector(y)
        return self.mined_projector(y if self.layout == "parallel" else self.projector(y))

    def predict_mined(self, v: Float[Array, "n width"]) -> Float[Array, "n width"]:
        """Return r(v)."""
        return self.predictor(v) if self.layout == "shared" else self.mined_predictor(v)
