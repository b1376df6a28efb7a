"""Whether a rule of learning follows a path in continuous time, whatever its step."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lifelong.errors import BadInput


class Refinement(NamedTuple):
    """How curves close up as the step is halved: relative distances of successive curves, and the order of convergence."""

    distances: Float[np.ndarray, "*lanes gaps"]
    order: Float[np.ndarray, "*lanes"]


def refinement(curves: Float[np.ndarray, "*lanes steps times"]) -> Refinement:
    """Return how curves of one quantity, at successively halved steps and on one grid of times, converge.

    With curves c_0 (coarsest) … c_m: distance_i = ‖c_i − c_{i+1}‖ / ‖c_{i+1}‖ over time, and the order is the slope of
    −log₂ distance_i over i: about 1 for a forward Euler scheme, about 0 where the step still shows. Curves that agree to
    the last bit have order ∞.

    Raises `BadInput` for fewer than three curves.
    """
    curves = np.asarray(curves, np.float64)
    if curves.ndim < 2 or curves.shape[-2] < 3:
        raise BadInput(f"an order of convergence needs at least three halved steps; the curves are {curves.shape}")
    finer = curves[..., 1:, :]
    lengths = np.maximum(np.linalg.norm(finer, axis=-1), np.finfo(float).tiny)
    distances = np.linalg.norm(curves[..., :-1, :] - finer, axis=-1) / lengths
    same = (distances == 0).any(-1)
    number = np.arange(distances.shape[-1]) - (distances.shape[-1] - 1) / 2
    logs = np.log2(np.where(distances > 0, distances, 1.0))
    slope = -(logs * number).sum(-1) / (number**2).sum()
    return Refinement(distances, np.where(same, np.inf, slope))
